package check

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/schema"
	"github.com/hubspot-cdc/connector/pkg/sink"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// checkBrokers asks every broker, and the cluster about its transactions.
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

// connection says how the brokers are spoken to.
func (k *checker) connection() string {
	how := "without TLS"
	if k.setup.Config.Kafka.TLS {
		how = "with TLS"
	}
	if m := k.setup.Config.Kafka.SASLMechanism; m != "" {
		return how + ", as " + k.setup.Config.Kafka.SASLUsername + " by " + strings.ToUpper(m)
	}
	return how + ", without a user"
}

// brokerTrouble says in plain words why a broker cannot be spoken to.
func (k *checker) brokerTrouble(err error) (found string, todo []string) {
	cfg := &k.setup.Config.Kafka
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var notTLS tls.RecordHeaderError
	var eof *kgo.ErrFirstReadEOF
	switch {
	case errors.As(err, &authority):
		return "its certificate is signed by an authority that is not trusted here", []string{"name the file of that authority in KAFKA_TLS_CA_FILE"}
	case errors.As(err, &host):
		return "its certificate is for other names: " + host.Error(), []string{"use a name of the certificate in KAFKA_BROKERS and in the brokers' advertised.listeners"}
	case errors.As(err, &invalid):
		return "its certificate is not valid: " + invalid.Error(), []string{"renew the broker's certificate, or set this machine's clock"}
	case errors.As(err, &notTLS):
		return "it does not speak TLS on this port", []string{"set KAFKA_TLS_ENABLED=false, or name the port that speaks TLS"}
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return fmt.Sprintf("it refuses user %s with this password (%s)", cfg.SASLUsername, strings.ToUpper(cfg.SASLMechanism)),
			[]string{"check KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD, and that the user has credentials for this mechanism"}
	case errors.Is(err, kerr.UnsupportedSaslMechanism):
		return "it does not offer " + strings.ToUpper(cfg.SASLMechanism), []string{"set KAFKA_SASL_MECHANISM to one of the listener's sasl.enabled.mechanisms"}
	case strings.Contains(err.Error(), "tls: "):
		return "TLS fails: " + plainly(err), []string{"check KAFKA_TLS_CERT_FILE and KAFKA_TLS_KEY_FILE: the broker may want a client certificate"}
	case strings.Contains(err.Error(), "to be a tls alert"):
		return "it wants TLS", []string{"set KAFKA_TLS_ENABLED=true, and KAFKA_TLS_CA_FILE where its authority is your own"}
	case errors.As(err, &eof), errors.Is(err, io.EOF), errors.Is(err, kerr.IllegalSaslState):
		found := "it closed the connection at once"
		switch {
		case cfg.SASLMechanism != "":
			return found, []string{"check KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD, and whether this port is one for SASL, with TLS or without (KAFKA_TLS_ENABLED)"}
		case cfg.TLS:
			return found, []string{"it may want a user (KAFKA_SASL_MECHANISM), or a client certificate (KAFKA_TLS_CERT_FILE)"}
		}
		return found, []string{"it may want TLS (KAFKA_TLS_ENABLED=true) or a user (KAFKA_SASL_MECHANISM)"}
	}
	return "it cannot be reached: " + plainly(err), []string{"check KAFKA_BROKERS, that the broker runs, and the network between"}
}

