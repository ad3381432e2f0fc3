// Package stream decides what is read next.
//
// Every stream is a finder: it names ids. Object.read reads them from HubSpot's
// object store, and the object's cdc.Lane decides what changed and commits it
// with the stream's cursor, page by page.
//
//	stream          file        asks                      cursor
//	leading         tier.go     search, modified >= start start, t0, last id
//	trailing-<lag>  tier.go     the same, lag behind      the same
//	backfill        sweep.go, reading.go  list, by id     id ranges
//	reconcile       reconcile.go  the same sweep, again   the same
//	archive         archive.go  list of archived records  position
//	census          census.go   search, totals            none
//	associations    associations.go  association reads    last id of the sweep
//	reference       owners.go, pipelines.go  owners, pipelines  times of the last reading
//	refill          refill.go   search, has property      position
//	journal         journal.go  the webhooks journal      offset of a file
//	signals         signals.go  what an operator asks for offset, and the place in a snapshot
//	schema          schema.go, removal.go  definitions, labels  none
//	confirm         read.go     batch reads (cdc.Complete)  none; it is no finder
//	recheck         recheck.go  second confirms           none; it is no finder
//
// A stream is a pass, which supervise (supervise.go) repeats until the context
// ends. hubspot.Client retries HubSpot's passing failures. A lasting refusal stops
// one stream alone: an operator sees it, and the stream tries again with growing
// waits. Every other error ends the run.
package stream
