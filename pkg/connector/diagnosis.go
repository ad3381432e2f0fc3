package connector

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/sink"
)

// Diagnosis says in plain words why something does not work, and what an operator
// can do about it. A run and a check take their sentences from here.
type Diagnosis struct{ Found, Cure string }

const untrusted = "its certificate is signed by an authority that is not trusted here"

// Diagnose says why the connector cannot talk to a broker.
func (k *Kafka) Diagnose(err error) Diagnosis {
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var notTLS tls.RecordHeaderError
	var handshake *handshakeError
	var eof *kgo.ErrFirstReadEOF
	var credentials *CredentialError
	var missing *sink.MissingTopicError
	var unseen *sink.UnseenTopicError
	var cured *curedError
	var stalled *sink.StalledError
	m, text := k.Mechanism(), strings.Replace(Plainly(err), "unable to dial: ", "", 1)
	switch {
	case errors.As(err, &credentials):
		return Diagnosis{"no credentials for it: " + credentials.Problem, credentials.Cure}
	case errors.As(err, &cured):
		return Diagnosis{Plainly(cured.err), cured.cure}
	case errors.As(err, &stalled):
		return Diagnosis{"it takes nothing: " + stalled.Error(), "see whether every broker runs and can be reached from here, and whether the topics have as many replicas in sync as their min.insync.replicas asks for (kafka-topics --describe --under-min-isr-partitions)"}
	case errors.As(err, &missing):
		return Diagnosis{Plainly(missing.Err), "have it created: " + missing.Command}
	case errors.As(err, &unseen):
		return Diagnosis{unseen.Error(), "look whether the brokers keep up with the cluster's controller, or whether somebody has deleted the topic at once; the connector tries again by itself"}
	case errors.Is(err, kerr.SaslAuthenticationFailed) && m == SASLOAuth:
		return Diagnosis{"it refuses the token (OAUTHBEARER): " + text, "check KAFKA_OAUTH_SCOPE, KAFKA_OAUTH_EXTENSIONS, and the issuer and audience that the brokers expect"}
	case errors.Is(err, kerr.SaslAuthenticationFailed) && m == SASLAWS:
		return Diagnosis{"it refuses these credentials (AWS_MSK_IAM): " + text, "check the credentials, AWS_REGION, this machine's clock, and that the IAM policy allows kafka-cluster:Connect"}
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return Diagnosis{fmt.Sprintf("it refuses user %s with this password (%s)", k.SASLUsername, m),
			"check KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD, and that the user has credentials for this mechanism"}
	case errors.Is(err, kerr.UnsupportedSaslMechanism):
		return Diagnosis{"it does not offer " + m, "set KAFKA_SASL_MECHANISM to one of the listener's sasl.enabled.mechanisms"}
	case errors.As(err, &authority):
		return Diagnosis{untrusted, "name the file of that authority in KAFKA_TLS_CA_FILE"}
	case errors.As(err, &host):
		return Diagnosis{"its certificate is for other names: " + host.Error(), "use a name of the certificate in KAFKA_BROKERS and in the brokers' advertised.listeners"}
	case errors.As(err, &invalid):
		return Diagnosis{"its certificate is not valid: " + invalid.Error(), "renew the broker's certificate, or correct this machine's clock"}
	case errors.As(err, &notTLS), errors.As(err, &handshake) && handshake.ignored():
		return Diagnosis{"it does not speak TLS on this port", "set KAFKA_TLS_ENABLED=false, or name the port that speaks TLS"}
	case strings.Contains(err.Error(), "to be a tls alert"):
		return Diagnosis{"it wants TLS on this port", "set KAFKA_TLS_ENABLED=true, and KAFKA_TLS_CA_FILE if the authority is your own; or name the port without TLS"}
	case strings.Contains(err.Error(), "tls: "):
		return Diagnosis{"TLS fails: " + text, "check KAFKA_TLS_CERT_FILE and KAFKA_TLS_KEY_FILE: the broker may want a client certificate"}
	case strings.Contains(err.Error(), "'HTTP' in ascii"):
		return Diagnosis{"it speaks HTTP on this port", "check KAFKA_BROKERS: this is the port of something else"}
	case errors.As(err, &eof), errors.Is(err, io.EOF), errors.Is(err, kerr.IllegalSaslState):
		return Diagnosis{"it closed the connection at once", k.closedAtOnce()}
	case errors.Is(err, kerr.UnknownTopicID), errors.Is(err, kerr.UnknownTopicOrPartition):
		return Diagnosis{"a topic was deleted while the connector wrote to it: " + text, "find out who deleted it; the next run makes a topic of events again and fills it; it waits first for the end of the transaction that was under way, which takes up to a minute or so"}
	case errors.Is(err, kerr.InvalidReplicationFactor):
		return Diagnosis{text, sink.ReplicationCure}
	case answeredByKafka(err):
		return Diagnosis{text, asTheBrokersSay}
	}
	return Diagnosis{"it cannot be reached: " + text, "check KAFKA_BROKERS, whether the broker is running, and the network between"}
}

