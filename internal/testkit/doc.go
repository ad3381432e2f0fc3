// Package testkit has what the tests of several packages share: a Kafka and a
// schema registry inside the test, what a read_committed consumer sees of them,
// the lines to both, which a test can cut, a log that can be read while it is
// written, waiting, and the commands and output that a page of ours shows.
//
// # Usage
//
//	synctest.Test(t, func(t *testing.T) {
//		broker, registry, log := testkit.NewBroker(t), testkit.NewRegistry(t), new(testkit.Log)
//		run(broker.Options(), registry.Client(), log.Logger(t.Output()))
//		testkit.Until(t, time.Second, time.Minute, func() bool { return log.Has("streaming") })
//		for _, r := range testkit.ReadCommitted(t, "hubspot.contacts", broker.Options()...) {
//			fields := registry.Decode(r.Value)
//			...
//		}
//	})
//
// Whatever takes a testing.TB fails that test on its own and cleans up when it
// ends. In a bubble everything runs in virtual time: broker and registry have no
// sockets, which would stop the bubble's clock. Create them inside the bubble,
// with the bubble's own t.
//
// ReadSettled, Latest, Decoder and Until also serve the tests on a real Kafka
// (test/...), where they wait in real time.
//
// # What it leaves to others
//
// The simulated portal is pkg/hubspot/hubspottest, pkg/cdc/cdctest checks the
// promises, and test/services starts a real Kafka and registry. testkit imports
// no package of pkg, so that the tests inside any of them can use it. Only tests
// import it.
//
// # Where the fakes differ from the real ones
//
// The fake broker shows a commit at once, the real one some milliseconds later. A
// test on a real broker therefore uses ReadSettled, which waits for it, or polls.
// A test on the fake broker that a confirmed commit is visible uses
// ReadCommitted. The fake registry calls every schema compatible. Tests that
// depend on either are in test/kafka.
package testkit
