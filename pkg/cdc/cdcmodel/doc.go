// Package cdcmodel searches for histories in which the rules of package cdc break a
// promise. It holds only tests.
//
// The model has three parts:
//
//   - A small HubSpot (portal_test.go). Its index lags, flaps, and answers rows fresh
//     or stale and pages out of order. About some records it says nothing at all.
//   - Finders that drive the protocols of package cdc (finders_test.go,
//     reads_test.go). A request is sent, served and received in separate steps.
//   - A scheduler (world_test.go) that lets all of them take steps in any order, and
//     kills the process between transactions.
//
// Package cdc alone decides what is asked next and what changed. When all is quiet,
// check_test.go compares what was committed with the true history of every record.
//
// Random search plays random histories (search_test.go: -histories, -seed). It
// makes a history that breaks a promise small and writes it down step by step.
// Exhaustive search plays every history of a small world (every_test.go): two
// records with up to three versions each, or two records with a few links, and two
// finders for one pass each. Sending, serving, receiving and changing happen in
// every order, with a crash or with passing time where the scenario has them. A
// protocol does not wait there before it asks again. The search continues from each
// state once. key_test.go says what a state is and why that hides nothing, and
// TestSearch_AKnownStateHidesNoWay checks it by counting. -large plays larger
// worlds too.
//
// Every third random history has links too (R14): one pair, of the modelled type
// with itself and with ids that nobody publishes. Their store is current and is
// read a link or two at a time. Links hide, come back and move with their records
// (link_portal_test.go). The sweep, the looks and the snapshots work on the real
// cdc.LinkLane (link_finders_test.go). link_check_test.go compares each link's
// events with its history. Only for records that were never deleted does the model
// play that HubSpot does not find an existing record: after a restore that is not
// published yet, R8 takes such an answer for the delete.
//
// Every third has a journal (R16, journal_portal_test.go, journal_finder_test.go). Its
// events are late, lost, doubled, out of order or wrong, its files expire or cannot be
// understood. Polling heals most of that, so the journal has a check of its own before
// polling has been everywhere: what it told is settled when its last file is done.
//
// A rule is switched off in the finders, or in the answers that they pass on
// (without, in finders_test.go), never in package cdc: there is nothing in it for
// tests to switch.
package cdcmodel
