package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/sink"
)

// checkState examines the connector's own topics, reads what earlier runs have
// committed, and reports whether an instance runs.
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
		return // checkBrokers has reported it
	}
	k.probe = probe
	k.limited(ctx, 0, func(ctx context.Context) {
		ok := true
		for _, name := range []string{offsets.CursorTopic(k.setup.Config.Kafka.TopicPrefix), offsets.StateTopic(k.setup.Config.Kafka.TopicPrefix)} {
			t, err := probe.Internal(ctx, name)
			if err != nil {
				ok = false
				k.troubles("topics", "topic", name, err)
				continue
			}
			k.internal = append(k.internal, t)
			k.sayTopic(t)
		}
		k.checkOwner(ctx)
		if k.account == nil {
			k.add(Finding{Area: "topics", Check: "state", Status: Note, Found: "not read: HubSpot did not say which portal it must belong to"})
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

// checkOwner reports whether an instance runs.
func (k *checker) checkOwner(ctx context.Context) {
	group := connector.OwnerGroup(k.setup.Config.Kafka.TopicPrefix)
	n, err := k.probe.Owners(ctx, group)
	f := Finding{Area: "kafka", Check: "owner", Subject: group, Status: OK, Found: "no instance runs"}
	switch {
	case errors.Is(err, kerr.GroupAuthorizationFailed):
		k.running = true // perhaps
		return           // checkAccess reports it
	case errors.Is(err, kerr.CoordinatorNotAvailable): // nobody has used a group in this cluster yet
	case err != nil:
		k.running = true // perhaps
		f.Status, f.Found = Note, "not known: "+connector.Plainly(err)
	case n > 0:
		k.running = true
		f.Status, f.Found = Note, fmt.Sprintf("instances that run or stand by: %d; another one would stand by", n)
	}
	k.add(f)
}

// troubles adds what keeps a run from a topic, one finding per error.
func (k *checker) troubles(area, check, subject string, err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range joined.Unwrap() {
			k.troubles(area, check, subject, one)
		}
		return
	}
	f := Finding{Area: area, Check: check, Subject: subject, Status: Fail, Code: connector.ExitCode(err), Found: connector.Plainly(err)}
	var refusal *offsets.Refusal
	var schema *cdc.RefusedError
	var missing *sink.MissingTopicError
	if errors.As(err, &missing) {
		f.Found, f.Todo = connector.Plainly(missing.Err), []string{missing.Command}
	}
	switch {
	case errors.As(err, &schema):
		f.Area, f.Check, f.Subject = "registry", "schema", schema.Subject
		f.Found = "the registry does not accept the next schema: " + schema.Reason
		f.Todo = []string{"see what else was registered there; if the subject is the connector's alone, set its compatibility to BACKWARD or FULL, or use another KAFKA_TOPIC_PREFIX"}
	case errors.As(err, &refusal):
		f.Found, f.Todo = refusal.What, []string{refusal.Cure}
	case denied(err): // checkAccess reports it, with the commands
		k.denied = append(k.denied, cmp.Or(subject, check))
		k.commands = append(k.commands, f.Todo...)
		return
	case missing != nil:
	case errors.Is(err, kerr.InvalidReplicationFactor):
		f.Todo = []string{sink.ReplicationCure}
	default:
		f.Todo = []string{"look at the brokers' logs, and run the check again"}
	}
	k.add(f)
}

func denied(err error) bool {
	return errors.Is(err, kerr.TopicAuthorizationFailed) || errors.Is(err, kerr.ClusterAuthorizationFailed) ||
		errors.Is(err, kerr.TransactionalIDAuthorizationFailed) || errors.Is(err, kerr.GroupAuthorizationFailed)
}
