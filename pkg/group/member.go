package group

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// SessionTimeout is how long the death of a member goes unnoticed. Brokers
	// accept no shorter one by default (group.min.session.timeout.ms). Only the
	// classic protocol lets the client choose; with KIP-848's the brokers' 45
	// seconds count.
	SessionTimeout = 6 * time.Second
	// Heartbeat is the time between two heartbeats. A member learns from one that it
	// is its turn: at most 7.5 s after the last holder died.
	Heartbeat = 1500 * time.Millisecond
	// patience is how long a request to the coordinator is tried. It is longer than a
	// session: a cluster takes some ten seconds to replace a coordinator whose broker
	// has died, and the next one gives all members a new session. A member that gave up
	// before would end what it does, and so would all others.
	patience = 30 * time.Second
	// metadataAge is the longest time until the member that shares the partitions out
	// knows that the topic has more. Portals of the new ones run nowhere until then.
	metadataAge = 10 * time.Second
	// Leaving spares the next holder the wait for the session to expire, but the
	// process has to end within ten seconds.
	leaveWithin = time.Second
)

// Config says which group.
type Config struct {
	Opts  []kgo.Opt // how the client reaches the brokers
	Group string
	Topic string // it has to exist
	Tools string // what every command of Kafka's own needs, such as --bootstrap-server …
	// Address is where other members reach this one over HTTP; "": nowhere.
	Address string
}

// Member is an instance's membership. The client joins by itself, and rejoins after
// failures.
type Member struct {
	cfg     Config
	where   string // processes
	cl      *kgo.Client
	end     context.CancelFunc // ends what the client does
	watched chan struct{}      // closed when watch has returned
	changed chan struct{}      // one slot: Now has something new to tell

	mu    sync.Mutex
	in    bool
	holds map[int32]*hold
	err   error // why it is not in the group
}

// Why a hold ends, as the log says.
var (
	errGiven   = errors.New("the group has given it to another instance")
	errLeftOut = errors.New("this instance is no longer in the group")
)

// hold is the time in which a member holds a partition.
type hold struct {
	term context.Context
	end  context.CancelCauseFunc
}

// Join joins the group. What a member holds, it holds until ctx ends at the latest.
func Join(ctx context.Context, cfg Config) (*Member, error) {
	m := &Member{
		cfg: cfg, where: processes(), watched: make(chan struct{}), changed: make(chan struct{}, 1), holds: map[int32]*hold{},
	}
	// Not ctx: the group is left after ctx has ended.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	m.end = end
	cl, err := kgo.NewClient(append(append([]kgo.Opt{}, cfg.Opts...),
		kgo.WithContext(life),
		kgo.ClientID(clientID(m.where, os.Getpid(), cfg.Address)),
		kgo.ConsumerGroup(cfg.Group),
		kgo.ConsumeTopics(cfg.Topic),
		// Cooperative and sticky: a new member takes only what others have too much of.
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.SessionTimeout(SessionTimeout),
		kgo.RebalanceTimeout(SessionTimeout),
		kgo.HeartbeatInterval(Heartbeat),
		kgo.RetryTimeout(patience),
		kgo.MetadataMaxAge(metadataAge),
		kgo.DisableAutoCommit(),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, added map[string][]int32) {
			m.gain(ctx, added[cfg.Topic])
		}),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, taken map[string][]int32) {
			if len(taken) > 0 {
				m.lose(taken[cfg.Topic])
			}
		}),
		kgo.OnPartitionsLost(func(context.Context, *kgo.Client, map[string][]int32) {
			m.leftOut()
		}),
	)...)
	if err != nil {
		end()
		return nil, fmt.Errorf("kafka client: %w", err)
	}
	m.cl = cl
	cl.PauseFetchTopics(cfg.Topic)
	go func() { // ends with the client, see Leave
		defer close(m.watched)
		m.watch(life)
	}()
	return m, nil
}

// watch learns why joining fails: the client reports it through fetches.
func (m *Member) watch(ctx context.Context) {
	for {
		fetches := m.cl.PollFetches(ctx)
		if ctx.Err() != nil || fetches.IsClientClosed() {
			return
		}
		fetches.EachError(func(_ string, _ int32, err error) {
			m.explain(err)
		})
	}
}

// explain notes why a member is not in the group. An error that comes late, or that
// does not cost the membership, does not concern the operator.
func (m *Member) explain(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.in {
		m.err = err
		m.tell()
	}
}

// gain notes that the group has this instance as a member, and what it gave it
// besides what it holds.
func (m *Member) gain(ctx context.Context, partitions []int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.in, m.err = true, nil
	for _, p := range partitions {
		if m.holds[p] == nil {
			term, end := context.WithCancelCause(ctx)
			m.holds[p] = &hold{term, end}
		}
	}
	m.tell()
}

func (m *Member) lose(partitions []int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range partitions {
		if h := m.holds[p]; h != nil {
			h.end(errGiven)
			delete(m.holds, p)
		}
	}
	m.tell()
}

// leftOut notes that the group does not have this instance any more.
func (m *Member) leftOut() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, h := range m.holds {
		h.end(errLeftOut)
	}
	clear(m.holds)
	m.in, m.err = false, nil
	m.tell()
}

