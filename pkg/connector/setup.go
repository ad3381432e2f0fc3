package connector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/schema"
	"github.com/hubspot-cdc/connector/pkg/sink"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// Options are what a program gives a connector besides its configuration. The
// zero value suits most programs.
type Options struct {
	Logger  *slog.Logger // nil: slog.Default()
	Version string       // source.version of every event; "": unknown
	// HubSpot and Registry carry the requests to them; nil: over the network.
	HubSpot, Registry http.RoundTripper
	// Tokens carries the requests for the tokens and credentials of Kafka and the
	// registry; nil: over the network.
	Tokens http.RoundTripper
	// Kafka holds options for every Kafka client, which come after those of the
	// Config.
	Kafka []kgo.Opt
	// SplitLeast is how many records a range of a backfill or reconcile must have
	// left to be divided; zero: stream.SplitLeast.
	SplitLeast int
	// Shared is what the connector has in common with others of this process; nil:
	// nothing.
	Shared *Shared
	// Own says that somebody else chooses the owner of the portal, and has chosen this
	// connector for as long as the context of Run lasts. The connector calls it before
	// each run; an error says that another one has been chosen since. nil: the
	// instances with one prefix choose the owner among themselves.
	Own func(context.Context) error
	// List is where the page that lists this portal among others is, as seen from the
	// portal's page; "": there is none.
	List string
	// Sums says that of the metrics only sums over all objects are looked at, as of one
	// portal among many: what an object has not counted yet takes no room.
	Sums bool
	// Loaded, unless nil, is called each time a run has read the state from Kafka.
	// Nothing that follows needs the processor for as long at a time.
	Loaded func()
}

// Setup is a configuration made ready: its texts are parsed, and its clients
// exist but have made no request. A run begins with it, and so does a check,
// which finds what a run would find.
type Setup struct {
	Config   Config
	Version  string
	Log      *slog.Logger
	HubSpot  *hubspot.Client
	Governor *hubspot.Governor // HubSpot's limits
	Journal  *hubspot.Journal  // nil: it is off, or no app is given
	Registry *sr.Client
	Kafka    []kgo.Opt            // how every Kafka client reaches the brokers
	Metrics  *prometheus.Registry // of the process
	reach    *sink.Reach          // what all Kafka clients see of the brokers

	shared   *Shared // Options.Shared
	kafka    *sharedKafka
	registry *sharedRegistry

	sums       bool   // Options.Sums
	splitLeast int    // Options.SplitLeast
	loaded     func() // Options.Loaded
	Lags       []stream.Lag
	Volatile   schema.Globs
	Selection  *schema.Selection
}

// Prepare validates a configuration and makes the clients. Its error is a
// *[ConfigError].
func Prepare(cfg Config, o Options) (*Setup, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s, err := prepare(cfg, o)
	if err != nil {
		return nil, &ConfigError{[]string{err.Error()}}
	}
	return s, nil
}

func prepare(cfg Config, o Options) (s *Setup, err error) {
	s = &Setup{Config: cfg, Version: o.Version, Log: o.Logger, Metrics: prometheus.NewRegistry(), sums: o.Sums, splitLeast: o.SplitLeast, loaded: o.Loaded}
	if s.Log == nil {
		s.Log = slog.Default()
	}
	s.reach = new(sink.Reach)
	// One ClientLog for all clients, so that they do not repeat each other.
	if s.Kafka, err = s.Config.Kafka.options(o.Tokens, append([]kgo.Opt{sink.ClientLog(s.Log), kgo.WithHooks(s.reach)}, o.Kafka...)...); err != nil {
		return nil, err
	}
	if s.Lags, err = stream.Lags(cfg.Sync.TrailingLag); err != nil {
		return nil, err
	}
	if s.Volatile, err = schema.CompileGlobs(cfg.HubSpot.Volatile); err != nil {
		return nil, err
	}
	if s.Selection, err = cfg.HubSpot.selection(); err != nil {
		return nil, err
	}
	h := &cfg.HubSpot
	s.Governor = hubspot.NewGovernor(hubspot.Limits{
		Share: h.RateShare, DailyReserve: h.DailyReserve,
		SearchPerSecond: float64(h.RateSearch), TenSeconds: h.Rate10s, Daily: int64(h.RateDaily),
	})
	transport := o.HubSpot
	if transport == nil && o.Shared != nil {
		transport = o.Shared.hubspot
	}
	s.HubSpot, err = hubspot.New(hubspot.Config{
		BaseURL: h.BaseURL, APIVersion: h.APIVersion, Auth: h.auth(),
		Transport: transport, Governor: s.Governor, Logger: s.Log, Registerer: s.Metrics,
	})
	if err != nil {
		return nil, err
	}
	if app := h.app(); app != nil && h.Journal != JournalOff {
		s.Journal = hubspot.NewJournal(s.HubSpot, app)
	}
	if err := s.share(o); err != nil { // last: whoever gets no Setup gives nothing back
		s.unshare()
		return nil, err
	}
	return s, nil
}

// share makes the clients that a connector may have in common with others.
func (s *Setup) share(o Options) (err error) {
	client := func() (*sr.Client, error) { return s.Config.Registry.client(o.Version, o.Registry, o.Tokens) }
	if o.Shared == nil {
		s.Registry, err = client()
		return err
	}
	s.shared = o.Shared
	if s.registry, err = s.shared.registryFor(&s.Config.Registry, client); err != nil {
		return err
	}
	s.Registry = s.registry.client
	s.kafka, err = s.shared.besideFor(&s.Config.Kafka, o)
	return err
}

// unshare ends the use of what is shared.
func (s *Setup) unshare() {
	if s.shared != nil {
		s.shared.release(s.kafka, s.registry)
	}
}