// asTheBrokersSay is the cure for what only the brokers' own words explain.
const asTheBrokersSay = "do what the brokers say; the connector tries again by itself"

// closedAtOnce is the cure where a broker ends a connection without a word.
func (k *Kafka) closedAtOnce() string {
	switch m := k.Mechanism(); {
	case m == SASLOAuth, m == SASLAWS:
		return "check whether this port is one for " + m + ", with TLS or without (KAFKA_TLS_ENABLED)"
	case m != "":
		return "check KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD, and whether this port is one for SASL, with TLS or without (KAFKA_TLS_ENABLED)"
	case k.TLS:
		return "it may want a user (KAFKA_SASL_MECHANISM), or a client certificate (KAFKA_TLS_CERT_FILE)"
	}
	return "it may want TLS (KAFKA_TLS_ENABLED=true) or a user (KAFKA_SASL_MECHANISM)"
}

// answeredByKafka reports whether an error is a broker's word. A broker that is
// about to stop, or that has just started, says that it cannot be used either.
func answeredByKafka(err error) bool {
	var answer *kerr.Error
	return errors.As(err, &answer)
}

// Diagnose says why the connector cannot use the schema registry.
func (r *Registry) Diagnose(err error) Diagnosis {
	var answer *sr.ResponseError
	var credentials *CredentialError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var notTLS tls.RecordHeaderError
	text := Plainly(err)
	if request, ok := errors.AsType[*url.Error](err); ok { // it names the address twice
		if text = Plainly(request.Err); !strings.Contains(text, "dial ") {
			text = request.URL + ": " + text
		}
	}
	switch {
	case errors.As(err, &credentials):
		return Diagnosis{"no credentials for it: " + credentials.Problem, credentials.Cure}
	case errors.As(err, &authority):
		return Diagnosis{untrusted, "name the file of that authority in SCHEMA_REGISTRY_CA_FILE"}
	case errors.As(err, &host):
		return Diagnosis{"its certificate is for other names: " + host.Error(), "use a name of the certificate in SCHEMA_REGISTRY_URL"}
	case errors.As(err, &notTLS), strings.Contains(text, "server gave HTTP response to HTTPS client"):
		return Diagnosis{"it does not speak TLS on this port", "write http:// in SCHEMA_REGISTRY_URL, or name the port that speaks TLS"}
	case strings.Contains(text, `malformed HTTP response "\x15`), strings.Contains(text, "HTTP request to an HTTPS server"):
		return Diagnosis{"it wants TLS on this port", "write https:// in SCHEMA_REGISTRY_URL, and name the authority in SCHEMA_REGISTRY_CA_FILE if it is your own"}
	case answer == nil && !errors.As(err, &answer) && strings.Contains(text, "tls: "):
		return Diagnosis{"TLS fails: " + text, "check SCHEMA_REGISTRY_CERT_FILE and SCHEMA_REGISTRY_KEY_FILE: the registry may want a client certificate"}
	case !errors.As(err, &answer):
		return Diagnosis{"it cannot be reached: " + text, "check SCHEMA_REGISTRY_URL, whether the registry is running, and the network between"}
	case answer.StatusCode == http.StatusUnauthorized, answer.StatusCode == http.StatusForbidden:
		found := fmt.Sprintf("it refuses this user (%d)", answer.StatusCode)
		switch {
		case r.OAuthTokenURL != "":
			return Diagnosis{found, "check SCHEMA_REGISTRY_OAUTH_CLIENT_ID and SCHEMA_REGISTRY_OAUTH_SCOPE, and what the registry allows this client"}
		case r.Token != "" || r.TokenFile != "":
			return Diagnosis{found, "check SCHEMA_REGISTRY_TOKEN"}
		}
		return Diagnosis{found, "check SCHEMA_REGISTRY_USERNAME and SCHEMA_REGISTRY_PASSWORD"}
	case answer.StatusCode == http.StatusNotFound:
		return Diagnosis{"there is no registry at this address (404)", "check the path of SCHEMA_REGISTRY_URL; Apicurio's ends in /apis/ccompat/v7"}
	}
	return Diagnosis{fmt.Sprintf("it answers %d", answer.StatusCode), "look at the registry's log"}
}