// checkState looks at the connector's own topics, reads what earlier runs have
// committed, and says who runs now.
func (k *checker) checkState(ctx context.Context) {
	if !k.brokersUp {
		return
	}
	cfg := k.setup.SinkConfig()
	if k.account != nil {
		cfg.Portal = k.account.PortalID
	}
	if !k.registryUp {
		cfg.Registry = nil
	}
	probe, err := sink.NewProbe(cfg)
	if err != nil {
		return // checkBrokers has said so
	}
	k.probe = probe
	limited(ctx, func(ctx context.Context) {
		ok := true
		for _, name := range []string{offsets.CursorTopic(k.setup.Config.Kafka.TopicPrefix), offsets.StateTopic(k.setup.Config.Kafka.TopicPrefix)} {
			look, err := probe.Internal(ctx, name)
			if err != nil {
				ok = false
				k.troubles("topics", "topic", name, err)
				continue
			}
			k.internal = append(k.internal, look)
			k.sayTopic(look)
		}
		k.checkOwner(ctx)
		if k.account == nil {
			k.add(Finding{Area: "topics", Check: "state", Status: Note, Found: "not looked at: which portal it must be of, HubSpot did not say"})
			return
		}
		if !ok {
			return
		}
		loaded, err := probe.Load(ctx)
		if err != nil {
			k.troubles("topics", "state", "", err)
			return
		}
		k.loaded = loaded
		f := Finding{Area: "topics", Check: "state", Subject: fmt.Sprint(k.account.PortalID), Status: OK,
			Found: fmt.Sprintf("of this portal: %d object types, %d topics, %d cursors", len(loaded.Sets), len(loaded.Topics), len(loaded.Cursors))}
		if loaded.Fresh {
			f.Found = "none: the first run begins with a backfill"
		}
		k.add(f)
	})
}

// checkOwner says whether an instance runs.
func (k *checker) checkOwner(ctx context.Context) {
	group := connector.OwnerGroup(k.setup.Config.Kafka.TopicPrefix)
	n, err := k.probe.Owners(ctx, group)
	f := Finding{Area: "kafka", Check: "owner", Subject: group, Status: OK, Found: "no instance runs"}
	switch {
	case errors.Is(err, kerr.GroupAuthorizationFailed):
		return // checkAccess says so
	case errors.Is(err, kerr.CoordinatorNotAvailable): // nobody has used a group in this cluster yet
	case err != nil:
		f.Status, f.Found = Note, "not known: "+plainly(err)
	case n > 0:
		k.running = true
		f.Status, f.Found = Note, fmt.Sprintf("instances that run or stand by: %d; another one would stand by", n)
	}
	k.add(f)
}

// troubles adds what keeps a run from a topic, one finding for each error.
func (k *checker) troubles(area, check, subject string, err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range joined.Unwrap() {
			k.troubles(area, check, subject, one)
		}
		return
	}
	f := Finding{Area: area, Check: check, Subject: subject, Status: Fail, Code: connector.ExitCode(err), Found: plainly(err)}
	var refusal *offsets.Refusal
	var schema *cdc.RefusedError
	switch {
	case errors.As(err, &schema):
		f.Area, f.Check, f.Subject = "registry", "schema", schema.Subject
		f.Found = "the registry does not accept the next schema: " + schema.Reason
		f.Todo = []string{"look at what else was registered there; if the subject is the connector's alone, set its compatibility to BACKWARD or FULL, or use another KAFKA_TOPIC_PREFIX"}
	case errors.As(err, &refusal):
		f.Found, f.Todo = refusal.What, []string{refusal.Cure}
	case denied(err): // checkAccess says so, with the commands
		k.denied = append(k.denied, cmp.Or(subject, check))
		return
	case errors.Is(err, kerr.InvalidReplicationFactor):
		f.Todo = []string{"set KAFKA_REPLICATION to at most the number of brokers, or leave it out"}
	case errors.Is(err, kerr.PolicyViolation):
		f.Todo = []string{"the cluster's create.topic.policy refuses it: create the topic yourself, with cleanup.policy=compact, or have the policy changed"}
	default:
		f.Todo = []string{"look at the brokers, and run the check again"}
	}
	k.add(f)
}

func denied(err error) bool {
	return errors.Is(err, kerr.TopicAuthorizationFailed) || errors.Is(err, kerr.ClusterAuthorizationFailed) ||
		errors.Is(err, kerr.TransactionalIDAuthorizationFailed) || errors.Is(err, kerr.GroupAuthorizationFailed)
}

