package main

import (
	"fmt"
	"strings"
)

// addresses are where the parts of the demo listen.
type addresses struct{ hubspot, brokers, registry, web string }

// demoBegins explains what is seen.
func demoBegins(at addresses) string {
	return fmt.Sprintf(`A simulated HubSpot portal (%[1]s), an embedded Kafka (%[2]s), a schema registry (%[3]s).
The portal has %[5]d each of %[6]s. Its users make %[7]d changes a second, and an
administrator changes its schemas. The connector is the one that connector run starts; its page is %[4]s/
Look at the topics from another terminal:
  KAFKA_BROKERS=%[2]s SCHEMA_REGISTRY_URL=%[3]s connector tail deals
  kcat -b %[2]s -L
  kcat -b %[2]s -t hubspot.offsets -C -o beginning -e -q -f '%%k\t%%s\n'
  kcat -b %[2]s -t hubspot.contacts -C -o beginning -q -f '%%k %%S bytes\n'
Events as they come. A line has:
  the op         r was there before the first start, c created, u updated, d deleted
  topic and key  one topic for each object type, pair of types and list; the key is the id
  time           when it happened in HubSpot
  what is in it  some properties of the record, or the two ends of an association
  [why]          what found it: backfill reads everything once; the journal, or leading, which
                 searches, finds changes; the others find what these miss. Then why it is gone
A line with * says what else happens.

`, at.hubspot, at.brokers, at.registry, at.web, demoRecords, strings.Join(demoObjects, ", "), demoRate)
}

// demoEnds says what was there and what to do next.
func demoEnds(at addresses) string {
	return fmt.Sprintf(`
The portal (%s), Kafka (%s), the registry (%s) and the connector (%s) have ended with the demo.
What next:
  connector demo --portal 127.0.0.1:8090    only the portal, for a Kafka of your own; docs/containers.md starts one
  connector check                           with your HubSpot token: what a run would find; README.md, With your own HubSpot
  docs/events.md                            what a consumer can rely on
`, at.hubspot, at.brokers, at.registry, at.web)
}
