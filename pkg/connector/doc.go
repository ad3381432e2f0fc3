// Package connector runs the change-data-capture of one HubSpot portal: who
// runs, and what follows from it. It takes the seat among the instances with
// one prefix, runs and recovers, decides which object types, pairs and reference
// lists a run follows, and tells operators how it is.
//
// What is read next is decided in package stream, what changed in package cdc,
// and package sink commits it to Kafka. Words, flags and the environment belong
// to the caller; so does the process.
//
// # Usage
//
//	cfg := connector.DefaultConfig()
//	cfg.HubSpot.AccessToken = "pat-..."
//	cfg.Kafka.Brokers = []string{"broker-1:9092"}
//	cfg.Registry.URL = "http://registry:8081"
//	c, err := connector.New(cfg, connector.Options{Logger: log})
//	if err != nil {
//		return err // a *ConfigError with every problem
//	}
//	return c.Run(ctx)
//
// Package check finds out beforehand what a run would find.
//
// # Concurrency
//
// Run blocks until its context ends, then gives the seat to the next instance
// and returns within ten seconds, even with the brokers away. Handler may be
// used from any goroutine, before, during and after Run. One process can run
// several connectors, each with its own KAFKA_TOPIC_PREFIX or portal.
//
// # Errors
//
// What passes (HubSpot, the brokers or the registry away, a refused token, a
// failed transaction) never ends Run: the run under way ends, the log says why,
// and the next one recovers from what is committed. Run returns an error only
// when an operator has to act: a *[ConfigError], or an *offsets.Refusal, which
// names the cure. [ExitCode] tells them apart.
//
// # Testing
//
// Options carries the network: a test leads HubSpot's requests to
// hubspottest.Portal, the registry's to a fake and Kafka's to kfake, inside a
// synctest bubble. The tests of this package do so for the whole program.
package connector
