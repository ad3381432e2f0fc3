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
// What takes several questions is a value without I/O. Protocol is the form of
// those that read keys: Complete (R7, with confirm in it), LookUp (R8) and
// LinkRead (R8, R14). Walk reads a page of a search (R2), Window is a tier's
// place (R3), Publication and LinkPublication bring a page to its end (R1, R6),
// Gaps says what a list lacks (R11), Rechecks what to confirm once more (R9),
// Looks and LinkPlace which links to read next (R14). They say what to ask and
// take the answer. Package stream drives them with HubSpot, and package cdcmodel
// with a model of it, so the search is a search of the code that ships.
//
// A caller reads from HubSpot after it has taken the lane's stamp (Lane.Now)
// at the moment the request is sent, calls Lane.Publish, and reads the ids
// that it gets back once more.
package cdc
