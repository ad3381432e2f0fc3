// Package cdcmodel searches for histories in which the rules of package cdc
// break a promise. It holds tests only.
//
// A small HubSpot (portal_test.go) whose index lags, flaps and answers fresh
// or stale rows; finders that mirror those of package stream, with the moments
// at which a request is sent, served and received as separate steps
// (finders_test.go, reads_test.go); and a scheduler that lets all of them
// take steps in any order and kills the process between transactions
// (world_test.go). What is decided is decided by the real cdc.Lane and
// cdc.Window. When all is quiet, what was committed is held against the true
// history of every record (check_test.go).
//
// Histories are played at random (search_test.go: -histories, -seed; one that
// breaks a promise is made small and written down step by step) and, in a world
// of two records, three versions of each and two finders, in every way
// (every_test.go: -ways). Links (R14) are a lane of their own, whose finders and
// truth would stand beside those of the records.
//
// A rule is switched off in the finders (without, in finders_test.go), never
// in package cdc: there is nothing in it for tests to switch.
package cdcmodel
