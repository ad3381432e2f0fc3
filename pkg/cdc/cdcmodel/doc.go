// Package cdcmodel searches for histories in which the rules of package cdc
// break a promise. It holds tests only.
//
// A small HubSpot (portal_test.go) whose index lags, flaps and answers fresh
// or stale rows, pages out of order, and nothing at all about some records;
// finders that drive the protocols of package cdc, with the moments at which a
// request is sent, served and received as separate steps (finders_test.go,
// reads_test.go); and a scheduler that lets all of them take steps in any order
// and kills the process between transactions (world_test.go). What is asked next
// and what is decided is up to package cdc alone. When all is quiet, what was committed is held against the true
// history of every record (check_test.go).
//
// Histories are played at random (search_test.go: -histories, -seed; one that
// breaks a promise is made small and written down step by step) and, in a small
// world, in every way (every_test.go): two records with up to three versions
// each, or two records with a few links, and two finders for one pass each, in
// every order of what is sent, served, received and changed, with a crash or
// with time that passes where the scenario has them (there, a protocol does not
// wait before it asks again). From each state it goes on
// once; key_test.go says what a state is and why that hides nothing, and
// TestSearch_AKnownStateHidesNoWay counts it over. -large plays larger ones too.
//
// Every third random history has links too (R14): one pair, of the modelled type
// with itself and with ids that nobody publishes; a store that is current, is read
// a link or two at a time, and whose links hide, come back and move with their
// records (link_portal_test.go); the sweep, the looks and snapshots, around the real
// cdc.LinkLane (link_finders_test.go); and each link's events held against its
// history (link_check_test.go). That HubSpot does not find a record which is
// there is played only for records that were never deleted: after a restore that
// is not published yet, R8 takes such an answer for the delete.
//
// A rule is switched off in the finders, or in the answers that they pass on
// (without, in finders_test.go), never in package cdc: there is nothing in it for
// tests to switch.
package cdcmodel
