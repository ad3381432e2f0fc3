package connector

import (
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/sink"
)

// Config says what a connector follows and where it writes. It is plain data:
// start from [DefaultConfig] and change fields. [Config.Validate] reports every
// problem at once.
//
// The tags are for programs that fill a Config from the environment, as
// `connector run` does: envconfig names the variable, help is its help line.
// Problems name fields by these variables. A field with secret:"true" is followed
// by one for the name of a file, which takes precedence where it is set.
type Config struct {
	HubSpot  HubSpot
	Kafka    Kafka
	Registry Registry
	Sync     Sync
	Event    Event
	HTTP     HTTP
}

// HubSpot says which portal the connector follows, with which credentials, and
// which of its data.
type HubSpot struct {
	AccessToken             hubspot.Secret `envconfig:"HUBSPOT_ACCESS_TOKEN" help:"token of a service key or private app" secret:"true"`
	AccessTokenFile         string         `envconfig:"HUBSPOT_ACCESS_TOKEN_FILE"` // read again after a 401
	ClientID                string         `envconfig:"HUBSPOT_CLIENT_ID" help:"instead of a token: OAuth client id"`
	ClientSecret            hubspot.Secret `envconfig:"HUBSPOT_CLIENT_SECRET" help:"OAuth client secret" secret:"true"`
	ClientSecretFile        string         `envconfig:"HUBSPOT_CLIENT_SECRET_FILE"` // read again after a 401
	RefreshToken            hubspot.Secret `envconfig:"HUBSPOT_REFRESH_TOKEN" help:"OAuth refresh token" secret:"true"`
	RefreshTokenFile        string         `envconfig:"HUBSPOT_REFRESH_TOKEN_FILE"` // read again after a 401
	Journal                 string         `envconfig:"HUBSPOT_JOURNAL" help:"auto, on or off: HubSpot's webhooks journal, which shows changes within seconds; auto uses it where an app's id and secret are given and HubSpot lets it"`
	JournalClientID         string         `envconfig:"HUBSPOT_JOURNAL_CLIENT_ID" help:"beside an access token: id of an app that is installed in the portal, for its webhooks journal (default: HUBSPOT_CLIENT_ID)"`
	JournalClientSecret     hubspot.Secret `envconfig:"HUBSPOT_JOURNAL_CLIENT_SECRET" help:"that app's client secret" secret:"true"`
	JournalClientSecretFile string         `envconfig:"HUBSPOT_JOURNAL_CLIENT_SECRET_FILE"` // read again after a 401
	BaseURL                 string         `envconfig:"HUBSPOT_BASE_URL" help:"root of HubSpot's API"`
	APIVersion              string         `envconfig:"HUBSPOT_API_VERSION" help:"one version for all of HubSpot's APIs, such as 2026-03 (default: the one each was built for)"`
	Objects                 []string       `envconfig:"HUBSPOT_OBJECTS" help:"object types to follow: path name, type id or fully qualified name (default: all that the token may read)"`
	Associations            []string       `envconfig:"HUBSPOT_ASSOCIATIONS" help:"pairs of types whose associations to follow, as from:to, or none (default: every pair of the types that it follows)"`
	Sensitive               string         `envconfig:"HUBSPOT_SENSITIVE" help:"none, sensitive or highly_sensitive: which sensitive properties to read"`
	Include                 []string       `envconfig:"HUBSPOT_PROPERTIES_INCLUDE" help:"object.property globs of the only properties to read and publish (default: all)"`
	Exclude                 []string       `envconfig:"HUBSPOT_PROPERTIES_EXCLUDE" help:"object.property globs of properties to leave out; overrides HUBSPOT_PROPERTIES_INCLUDE"`
	Hash                    []string       `envconfig:"HUBSPOT_PROPERTIES_HASH" help:"object.property globs of properties to publish as HMAC-SHA256 of their text, in hex"`
	HashKey                 hubspot.Secret `envconfig:"HUBSPOT_HASH_KEY" help:"key of these hashes, 16 bytes or more" secret:"true"`
	HashKeyFile             string         `envconfig:"HUBSPOT_HASH_KEY_FILE"`
	Volatile                []string       `envconfig:"HUBSPOT_VOLATILE" help:"object.property globs whose changes alone make no event"`
	RateShare               float64        `envconfig:"HUBSPOT_RATE_SHARE" help:"share of HubSpot's limits per second and ten seconds to use"`
	DailyReserve            float64        `envconfig:"HUBSPOT_DAILY_RESERVE" help:"share of the day's calls to leave to others"`
	IdleShare               float64        `envconfig:"HUBSPOT_IDLE_SHARE" help:"share of the day's calls to spend while nothing changes"`
	Rate10s                 int            `envconfig:"HUBSPOT_RATE_10S" help:"limit of calls in ten seconds (default: learnt)"`
	RateSearch              int            `envconfig:"HUBSPOT_RATE_SEARCH" help:"limit of searches a second (default: learnt)"`
	RateDaily               int            `envconfig:"HUBSPOT_RATE_DAILY" help:"limit of calls a day (default: learnt)"`
}

