// Package stream decides what is to be read next.
//
// Every stream is a finder: it names ids. What is published is read from
// HubSpot's object store by Object.read, decided by the object's cdc.Lane and
// committed with the stream's cursor, page by page.
//
//	stream          file        asks                      cursor
//	leading         tier.go     search, modified >= start start, t0, last id
//	trailing-<lag>  tier.go     the same, lag behind      the same
//	backfill        sweep.go    list, by id               id ranges
//	reconcile       reconcile.go  the same sweep, again   the same
//	archive         archive.go  list of archived records  position
//	census          census.go   search, totals            none
//	associations    associations.go  association reads    last id of the sweep
//	reference       owners.go, pipelines.go  owners, pipelines  when a list was read last
//	refill          refill.go   search, has property      position
//	signals         signals.go  what an operator asks for offset, and the place in a snapshot
//	schema          schema.go, removal.go  definitions, labels  none
//	confirm         read.go     batch reads (cdc.Complete)  none; it is no finder
//	recheck         recheck.go  confirm, once more        none; it is no finder
//
// A stream is a pass, which supervise (supervise.go) repeats until the context
// ends. HubSpot's passing failures are settled in hubspot.Client; what HubSpot
// lastingly refuses stops this stream alone, visibly, and is tried again with
// growing waits; every other error ends the run.
package stream
