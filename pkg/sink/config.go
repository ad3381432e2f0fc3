package sink

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Formats of a data topic's keys (KAFKA_KEY_FORMAT).
const (
	KeyString = "string"
	KeyAvro   = "avro"
)

// DefaultMaxMessageBytes is max.message.bytes of the topics we create.
const DefaultMaxMessageBytes = 8 << 20

// Config configures a Sink or a Probe.
type Config struct {
	Opts   []kgo.Opt // how to reach the brokers: seeds, TLS, SASL, dialer, compression, ClientLog
	Tools  string    // how Kafka's own tools reach them, in the commands of errors: --bootstrap-server …
	Prefix string    // of the topics
	Portal int64

	Partitions      int32  // of new data topics; 0 = the brokers' default
	Replication     int16  // of new topics; 0 = the brokers' default
	MaxMessageBytes int    // 0 = DefaultMaxMessageBytes; a lower limit of a topic counts instead
	KeyFormat       string // "" = KeyString

	Frontiers  Frontiers
	Registry   *sr.Client
	Version    string // source.version
	Tombstones bool   // a tombstone follows a delete
	BeforeKey  bool   // EVENT_BEFORE=key

	Logger     *slog.Logger                                   // nil = slog.Default()
	Registerer prometheus.Registerer                          // nil = nobody keeps the metrics
	Sums       bool                                           // nobody looks at the metrics of single objects, but for the events
	Beside     *Beside                                        // shared with other sinks; nil = this one's own clients do its work
	Held       func(waits string)                             // of reading what is published: offsets.Source
	Turn       func(context.Context) (done func(), err error) // of reading what is published: offsets.Source
	Now        func() hubspot.Millis                          // HubSpot's time; nil = this machine's
	Warned     *Warned                                        // of the process; nil = nothing so far
	Committed  *Committed                                     // of the process; nil = nobody asks
	Portals    func() int                                     // how many the process follows; nil = one
}

// complete fills in the defaults.
func (cfg Config) complete() (Config, error) {
	cfg.Partitions = cmp.Or(cfg.Partitions, -1)
	cfg.Replication = cmp.Or(cfg.Replication, -1)
	cfg.MaxMessageBytes = cmp.Or(cfg.MaxMessageBytes, DefaultMaxMessageBytes)
	cfg.KeyFormat = cmp.Or(cfg.KeyFormat, KeyString)
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Warned == nil {
		cfg.Warned = new(Warned)
	}
	if cfg.Portals == nil {
		cfg.Portals = func() int { return 1 }
	}
	if cfg.Now == nil {
		cfg.Now = func() hubspot.Millis { return hubspot.MillisOf(time.Now()) }
	}
	if cfg.KeyFormat != KeyString && cfg.KeyFormat != KeyAvro {
		return cfg, fmt.Errorf("key format %q is neither %s nor %s", cfg.KeyFormat, KeyString, KeyAvro)
	}
	return cfg, nil
}
