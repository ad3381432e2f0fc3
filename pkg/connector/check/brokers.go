package check

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/sink"
)

// checkBrokers contacts every broker, and asks the cluster about its
// transactions.
func (k *checker) checkBrokers(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, reachPatience)
	defer cancel()
	probe, err := sink.NewProbe(k.setup.SinkConfig())
	if err != nil {
		k.add(Finding{Area: "kafka", Check: "client", Status: Fail, Found: err.Error()})
		return
	}
	defer probe.Close()
	cluster, err := probe.Cluster(ctx, k.setup.Config.Kafka.Brokers)
	answered := false
	for _, b := range cluster.Brokers {
		f := Finding{Area: "kafka", Check: "broker", Subject: b.Address, Status: OK, Found: k.connection()}
		if b.ID >= 0 {
			f.Found = fmt.Sprintf("broker %d, %s", b.ID, f.Found)
		}
		if b.Err != nil {
			f.Status = Fail
			f.Found, f.Todo = k.brokerTrouble(b.Err)
		}
		answered = answered || b.Err == nil
		k.add(f)
	}
	if err != nil {
		if answered || len(cluster.Brokers) == 0 {
			text, todo := k.brokerTrouble(err)
			k.add(Finding{Area: "kafka", Check: "cluster", Status: Fail, Found: text, Todo: todo})
		}
		return
	}
	k.brokersUp = answered
	k.add(Finding{Area: "kafka", Check: "cluster", Subject: cluster.ID, Status: OK, Found: "Kafka " + strings.TrimPrefix(cluster.Version, "v")})
	f := Finding{Area: "kafka", Check: "transaction_version", Status: OK, Found: fmt.Sprint(cluster.TransactionVersion)}
	if !cluster.SafeTransactions() {
		f.Status = Warn
		f.Found += ": a request that was delayed in the network may end a later transaction than its own"
		f.Todo = []string{fmt.Sprintf("kafka-features --bootstrap-server %s upgrade --feature transaction.version=2 (Kafka 4.0 or newer)", k.setup.Config.Kafka.Brokers[0])}
	}
	k.add(f)
	f = Finding{Area: "kafka", Check: "transaction_timeout", Status: OK}
	switch {
	case cluster.MaxTransaction == 0:
		f.Status, f.Found = Note, "this user may not read transaction.max.timeout.ms, whose default is enough"
	case cluster.TooShortTransaction:
		f.Status = Fail
		f.Found = fmt.Sprintf("transaction.max.timeout.ms is %d; the connector's transactions ask for %d", cluster.MaxTransaction.Milliseconds(), sink.TransactionTimeout.Milliseconds())
		f.Todo = []string{fmt.Sprintf("set transaction.max.timeout.ms of the brokers to %d or more", sink.TransactionTimeout.Milliseconds())}
	default:
		f.Found = fmt.Sprintf("the brokers allow %v; the connector's transactions ask for %v", cluster.MaxTransaction, sink.TransactionTimeout)
	}
	k.add(f)
}

// connection says how the connector talks to the brokers.
func (k *checker) connection() string {
	how := "without TLS"
	if k.setup.Config.Kafka.TLS {
		how = "with TLS"
	}
	cfg := &k.setup.Config.Kafka
	switch m := cfg.Mechanism(); m {
	case "":
		return how + ", without a user"
	case connector.SASLOAuth:
		return how + ", as client " + cfg.OAuthClientID + " by " + m
	case connector.SASLAWS:
		return how + ", by " + m
	default:
		return how + ", as " + cfg.SASLUsername + " by " + m
	}
}

// brokerTrouble says in plain words why the connector cannot talk to a broker.
func (k *checker) brokerTrouble(err error) (found string, todo []string) {
	cfg := &k.setup.Config.Kafka
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var notTLS tls.RecordHeaderError
	var eof *kgo.ErrFirstReadEOF
	var credentials *connector.CredentialError
	switch {
	case errors.As(err, &credentials):
		return "no credentials for it: " + credentials.Problem, []string{credentials.Cure}
	case errors.Is(err, kerr.SaslAuthenticationFailed) && cfg.Mechanism() == connector.SASLOAuth:
		return "it refuses the token (OAUTHBEARER): " + plainly(err), []string{"check KAFKA_OAUTH_SCOPE, KAFKA_OAUTH_EXTENSIONS, and the issuer and audience that the brokers expect"}
	case errors.Is(err, kerr.SaslAuthenticationFailed) && cfg.Mechanism() == connector.SASLAWS:
		return "it refuses these credentials (AWS_MSK_IAM): " + plainly(err), []string{"check the credentials, AWS_REGION, this machine's clock, and that the IAM policy allows kafka-cluster:Connect"}
	case errors.As(err, &authority):
		return "its certificate is signed by an authority that is not trusted here", []string{"name the file of that authority in KAFKA_TLS_CA_FILE"}
	case errors.As(err, &host):
		return "its certificate is for other names: " + host.Error(), []string{"use a name of the certificate in KAFKA_BROKERS and in the brokers' advertised.listeners"}
	case errors.As(err, &invalid):
		return "its certificate is not valid: " + invalid.Error(), []string{"renew the broker's certificate, or correct this machine's clock"}
	case errors.As(err, &notTLS):
		return "it does not speak TLS on this port", []string{"set KAFKA_TLS_ENABLED=false, or name the port that speaks TLS"}
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return fmt.Sprintf("it refuses user %s with this password (%s)", cfg.SASLUsername, cfg.Mechanism()),
			[]string{"check KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD, and that the user has credentials for this mechanism"}
	case errors.Is(err, kerr.UnsupportedSaslMechanism):
		return "it does not offer " + cfg.Mechanism(), []string{"set KAFKA_SASL_MECHANISM to one of the listener's sasl.enabled.mechanisms"}
	case strings.Contains(err.Error(), "tls: "):
		return "TLS fails: " + plainly(err), []string{"check KAFKA_TLS_CERT_FILE and KAFKA_TLS_KEY_FILE: the broker may want a client certificate"}
	case strings.Contains(err.Error(), "to be a tls alert"):
		return "it wants TLS", []string{"set KAFKA_TLS_ENABLED=true, and KAFKA_TLS_CA_FILE if the authority is your own"}
	case errors.As(err, &eof), errors.Is(err, io.EOF), errors.Is(err, kerr.IllegalSaslState):
		found := "it closed the connection at once"
		switch {
		case cfg.Mechanism() == connector.SASLOAuth, cfg.Mechanism() == connector.SASLAWS:
			return found, []string{"check whether this port is one for " + cfg.Mechanism() + ", with TLS or without (KAFKA_TLS_ENABLED)"}
		case cfg.SASLMechanism != "":
			return found, []string{"check KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD, and whether this port is one for SASL, with TLS or without (KAFKA_TLS_ENABLED)"}
		case cfg.TLS:
			return found, []string{"it may want a user (KAFKA_SASL_MECHANISM), or a client certificate (KAFKA_TLS_CERT_FILE)"}
		}
		return found, []string{"it may want TLS (KAFKA_TLS_ENABLED=true) or a user (KAFKA_SASL_MECHANISM)"}
	}
	return "it cannot be reached: " + plainly(err), []string{"check KAFKA_BROKERS, whether the broker is running, and the network between"}
}