// Kafka says which cluster the connector writes to, with which credentials, and
// what its topics are like.
type Kafka struct {
	Brokers          []string       `envconfig:"KAFKA_BROKERS" help:"host:port,... of the cluster (required)"`
	TopicPrefix      string         `envconfig:"KAFKA_TOPIC_PREFIX" help:"first part of every topic's name"`
	KeyFormat        string         `envconfig:"KAFKA_KEY_FORMAT" help:"string, or avro: key records, for the Debezium modes of Materialize and RisingWave"`
	Partitions       int32          `envconfig:"KAFKA_PARTITIONS" help:"partitions of new data topics (-1: the broker's default)"`
	Replication      int16          `envconfig:"KAFKA_REPLICATION" help:"replication of new topics (-1: the broker's default)"`
	MaxMessageBytes  int            `envconfig:"KAFKA_MAX_MESSAGE_BYTES" help:"largest event; larger ones leave out their largest values"`
	Compression      string         `envconfig:"KAFKA_COMPRESSION" help:"lz4, zstd, snappy, gzip or none: compression of what is written"`
	TLS              bool           `envconfig:"KAFKA_TLS_ENABLED" help:"connect with TLS"`
	CAFile           string         `envconfig:"KAFKA_TLS_CA_FILE" help:"PEM file of the authorities to trust"`
	CertFile         string         `envconfig:"KAFKA_TLS_CERT_FILE" help:"PEM file of the client certificate"`
	KeyFile          string         `envconfig:"KAFKA_TLS_KEY_FILE" help:"PEM file of the client's key"`
	SASLMechanism    string         `envconfig:"KAFKA_SASL_MECHANISM" help:"PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER or AWS_MSK_IAM"`
	SASLUsername     string         `envconfig:"KAFKA_SASL_USERNAME" help:"user for PLAIN and SCRAM"`
	SASLPassword     hubspot.Secret `envconfig:"KAFKA_SASL_PASSWORD" help:"password for PLAIN and SCRAM" secret:"true"`
	SASLPasswordFile string         `envconfig:"KAFKA_SASL_PASSWORD_FILE"` // read again for each connection
	SASLInsecure     bool           `envconfig:"KAFKA_SASL_INSECURE" help:"allow PLAIN, OAUTHBEARER and AWS_MSK_IAM without TLS to brokers on other machines"`

	OAuthTokenURL         string         `envconfig:"KAFKA_OAUTH_TOKEN_URL" help:"OAUTHBEARER: endpoint that gives tokens to a client (client_credentials)"`
	OAuthClientID         string         `envconfig:"KAFKA_OAUTH_CLIENT_ID" help:"OAUTHBEARER: client id"`
	OAuthClientSecret     hubspot.Secret `envconfig:"KAFKA_OAUTH_CLIENT_SECRET" help:"OAUTHBEARER: client secret" secret:"true"`
	OAuthClientSecretFile string         `envconfig:"KAFKA_OAUTH_CLIENT_SECRET_FILE"` // read again for each token
	OAuthScope            string         `envconfig:"KAFKA_OAUTH_SCOPE" help:"OAUTHBEARER: scope to ask for (default: none)"`
	OAuthExtensions       []string       `envconfig:"KAFKA_OAUTH_EXTENSIONS" help:"OAUTHBEARER: SASL extensions as name=value,..., such as logicalCluster and identityPoolId"`

	// AWS_MSK_IAM, by the names of AWS's own clients.
	AWSRegion               string         `envconfig:"AWS_REGION" help:"AWS_MSK_IAM: region, where the brokers' names hold none"`
	AWSAccessKeyID          string         `envconfig:"AWS_ACCESS_KEY_ID" help:"AWS_MSK_IAM: access key (default: from the shared credentials file, the container's or the instance's endpoint)"`
	AWSSecretAccessKey      hubspot.Secret `envconfig:"AWS_SECRET_ACCESS_KEY" help:"AWS_MSK_IAM: its secret"`
	AWSSessionToken         hubspot.Secret `envconfig:"AWS_SESSION_TOKEN" help:"AWS_MSK_IAM: its session token, if it is temporary"`
	AWSProfile              string         `envconfig:"AWS_PROFILE" help:"AWS_MSK_IAM: section of the shared credentials file (default: default)"`
	AWSCredentialsFile      string         `envconfig:"AWS_SHARED_CREDENTIALS_FILE" help:"AWS_MSK_IAM: shared credentials file (default: ~/.aws/credentials)"`
	AWSContainerRelativeURI string         `envconfig:"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI" help:"AWS_MSK_IAM: path of the container's credentials; set by ECS"`
	AWSContainerFullURI     string         `envconfig:"AWS_CONTAINER_CREDENTIALS_FULL_URI" help:"AWS_MSK_IAM: address of the container's credentials; set by EKS Pod Identity"`
	AWSContainerToken       hubspot.Secret `envconfig:"AWS_CONTAINER_AUTHORIZATION_TOKEN" help:"AWS_MSK_IAM: token for that address" secret:"true"`
	AWSContainerTokenFile   string         `envconfig:"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"` // read again for each request
}

