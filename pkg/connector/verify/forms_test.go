package verify_test

import (
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/internal/world"
	"github.com/hubspot-cdc/connector/pkg/connector/verify"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// However a topic is written, what the connector leaves out, hashes or cannot type is
// no difference, and what changes is one.
func TestVerify_ComparesWhatIsPublished(t *testing.T) {
	settings := append([]string{
		"KAFKA_KEY_FORMAT=avro", "EVENT_BEFORE=key", "EVENT_SKIP_UNCHANGED=true", "KAFKA_MAX_MESSAGE_BYTES=20000",
		"HUBSPOT_VOLATILE=contacts.lastname", "HUBSPOT_PROPERTIES_EXCLUDE=contacts.phone",
		"HUBSPOT_PROPERTIES_HASH=contacts.email", "HUBSPOT_HASH_KEY=0123456789abcdef0123456789abcdef",
	}, twoTypes...)
	world.In(t, hubspottest.Options{Seed: 8}, settings, func(w *world.World) {
		w.Portal.AddProperty("contacts", hubspottest.Property{Name: "score", Type: "number"})
		w.Portal.AddProperty("contacts", hubspottest.Property{Name: "essay", Type: "string"})
		odd := w.Portal.Create("contacts", map[string]string{"score": "many", "essay": "a\x00b"})
		precise := w.Portal.Create("contacts", map[string]string{"score": "12345678901234567890"})
		long := w.Portal.Create("contacts", map[string]string{"essay": strings.Repeat("long ", 8000), "firstname": "Ann"})
		contacts, _ := everything(w)
		w.Portal.UpdateCalculated("contacts", contacts[0], map[string]string{"lastname": "Volatile"})
		w.Portal.UpdateCalculated("contacts", contacts[1], map[string]string{"phone": "1234"})
		w.Portal.Touch("contacts", contacts[2])
		w.Portal.UpdateCalculated("contacts", long, map[string]string{"essay": strings.Repeat("longer ", 8000)})
		if r := compared(w, verify.Options{}); !r.Equal {
			t.Errorf("nothing that is published differs: %s", jsonOf(t, r))
		}
		w.Portal.UpdateCalculated("contacts", odd, map[string]string{"score": "more"})
		w.Portal.UpdateCalculated("contacts", precise, map[string]string{"score": "12345678901234567891"})
		w.Portal.UpdateCalculated("contacts", long, map[string]string{"firstname": "Bob"})
		w.Portal.UpdateCalculated("contacts", contacts[3], map[string]string{"email": "other@example.com"})
		time.Sleep(time.Second)
		got := only(t, compared(w, verify.Options{Objects: []string{"contacts"}}), "hubspot.contacts")
		check(t, got, verify.Topic{
			Topic: "hubspot.contacts", HubSpot: 63, Kafka: 63, Equal: 59,
			Different: got.Different, Properties: got.Properties,
		})
		for _, id := range []uint64{odd, precise, long, contacts[3]} {
			if !strings.Contains(strings.Join(got.Different, " "), text(id)) {
				t.Errorf("%d changed, and is not among %v", id, got.Different)
			}
		}
		want := differsIn("score", odd, precise)
		maps.Copy(want, differsIn("firstname", long))
		maps.Copy(want, differsIn("email", contacts[3]))
		if !reflect.DeepEqual(got.Properties, want) {
			t.Errorf("they differ in %v, want %v", got.Properties, want)
		}
	})
}
