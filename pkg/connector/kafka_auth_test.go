package connector_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

const authCanary = "s3cr3t/canary+of=auth"

// issuer is a token endpoint. Its tokens hold when they expire.
type issuer struct {
	mu       sync.Mutex
	lasts    time.Duration
	down     bool
	inForm   bool // it takes the client's credentials in the form alone
	answers  int
	refusals int // while it was down
}

func (i *issuer) refused() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.refusals
}

func (i *issuer) issued() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.answers
}

func (i *issuer) fail(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	id, secret, _ := r.BasicAuth()
	id, _ = url.QueryUnescape(id)
	secret, _ = url.QueryUnescape(secret)
	if i.inForm {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	switch {
	case i.down:
		i.refusals++
		http.Error(w, "down "+authCanary, http.StatusServiceUnavailable)
	case id != "cdc" || secret != authCanary:
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"error":"invalid_client","error_description":"no such secret: %s"}`, secret)
	case r.PostFormValue("grant_type") != "client_credentials" || r.PostFormValue("scope") != "kafka":
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"error":"invalid_scope"}`)
	default:
		i.answers++
		fmt.Fprintf(w, `{"access_token":"token-%d","expires_in":%d}`, time.Now().Add(i.lasts).UnixMilli(), int(i.lasts.Seconds()))
	}
}

// validFor is how long a token of the issuer is still valid.
func validFor(token string) time.Duration {
	ms, err := strconv.ParseInt(strings.TrimPrefix(token, "token-"), 10, 64)
	if err != nil {
		return -1
	}
	return time.Until(time.UnixMilli(ms))
}

// authenticator plays the broker's part of SASL, of which the embedded broker
// knows only PLAIN and SCRAM. check gets the client's first bytes, and says how
// long the session lasts and what to answer.
type authenticator struct {
	mu                 sync.Mutex
	accepted, rejected int
}

func (a *authenticator) counts() (accepted, rejected int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.accepted, a.rejected
}

func (a *authenticator) guard(w *world, mechanism string, check func(first []byte) (lasts time.Duration, answer string)) {
	w.Kafka.ControlKey(int16(kmsg.SASLHandshake), func(r kmsg.Request) (kmsg.Response, error, bool) {
		w.Kafka.KeepControl()
		resp := r.ResponseKind().(*kmsg.SASLHandshakeResponse)
		if r.(*kmsg.SASLHandshakeRequest).Mechanism != mechanism {
			resp.ErrorCode = kerr.UnsupportedSaslMechanism.Code
		}
		return resp, nil, true
	})
	w.Kafka.ControlKey(int16(kmsg.SASLAuthenticate), func(r kmsg.Request) (kmsg.Response, error, bool) {
		w.Kafka.KeepControl()
		a.mu.Lock()
		defer a.mu.Unlock()
		resp := r.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		lasts, answer := check(r.(*kmsg.SASLAuthenticateRequest).SASLAuthBytes)
		if lasts <= 0 {
			a.rejected++
			resp.ErrorCode = kerr.SaslAuthenticationFailed.Code
			return resp, nil, true
		}
		a.accepted++
		resp.SessionLifetimeMillis, resp.SASLAuthBytes = lasts.Milliseconds(), []byte(answer)
		return resp, nil, true
	})
}

// bearerBytes reads the client's first message of RFC 7628, section 3.1.
func bearerBytes(first []byte) (token string, extensions map[string]string) {
	extensions = map[string]string{}
	for part := range strings.SplitSeq(string(first), "\x01") {
		if name, value, ok := strings.Cut(part, "="); ok && name != "n,,auth" {
			extensions[name] = value
		}
	}
	token = strings.TrimPrefix(extensions["auth"], "Bearer ")
	delete(extensions, "auth")
	return token, extensions
}

