package connector_test

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// TestCompression_IsTheOneAskedFor: the batches of data and of state have the
// codec of KAFKA_COMPRESSION, or none where it makes them no smaller.
func TestCompression_IsTheOneAskedFor(t *testing.T) {
	t.Parallel()
	for value, codec := range map[string]int16{"": 3, "lz4": 3, "none": 0, "gzip": 1, "snappy": 2, "zstd": 4} { // bits 0 to 2 of a batch's attributes
		t.Run("KAFKA_COMPRESSION="+value, func(t *testing.T) {
			settings := []string{"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=none", "KAFKA_COMPRESSION=" + value}
			inWorld(t, hubspottest.Options{Seed: 7}, settings, func(w *world) {
				// Seen on its way to the broker, because a decoder of zstd may end
				// after the test, outside the bubble.
				records := map[[16]byte]map[int16]int32{} // by topic and codec
				w.Kafka.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
					w.Kafka.KeepControl()
					for _, topic := range r.(*kmsg.ProduceRequest).Topics {
						id := topic.TopicID
						for _, partition := range topic.Partitions {
							var batch kmsg.RecordBatch
							if err := batch.ReadFrom(partition.Records); err != nil {
								w.T.Error(err)
							}
							if records[id] == nil {
								records[id] = map[int16]int32{}
							}
							records[id][batch.Attributes&7] += batch.NumRecords
						}
					}
					return nil, nil, false
				})
				w.Portal.Seed("contacts", 50)
				p := w.start()
				w.SleepUntil(time.Minute, func() bool { return p.Backfilled("contacts") })
				p.Stop()
				for _, topic := range []string{"hubspot.contacts", "hubspot.state"} {
					counts := records[w.Kafka.TopicInfo(topic).TopicID]
					if codec != 0 {
						delete(counts, 0)
					}
					if counts[codec] < 40 || len(counts) != 1 {
						t.Errorf("%s: records by codec %v, want codec %d", topic, counts, codec)
					}
				}
			})
		})
	}
}

// TestCompression_Validate: an unknown codec is refused with those that exist.
func TestCompression_Validate(t *testing.T) {
	t.Parallel()
	cfg := connector.DefaultConfig()
	cfg.HubSpot.AccessToken, cfg.Registry.URL, cfg.Kafka.Brokers = "x", "http://r", []string{"kafka:9092"}
	for value, want := range map[string]string{"lz4": "", "brotli": `KAFKA_COMPRESSION: "brotli" is none of lz4, zstd, snappy, gzip, none`} {
		cfg.Kafka.Compression = value
		if err := cfg.Validate(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", value, err, want)
		}
	}
}
