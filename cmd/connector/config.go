package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sethvargo/go-envconfig"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/sink"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// config is everything that the environment says. A variable is added here,
// with its default and its line of help, and checked in validate. A secret can
// also stand in the file that NAME_FILE names.
type config struct {
	HubSpot  hubspotConfig
	Kafka    kafkaConfig
	Registry registryConfig
	Sync     syncConfig
	Event    eventConfig

	HTTPAddr  string `env:"HTTP_ADDR, default=127.0.0.1:8080" help:"address of /healthz, /readyz and /metrics"`
	LogLevel  string `env:"LOG_LEVEL, default=info" help:"debug, info, warn or error"`
	LogFormat string `env:"LOG_FORMAT" help:"text or json (default text on a terminal, else json)"`
}

type hubspotConfig struct {
	AccessToken  hubspot.Secret `env:"HUBSPOT_ACCESS_TOKEN" help:"token of a service key or private app" secret:"yes"`
	ClientID     string         `env:"HUBSPOT_CLIENT_ID" help:"instead of a token: OAuth client id"`
	ClientSecret hubspot.Secret `env:"HUBSPOT_CLIENT_SECRET" help:"OAuth client secret" secret:"yes"`
	RefreshToken hubspot.Secret `env:"HUBSPOT_REFRESH_TOKEN" help:"OAuth refresh token" secret:"yes"`
	BaseURL      string         `env:"HUBSPOT_BASE_URL, default=https://api.hubapi.com" help:"root of HubSpot's API"`
	APIVersion   string         `env:"HUBSPOT_API_VERSION" help:"one version for all of HubSpot's APIs, such as 2026-03 (default: the one each was built for)"`
	Objects      []string       `env:"HUBSPOT_OBJECTS" help:"object types to follow: path name, type id or fully qualified name (default: all that the token may read)"`
	Associations []string       `env:"HUBSPOT_ASSOCIATIONS" help:"pairs of types whose associations to follow, as from:to, or none (default: every pair among the synced types)"`
	Sensitive    string         `env:"HUBSPOT_SENSITIVE, default=none" help:"none, sensitive or highly_sensitive: which sensitive properties to read"`
	Include      []string       `env:"HUBSPOT_PROPERTIES_INCLUDE" help:"object.property globs of the only properties to read and publish (default: all)"`
	Exclude      []string       `env:"HUBSPOT_PROPERTIES_EXCLUDE" help:"object.property globs of properties to leave out; counts more than HUBSPOT_PROPERTIES_INCLUDE"`
	Hash         []string       `env:"HUBSPOT_PROPERTIES_HASH" help:"object.property globs of properties to publish as HMAC-SHA256 of their text, in hex"`
	HashKey      hubspot.Secret `env:"HUBSPOT_HASH_KEY" help:"key of these hashes, 16 bytes or more" secret:"yes"`
	Volatile     []string       `env:"HUBSPOT_VOLATILE, default=*.hs_time_in_*,*.hs_v2_*time_in_*,*.*days_since*,*.*time_since*" help:"object.property globs whose changes alone are no event"`
	RateShare    float64        `env:"HUBSPOT_RATE_SHARE, default=0.8" help:"share of HubSpot's limits per second and ten seconds to use"`
	DailyReserve float64        `env:"HUBSPOT_DAILY_RESERVE, default=0.2" help:"share of the day's calls to leave to others"`
	Rate10s      int            `env:"HUBSPOT_RATE_10S" help:"limit of calls in ten seconds (default: learnt)"`
	RateSearch   int            `env:"HUBSPOT_RATE_SEARCH" help:"limit of searches a second (default: learnt)"`
	RateDaily    int            `env:"HUBSPOT_RATE_DAILY" help:"limit of calls a day (default: learnt)"`
}

type kafkaConfig struct {
	Brokers         []string       `env:"KAFKA_BROKERS" help:"host:port,... of the cluster (required)"`
	TopicPrefix     string         `env:"KAFKA_TOPIC_PREFIX, default=hubspot" help:"first part of every topic's name"`
	KeyFormat       string         `env:"KAFKA_KEY_FORMAT, default=string" help:"string, or avro: key records, for the Debezium modes of Materialize and RisingWave"`
	Partitions      int32          `env:"KAFKA_PARTITIONS, default=-1" help:"partitions of new data topics (-1: the broker's default)"`
	Replication     int16          `env:"KAFKA_REPLICATION, default=-1" help:"replication of new topics (-1: the broker's default)"`
	MaxMessageBytes int            `env:"KAFKA_MAX_MESSAGE_BYTES, default=8388608" help:"largest event; larger ones leave out their largest values"`
	TLS             bool           `env:"KAFKA_TLS_ENABLED" help:"connect with TLS"`
	CAFile          string         `env:"KAFKA_TLS_CA_FILE" help:"PEM file of the authorities to trust"`
	CertFile        string         `env:"KAFKA_TLS_CERT_FILE" help:"PEM file of the client certificate"`
	KeyFile         string         `env:"KAFKA_TLS_KEY_FILE" help:"PEM file of the client's key"`
	SASLMechanism   string         `env:"KAFKA_SASL_MECHANISM" help:"PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"`
	SASLUsername    string         `env:"KAFKA_SASL_USERNAME" help:"user for SASL"`
	SASLPassword    hubspot.Secret `env:"KAFKA_SASL_PASSWORD" help:"password for SASL" secret:"yes"`
}