func (m *Member) tell() {
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

// Changed has something to receive when Now has something new to tell.
func (m *Member) Changed() <-chan struct{} { return m.changed }

// State is what an instance is in the group.
type State struct {
	In    bool                      // it is a member
	Holds map[int32]context.Context // its partitions; a context ends when it loses the partition
	Err   error                     // why it is not in, if the client has told
}

// Now gives the state.
func (m *Member) Now() State {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := State{In: m.in, Holds: make(map[int32]context.Context, len(m.holds)), Err: m.err}
	for p, h := range m.holds {
		s.Holds[p] = h.term
	}
	return s
}

// Confirm asks the coordinator whether this instance is still a member. Somebody else
// may hold its partitions, and the client may not know yet.
func (m *Member) Confirm(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, SessionTimeout)
	defer cancel()
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group = m.cfg.Group
	req.MemberID, req.Generation = m.cl.GroupMetadata()
	resp, err := req.RequestWith(ctx, m.cl)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err == nil || errors.Is(err, kerr.RebalanceInProgress) { // somebody joins, and who holds a partition keeps it
		return nil
	}
	return fmt.Errorf("confirm with the coordinator of group %s: %w", m.cfg.Group, err)
}

// ID is the member's, "" before it has joined.
func (m *Member) ID() string {
	id, _ := m.cl.GroupMetadata()
	return id
}

// Others lists the members of the group, this one too.
func (m *Member) Others(ctx context.Context) ([]Other, error) {
	return Members(ctx, kadm.NewClient(m.cl), m.cfg.Group)
}

// Partitions is how many partitions the group's topic has.
func (m *Member) Partitions(ctx context.Context) (int32, error) {
	topics, err := kadm.NewClient(m.cl).ListTopics(ctx, m.cfg.Topic)
	if err == nil {
		err = topics.Error()
	}
	if err != nil {
		return 0, fmt.Errorf("describe topic %s: %w", m.cfg.Topic, err)
	}
	return int32(len(topics[m.cfg.Topic].Partitions)), nil
}

// Bury removes from the group the members that died on this machine. If that fails,
// their sessions expire.
func (m *Member) Bury(ctx context.Context, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	members, err := Members(ctx, kadm.NewClient(m.cl), m.cfg.Group)
	if err != nil {
		log.Debug("the members of the group are not known", "err", err)
		return
	}
	var dead []string
	for _, one := range members {
		if one.Died {
			dead = append(dead, one.ID)
		}
	}
	if len(dead) > 0 {
		log.Info("removing instances that died on this machine from the group", "instances", len(dead))
		m.remove(ctx, dead...)
	}
}

// Leave leaves the group at once, if the brokers answer.
func (m *Member) Leave() {
	m.leftOut()
	ctx, cancel := context.WithTimeout(context.Background(), leaveWithin)
	defer cancel()
	_ = m.cl.LeaveGroupContext(nil) //nolint:staticcheck // nil means: do not wait, and join no more
	// The client leaves only once a pending join has been answered, which takes as
	// long as the coordinator waits for a member that died. The coordinator answers
	// at once when it hears that this member is gone.
	if member, _ := m.cl.GroupMetadata(); member != "" {
		m.remove(ctx, member)
	}
	m.end()
	m.cl.Close()
	<-m.watched
}

// remove tells the coordinator that members are gone. If it does not hear, their
// sessions expire.
func (m *Member) remove(ctx context.Context, members ...string) {
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group = m.cfg.Group
	for _, id := range members {
		one := kmsg.NewLeaveGroupRequestMember()
		one.MemberID = id
		req.Members = append(req.Members, one)
	}
	_, _ = req.RequestWith(ctx, m.cl)
}

// Cure says what to do about an error from the coordinator or the brokers, "" if
// nobody knows.
func (m *Member) Cure(err error) string {
	acls := strings.TrimSpace("kafka-acls " + m.cfg.Tools)
	switch {
	case errors.Is(err, kerr.GroupAuthorizationFailed):
		return "allow this user READ on the group: " + acls + " --add --allow-principal User:… --operation Read --group " + m.cfg.Group
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		return "allow this user READ on the topic: " + acls + " --add --allow-principal User:… --operation Read --topic " + m.cfg.Topic
	case errors.Is(err, kerr.InvalidSessionTimeout):
		return fmt.Sprintf("the brokers' group.min.session.timeout.ms must not be above %d", SessionTimeout.Milliseconds())
	case errors.Is(err, kerr.InconsistentGroupProtocol):
		return "the group has members of another kind: end them, or use another KAFKA_TOPIC_PREFIX"
	}
	return ""
}

// Other is a member of a group, as everybody sees it.
type Other struct {
	ID         string
	Host       string // as the coordinator sees it
	Address    string // Config.Address
	Died       bool   // it was a process of this machine, which has ended
	Partitions map[string][]int32
}

// Members lists the members of a group; none if there is no such group.
func Members(ctx context.Context, adm *kadm.Client, group string) ([]Other, error) {
	groups, err := adm.DescribeGroups(ctx, group)
	if err == nil {
		err = groups[group].Err
	}
	if errors.Is(err, kerr.GroupIDNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the members of group %s: %w", group, err)
	}
	where := processes()
	var out []Other
	for _, member := range groups[group].Members {
		process, address, _ := strings.Cut(member.ClientID, "@")
		one := Other{ID: member.MemberID, Host: member.ClientHost, Address: address, Died: died(where, process), Partitions: map[string][]int32{}}
		if assigned, ok := member.Assigned.AsConsumer(); ok {
			for _, t := range assigned.Topics {
				one.Partitions[t.Topic] = t.Partitions
			}
		}
		out = append(out, one)
	}
	return out, nil
}
