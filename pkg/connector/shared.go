package connector

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"reflect"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/sink"
)

// Shared is what the connectors of one process have in common: connections to HubSpot,
// clients of the registry, a few Kafka clients for what is not a transaction, and turns in
// loading what is published.
type Shared struct {
	log      *slog.Logger
	hubspot  http.RoundTripper
	starting turns
	loading  turns

	mu         sync.Mutex
	kafkas     []*sharedKafka
	registries []*sharedRegistry
}

const (
	// startingAtOnce is how many connectors of a process are on their way to streaming
	// at a time, for each of its processors. A start asks HubSpot, the brokers and the
	// registry some dozen times, which takes some seconds in which it mostly waits; a
	// thousand at once would keep each other waiting until requests fail. So its turn
	// lasts longer than a start on brokers that are busy with others: with turns of 15 s,
	// a fleet of 1,000 on a slow machine let in ever more, until instances fell out of
	// the group.
	startingAtOnce = 8
	startingTurn   = 2 * time.Minute
	// loadingAtOnce is how many load their state at a time. What a load needs for a
	// short time is a multiple of what the state takes.
	loadingAtOnce = 4
	loadingTurn   = time.Minute
)

// portals is how many connectors the process has.
func (s *Shared) portals() (n int) {
	if s == nil {
		return 1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.registries {
		n += one.users
	}
	return n
}

// turns lets some work at a time. A turn ends after a while, whether or not the work
// has: what a portal waits for may never answer.
type turns struct {
	slots chan struct{}
	most  time.Duration
}

func newTurns(atOnce int, most time.Duration) turns {
	return turns{make(chan struct{}, atOnce), most}
}

// take waits for a turn. The caller calls done, once or more, when it has worked.
func (t turns) take(ctx context.Context) (done func(), err error) {
	select {
	case t.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	free := sync.OnceFunc(func() { <-t.slots })
	late := time.AfterFunc(t.most, free)
	return func() { late.Stop(); free() }, nil
}

// NewShared makes connections when they are needed. Its clients log to log.
func NewShared(log *slog.Logger) *Shared {
	return &Shared{
		log: log, hubspot: onlyTrips{hubspot.NewTransport()},
		starting: newTurns(startingAtOnce*runtime.GOMAXPROCS(0), startingTurn), loading: newTurns(loadingAtOnce, loadingTurn),
	}
}

// onlyTrips hides a transport's other methods: a client that ends must not close the
// connections of the others.
type onlyTrips struct{ http.RoundTripper }

// sharedKafka is a client for a way to reach brokers.
type sharedKafka struct {
	of     Kafka
	beside *sink.Beside
	users  int
}

// sharedRegistry is the client for a way to reach a registry.
type sharedRegistry struct {
	of     Registry
	client *sr.Client
	users  int

	asking chan struct{} // one slot; who has put something in may use what follows
	asked  time.Time     // zero: never
	level  sr.CompatibilityLevel
	err    error
}

// connection is the part of the configuration that says how brokers are reached.
func (k *Kafka) connection() Kafka {
	c := *k
	c.TopicPrefix, c.KeyFormat, c.Partitions, c.Replication, c.MaxMessageBytes = "", "", 0, 0, 0
	return c
}

// A broker answers the requests of a connection one after the other, and a start has
// dozens of them. So a process has a Kafka client for each usersOfClient connectors, but
// no more than clientsAtMost: connections cost the brokers memory.
const (
	usersOfClient = 16
	clientsAtMost = 4
)

// besideFor gives the client for these brokers that has the fewest users, with the
// options of a program.
func (s *Shared) besideFor(k *Kafka, o Options) (*sharedKafka, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := k.connection()
	var free *sharedKafka
	clients := 0
	for _, one := range s.kafkas {
		if reflect.DeepEqual(one.of, of) {
			clients++
			if free == nil || one.users < free.users {
				free = one
			}
		}
	}
	if free != nil && (free.users < usersOfClient || clients == clientsAtMost) {
		free.users++
		return free, nil
	}
	opts, err := k.options(o.Tokens, append([]kgo.Opt{sink.ClientLog(s.log)}, o.Kafka...)...)
	if err != nil {
		return nil, err
	}
	beside, err := sink.NewBeside(opts)
	if err != nil {
		return nil, err
	}
	one := &sharedKafka{of: of, beside: beside, users: 1}
	s.kafkas = append(s.kafkas, one)
	return one, nil
}

// registryFor gives the client for this registry, which connect makes.
func (s *Shared) registryFor(r *Registry, connect func() (*sr.Client, error)) (*sharedRegistry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.registries {
		if reflect.DeepEqual(one.of, *r) {
			one.users++
			return one, nil
		}
	}
	client, err := connect()
	if err != nil {
		return nil, err
	}
	one := &sharedRegistry{of: *r, client: client, users: 1, asking: make(chan struct{}, 1)}
	s.registries = append(s.registries, one)
	return one, nil
}

// release gives back what a connector used; nil: it got none. The last one closes it.
func (s *Shared) release(k *sharedKafka, r *sharedRegistry) {
	if s.leave(k, r) {
		k.beside.Close() // it asks the brokers, and nobody else waits for that
	}
}

// leave is release without the closing. It reports whether nobody uses k any more.
func (s *Shared) leave(k *sharedKafka, r *sharedRegistry) (unused bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r != nil {
		if r.users--; r.users == 0 {
			s.registries = slices.DeleteFunc(s.registries, func(one *sharedRegistry) bool { return one == r })
		}
	}
	if k == nil {
		return false
	}
	if k.users--; k.users > 0 {
		return false
	}
	s.kafkas = slices.DeleteFunc(s.kafkas, func(one *sharedKafka) bool { return one == k })
	return true
}

// levelOf is what the registry answers to ask. Connectors that want to know within
// half of lookInterval get the same answer.
func (r *sharedRegistry) levelOf(ctx context.Context, ask func() (sr.CompatibilityLevel, error)) (sr.CompatibilityLevel, error) {
	select {
	case r.asking <- struct{}{}:
		defer func() { <-r.asking }()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if r.asked.IsZero() || time.Since(r.asked) >= lookInterval/2 || errors.Is(r.err, context.Canceled) {
		r.level, r.err = ask()
		r.asked = time.Now()
	}
	return r.level, r.err
}

// start waits for a turn to start, and for memory. The caller calls done when it
// streams, or does not.
func (c *Connector) start(ctx context.Context) (done func(), err error) {
	if c.setup.shared == nil {
		return func() {}, nil
	}
	c.health.begin("waits until fewer start at the same time", "wait: of the portals of an instance, some start at a time")
	return c.turn(ctx, c.setup.shared.starting)
}

func (c *Connector) beginsLoading() {
	c.health.begin("reads the state from Kafka", "wait: the state of ten million records takes some seconds")
}

const (
	waitsForTransaction = "waits for a transaction that is open in Kafka: "
	endTransaction      = "wait a minute or two; if it stays, end that transaction as the runbook says, in all partitions that it is open in"
)

// heldByTransaction says what a read of the state waits for. An open transaction of a
// producer that lives ends by itself.
func (c *Connector) heldByTransaction(waits string) {
	c.health.held(areaKafka, waitsForTransaction+waits, endTransaction, runbookHanging)
}

// load waits for a turn to read what is published, and for memory. The caller calls
// done when it has read. While it waits for answers about topics and schemas, it needs
// no turn.
func (c *Connector) load(ctx context.Context) (done func(), err error) {
	if c.setup.shared == nil {
		return func() {}, nil
	}
	defer c.beginsLoading()
	c.health.begin("waits until less is loaded at the same time", "wait: of the portals of an instance, a few load their state at a time")
	return c.turn(ctx, c.setup.shared.loading)
}

// turn waits for one of turns in which the process has memory.
func (c *Connector) turn(ctx context.Context, of turns) (done func(), err error) {
	for said := false; ; said = true {
		done, err := of.take(ctx)
		if err != nil || !overMemoryLimit() {
			return done, err
		}
		done()
		if !said {
			c.health.held(areaConnector, "does not go on: this instance uses more memory than GOMEMLIMIT allows", "start another instance, which takes a part of the portals, or give this one more memory", runbookMemory)
			c.setup.Log.Warn("the portal is not started: this instance uses more memory than GOMEMLIMIT allows", "cure", "start another instance, or give this one more memory")
		}
		select {
		case <-time.After(lookInterval):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// overMemoryLimit reports whether what the garbage collector has to keep is more than
// the limit. Garbage does not count: it goes when the memory is needed.
func overMemoryLimit() bool {
	samples := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/released:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}, {Name: "/gc/heap/live:bytes"},
	}
	metrics.Read(samples)
	n := func(i int) int64 { return int64(samples[i].Value.Uint64()) }
	return n(0)-n(1)-n(2)-n(3)-n(4)+n(5) > debug.SetMemoryLimit(-1)
}