type registryConfig struct {
	URL      string         `env:"SCHEMA_REGISTRY_URL" help:"Confluent API of the schema registry (required)"`
	Username string         `env:"SCHEMA_REGISTRY_USERNAME" help:"user of the schema registry"`
	Password hubspot.Secret `env:"SCHEMA_REGISTRY_PASSWORD" help:"password of the schema registry" secret:"yes"`
}

type syncConfig struct {
	LeadingInterval      time.Duration `env:"SYNC_LEADING_INTERVAL" help:"wait between two leading searches of a type (default: adaptive, 1s to 1m)"`
	TrailingLag          []string      `env:"SYNC_TRAILING_LAG, default=5m,1h" help:"how far behind to search again"`
	TrailingInterval     time.Duration `env:"SYNC_TRAILING_INTERVAL" help:"wait between two trailing searches (default: a quarter of the lag)"`
	ArchiveInterval      time.Duration `env:"SYNC_ARCHIVE_INTERVAL, default=5m" help:"wait between two passes over the archived records"`
	CensusInterval       time.Duration `env:"SYNC_CENSUS_INTERVAL, default=1m" help:"wait between two counts of a type by search"`
	AssociationsInterval time.Duration `env:"SYNC_ASSOCIATIONS_INTERVAL" help:"time in which the associations of every record are read once (default: 1h, and a day for pairs without any)"`
	ReferenceInterval    time.Duration `env:"SYNC_REFERENCE_INTERVAL, default=5m" help:"wait between two readings of the owners, and of the pipelines with their stages"`
	ReconcileInterval    time.Duration `env:"SYNC_RECONCILE_INTERVAL, default=24h" help:"time in which every record is read once again"`
	SchemaInterval       time.Duration `env:"SYNC_SCHEMA_INTERVAL" help:"wait between two looks at object types, properties and association labels (default: 5m; labels of more than thirty pairs less often)"`
}

type eventConfig struct {
	Before        string `env:"EVENT_BEFORE, default=none" help:"none, or key: before holds the id on updates, for Flink's debezium-avro-confluent"`
	SkipUnchanged bool   `env:"EVENT_SKIP_UNCHANGED" help:"leave out events whose only change is the modified time"`
	Tombstones    bool   `env:"TOMBSTONES_ON_DELETE, default=true" help:"publish a tombstone after every delete"`
}

// configError lists everything that is wrong with what the operator gave.
type configError struct{ problems []string }

func (e *configError) Error() string {
	return "configuration:\n  " + strings.Join(e.problems, "\n  ")
}

// environment looks variables up in os.Environ's form. A secret NAME may stand
// in the file that NAME_FILE names; one trailing newline does not belong to it.
type environment struct {
	vars   map[string]string
	files  map[string]string // NAME -> file it was read from
	masked map[string]bool
	last   string
	errs   []string
}

func newEnvironment(environ []string) *environment {
	e := &environment{vars: map[string]string{}, files: map[string]string{}, masked: map[string]bool{}}
	for _, kv := range environ {
		if name, value, ok := strings.Cut(kv, "="); ok {
			e.vars[name] = value
		}
	}
	for name := range variables(reflect.TypeFor[config]()) {
		file := e.vars[name.name+"_FILE"]
		if !name.secret || file == "" {
			continue
		}
		value, err := readSecret(file)
		if err != nil {
			e.errs = append(e.errs, fmt.Sprintf("%s_FILE: %v", name.name, err))
			continue
		}
		e.vars[name.name], e.files[name.name] = value, file
	}
	return e
}

func readSecret(file string) (string, error) {
	b, err := os.ReadFile(file)
	return strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r"), err
}

