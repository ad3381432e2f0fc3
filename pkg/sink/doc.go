// Package sink answers: how is it committed?
//
// It is the only writer to Kafka. One transaction holds all that a publish
// decided (a [cdc.Batch]): the events, the rows that say what is published, and
// the cursor after it. A crash at any instant leaves all of it or nothing
// (docs/contract.md section 4). Batches that become ready during a transaction
// form the next one.
//
// Nothing here recovers from an error. When a step of a transaction fails, its
// outcome is unknown. Only a new run finds it out: it fences this one and reads
// both topics back (docs/kafka.md C2). So Run ends at the first error, and every
// later Commit fails.
//
// The caller opens one Sink per run: Open (which fences the predecessor), Load,
// Topic for each object, Run in its own goroutine beside the streams that call
// Commit, and Close once Run has returned.
//
// setup decides which topics and schemas must exist before the first event. A
// run's effects change Kafka and the registry, a Probe's only ask. So a check
// finds what a run would find, and changes nothing.
package sink