// checkTopics looks at the topic of each object type and pair as a run does,
// with the schema that it would have.
func (k *checker) checkTopics(ctx context.Context) {
	if k.probe == nil {
		return
	}
	limited(ctx, func(ctx context.Context) {
		for i := range k.portal.found {
			f := &k.portal.found[i]
			set, err := k.set(f)
			if err != nil {
				k.troubles("topics", "state", f.Type.Name, err)
				continue
			}
			look, err := k.probe.Topic(ctx, f.Type.Name, set)
			k.topic(look, err)
		}
		if look, err := k.probe.SignalsTopic(ctx); err != nil {
			k.troubles("topics", "topic", look.Name, err)
		} else {
			k.signals = append(k.signals, look)
			k.sayTopic(look)
		}
		if k.loaded == nil {
			return
		}
		// The topics of pairs and lists are made at the first link or entry.
		prefix := k.setup.Config.Kafka.TopicPrefix
		for _, e := range k.portal.ends {
			pair := cdc.Pair{From: e.From.Name, To: e.To.Name}
			if _, there := k.loaded.Topics[offsets.PairTopic(prefix, pair)]; there {
				look, err := k.probe.PairTopic(ctx, pair)
				k.topic(look, err)
			}
		}
		for _, list := range stream.Lists() {
			if _, there := k.loaded.Topics[offsets.ReferenceTopic(prefix, list)]; there {
				look, err := k.probe.ListTopic(ctx, list)
				k.topic(look, err)
			}
		}
	})
	var missing []string
	for _, look := range k.looks() {
		if !look.There {
			missing = append(missing, look.Name)
		}
	}
	if len(missing) > 0 {
		partitions, replication := "the brokers' default of partitions", "and of replicas"
		if n := k.setup.Config.Kafka.Partitions; n > 0 {
			partitions = fmt.Sprintf("%d partitions", n)
		}
		if n := k.setup.Config.Kafka.Replication; n > 0 {
			replication = fmt.Sprintf("and %d replicas", n)
		}
		k.add(Finding{Area: "topics", Check: "to_be_created", Status: OK,
			Found: fmt.Sprintf("%s (data topics: %s %s)", strings.Join(missing, ", "), partitions, replication)})
	}
}

// looks are all topics that a run needs from its start.
func (k *checker) looks() []*sink.TopicFinding { return slices.Concat(k.internal, k.topics, k.signals) }

// set is the property set that a run would have of a type.
func (k *checker) set(f *stream.Found) (*schema.Set, error) {
	var before *schema.Set
	if k.loaded != nil && k.loaded.Sets[f.Type.Name] != nil {
		before = &schema.Set{}
		if err := json.Unmarshal(k.loaded.Sets[f.Type.Name], before); err != nil {
			return nil, err
		}
	}
	set, _ := schema.Evolve(before, f.Type.Name, f.Properties, k.setup.Selection)
	set.TypeID = f.Type.TypeID
	return set, nil
}

func (k *checker) slots(f *stream.Found) (*hubspot.Slots, error) {
	set, err := k.set(f)
	if err != nil {
		return nil, err
	}
	return set.Slots(k.setup.Selection), nil
}

func (k *checker) topic(look *sink.TopicFinding, err error) {
	if err != nil {
		k.troubles("topics", "topic", look.Name, err)
		return
	}
	k.topics = append(k.topics, look)
	k.sayTopic(look)
}

// sayTopic describes a topic that is there.
func (k *checker) sayTopic(look *sink.TopicFinding) {
	if !look.There && len(look.Warnings) == 0 {
		return
	}
	f := Finding{Area: "topics", Check: "topic", Subject: look.Name, Status: OK, Found: "not there"}
	if look.There {
		f.Found = fmt.Sprintf("partitions %d, cleanup.policy %s, max.message.bytes %s, delete.retention.ms %s, min.compaction.lag.ms %s", look.Partitions,
			look.Configs["cleanup.policy"], look.Configs["max.message.bytes"], look.Configs["delete.retention.ms"], look.Configs["min.compaction.lag.ms"])
		if k.loaded != nil && k.loaded.Topics[look.Name].KeyFormat != "" {
			f.Found += ", keys " + k.loaded.Topics[look.Name].KeyFormat
		}
	}
	for _, warning := range look.Warnings {
		f.Status = Warn
		f.Todo = append(f.Todo, warning.String())
	}
	k.add(f)
}