// Lookup is envconfig's interface. An empty variable is one that is not set.
func (e *environment) Lookup(name string) (string, bool) {
	e.last = name
	if e.masked[name] { // a value beside false would be taken where there is no default
		return "", false
	}
	v := strings.TrimSpace(e.vars[name])
	return v, v != ""
}

// loadKafkaConfig is loadConfig for commands that only need Kafka, and the
// variables that begin as others says.
func loadKafkaConfig(environ []string, others ...string) (*config, error) {
	c, _, err := loadConfig(environ)
	var wrong *configError
	if !errors.As(err, &wrong) {
		return c, err
	}
	wrong.problems = slices.DeleteFunc(wrong.problems, func(problem string) bool {
		return !slices.ContainsFunc(append(others, "KAFKA_", "LOG_"), func(p string) bool { return strings.HasPrefix(problem, p) })
	})
	if len(wrong.problems) > 0 {
		return nil, wrong
	}
	return c, nil
}

// loadConfig reads and checks the environment, and reports every problem at
// once. file gives the file that a secret came from, "" if it came from none.
func loadConfig(environ []string) (c *config, file func(name string) string, err error) {
	env := newEnvironment(environ)
	for {
		c = &config{}
		err := envconfig.ProcessWith(context.Background(), &envconfig.Config{Target: c, Lookuper: env})
		if err == nil {
			break
		}
		if env.masked[env.last] {
			return nil, nil, fmt.Errorf("read %s: %w", env.last, err)
		}
		env.errs = append(env.errs, fmt.Sprintf("%s: %q is not a %s", env.last, env.vars[env.last], kindOf(env.last)))
		env.masked[env.last] = true
	}
	problems := append(env.errs, c.validate()...)
	problems = append(problems, env.unsafe()...)
	if len(problems) > 0 {
		slices.Sort(problems)
		return c, nil, &configError{problems}
	}
	return c, func(name string) string { return env.files[name] }, nil
}