// Registry says where the schemas of the events are kept.
type Registry struct {
	URL          string         `envconfig:"SCHEMA_REGISTRY_URL" help:"Confluent API of the schema registry; several addresses, by commas, are tried in order (required)"`
	Username     string         `envconfig:"SCHEMA_REGISTRY_USERNAME" help:"user of the schema registry"`
	Password     hubspot.Secret `envconfig:"SCHEMA_REGISTRY_PASSWORD" help:"password of the schema registry" secret:"true"`
	PasswordFile string         `envconfig:"SCHEMA_REGISTRY_PASSWORD_FILE"` // read again for each request
	Token        hubspot.Secret `envconfig:"SCHEMA_REGISTRY_TOKEN" help:"instead of a user: bearer token" secret:"true"`
	TokenFile    string         `envconfig:"SCHEMA_REGISTRY_TOKEN_FILE"` // read again for each request
	CAFile       string         `envconfig:"SCHEMA_REGISTRY_CA_FILE" help:"PEM file of the authorities to trust"`
	CertFile     string         `envconfig:"SCHEMA_REGISTRY_CERT_FILE" help:"PEM file of the client certificate"`
	KeyFile      string         `envconfig:"SCHEMA_REGISTRY_KEY_FILE" help:"PEM file of the client's key"`

	OAuthTokenURL         string         `envconfig:"SCHEMA_REGISTRY_OAUTH_TOKEN_URL" help:"instead of a user: endpoint that gives tokens to a client (client_credentials)"`
	OAuthClientID         string         `envconfig:"SCHEMA_REGISTRY_OAUTH_CLIENT_ID" help:"OAuth client id"`
	OAuthClientSecret     hubspot.Secret `envconfig:"SCHEMA_REGISTRY_OAUTH_CLIENT_SECRET" help:"OAuth client secret" secret:"true"`
	OAuthClientSecretFile string         `envconfig:"SCHEMA_REGISTRY_OAUTH_CLIENT_SECRET_FILE"` // read again for each token
	OAuthScope            string         `envconfig:"SCHEMA_REGISTRY_OAUTH_SCOPE" help:"OAuth scope to ask for (default: none)"`
	OAuthExtensions       []string       `envconfig:"SCHEMA_REGISTRY_OAUTH_EXTENSIONS" help:"headers to send beside a token, as name=value,..., such as target-sr-cluster and Confluent-Identity-Pool-Id"`
}

