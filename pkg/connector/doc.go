// Package connector runs the change data capture of one HubSpot portal. It
// decides which of the instances with one prefix runs, recovers after failures,
// chooses the object types, pairs and reference lists that a run follows, and
// shows operators how the run is doing.
//
// Package stream decides what to read next and package cdc what changed; package
// sink commits it to Kafka. The command line, the environment and the process
// belong to the caller.
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
// Package check reports beforehand what a run would find.
//
// # Concurrency
//
// Run blocks until its context ends, then gives its seat to the next instance and
// returns within ten seconds, even while the brokers are away. Handler may be
// used from any goroutine, before, during and after Run. One process can run
// several connectors, each with its own KAFKA_TOPIC_PREFIX or portal.
//
// # Errors
//
// Failures that pass never end Run: HubSpot, the brokers or the registry are
// away, HubSpot refuses the token, a transaction fails. They end the run under
// way, the log says why, and the next run recovers from what is committed. Run
// returns an error only when an operator has to act: a *[ConfigError], or an
// *offsets.Refusal, which names the cure. [ExitCode] tells them apart.
//
// # Testing
//
// Options carries the network. A test routes HubSpot's requests to
// hubspottest.Portal, the registry's to a fake and Kafka's to kfake, inside a
// synctest bubble. The tests of this package do that for the whole program.
package connector
