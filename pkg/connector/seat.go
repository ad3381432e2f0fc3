package connector

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/sink"
)

// Of the instances with one prefix, one is the owner and runs; the others stand
// by (docs/contract.md section 4). A consumer group decides who it is: the member
// that has the cursor topic's only partition runs. The group holds no offsets.
//
// The transactional id keeps two instances from publishing: a new owner fences
// the old one. By the id alone two instances would fence each other without end;
// the group prevents that (docs/kafka.md C4).
const (
	// An owner that died is missed after it. Brokers take no shorter one
	// (group.min.session.timeout.ms). It is the classic protocol that lets the
	// client choose; in KIP-848's the brokers' 45 seconds count.
	SessionTimeout = 6 * time.Second
	// A standby learns of its turn with a heartbeat: the next owner begins at
	// most 7.5 s after the last one died.
	heartbeatInterval = 1500 * time.Millisecond
	// Leaving is worth it, as the next owner need not wait for the session to
	// expire, but the process has to end within ten seconds.
	leaveWithin = time.Second
)

// OwnerGroup is the consumer group of the instances with a prefix.
func OwnerGroup(prefix string) string { return prefix + ".owner" }

// role is what an instance is in the group.
type role int

const (
	outside role = iota // not, or not any more, a member
	standby
	owner
)

// seat is an instance's membership of the group. The client joins, and joins
// again after failures, by itself.
type seat struct {
	group, topic string
	where        string // processes
	cl           *kgo.Client
	end          context.CancelFunc // ends what the client does
	watched      chan struct{}      // closed when watch has returned
	changed      chan struct{}      // one slot: there is news for now

	mu      sync.Mutex
	role    role
	term    context.Context // of the owner; it ends with the ownership
	endTerm context.CancelFunc
	err     error // why it is outside
}

// takeSeat joins the group.
func takeSeat(ctx context.Context, cfg sink.Config) (*seat, error) {
	s := &seat{
		group: OwnerGroup(cfg.Prefix), topic: offsets.CursorTopic(cfg.Prefix), where: processes(),
		watched: make(chan struct{}), changed: make(chan struct{}, 1), endTerm: func() {},
	}
	// Not ctx: leaving comes after its end.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	s.end = end
	cl, err := kgo.NewClient(append(append([]kgo.Opt{}, cfg.Opts...),
		kgo.WithContext(life),
		kgo.ClientID(memberClientID(s.where, os.Getpid())),
		kgo.ConsumerGroup(s.group),
		kgo.ConsumeTopics(s.topic),
		// Cooperative and sticky: one more member takes nothing from the owner.
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
	cl.PauseFetchTopics(s.topic) // the group is about who has the partition, not about what it holds
	go func() {                  // ends with the client, see leave
		defer close(s.watched)
		s.watch(life)
	}()
	return s, nil
}

// watch learns why joining fails, which the client tells by way of fetches.
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

// explain notes why a seat is outside. An error that comes late, or that does
// not cost the membership, is none of the operator's.
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

// sitDown notes that the group has this instance as a member, and that it got
// nothing new: an owner stays the owner.
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

// now gives the role, the owner's term, and why a seat is outside, if the
// client said so.
func (s *seat) now() (role, context.Context, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.role, s.term, s.err
}

// confirm asks the coordinator whether this instance is still the one that it
// gave the partition to. A run that failed may have failed because another
// instance is the owner by now, and the client may not know yet: to fence that
// one would begin a ping-pong.
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
	if err == nil || errors.Is(err, kerr.RebalanceInProgress) { // somebody joins, and the owner stays it
		return nil
	}
	return fmt.Errorf("%w: confirm with the coordinator of group %s: %w", errNotOwner, s.group, err)
}

// leave gives the seat to the others at once, if the brokers answer.
func (s *seat) leave() {
	s.lose(outside)
	ctx, cancel := context.WithTimeout(context.Background(), leaveWithin)
	defer cancel()
	_ = s.cl.LeaveGroupContext(nil) //nolint:staticcheck // nil means: do not wait, and join no more
	// The client leaves only after a join under way has been answered, which
	// takes as long as the coordinator waits for a member that died. It answers
	// at once when it is told that this one is gone.
	if member, _ := s.cl.GroupMetadata(); member != "" {
		s.remove(ctx, member)
	}
	s.end()
	s.cl.Close()
	<-s.watched
}

// remove tells the coordinator that members are gone. Unheard, their sessions
// expire.
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

// cure says what to do about an error that the coordinator or the brokers gave.
func (s *seat) cure(err error) string {
	switch {
	case errors.Is(err, kerr.GroupAuthorizationFailed):
		return "; allow this user READ on the group: kafka-acls --add --allow-principal User:… --operation Read --group " + s.group
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		return "; allow this user READ on the topic: kafka-acls --add --allow-principal User:… --operation Read --topic " + s.topic
	case errors.Is(err, kerr.InvalidSessionTimeout):
		return fmt.Sprintf("; the brokers' group.min.session.timeout.ms must not be above %d", SessionTimeout.Milliseconds())
	case errors.Is(err, kerr.InconsistentGroupProtocol):
		return "; the group has members of another kind: end them, or use another KAFKA_TOPIC_PREFIX"
	}
	return ""
}