// TestOAuthBearer_ATokenThatExpiresIsReplaced: a run outlives its tokens, and an
// endpoint that is away while a token is valid. No broker sees an expired one.
func TestOAuthBearer_ATokenThatExpiresIsReplaced(t *testing.T) {
	t.Parallel()
	for _, inForm := range []bool{false, true} {
		t.Run(fmt.Sprintf("form=%v", inForm), func(t *testing.T) {
			if inForm {
				long(t)
			}
			settings := []string{
				"HUBSPOT_OBJECTS=contacts", "SYNC_LEADING_INTERVAL=10s", "KAFKA_SASL_MECHANISM=oauthbearer", "KAFKA_OAUTH_TOKEN_URL=https://idp.test/token",
				"KAFKA_OAUTH_CLIENT_ID=cdc", "KAFKA_OAUTH_CLIENT_SECRET=" + authCanary, "KAFKA_OAUTH_SCOPE=kafka",
				"KAFKA_OAUTH_EXTENSIONS=logicalCluster=lkc-1, identityPoolId=pool-2",
			}
			inWorld(t, hubspottest.Options{Seed: 7}, settings, func(w *world) {
				idp := &issuer{lasts: 10 * time.Minute, inForm: inForm}
				w.Tokens = testkit.InProcess{Handler: idp}
				var broker authenticator
				broker.guard(w, "OAUTHBEARER", func(first []byte) (time.Duration, string) {
					token, extensions := bearerBytes(first)
					if extensions["logicalCluster"] != "lkc-1" || extensions["identityPoolId"] != "pool-2" {
						return 0, ""
					}
					return min(validFor(token), time.Minute), "" // as connections.max.reauth.ms has it
				})
				ids := w.Portal.Seed("contacts", 10)
				p := w.start()
				defer p.Stop()
				w.SleepUntil(2*time.Minute, func() bool { return p.backfilled(1, []string{"contacts"}) })
				hours := shorter(2*time.Hour, 40*time.Minute)
				time.Sleep(hours)
				if n, least := idp.issued(), int(hours/(10*time.Minute)); n < least || n > least+least/2 {
					t.Errorf("%d tokens of ten minutes in %v", n, hours)
				}
				before := idp.issued()
				w.SleepUntil(10*time.Minute, func() bool { return idp.issued() > before })
				renewed := time.Now()
				idp.fail(true)
				w.Portal.Update("contacts", ids[0], map[string]string{"firstname": "Meanwhile"})
				time.Sleep(9*time.Minute - time.Since(renewed)) // the token is still valid
				if idp.refused() == 0 || w.FirstName(ids[0]) != "Meanwhile" {
					t.Errorf("%d attempts to renew the token; the first name is %v", idp.refused(), w.FirstName(ids[0]))
				}
				idp.fail(false)
				time.Sleep(shorter(time.Hour, 15*time.Minute))
				w.Portal.Update("contacts", ids[0], map[string]string{"firstname": "After"})
				w.ReadUntil(5*time.Minute, func() bool { return w.FirstName(ids[0]) == "After" })
				if accepted, rejected := broker.counts(); accepted < 20 || rejected > 0 {
					t.Errorf("the broker accepted %d tokens and rejected %d", accepted, rejected)
				}
				if w.Log.Has(authCanary) || w.Log.Has("token-") {
					t.Error("a secret is in the log")
				}
			})
		})
	}
}

// TestOAuthBearer_AnEndpointThatIsDownPasses: the connector starts as soon as
// there is a token.
func TestOAuthBearer_AnEndpointThatIsDownPasses(t *testing.T) {
	t.Parallel()
	settings := []string{
		"HUBSPOT_OBJECTS=contacts", "KAFKA_SASL_MECHANISM=OAUTHBEARER", "KAFKA_OAUTH_TOKEN_URL=https://idp.test/token",
		"KAFKA_OAUTH_CLIENT_ID=cdc", "KAFKA_OAUTH_CLIENT_SECRET=" + authCanary, "KAFKA_OAUTH_SCOPE=kafka",
	}
	inWorld(t, hubspottest.Options{Seed: 7}, settings, func(w *world) {
		idp := &issuer{lasts: time.Minute, down: true}
		w.Tokens = testkit.InProcess{Handler: idp}
		new(authenticator).guard(w, "OAUTHBEARER", func(first []byte) (time.Duration, string) {
			token, _ := bearerBytes(first)
			return validFor(token), ""
		})
		w.Portal.Seed("contacts", 10)
		p := w.start()
		defer p.Stop()
		time.Sleep(5 * time.Minute)
		idp.fail(false)
		w.SleepUntil(3*time.Minute, func() bool { return p.backfilled(1, []string{"contacts"}) })
		if w.Log.Has(authCanary) {
			t.Error("a secret is in the log")
		}
	})
}

