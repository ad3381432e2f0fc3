// Package sink answers: how is it committed?
//
// It is the only writer to Kafka. What a publish decided (a [cdc.Batch]) goes
// into one transaction: the events, the rows that say what is published, and
// the cursor after it, so that a crash at any instant leaves all of it or
// nothing (docs/contract.md section 4). Batches that become ready while a
// transaction is under way form the next one.
//
// There is no recovery in here. Whatever step of a transaction fails, the run
// is over: the outcome is unknown, and only a new run, which fences this one
// and reads both topics back, knows it (docs/kafka.md C2). So Run ends with the
// first error, and from then on every Commit fails.
//
// The caller opens a Sink per run, in this order: Open (which fences the
// predecessor), Load, Topic for each object, Run in a goroutine of its own
// beside the streams that Commit, and Close when Run has returned.
//
// What has to be there before the first event (topics, schemas) is decided in
// setup. Its effects are a run's, which take place, or a Probe's, which only
// ask: so a check finds what a run would find, and changes nothing.
package sink