// SinkConfig is what the configuration says about writing to Kafka. The portal is
// not yet known.
func (s *Setup) SinkConfig() sink.Config {
	k := &s.Config.Kafka
	var tiers []string
	for _, lag := range s.Lags {
		tiers = append(tiers, lag.Stream)
	}
	var beside *sink.Beside
	if s.kafka != nil {
		beside = s.kafka.beside
	}
	return sink.Config{
		Beside:    beside,
		Portals:   s.shared.portals,
		Frontiers: sink.Frontiers{Interval: s.Config.Event.FrontierInterval, Tiers: tiers},
		Opts:      s.Kafka, Tools: k.tools(), Prefix: k.TopicPrefix, Partitions: k.Partitions, Replication: k.Replication,
		MaxMessageBytes: k.MaxMessageBytes, KeyFormat: k.KeyFormat,
		Registry: s.Registry, Version: s.Version, Tombstones: s.Config.Event.Tombstones,
		BeforeKey: s.Config.Event.Before == BeforeKey, Logger: s.Log, Registerer: s.Metrics, Sums: s.sums, Now: s.HubSpot.Now,
	}
}

// Tool begins a command of Kafka's own, such as kafka-acls. Where the brokers want
// TLS or a user, the tool needs a file with what the variables say here.
func (k *Kafka) Tool(name string) string { return name + " " + k.tools() }

func (k *Kafka) tools() string {
	text := "--bootstrap-server " + strings.Join(k.Brokers, ",")
	if k.TLS || k.Mechanism() != "" {
		text += " --command-config client.properties"
	}
	return text
}

// DiagnoseKafka says why the brokers cannot be used. An error that only says that
// time ran out gives way to what the latest connection brought.
func (s *Setup) DiagnoseKafka(err error) Diagnosis {
	if _, latest := s.reach.Silent(); latest != nil && errors.Is(err, context.DeadlineExceeded) {
		err = latest
	}
	return s.Config.Kafka.Diagnose(err)
}

// auth provides the token for requests. The client asks it again after a 401, and
// then it reads the files of secrets again.
func (h *HubSpot) auth() hubspot.Auth {
	if h.OAuth() {
		return hubspot.OAuth(h.ClientID, reader(h.ClientSecret, h.ClientSecretFile), reader(h.RefreshToken, h.RefreshTokenFile))
	}
	return hubspot.AccessToken(reader(h.AccessToken, h.AccessTokenFile))
}

// app provides the token for the journal: that of an app, which reads no records. It
// is nil where none is known.
func (h *HubSpot) app() hubspot.Auth {
	switch {
	case h.JournalClientID != "":
		return hubspot.ClientCredentials(h.JournalClientID, reader(h.JournalClientSecret, h.JournalClientSecretFile))
	case h.OAuth():
		return hubspot.ClientCredentials(h.ClientID, reader(h.ClientSecret, h.ClientSecretFile))
	}
	return nil
}

func reader(value hubspot.Secret, file string) func() (hubspot.Secret, error) {
	return func() (hubspot.Secret, error) { return secret(value, file) }
}

// OAuth reports whether the connector gets its tokens as an OAuth app, with a
// refresh token.
func (h *HubSpot) OAuth() bool { return h.ClientID != "" }

// Token reads the access token of a service key or private app, from its file
// where one is named.
func (h *HubSpot) Token() (hubspot.Secret, error) { return secret(h.AccessToken, h.AccessTokenFile) }

// Sensitivities are the values of HubSpot's dataSensitivity to ask for.
func (h *HubSpot) Sensitivities() []string {
	switch h.Sensitive {
	case SensitiveHigh:
		return []string{"non_sensitive", Sensitive, SensitiveHigh}
	case Sensitive:
		return []string{"non_sensitive", Sensitive}
	}
	return []string{"non_sensitive"}
}

// Options are what a Kafka client needs to reach the cluster, followed by more.
func (k *Kafka) Options(more ...kgo.Opt) ([]kgo.Opt, error) { return k.options(nil, more...) }

func (k *Kafka) options(tokens http.RoundTripper, more ...kgo.Opt) ([]kgo.Opt, error) {
	compression, err := k.compression()
	if err != nil {
		return nil, err
	}
	opts := []kgo.Opt{kgo.SeedBrokers(k.Brokers...), kgo.ClientID("hubspot-cdc"), compression}
	config, err := k.tls()
	if err != nil {
		return nil, err
	}
	if config != nil {
		opts = append(opts, kgo.Dialer(dialTLS(config)))
	}
	m, err := k.mechanism(tokens)
	if err != nil {
		return nil, err
	}
	if m != nil {
		opts = append(opts, kgo.SASL(m))
	}
	return append(opts, more...), nil
}

// compression is how batches are compressed. A batch that the codec does not make
// smaller, or that a broker is too old for, goes without.
//
// All clients share one compressor. Of a list of codecs, each client would write into
// the list that all of them share while it starts (kgo.DefaultCompressor).
func (k *Kafka) compression() (kgo.Opt, error) {
	codecs := map[string]kgo.CompressionCodec{
		"zstd": kgo.ZstdCompression(), "snappy": kgo.SnappyCompression(), "gzip": kgo.GzipCompression(),
	}
	codec, known := codecs[k.Compression]
	switch {
	case k.Compression == "none":
		return kgo.ProducerBatchCompression(), nil // no codec at all
	case k.Compression == "lz4":
		return kgo.WithCompressor(oneLZ4), nil
	case !known:
		return nil, fmt.Errorf("KAFKA_COMPRESSION: %q is none of lz4, zstd, snappy, gzip, none", k.Compression)
	}
	compressor, err := kgo.DefaultCompressor(codec, kgo.NoCompression())
	return kgo.WithCompressor(compressor), err
}
