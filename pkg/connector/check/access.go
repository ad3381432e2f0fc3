package check

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/sink"
)

// checkAccess reports what this user may not do, with the commands for an
// administrator to run.
func (k *checker) checkAccess(ctx context.Context) {
	if k.probe == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, reachPatience)
	defer cancel()
	prefix := k.setup.Config.Kafka.TopicPrefix
	var lacking []kmsg.ACLOperation
	need := func(topics []*sink.TopicFinding, ops ...kmsg.ACLOperation) {
		for _, t := range topics {
			for _, op := range ops {
				if t.Denied(op) && !slices.Contains(lacking, op) {
					lacking = append(lacking, op)
				}
			}
		}
	}
	need(k.internal, kmsg.ACLOperationRead, kmsg.ACLOperationWrite, kmsg.ACLOperationDescribe)
	need(k.signals, kmsg.ACLOperationRead, kmsg.ACLOperationDescribe)
	need(k.topics, kmsg.ACLOperationWrite, kmsg.ACLOperationDescribe)
	f := Finding{Area: "access", Check: "topics", Subject: prefix + ".*", Status: OK, Found: "may be created, described, read and written, as far as the brokers tell for those that exist"}
	command := k.acl("--operation Create --operation Describe --operation DescribeConfigs --operation Read --operation Write --resource-pattern-type prefixed --topic " + prefix + ".")
	switch {
	case len(k.denied)+len(lacking) > 0:
		var names []string
		for _, op := range lacking {
			names = append(names, op.String())
		}
		f.Status = Fail
		f.Found = "not allowed: " + strings.Join(names, ", ")
		if len(names) == 0 {
			f.Found = "not allowed to describe or to create " + strings.Join(k.denied, ", ")
		}
		f.Todo = []string{command}
		if len(k.commands) > 0 {
			f.Todo = append(f.Todo, "or have the topics created by somebody who may:")
			f.Todo = append(f.Todo, k.commands...)
		}
	case slices.ContainsFunc(k.notifications, func(t *sink.TopicFinding) bool {
		return t.Denied(kmsg.ACLOperationRead) || t.Denied(kmsg.ACLOperationWrite)
	}):
		f.Status, f.Found, f.Todo = Warn, "not allowed to read and write "+k.notifications[0].Name+"; a run does without notifications", []string{command}
	case slices.ContainsFunc(k.needed(), func(t *sink.TopicFinding) bool { return t.Denied(kmsg.ACLOperationDescribeConfigs) }):
		f.Status, f.Found, f.Todo = Warn, "not allowed: DESCRIBE_CONFIGS; a run does without", []string{command}
	}
	k.add(f)
	if k.account != nil {
		k.sayAccess(k.probe.Producer(ctx))
	}
	k.sayAccess(k.probe.Group(ctx, connector.OwnerGroup(prefix)))
}

// sayAccess reports the permissions on one resource.
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
			f.Status, f.Found = Note, "could not be checked: "+connector.Plainly(a.Err)
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

// acl is a command that gives this user a permission.
func (k *checker) acl(rest string) string {
	user := k.setup.Config.Kafka.SASLUsername
	switch mechanism := k.setup.Config.Kafka.Mechanism(); {
	case mechanism == connector.SASLAWS:
		return "MSK decides by IAM: let the policy of this identity allow what kafka-acls would give with: " + rest
	case mechanism == connector.SASLOAuth:
		user = "<the principal of the token, by default its claim sub>"
	case user != "":
	case k.setup.Config.Kafka.CertFile != "":
		user = "<the subject of the client certificate>"
	default:
		user = "ANONYMOUS"
	}
	return fmt.Sprintf("%s --add --allow-principal 'User:%s' %s", k.setup.Config.Kafka.Tool("kafka-acls"), user, rest)
}
