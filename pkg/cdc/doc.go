// Package cdc decides what changed.
//
// Streams hand it readings: what HubSpot answered about a key, and when the request
// was sent. A lane compares them with its table of what is published. It turns the
// differences into events, by the rules of docs/contract.md section 2 (R1 reading
// order, R3 windows, R4 skip, R6 page and cursor, R10 create and update, R13 schema
// generation). The package is pure: it makes no request, and knows no clock and no
// Kafka. Time arrives as data. Decisions leave through a Committer.
//
// Whatever takes several questions is a value without I/O: it says what to ask and
// takes the answer. Those that read keys are a Protocol: Complete (R7; it contains
// the confirm), LookUp (R8) and LinkRead (R8, R14). Walk reads a page of a search
// (R2). Window is a tier's place (R3). Publication and LinkPublication carry a page
// to its commit (R1, R6). Gaps finds what a list lacks (R11). Rechecks keeps what
// to confirm again (R9). Looks and LinkPlace say which links to read next (R14).
// Package stream drives them with HubSpot and package cdcmodel with a model of it,
// so the model searches the code that ships.
//
// A caller takes the lane's stamp (Lane.Now) at the moment it sends a request. It
// calls Lane.Publish with the readings, and reads again the ids that Publish
// returns.
package cdc
