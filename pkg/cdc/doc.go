// Package cdc decides what changed.
//
// Streams hand it readings: what HubSpot said of a key, and when it was asked.
// A lane compares them with its table of what is published and turns the
// differences into events, in the order that the rules of the design ask for
// (R1 reading order, R3 windows, R4 skip, R6 page and cursor, R10 create and
// update, R13 schema generation). It is pure: it makes no request, knows no
// clock and no Kafka. Time arrives as data, and what was decided goes out
// through a Committer.
//
// A caller reads from HubSpot after it has taken the lane's stamp (Lane.Now)
// at the moment the request is sent, calls Lane.Publish, and reads the ids
// that it gets back once more.
package cdc
