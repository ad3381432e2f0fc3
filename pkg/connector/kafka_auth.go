package connector

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/aws"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// The values of KAFKA_SASL_MECHANISM.
const (
	SASLPlain  = "PLAIN"
	SASLSHA256 = "SCRAM-SHA-256"
	SASLSHA512 = "SCRAM-SHA-512"
	SASLOAuth  = "OAUTHBEARER"
	SASLAWS    = "AWS_MSK_IAM"
)

// Mechanism is the SASL mechanism as Kafka spells it, "" without one.
func (k *Kafka) Mechanism() string { return strings.ToUpper(k.SASLMechanism) }

// mechanism makes the SASL mechanism, nil without one. transport carries the
// requests for tokens and credentials; nil: over the network.
func (k *Kafka) mechanism(transport http.RoundTripper) (sasl.Mechanism, error) {
	switch k.Mechanism() {
	case "":
		return nil, nil
	case SASLOAuth:
		extensions, err := k.extensions()
		if err != nil {
			return nil, err
		}
		client := oauthClient{
			names: "KAFKA_OAUTH", url: k.OAuthTokenURL, id: k.OAuthClientID, scope: k.OAuthScope,
			secret: func() (hubspot.Secret, error) {
				return credential("KAFKA_OAUTH_CLIENT_SECRET", k.OAuthClientSecret, k.OAuthClientSecretFile)
			},
			credentials: credentialClient(transport),
		}
		tokens := client.tokens()
		return oauth.Oauth(func(ctx context.Context) (oauth.Auth, error) {
			token, err := tokens(ctx)
			return oauth.Auth{Token: token.Reveal(), Extensions: extensions}, err
		}), nil
	case SASLAWS:
		return aws.ManagedStreamingIAM(newAWSCredentials(k, transport).get), nil
	}
	password := func() (string, error) { // of each connection
		password, err := credential("KAFKA_SASL_PASSWORD", k.SASLPassword, k.SASLPasswordFile)
		return password.Reveal(), err
	}
	proof := func(context.Context) (scram.Auth, error) {
		password, err := password()
		return scram.Auth{User: k.SASLUsername, Pass: password}, err
	}
	switch k.Mechanism() {
	case SASLPlain:
		return plain.Plain(func(context.Context) (plain.Auth, error) {
			password, err := password()
			return plain.Auth{User: k.SASLUsername, Pass: password}, err
		}), nil
	case SASLSHA256:
		return scram.Sha256(proof), nil
	case SASLSHA512:
		return scram.Sha512(proof), nil
	}
	return nil, fmt.Errorf("KAFKA_SASL_MECHANISM: %q is not known", k.SASLMechanism)
}

// extensions are the SASL extensions to send beside a token (RFC 7628, section
// 3.1, as Kafka restricts them in KIP-342).
func (k *Kafka) extensions() (map[string]string, error) {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	out := map[string]string{}
	for _, text := range k.OAuthExtensions {
		name, value, found := strings.Cut(text, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		unprintable := strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' })
		if !found || name == "" || value == "" || unprintable || strings.Trim(name, letters) != "" || strings.EqualFold(name, "auth") {
			return nil, fmt.Errorf("KAFKA_OAUTH_EXTENSIONS: %q is not name=value, with letters only in the name, which is not auth", text)
		}
		out[name] = value
	}
	return out, nil
}

// validateSASL checks how the connector authenticates.
func (k *Kafka) validateSASL(p *problems) {
	m := k.Mechanism()
	p.oneOf("KAFKA_SASL_MECHANISM", m, "", SASLPlain, SASLSHA256, SASLSHA512, SASLOAuth, SASLAWS)
	password := p.given("KAFKA_SASL_PASSWORD", k.SASLPassword, k.SASLPasswordFile)
	oauthSecret := p.given("KAFKA_OAUTH_CLIENT_SECRET", k.OAuthClientSecret, k.OAuthClientSecretFile)
	if _, err := k.extensions(); err != nil {
		p.add("%v", err)
	}
	oauthGiven := p.validateOAuth("KAFKA_OAUTH", k.OAuthTokenURL, k.OAuthClientID, oauthSecret, k.OAuthScope) || len(k.OAuthExtensions) > 0
	switch {
	case m == SASLOAuth && k.OAuthTokenURL == "":
		p.add("KAFKA_OAUTH_TOKEN_URL: is required with KAFKA_SASL_MECHANISM=%s", SASLOAuth)
	case m != SASLOAuth && oauthGiven:
		p.add("KAFKA_OAUTH_TOKEN_URL: the variables of KAFKA_OAUTH_* need KAFKA_SASL_MECHANISM=%s", SASLOAuth)
	}
	switch m {
	case SASLPlain, SASLSHA256, SASLSHA512:
		if k.SASLUsername == "" || !password {
			p.add("KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD: both are required with KAFKA_SASL_MECHANISM=%s", m)
		}
	case "":
		if k.SASLUsername != "" || password {
			p.add("KAFKA_SASL_MECHANISM: is required with KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD (%s, %s or %s)", SASLPlain, SASLSHA256, SASLSHA512)
		}
	case SASLOAuth, SASLAWS:
		if k.SASLUsername != "" || password {
			p.add("KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD: KAFKA_SASL_MECHANISM=%s does not use them", m)
		}
	}
	if m == SASLAWS {
		k.validateAWS(p)
	}
	k.validateSecrecy(p)
}

// validateSecrecy refuses to send in the clear what whoever reads it can use: a
// password, or a token until it expires. SCRAM sends neither.
func (k *Kafka) validateSecrecy(p *problems) {
	revealing := []string{SASLPlain, SASLOAuth, SASLAWS}
	if k.TLS || k.SASLInsecure || !slices.Contains(revealing, k.Mechanism()) {
		return
	}
	for _, broker := range k.Brokers {
		host, _, err := net.SplitHostPort(withPort(broker))
		if err != nil || !loopback(host) {
			p.add("KAFKA_TLS_ENABLED: must be true for KAFKA_SASL_MECHANISM=%s, which shows its secret to the network otherwise (KAFKA_SASL_INSECURE=true allows it)", k.Mechanism())
			return
		}
	}
}

func loopback(host string) bool {
	return strings.EqualFold(host, "localhost") || net.ParseIP(host).IsLoopback()
}

// brokerAddress reports whether the Kafka client can dial a broker's address.
func brokerAddress(broker string) bool {
	host, port, err := net.SplitHostPort(withPort(broker))
	_, noPort := strconv.ParseUint(port, 10, 16)
	_, noIP := netip.ParseAddr(host) // which may have colons, and a zone
	known := noIP == nil || host != "" && !strings.ContainsAny(host, ":;/@ ")
	return err == nil && noPort == nil && known && strings.HasPrefix(broker, "[") == strings.Contains(broker, "]")
}

// withPort is a broker's address with the port that the Kafka client takes where
// none is given.
func withPort(broker string) string {
	if _, _, err := net.SplitHostPort(broker); err == nil {
		return broker
	}
	return net.JoinHostPort(strings.Trim(broker, "[]"), "9092")
}