// checkAccess says what this user may not do, and gives the commands that an
// administrator runs.
func (k *checker) checkAccess(ctx context.Context) {
	if k.probe == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, reachPatience)
	defer cancel()
	prefix := k.setup.Config.Kafka.TopicPrefix
	var lacking []kmsg.ACLOperation
	need := func(looks []*sink.TopicFinding, ops ...kmsg.ACLOperation) {
		for _, look := range looks {
			for _, op := range ops {
				if look.Denied(op) && !slices.Contains(lacking, op) {
					lacking = append(lacking, op)
				}
			}
		}
	}
	need(k.internal, kmsg.ACLOperationRead, kmsg.ACLOperationWrite, kmsg.ACLOperationDescribe, kmsg.ACLOperationDescribeConfigs)
	need(k.signals, kmsg.ACLOperationRead, kmsg.ACLOperationDescribe, kmsg.ACLOperationDescribeConfigs)
	need(k.topics, kmsg.ACLOperationWrite, kmsg.ACLOperationDescribe, kmsg.ACLOperationDescribeConfigs)
	f := Finding{Area: "access", Check: "topics", Subject: prefix + ".*", Status: OK, Found: "may be created, described, read and written, as far as the brokers tell of those that are there"}
	if len(k.denied)+len(lacking) > 0 {
		var names []string
		for _, op := range lacking {
			names = append(names, op.String())
		}
		f.Status = Fail
		f.Found = "not allowed: " + strings.Join(names, ", ")
		if len(names) == 0 {
			f.Found = "not allowed to describe or to create " + strings.Join(k.denied, ", ")
		}
		f.Todo = []string{k.acl("--operation Create --operation Describe --operation DescribeConfigs --operation Read --operation Write --resource-pattern-type prefixed --topic " + prefix + ".")}
	}
	k.add(f)
	if k.account != nil {
		k.sayAccess(k.probe.Producer(ctx))
	}
	k.sayAccess(k.probe.Group(ctx, connector.OwnerGroup(prefix)))
}

// sayAccess is about the permissions on one resource.
func (k *checker) sayAccess(all []sink.Access) {
	f := Finding{Area: "access", Check: strings.ReplaceAll(all[0].Kind, "-", "_"), Subject: all[0].Name, Status: OK}
	var allowed, refused, flags []string
	for _, a := range all {
		flags = append(flags, "--operation "+word(a.Operation))
		switch {
		case a.Err == nil:
			allowed = append(allowed, a.Operation.String())
		case a.Denied():
			refused = append(refused, a.Operation.String())
		default:
			f.Status, f.Found = Note, "could not be asked: "+plainly(a.Err)
		}
	}
	switch {
	case len(refused) > 0:
		f.Status, f.Found = Fail, "not allowed: "+strings.Join(refused, ", ")
		f.Todo = []string{k.acl(strings.Join(flags, " ") + " --" + all[0].Kind + " " + all[0].Name)}
	case f.Found == "":
		f.Found = "allowed: " + strings.Join(allowed, ", ")
	}
	k.add(f)
}

// word is an operation as kafka-acls spells it.
func word(op kmsg.ACLOperation) string {
	var b strings.Builder
	for part := range strings.SplitSeq(op.String(), "_") {
		b.WriteString(part[:1] + strings.ToLower(part[1:]))
	}
	return b.String()
}

// acl is a command that allows this user something.
func (k *checker) acl(rest string) string {
	user := k.setup.Config.Kafka.SASLUsername
	switch {
	case user != "":
	case k.setup.Config.Kafka.CertFile != "":
		user = "<the subject of the client certificate>"
	default:
		user = "ANONYMOUS"
	}
	return fmt.Sprintf("kafka-acls --bootstrap-server %s --add --allow-principal 'User:%s' %s", k.setup.Config.Kafka.Brokers[0], user, rest)
}