// unknown lists the variables that look like ours and are none: a slip of the
// pen, or meant for another version.
func (e *environment) unknown() []string {
	known := map[string]bool{}
	for v := range variables(reflect.TypeFor[config]()) {
		known[v.name] = true
		known[v.name+"_FILE"] = v.secret
	}
	var out []string
	for name := range e.vars {
		ours := strings.HasPrefix(name, "HUBSPOT_") || strings.HasPrefix(name, "SYNC_") || strings.HasPrefix(name, "EVENT_")
		if ours && !known[name] {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// unsafe refuses, among the unknown variables, those that seem to choose what is
// published: passed over, they would publish what was meant to be left out.
func (e *environment) unsafe() []string {
	var p []string
	for _, name := range e.unknown() {
		for _, word := range []string{"PROPERT", "INCLUDE", "EXCLUDE", "HASH", "SENSITIV"} {
			if strings.Contains(name, word) {
				p = append(p, name+": is not a variable of this version, see connector run -h; what chooses the properties to publish is not passed over")
				break
			}
		}
	}
	return p
}

func (c *config) validate() []string {
	var p []string
	bad := func(format string, args ...any) { p = append(p, fmt.Sprintf(format, args...)) }
	oneOf := func(name, value string, allowed ...string) {
		if !slices.Contains(allowed, value) {
			bad("%s: %q is none of %s", name, value, strings.Join(allowed, ", "))
		}
	}
	h := &c.HubSpot
	oauth := h.ClientID != "" || h.ClientSecret != "" || h.RefreshToken != ""
	switch {
	case h.AccessToken == "" && !oauth:
		bad("HUBSPOT_ACCESS_TOKEN: is required (or HUBSPOT_CLIENT_ID, HUBSPOT_CLIENT_SECRET and HUBSPOT_REFRESH_TOKEN)")
	case h.AccessToken != "" && oauth:
		bad("HUBSPOT_ACCESS_TOKEN: give either a token or OAuth's three variables, not both")
	case oauth && (h.ClientID == "" || h.ClientSecret == "" || h.RefreshToken == ""):
		bad("HUBSPOT_CLIENT_ID, HUBSPOT_CLIENT_SECRET, HUBSPOT_REFRESH_TOKEN: all three are required for OAuth")
	}
	if err := checkURL(h.BaseURL); err != nil {
		bad("HUBSPOT_BASE_URL: %v", err)
	}
	oneOf("HUBSPOT_SENSITIVE", h.Sensitive, "none", "sensitive", "highly_sensitive")
	if h.RateShare <= 0 || h.RateShare > 1 {
		bad("HUBSPOT_RATE_SHARE: %v is not above 0 and at most 1", h.RateShare)
	}
	if h.DailyReserve < 0 || h.DailyReserve >= 1 {
		bad("HUBSPOT_DAILY_RESERVE: %v is not between 0 and below 1", h.DailyReserve)
	}
	for name, v := range map[string]int{"HUBSPOT_RATE_10S": h.Rate10s, "HUBSPOT_RATE_SEARCH": h.RateSearch, "HUBSPOT_RATE_DAILY": h.RateDaily} {
		if v < 0 {
			bad("%s: %d is below zero", name, v)
		}
	}
	h.validateSelection(bad)
	if err := stream.CheckPairs(h.Associations); err != nil {
		bad("%v", err)
	}
	k := &c.Kafka
	if len(k.Brokers) == 0 {
		bad("KAFKA_BROKERS: is required (host:port, more than one by commas)")
	}
	if !topicName(k.TopicPrefix) {
		bad("KAFKA_TOPIC_PREFIX: %q is not a topic name: letters, digits, '.', '_' and '-', at most 100", k.TopicPrefix)
	}
	oneOf("KAFKA_KEY_FORMAT", k.KeyFormat, sink.KeyString, sink.KeyAvro)
	if k.Partitions == 0 || k.Partitions < -1 {
		bad("KAFKA_PARTITIONS: %d is neither -1 nor above 0", k.Partitions)
	}
	if k.Replication == 0 || k.Replication < -1 {
		bad("KAFKA_REPLICATION: %d is neither -1 nor above 0", k.Replication)
	}
	if k.MaxMessageBytes < 16<<10 {
		bad("KAFKA_MAX_MESSAGE_BYTES: %d is below 16384", k.MaxMessageBytes)
	}
	oneOf("KAFKA_SASL_MECHANISM", strings.ToUpper(k.SASLMechanism), "", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
	if k.SASLMechanism != "" && (k.SASLUsername == "" || k.SASLPassword == "") {
		bad("KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD: both are required with KAFKA_SASL_MECHANISM")
	}
	if _, err := k.tlsConfig(); err != nil {
		bad("%v", err)
	}
	if c.Registry.URL == "" {
		bad("SCHEMA_REGISTRY_URL: is required")
	} else if err := checkURL(c.Registry.URL); err != nil {
		bad("SCHEMA_REGISTRY_URL: %v", err)
	}
	if _, err := stream.Lags(c.Sync.TrailingLag); err != nil {
		bad("%v", err)
	}
	for name, d := range map[string]time.Duration{
		"SYNC_LEADING_INTERVAL": c.Sync.LeadingInterval, "SYNC_TRAILING_INTERVAL": c.Sync.TrailingInterval,
		"SYNC_ARCHIVE_INTERVAL": c.Sync.ArchiveInterval, "SYNC_RECONCILE_INTERVAL": c.Sync.ReconcileInterval,
		"SYNC_CENSUS_INTERVAL": c.Sync.CensusInterval, "SYNC_ASSOCIATIONS_INTERVAL": c.Sync.AssociationsInterval,
		"SYNC_SCHEMA_INTERVAL": c.Sync.SchemaInterval, "SYNC_REFERENCE_INTERVAL": c.Sync.ReferenceInterval,
	} {
		if d < 0 {
			bad("%s: %v is below zero", name, d)
		}
	}
	oneOf("EVENT_BEFORE", c.Event.Before, "none", "key")
	oneOf("LOG_LEVEL", c.LogLevel, "debug", "info", "warn", "error")
	oneOf("LOG_FORMAT", c.LogFormat, "", "text", "json")
	return p
}

func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("%q is not an http or https address", text)
	}
	if u.User != nil {
		return errors.New("a user and password do not belong into the address; there are variables for them")
	}
	return nil
}

func topicName(name string) bool {
	for _, r := range name {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r)) {
			return false
		}
	}
	return name != "" && len(name) <= 100 && name != "." && name != ".."
}

// trailing is the wait between two walks of a trailing tier.
func (s *syncConfig) trailing(lag stream.Lag) time.Duration {
	if s.TrailingInterval > 0 {
		return s.TrailingInterval
	}
	return lag.By / 4
}

// patience is R9's thirty seconds between two confirms and its hour of the
// brake, shorter where the intervals of the sweeps are.
func (s *syncConfig) patience() cdc.Patience {
	return cdc.Patience{
		Second: shorter(30*time.Second, s.ArchiveInterval),
		Repeat: shorter(time.Hour, s.ReconcileInterval),
	}
}

// shorter is d, or an interval that was set shorter than it.
func shorter(d, interval time.Duration) time.Duration {
	if interval > 0 {
		return min(d, interval)
	}
	return d
}

