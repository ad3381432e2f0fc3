package connector

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/sink"
)

// Of the instances with one prefix, one is the owner and runs; the others stand
// by (docs/contract.md section 4). A consumer group chooses the owner: the member
// that holds the cursor topic's only partition. The group commits no offsets.
//
// The transactional id keeps two instances from publishing: a new owner fences
// the old one. With the id alone, two instances would fence each other forever;
// the group prevents that (docs/kafka.md C4).
const (
	// SessionTimeout is how long the death of an owner goes unnoticed. Brokers
	// accept no shorter one by default (group.min.session.timeout.ms). Only the
	// classic protocol lets the client choose; with KIP-848's the brokers' 45
	// seconds count.
	SessionTimeout = 6 * time.Second
	// A standby learns of its turn from a heartbeat: the next owner begins at most
	// 7.5 s after the last one died.
	heartbeatInterval = 1500 * time.Millisecond
	// Leaving spares the next owner the wait for the session to expire, but the
	// process has to end within ten seconds.
	leaveWithin = time.Second
)

// OwnerGroup is the consumer group of the instances with a prefix.
func OwnerGroup(prefix string) string { return prefix + ".owner" }

// role is what an instance is in the group.
type role int

const (
	outside role = iota // not a member, or no longer one
	standby
	owner
)

// seat is an instance's membership of the group. The client joins by itself, and
// rejoins after failures.
type seat struct {
	group, topic string
	where        string // processes
	acls         string // the beginning of a command that gives permissions
	cl           *kgo.Client
	end          context.CancelFunc // ends what the client does
	watched      chan struct{}      // closed when watch has returned
	changed      chan struct{}      // one slot: now has something new to tell

	mu      sync.Mutex
	role    role
	term    context.Context // of the owner; it ends with the ownership
	endTerm context.CancelFunc
	err     error // why it is outside
}

// takeSeat joins the group.
func takeSeat(ctx context.Context, cfg sink.Config) (*seat, error) {
	s := &seat{
		group: OwnerGroup(cfg.Prefix), topic: offsets.CursorTopic(cfg.Prefix), where: processes(), acls: strings.TrimSpace("kafka-acls " + cfg.Tools),
		watched: make(chan struct{}), changed: make(chan struct{}, 1), endTerm: func() {},
	}
	// Not ctx: the seat is left after ctx has ended.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	s.end = end
	cl, err := kgo.NewClient(append(append([]kgo.Opt{}, cfg.Opts...),
		kgo.WithContext(life),
		kgo.ClientID(memberClientID(s.where, os.Getpid())),
		kgo.ConsumerGroup(s.group),
		kgo.ConsumeTopics(s.topic),
		// Cooperative and sticky: a new member takes nothing from the owner.
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.SessionTimeout(SessionTimeout),
		kgo.RebalanceTimeout(SessionTimeout),
		kgo.HeartbeatInterval(heartbeatInterval),
		kgo.DisableAutoCommit(),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, added map[string][]int32) {
			if len(added) > 0 {
				s.gain(ctx)
			} else {
				s.sitDown()
			}
		}),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, taken map[string][]int32) {
			if len(taken) > 0 {
				s.lose(standby)
			}
		}),
		kgo.OnPartitionsLost(func(context.Context, *kgo.Client, map[string][]int32) {
			s.lose(outside)
		}),
	)...)
	if err != nil {
		end()
		return nil, fmt.Errorf("kafka client: %w", err)
	}
	s.cl = cl
	cl.PauseFetchTopics(s.topic) // who has the partition matters, not what it holds
	go func() {                  // ends with the client, see leave
		defer close(s.watched)
		s.watch(life)
	}()
	return s, nil
}

// watch learns why joining fails: the client reports it through fetches.
func (s *seat) watch(ctx context.Context) {
	for {
		fetches := s.cl.PollFetches(ctx)
		if ctx.Err() != nil || fetches.IsClientClosed() {
			return
		}
		fetches.EachError(func(_ string, _ int32, err error) {
			s.explain(err)
		})
	}
}

// explain notes why a seat is outside. An error that comes late, or that does not
// cost the membership, does not concern the operator.
func (s *seat) explain(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.role == outside {
		s.err = err
		s.tell()
	}
}

// gain makes this instance the owner.
func (s *seat) gain(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.role != owner {
		s.role, s.err = owner, nil
		s.term, s.endTerm = context.WithCancel(ctx)
		s.tell()
	}
}

// sitDown notes that the group has this instance as a member and gave it nothing
// new: an owner stays the owner.
func (s *seat) sitDown() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.role == outside {
		s.role, s.err = standby, nil
		s.tell()
	}
}

// lose ends the ownership, if there was one.
func (s *seat) lose(now role) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.role == owner {
		s.endTerm()
	}
	s.role, s.err = now, nil
	s.tell()
}

func (s *seat) tell() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// now gives the role, the owner's term and, if the client has told, why the seat
// is outside.
func (s *seat) now() (role, context.Context, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.role, s.term, s.err
}

// confirm asks the coordinator whether this instance still holds the partition. A
// run may have failed because another instance has become the owner, and the
// client may not know yet. Fencing that instance would begin a ping-pong.
func (s *seat) confirm(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, SessionTimeout)
	defer cancel()
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group = s.group
	req.MemberID, req.Generation = s.cl.GroupMetadata()
	resp, err := req.RequestWith(ctx, s.cl)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err == nil || errors.Is(err, kerr.RebalanceInProgress) { // somebody joins, and the owner stays the owner
		return nil
	}
	return fmt.Errorf("%w: confirm with the coordinator of group %s: %w", errNotOwner, s.group, err)
}

// leave gives up the seat at once, if the brokers answer.
func (s *seat) leave() {
	s.lose(outside)
	ctx, cancel := context.WithTimeout(context.Background(), leaveWithin)
	defer cancel()
	_ = s.cl.LeaveGroupContext(nil) //nolint:staticcheck // nil means: do not wait, and join no more
	// The client leaves only once a pending join has been answered, which takes as
	// long as the coordinator waits for a member that died. The coordinator answers
	// at once when it hears that this member is gone.
	if member, _ := s.cl.GroupMetadata(); member != "" {
		s.remove(ctx, member)
	}
	s.end()
	s.cl.Close()
	<-s.watched
}

// remove tells the coordinator that members are gone. If it does not hear, their
// sessions expire.
func (s *seat) remove(ctx context.Context, members ...string) {
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group = s.group
	for _, id := range members {
		m := kmsg.NewLeaveGroupRequestMember()
		m.MemberID = id
		req.Members = append(req.Members, m)
	}
	_, _ = req.RequestWith(ctx, s.cl)
}

// cure says what to do about an error from the coordinator or the brokers.
func (s *seat) cure(err error) string {
	switch {
	case errors.Is(err, kerr.GroupAuthorizationFailed):
		return "allow this user READ on the group: " + s.acls + " --add --allow-principal User:… --operation Read --group " + s.group
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		return "allow this user READ on the topic: " + s.acls + " --add --allow-principal User:… --operation Read --topic " + s.topic
	case errors.Is(err, kerr.InvalidSessionTimeout):
		return fmt.Sprintf("the brokers' group.min.session.timeout.ms must not be above %d", SessionTimeout.Milliseconds())
	case errors.Is(err, kerr.InconsistentGroupProtocol):
		return "the group has members of another kind: end them, or use another KAFKA_TOPIC_PREFIX"
	}
	return ""
}