// signature is AWS's Signature Version 4 of a GET request. headers are those that
// are signed, as name:value, sorted:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
func signature(secret, at, region, service, path string, query url.Values, headers []string, payload string) string {
	mac := func(key []byte, text string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	var names []string
	for _, header := range headers {
		name, _, _ := strings.Cut(header, ":")
		names = append(names, name)
	}
	lines := append([]string{"GET", path, strings.ReplaceAll(query.Encode(), "+", "%20")}, headers...)
	canonical := strings.Join(append(lines, "", strings.Join(names, ";"), payload), "\n")
	digest := sha256.Sum256([]byte(canonical))
	scope := strings.Join([]string{at[:8], region, service, "aws4_request"}, "/")
	key := mac([]byte("AWS4"+secret), at[:8])
	for _, part := range []string{region, service, "aws4_request"} {
		key = mac(key, part)
	}
	return hex.EncodeToString(mac(key, strings.Join([]string{"AWS4-HMAC-SHA256", at, scope, hex.EncodeToString(digest[:])}, "\n")))
}

// TestAWSSignature_PublishedVectors holds the verifier of these tests to what AWS
// publishes: the example of a signature in a query, which is how brokers get it,
// and requests of the test suite of Signature Version 4:
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
// https://github.com/awslabs/aws-c-auth/tree/main/tests/aws-signing-test-suite/v4
func TestAWSSignature_PublishedVectors(t *testing.T) {
	t.Parallel()
	presigned := url.Values{
		"X-Amz-Algorithm": {"AWS4-HMAC-SHA256"}, "X-Amz-Credential": {"AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"},
		"X-Amz-Date": {"20130524T000000Z"}, "X-Amz-Expires": {"86400"}, "X-Amz-SignedHeaders": {"host"},
	}
	got := signature("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "20130524T000000Z", "us-east-1", "s3", "/test.txt", presigned,
		[]string{"host:examplebucket.s3.amazonaws.com"}, "UNSIGNED-PAYLOAD")
	if want := "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"; got != want {
		t.Errorf("query: got %s, want %s", got, want)
	}
	empty := sha256.Sum256(nil)
	for _, c := range []struct {
		name, path string
		query      url.Values
		want       string
	}{
		{"get-vanilla", "/", nil, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{"get-vanilla-empty-query-key", "/", url.Values{"Param1": {"value1"}}, "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
		{
			"get-vanilla-query-order-key-case", "/", url.Values{"Param2": {"value2"}, "Param1": {"value1"}},
			"b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
		},
		{
			"get-unreserved", "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", nil,
			"07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
		},
	} {
		got := signature("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20150830T123600Z", "us-east-1", "service", c.path, c.query,
			[]string{"host:example.amazonaws.com", "x-amz-date:20150830T123600Z"}, hex.EncodeToString(empty[:]))
		if got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

// signedBy checks the message of AWS_MSK_IAM, and returns its access key.
func signedBy(first []byte, region string, secretOf func(key, session string) string) (key string, ok bool) {
	var m map[string]string
	if json.Unmarshal(first, &m) != nil || m["version"] != "2020_10_22" {
		return "", false
	}
	key, scope, _ := strings.Cut(m["x-amz-credential"], "/")
	at := m["x-amz-date"]
	signed, err := time.Parse("20060102T150405Z", at)
	if err != nil || time.Since(signed).Abs() > 15*time.Minute || scope != at[:8]+"/"+region+"/kafka-cluster/aws4_request" {
		return key, false
	}
	query := url.Values{}
	for _, name := range []string{"Action", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Security-Token"} {
		if value, ok := m[strings.ToLower(name)]; ok {
			query.Set(name, value)
		}
	}
	empty := sha256.Sum256(nil)
	want := signature(secretOf(key, m["x-amz-security-token"]), at, region, "kafka-cluster", "/", query, []string{"host:" + m["host"]}, hex.EncodeToString(empty[:]))
	return key, m["x-amz-signature"] == want && m["action"] == "kafka-cluster:Connect"
}

// aws plays the endpoints of a container and of an instance. A key holds when
// it expires.
type aws struct {
	mu    sync.Mutex
	lasts time.Duration
	asked map[string]int
}

func (a *aws) count(source string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked[source]
}

func awsSecret(key string) string { return authCanary + "/" + key }

func (a *aws) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	give := func(source string) {
		a.asked[source]++
		until := time.Now().Add(a.lasts)
		key := fmt.Sprintf("%s-%d", source, until.UnixMilli())
		fmt.Fprintf(w, `{"Code":"Success","AccessKeyId":%q,"SecretAccessKey":%q,"Token":%q,"Expiration":%q}`,
			key, awsSecret(key), "session-"+key, until.UTC().Format(time.RFC3339))
	}
	const roles = "/latest/meta-data/iam/security-credentials/"
	switch session := r.Header.Get("X-Aws-Ec2-Metadata-Token") == "imds-session"; {
	case r.Host == "169.254.170.2" && r.URL.Path == "/v2/credentials/1",
		r.Host == "169.254.170.23" && r.Header.Get("Authorization") == authCanary:
		give("container")
	case r.Host == "169.254.169.254" && r.Method == http.MethodPut && r.URL.Path == "/latest/api/token" && r.Header.Get("X-Aws-Ec2-Metadata-Token-Ttl-Seconds") != "":
		fmt.Fprint(w, "imds-session")
	case session && r.URL.Path == roles:
		fmt.Fprint(w, "cdc role\n")
	case session && r.URL.Path == roles+"cdc role":
		give("instance")
	default:
		http.Error(w, "no", http.StatusForbidden)
	}
}

// TestAWSMSKIAM_CredentialsAreFoundInOrderAndReplaced: the first source that has
// credentials gives them, each connection is signed with valid ones, and a run
// outlives those that expire.
func TestAWSMSKIAM_CredentialsAreFoundInOrderAndReplaced(t *testing.T) {
	long(t) // OAUTHBEARER's tokens race in the same places
	t.Setenv("AWS_REGION", "eu-west-1")
	t.Setenv("HOME", t.TempDir())
	file := filepath.Join(t.TempDir(), "credentials")
	text := "[default]\naws_access_key_id = default\naws_secret_access_key = " + awsSecret("default") + "\n\n" +
		"# another\n[ cdc ]\naws_access_key_id=file\naws_secret_access_key=" + awsSecret("file") + "\naws_session_token=session-file\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	environment := []string{"AWS_ACCESS_KEY_ID=environment", "AWS_SECRET_ACCESS_KEY=" + awsSecret("environment"), "AWS_SESSION_TOKEN=session-environment"}
	shared := []string{"AWS_SHARED_CREDENTIALS_FILE=" + file, "AWS_PROFILE=cdc"}
	relative := []string{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/1"}
	full := []string{"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://169.254.170.23/v1/credentials", "AWS_CONTAINER_AUTHORIZATION_TOKEN=" + authCanary}
	for _, c := range []struct {
		want     string
		settings [][]string
	}{
		{"environment", [][]string{environment, shared, relative}},
		{"file", [][]string{shared, relative}},
		{"container", [][]string{relative}},
		{"container", [][]string{full}},
		{"instance", nil},
	} {
		settings := []string{"HUBSPOT_OBJECTS=contacts", "KAFKA_SASL_MECHANISM=AWS_MSK_IAM", "AWS_REGION=eu-west-1"}
		for _, more := range c.settings {
			settings = append(settings, more...)
		}
		inWorld(t, hubspottest.Options{Seed: 7}, settings, func(w *world) {
			endpoints := &aws{lasts: 20 * time.Minute, asked: map[string]int{}}
			w.Tokens = testkit.InProcess{Handler: endpoints}
			var broker authenticator
			broker.guard(w, "AWS_MSK_IAM", func(first []byte) (time.Duration, string) {
				key, ok := signedBy(first, "eu-west-1", func(key, session string) string {
					if session != "session-"+key {
						return ""
					}
					return awsSecret(key)
				})
				source, until, temporary := strings.Cut(key, "-")
				if !ok || source != c.want || temporary && validFor(until) <= 0 {
					return 0, ""
				}
				return 15 * time.Minute, `{"version":"2020_10_22","request-id":"1"}`
			})
			w.Portal.Seed("contacts", 10)
			p := w.start()
			defer p.Stop()
			w.SleepUntil(2*time.Minute, func() bool { return p.backfilled(1, []string{"contacts"}) })
			time.Sleep(2 * time.Hour)
			if accepted, rejected := broker.counts(); accepted < 8 || rejected > 0 {
				t.Errorf("%s: the broker accepted %d signatures and rejected %d", c.want, accepted, rejected)
			}
			for _, source := range []string{"container", "instance"} {
				switch n := endpoints.count(source); {
				case source != c.want && n > 0:
					t.Errorf("%s: the %s was asked", c.want, source)
				case source == c.want && (n < 6 || n > 9):
					t.Errorf("%s: asked %d times for credentials of 20 minutes in two hours", source, n)
				}
			}
			if w.Log.Has(authCanary) {
				t.Error("a secret is in the log")
			}
		})
	}
}

// TestKafkaAuthentication_APasswordMayChangeInItsFile: each new connection takes what
// the file holds then.
func TestKafkaAuthentication_APasswordMayChangeInItsFile(t *testing.T) {
	t.Parallel()
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		file := filepath.Join(t.TempDir(), "password")
		k := connector.Kafka{SASLMechanism: mechanism, SASLUsername: "cdc", SASLPasswordFile: file, Compression: "none"}
		opts, err := k.Options()
		if err != nil {
			t.Fatal(err)
		}
		for _, password := range []string{"first", "second"} {
			if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			broker := testkit.NewBroker(t, kfake.EnableSASL(), kfake.Superuser(mechanism, "cdc", password))
			if err := testkit.Client(t, append(opts, broker.Options()...)...).Ping(t.Context()); err != nil {
				t.Errorf("%s, the %s password: %v", mechanism, password, err)
			}
		}
	}
}

// TestConfiguration_ABrokerIsHostAndPort: what the Kafka client could not dial, or would
// dial as somebody else, is refused, and is not repeated.
func TestConfiguration_ABrokerIsHostAndPort(t *testing.T) {
	t.Parallel()
	for broker, fine := range map[string]bool{
		"kafka:9092": true, "kafka": true, "my_kafka.example.com.:1": true, "10.0.0.7:9092": true, "10.0.0.7": true,
		"[::1]:9092": true, "[::1]": true, "::1": true, "[fe80::1%eth0]:9092": true, "b-1.x.c2.kafka.eu-west-1.amazonaws.com:65535": true,
		"": false, ":9092": false, "kafka:": false, "kafka:9092x": false, "kafka:-1": false, "kafka:65536": false, "[::1": false, "[::1]:": false,
		"PLAINTEXT://kafka:9092": false, "PLAINTEXT://kafka": false, "kafka:9092;kafka2:9092": false, "kafka:9092 kafka2:9092": false, "kafka kafka2": false, "kafka/": false,
		"cdc:" + authCanary + "@kafka:9092": false,
	} {
		cfg := connector.DefaultConfig()
		cfg.HubSpot.AccessToken, cfg.Registry.URL, cfg.Kafka.Brokers = "x", "http://r", []string{"other:9092", broker}
		err := cfg.Validate()
		refused := err != nil && strings.Contains(err.Error(), "KAFKA_BROKERS: member 2 is not host:port")
		if fine != (err == nil) || fine == refused || err != nil && strings.Contains(err.Error(), authCanary) {
			t.Errorf("%q: %v", broker, err)
		}
	}
}

// TestKafkaAuthentication_Validate: what makes no sense, or would show a secret
// to the network, is refused with the names of the variables.
func TestKafkaAuthentication_Validate(t *testing.T) {
	t.Setenv("AWS_REGION", "")
	user := func(c *connector.Config) { c.Kafka.SASLUsername, c.Kafka.SASLPassword = "cdc", "x" }
	client := func(c *connector.Config) {
		c.Kafka.OAuthTokenURL, c.Kafka.OAuthClientID, c.Kafka.OAuthClientSecret = "https://idp.test/token", "cdc", "x"
	}
	none := func(*connector.Config) {}
	const secrecy = "KAFKA_TLS_ENABLED: must be true"
	for _, c := range []struct {
		name, mechanism, brokers string
		tls, insecure            bool
		more                     func(*connector.Config)
		want                     string // "": fine
	}{
		{"plain, elsewhere", "PLAIN", "kafka:9092", false, false, user, secrecy},
		{"plain, lower case", "plain", "kafka:9092", false, false, user, secrecy},
		{"plain, TLS", "PLAIN", "kafka:9092", true, false, user, ""},
		{"plain, allowed", "PLAIN", "kafka:9092", false, true, user, ""},
		{"plain, localhost", "PLAIN", "localhost:9092,127.0.0.2:9092,[::1]:9092,localhost", false, false, user, ""},
		{"plain, one elsewhere", "PLAIN", "localhost:9092,kafka:9092", false, false, user, secrecy},
		{"plain, a name that begins so", "PLAIN", "localhost.example.com:9092", false, false, user, secrecy},
		{"plain, without a user", "PLAIN", "localhost:9092", false, false, none, "KAFKA_SASL_USERNAME"},
		{"scram", "SCRAM-SHA-512", "kafka:9092", false, false, user, ""},
		{"oauth, elsewhere", "OAUTHBEARER", "kafka:9092", false, false, client, secrecy},
		{"oauth, TLS", "OAUTHBEARER", "kafka:9092", true, false, client, ""},
		{"oauth, without anything", "OAUTHBEARER", "kafka:9092", true, false, none, "KAFKA_OAUTH_TOKEN_URL: is required"},
		{"oauth, without an id", "OAUTHBEARER", "kafka:9092", true, false, func(c *connector.Config) { client(c); c.Kafka.OAuthClientID = "" }, "all three"},
		{"oauth, no address", "OAUTHBEARER", "kafka:9092", true, false, func(c *connector.Config) { client(c); c.Kafka.OAuthTokenURL = "idp" }, "KAFKA_OAUTH_TOKEN_URL"},
		{"oauth, a user too", "OAUTHBEARER", "kafka:9092", true, false, func(c *connector.Config) { client(c); user(c) }, "does not use them"},
		{"oauth, extension auth", "OAUTHBEARER", "kafka:9092", true, false, func(c *connector.Config) { client(c); c.Kafka.OAuthExtensions = []string{"auth=x"} }, "KAFKA_OAUTH_EXTENSIONS"},
		{"oauth, extension without a value", "OAUTHBEARER", "kafka:9092", true, false, func(c *connector.Config) { client(c); c.Kafka.OAuthExtensions = []string{"x"} }, "KAFKA_OAUTH_EXTENSIONS"},
		{"oauth, unused", "PLAIN", "kafka:9092", true, false, func(c *connector.Config) { client(c); user(c) }, "need KAFKA_SASL_MECHANISM=OAUTHBEARER"},
		{"aws", "AWS_MSK_IAM", "b-1.x.c2.kafka.eu-west-1.amazonaws.com:9098", true, false, none, ""},
		{"aws, no region", "AWS_MSK_IAM", "kafka:9098", true, false, none, "AWS_REGION: is required"},
		{"aws, region of another process", "AWS_MSK_IAM", "kafka:9098", true, false, func(c *connector.Config) { c.Kafka.AWSRegion = "eu-west-1" }, "AWS_REGION: must be the same"},
		{"aws, half a key", "AWS_MSK_IAM", "kafka.eu-west-1.amazonaws.com:9098", true, false, func(c *connector.Config) { c.Kafka.AWSAccessKeyID = "x" }, "give both"},
		{"aws, endpoint elsewhere", "AWS_MSK_IAM", "kafka.eu-west-1.amazonaws.com:9098", true, false, func(c *connector.Config) { c.Kafka.AWSContainerFullURI = "http://example.com/" }, "https"},
		{"a user alone", "", "kafka:9092", true, false, user, "KAFKA_SASL_MECHANISM: is required"},
		{"unknown", "GSSAPI", "kafka:9092", true, false, none, "is none of"},
	} {
		cfg := connector.DefaultConfig()
		cfg.HubSpot.AccessToken, cfg.Registry.URL = "x", "http://r"
		cfg.Kafka.Brokers, cfg.Kafka.SASLMechanism = strings.Split(c.brokers, ","), c.mechanism
		cfg.Kafka.TLS, cfg.Kafka.SASLInsecure = c.tls, c.insecure
		c.more(&cfg)
		switch err := cfg.Validate(); {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