// sensitivities are the values of HubSpot's dataSensitivity to ask for.
func (h *hubspotConfig) sensitivities() []string {
	all := []string{"non_sensitive", "sensitive", "highly_sensitive"}
	return all[:1+slices.Index([]string{"none", "sensitive", "highly_sensitive"}, h.Sensitive)]
}

// auth is how the token comes to the requests; it is asked again after a 401,
// and then reads the files of secrets again.
func (h *hubspotConfig) auth(file func(name string) string) hubspot.Auth {
	read := func(name string, value hubspot.Secret) func() (hubspot.Secret, error) {
		return func() (hubspot.Secret, error) {
			path := file(name)
			if path == "" {
				return value, nil
			}
			text, err := readSecret(path)
			return hubspot.Secret(text), err
		}
	}
	if h.AccessToken != "" {
		return hubspot.AccessToken(read("HUBSPOT_ACCESS_TOKEN", h.AccessToken))
	}
	return hubspot.OAuth(h.ClientID, read("HUBSPOT_CLIENT_SECRET", h.ClientSecret), read("HUBSPOT_REFRESH_TOKEN", h.RefreshToken))
}

func (k *kafkaConfig) tlsConfig() (*tls.Config, error) {
	if !k.TLS {
		if k.CAFile != "" || k.CertFile != "" || k.KeyFile != "" {
			return nil, errors.New("KAFKA_TLS_ENABLED: must be true for the files of KAFKA_TLS_* to be used")
		}
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if k.CAFile != "" {
		pem, err := os.ReadFile(k.CAFile)
		if err != nil {
			return nil, fmt.Errorf("KAFKA_TLS_CA_FILE: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("KAFKA_TLS_CA_FILE: %s holds no certificate", k.CAFile)
		}
	}
	if k.CertFile != "" || k.KeyFile != "" {
		cert, err := tls.LoadX509KeyPair(k.CertFile, k.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("KAFKA_TLS_CERT_FILE, KAFKA_TLS_KEY_FILE: %w", err)
		}
		c.Certificates = []tls.Certificate{cert}
	}
	return c, nil
}

// options are what the Kafka client needs to reach the cluster.
func (k *kafkaConfig) options() ([]kgo.Opt, error) {
	opts := []kgo.Opt{kgo.SeedBrokers(k.Brokers...), kgo.ClientID("hubspot-cdc")}
	t, err := k.tlsConfig()
	if err != nil {
		return nil, err
	}
	if t != nil {
		opts = append(opts, kgo.DialTLSConfig(t))
	}
	var m sasl.Mechanism
	password := k.SASLPassword.Reveal()
	switch strings.ToUpper(k.SASLMechanism) {
	case "PLAIN":
		m = plain.Auth{User: k.SASLUsername, Pass: password}.AsMechanism()
	case "SCRAM-SHA-256":
		m = scram.Auth{User: k.SASLUsername, Pass: password}.AsSha256Mechanism()
	case "SCRAM-SHA-512":
		m = scram.Auth{User: k.SASLUsername, Pass: password}.AsSha512Mechanism()
	default:
		return opts, nil
	}
	return append(opts, kgo.SASL(m)), nil
}

// variable is one line of the configuration.
type variable struct {
	name, byDefault, help string
	secret                bool
	kind                  reflect.Type
}

// variables goes through the fields of config in the order they stand there.
func variables(t reflect.Type) func(func(variable) bool) {
	return func(yield func(variable) bool) {
		for i := range t.NumField() {
			f := t.Field(i)
			tag, ok := f.Tag.Lookup("env")
			if !ok {
				for v := range variables(f.Type) {
					if !yield(v) {
						return
					}
				}
				continue
			}
			name, def, _ := strings.Cut(tag, ", default=")
			if !yield(variable{name, def, f.Tag.Get("help"), f.Tag.Get("secret") != "", f.Type}) {
				return
			}
		}
	}
}

func kindOf(name string) string {
	for v := range variables(reflect.TypeFor[config]()) {
		if v.name != name {
			continue
		}
		switch v.kind {
		case reflect.TypeFor[time.Duration]():
			return "duration such as 30s or 5m"
		case reflect.TypeFor[bool]():
			return "boolean: true or false"
		}
		return "number that fits"
	}
	return "known variable"
}

// printVariables is the help of connector run.
func printVariables(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for v := range variables(reflect.TypeFor[config]()) {
		text := v.help
		if v.byDefault != "" {
			text += " (default " + v.byDefault + ")"
		}
		if v.secret {
			text += "; also " + v.name + "_FILE"
		}
		fmt.Fprintf(t, "  %s\t%s\n", v.name, text)
	}
	return t.Flush()
}