// Diagnose says why the connector cannot ask HubSpot.
func (h *HubSpot) Diagnose(err error) Diagnosis {
	var secret *hubspot.SecretError
	var other *hubspot.OtherAccountError
	var refused *hubspot.Error
	switch {
	case errors.As(err, &other):
		token := "access token"
		if h.OAuth() {
			token = "refresh token"
		}
		return Diagnosis{Plainly(err), fmt.Sprintf("put a token of portal %d into %s; nothing was read with the other one", other.Was, h.variableOf(token))}
	case errors.As(err, &secret):
		return Diagnosis{Plainly(err), "the " + secret.Secret + " must stand alone and on one line, in " + h.variableOf(secret.Secret)}
	case hubspot.Unauthorized(err) && h.OAuth():
		return Diagnosis{"HubSpot refuses the token: " + Plainly(err), "install the app in the account again and use its new refresh token; check HUBSPOT_CLIENT_ID and HUBSPOT_CLIENT_SECRET"}
	case hubspot.Unauthorized(err):
		return Diagnosis{"HubSpot refuses the token: " + Plainly(err), "give a valid token in HUBSPOT_ACCESS_TOKEN or in the file that HUBSPOT_ACCESS_TOKEN_FILE names (HubSpot: Settings, Integrations, Service keys)"}
	case hubspot.NotFound(err):
		return Diagnosis{"HubSpot does not know this API: " + Plainly(err), "check HUBSPOT_API_VERSION and HUBSPOT_BASE_URL"}
	case hubspot.MissingScopes(err):
		return Diagnosis{Plainly(err), "give the token the scopes that HubSpot names; connector check lists all that it lacks"}
	case errors.As(err, &refused):
		return Diagnosis{Plainly(err), "see HubSpot's status page; if it lasts, ask HubSpot's support, with the correlation id"}
	}
	text := Plainly(err)
	if unanswered, ok := errors.AsType[*hubspot.UnansweredError](err); ok {
		return Diagnosis{"HubSpot cannot be asked: " + text, unanswered.Cure}
	}
	return Diagnosis{"HubSpot cannot be asked: " + text, hubspot.Unreachable(h.BaseURL, text)}
}

// variableOf names where a secret comes from.
func (h *HubSpot) variableOf(secret string) string {
	name, file := "HUBSPOT_ACCESS_TOKEN", h.AccessTokenFile
	switch secret {
	case "client secret":
		name, file = "HUBSPOT_CLIENT_SECRET", h.ClientSecretFile
	case "refresh token":
		name, file = "HUBSPOT_REFRESH_TOKEN", h.RefreshTokenFile
	}
	if file != "" {
		return file + " (" + name + "_FILE)"
	}
	return name
}

// Plainly is an error's text. Where the time for an answer ran out, it says so in
// other words than Go's, and what the latest attempt brought comes first.
func Plainly(err error) string {
	text := err.Error()
	if !errors.Is(err, context.DeadlineExceeded) {
		return text
	}
	text = strings.TrimSuffix(strings.TrimSuffix(text, context.DeadlineExceeded.Error()), ": ")
	if _, latest, ok := strings.Cut(text, " (latest: "); ok {
		return strings.TrimSuffix(latest, ")") + ", and no better answer in time"
	}
	return strings.TrimPrefix(text+": no answer in time", ": ")
}

// curedError is an error whose cure is known where it happens.
type curedError struct {
	err  error
	cure string
}

func (e *curedError) Error() string { return e.err.Error() + "; " + e.cure }
func (e *curedError) Unwrap() error { return e.err }