// Sync says how often the connector asks HubSpot: start from [DefaultConfig]. The
// streams choose a leading, trailing, archive, census, associations, reference or
// schema interval that is zero. A zero reconcile interval means no pause between two
// passes, and no trailing lag means no trailing tier. timings.go lists the waits
// that a short interval shrinks.
type Sync struct {
	LeadingInterval      time.Duration `envconfig:"SYNC_LEADING_INTERVAL" help:"wait between two leading searches of a type (default: adaptive, 1s to 2m)"`
	TrailingLag          []string      `envconfig:"SYNC_TRAILING_LAG" help:"how far behind to search again"`
	TrailingInterval     time.Duration `envconfig:"SYNC_TRAILING_INTERVAL" help:"wait between two trailing searches (default: a quarter of the lag)"`
	ArchiveInterval      time.Duration `envconfig:"SYNC_ARCHIVE_INTERVAL" help:"wait between two passes over the archived records (default: adaptive, 7s to 4m30s for a list of one page)"`
	CensusInterval       time.Duration `envconfig:"SYNC_CENSUS_INTERVAL" help:"wait between two counts of a type by search (default: adaptive, 7s to 4m30s)"`
	AssociationsInterval time.Duration `envconfig:"SYNC_ASSOCIATIONS_INTERVAL" help:"time in which the associations of every record are read once (default: adaptive, 1h to 4h, and a day for pairs without any)"`
	ReferenceInterval    time.Duration `envconfig:"SYNC_REFERENCE_INTERVAL" help:"wait between two readings of the owners, and of the pipelines with their stages (default: adaptive, 5m to 1h)"`
	ReconcileInterval    time.Duration `envconfig:"SYNC_RECONCILE_INTERVAL" help:"time in which every record is read again once"`
	SchemaInterval       time.Duration `envconfig:"SYNC_SCHEMA_INTERVAL" help:"wait between two reads of the object types, properties and association labels (default: adaptive, 5m to 1h; labels up to 6h)"`
}

// Event says what events are like.
type Event struct {
	Before        string `envconfig:"EVENT_BEFORE" help:"none, or key: before holds the id on updates, for Flink's debezium-avro-confluent"`
	SkipUnchanged bool   `envconfig:"EVENT_SKIP_UNCHANGED" help:"leave out events whose only change is the modified time"`
	Tombstones    bool   `envconfig:"TOMBSTONES_ON_DELETE" help:"publish a tombstone after every delete"`
	// FrontierInterval is 0 where there is no topic of frontiers.
	FrontierInterval time.Duration `envconfig:"FRONTIER_INTERVAL" help:"how often at most the topic frontiers says how far a topic is complete; 0: there is no such topic"`
}

// HTTP says where the connector answers operators.
type HTTP struct {
	// Addr is "" for a program that serves [Connector.Handler] itself.
	Addr string `envconfig:"HTTP_ADDR" help:"address of the status page, /status, /healthz, /readyz and /metrics"`
}

// Values of HubSpot.Sensitive.
const (
	SensitiveNone = "none"
	Sensitive     = "sensitive"
	SensitiveHigh = "highly_sensitive"
)

// Values of HubSpot.Journal.
const (
	JournalAuto = "auto"
	JournalOn   = "on"
	JournalOff  = "off"
)

// Values of Event.Before.
const (
	BeforeNone = "none"
	BeforeKey  = "key"
)

// DefaultConfig gives the values that apply where nothing is set. It has no
// token, no brokers and no registry; the caller adds them.
func DefaultConfig() Config {
	return Config{
		HubSpot: HubSpot{
			BaseURL:      "https://api.hubapi.com",
			Journal:      JournalAuto,
			Sensitive:    SensitiveNone,
			Volatile:     []string{"*.hs_time_in_*", "*.hs_v2_*time_in_*", "*.*days_since*", "*.*time_since*"},
			RateShare:    0.8,
			DailyReserve: 0.2,
			IdleShare:    0.2,
		},
		Kafka: Kafka{
			TopicPrefix:     "hubspot",
			KeyFormat:       sink.KeyString,
			Partitions:      -1,
			Replication:     -1,
			MaxMessageBytes: sink.DefaultMaxMessageBytes,
			Compression:     "lz4",
		},
		Sync: Sync{
			TrailingLag:       []string{"5m", "1h"},
			ReconcileInterval: 24 * time.Hour,
		},
		Event: Event{Before: BeforeNone, Tombstones: true, FrontierInterval: 10 * time.Second},
		HTTP:  HTTP{Addr: "127.0.0.1:8080"},
	}
}
