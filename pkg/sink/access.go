package sink

import (
	"context"
	"errors"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Access is a permission that a run needs.
type Access struct {
	Kind      string // topic, transactional-id, group: as kafka-acls calls them
	Name      string
	Operation kmsg.ACLOperation
	Err       error // why it is missing or could not be tested; nil: granted
}

// Denied reports whether the brokers refuse it.
func (a Access) Denied() bool {
	return errors.Is(a.Err, kerr.TransactionalIDAuthorizationFailed) || errors.Is(a.Err, kerr.GroupAuthorizationFailed) ||
		errors.Is(a.Err, kerr.TopicAuthorizationFailed) || errors.Is(a.Err, kerr.ClusterAuthorizationFailed)
}

// Producer tests the permissions on the transactional id. Whether Write is
// allowed shows in how the brokers refuse the impossible: the end of a
// transaction of a producer that does not exist.
func (p *Probe) Producer(ctx context.Context) []Access {
	id := TransactionalID(p.setup.cfg.Prefix, p.setup.cfg.Portal)
	describe := Access{"transactional-id", id, kmsg.ACLOperationDescribe, p.coordinator(ctx, id, 1)}
	write := Access{"transactional-id", id, kmsg.ACLOperationWrite, describe.Err}
	if describe.Err == nil {
		req := kmsg.NewPtrEndTxnRequest()
		req.TransactionalID, req.ProducerID, req.Commit = id, nobody, false
		resp, err := req.RequestWith(ctx, p.setup.cl)
		if err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		write.Err = unless(err, kerr.InvalidProducerIDMapping, kerr.InvalidProducerEpoch, kerr.ProducerFenced, kerr.InvalidTxnState)
	}
	return []Access{describe, write}
}

// nobody is a producer id that no cluster assigns.
const nobody = 1<<63 - 1

// Group tests the permissions on the group of the instances. Whether Read is
// allowed shows as in Producer: the brokers refuse the heartbeat of a member that
// does not exist.
func (p *Probe) Group(ctx context.Context, group string) []Access {
	describe := Access{"group", group, kmsg.ACLOperationDescribe, p.coordinator(ctx, group, 0)}
	read := Access{"group", group, kmsg.ACLOperationRead, describe.Err}
	if describe.Err == nil {
		req := kmsg.NewPtrHeartbeatRequest()
		req.Group, req.Generation, req.MemberID = group, -1, "connector-check"
		resp, err := req.RequestWith(ctx, p.setup.cl)
		if err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		read.Err = unless(err, kerr.UnknownMemberID, kerr.GroupIDNotFound, kerr.IllegalGeneration, kerr.RebalanceInProgress)
	}
	return []Access{describe, read}
}

func (p *Probe) coordinator(ctx context.Context, key string, kind int8) error {
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.CoordinatorKey, req.CoordinatorType, req.CoordinatorKeys = key, kind, []string{key}
	resp, err := req.RequestWith(ctx, p.setup.cl)
	if err != nil {
		return err
	}
	code, message := resp.ErrorCode, resp.ErrorMessage
	for _, c := range resp.Coordinators {
		code, message = c.ErrorCode, c.ErrorMessage
	}
	// On a cluster where nobody has used a coordinator of this kind yet, the
	// brokers are still creating its topic.
	return unless(worded(kerr.ErrorForCode(code), deref(message)), kerr.CoordinatorNotAvailable)
}

// unless drops the errors that mean that nothing is wrong.
func unless(err error, fine ...*kerr.Error) error {
	if slices.ContainsFunc(fine, func(f *kerr.Error) bool { return errors.Is(err, f) }) {
		return nil
	}
	return err
}
