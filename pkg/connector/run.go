package connector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/sink"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// run is what everything in one run shares, from the moment the predecessor is
// fenced until something fails or the ownership ends.
type run struct {
	setup   *Setup
	log     *slog.Logger
	portal  int64
	out     *sink.Sink
	loaded  *offsets.Loaded // what earlier runs have committed
	status  *stream.Status
	counts  *stream.Metrics
	pace    *stream.Pace
	readers *stream.Readers
	rounds  *stream.Rounds
	audit   *stream.Audit
	timings timings
	tasks   *tasks
	alike   map[string]bool // Connector.alike
	// unexplained has one slot: a record changed and nothing that was read of it did.
	unexplained chan struct{}

	registryBack <-chan struct{} // health.registryBack

	tell func(stream.Notice)
}

// askHubSpot learns which portal the token is of.
func (c *Connector) askHubSpot(ctx context.Context) (portal int64, err error) {
	s := c.setup
	if err := c.awaitRegistry(ctx); err != nil { // nothing can be published without it
		return 0, err
	}
	c.health.begin("asks HubSpot whose token it has", "wait for HubSpot's answer")
	account, err := s.HubSpot.Account(ctx, hubspot.Call{Priority: hubspot.Schema})
	if err != nil {
		return 0, fmt.Errorf("read the account's details: %w", err)
	}
	c.health.of(account.PortalID)
	if !c.introduced {
		s.Log.Info("the token is of this portal", "portal", account.PortalID)
		c.introduced = true
	}
	return account.PortalID, nil
}

// once is one run: fence the predecessor, rebuild what is published, and stream until
// something fails. It calls started when it streams.
func (c *Connector) once(ctx context.Context, portal int64, started func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := c.setup
	log := s.Log.With("portal", portal)

	cfg := s.SinkConfig()
	cfg.Portal, cfg.Warned, cfg.Committed, cfg.Turn = portal, &c.warned, &c.committed, c.load
	cfg.Held = c.heldByTransaction
	c.health.begin("ends the transactions of earlier runs", "wait for the brokers")
	out, err := sink.Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer out.Close()
	look := lookFirst(ctx, s, log)
	defer look.both.Wait()
	defer cancel()
	c.beginsLoading()
	loaded, err := out.Load(ctx)
	if err != nil {
		return err
	}
	if s.loaded != nil {
		s.loaded()
	}
	status := c.health.status
	defer c.counts.Between()

	tasks := newTasks(ctx, s.HubSpot)
	for _, later := range []string{offsets.RefillStream, offsets.RepublishStream} { // their 0 before they begin
		s.HubSpot.Charge(ctx, later)
	}
	c.audit.Begin()
	pace := stream.NewPace(s.Budget, s.Config.Sync.LeadingInterval, s.shared.portals)
	s.Demands(pace)
	rounds := stream.NewRounds(s.RoundsPerSecond())
	rounds.Excess = pace.Excess
	pace.Relied, rounds.Relied = c.audit.Relied, c.audit.Relied
	f, err := newFollower(&run{
		setup: s, log: log, portal: portal, out: out, loaded: loaded, status: status, counts: c.counts,
		pace:    pace,
		readers: stream.NewReaders(s.Governor, s.splitLeast),
		rounds:  rounds,
		audit:   c.audit,
		timings: s.Config.Sync.timings(), tasks: tasks, alike: c.alike,
		unexplained:  make(chan struct{}, 1),
		registryBack: c.health.registryBack,
		tell:         c.notices.tell,
	}, c.pairs)
	if err != nil {
		return err
	}
	c.health.begin("reads the portal's schemas from HubSpot", "wait for HubSpot's answers")
	seen, err := look.result(f.types)
	if unknown, ok := errors.AsType[*stream.UnknownObjectError](err); ok {
		return &ConfigError{[]string{unknown.Error()}}
	}
	if err != nil {
		return fmt.Errorf("read the portal's schemas: %w", err)
	}
	if len(seen.Found) == 0 && len(f.types.byName) == 0 {
		return errNoTypes
	}
	c.sayUnmatched(log, seen.Found)
	expected := make([]string, len(seen.Found))
	for i, found := range seen.Found {
		expected[i] = found.Type.Name
	}
	out.Expect(ctx, expected)

	wrong := s.HubSpot.HoldClock()
	defer s.HubSpot.ReleaseClock()
	tasks.add(func(ctx context.Context) error {
		select {
		case <-wrong:
			return errClock
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	c.notices.begin(swept(loaded), f.signals.Unfinished)
	c.health.running(out)
	started()
	c.report("")
	defer c.health.ended()
	tasks.add(out.Run)
	if f.journal, err = f.shared.startJournal(ctx, seen); err != nil {
		return err
	}
	tasks.add(func(ctx context.Context) error { return s.watchDay(ctx, log) })
	tasks.add(func(ctx context.Context) error { return f.run(s.HubSpot.Charge(ctx, stream.SchemaStream), seen) })
	tasks.spawn(f.signals)
	tasks.add(f.shared.watchPublished)
	tasks.add((&stream.FirstRead{Status: status, Log: log}).Run)
	return tasks.wait()
}

// errClock ends a run whose idea of HubSpot's time was wrong. It counted by that how
// long something was missing (R9, R19): with the right time, what has just been found
// missing would have been so for long. The next run begins to count again.
var errClock = &curedError{errors.New("HubSpot's time is another one than its first answers said; what waits for a second look waits again"),
	"nothing, if it happens once; else check the time of this machine"}

var errNoTypes = errors.New("the token may read no object type")

// sayUnexplained notes a change that perhaps a new property explains.
func (r *run) sayUnexplained() {
	select {
	case r.unexplained <- struct{}{}:
	default:
	}
}

// cursor is the value of a cursor as the last run left it, nil if there is none.
func (r *run) cursor(object, stream string) []byte {
	return r.loaded.Cursors[offsets.Key{Portal: r.portal, Object: object, Stream: stream}]
}

// clock is what is known of HubSpot's time now.
func (r *run) clock() stream.Clock {
	return stream.Clock{Now: r.setup.HubSpot.Now(), Latest: r.setup.HubSpot.Latest()}
}

// sayAhead logs the cursors that lay ahead of HubSpot's time (R21).
func (r *run) sayAhead(object string, streams ...string) {
	for _, s := range streams {
		r.log.Warn("a cursor lies ahead of HubSpot's time; it is moved back, and what it may have missed is read again",
			"object", object, "stream", s, "cursor", string(r.cursor(object, s)))
	}
}

// LearnDay asks how many of the day's calls are left, so that the governor need
// not wait for the headers of the first answers. It waits 5 s at most and does
// not fail, because not every kind of token may ask.
func (s *Setup) LearnDay(ctx context.Context, log *slog.Logger) {
	if s.Config.HubSpot.OAuth() {
		return // an OAuth app has no daily limit, and HubSpot would answer that of the private apps
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	usage, err := s.HubSpot.DailyUsage(ctx, hubspot.Call{Priority: hubspot.Schema})
	if err != nil {
		log.Debug("the daily limit is learnt from headers", "err", err)
		return
	}
	log.Debug("daily limit", "used", usage.Used, "limit", usage.Limit)
}

// DayInterval is the time between two questions for the day's calls: other
// integrations spend from the same day, and searches carry no headers that say
// so.
const DayInterval = 5 * time.Minute

func (s *Setup) watchDay(ctx context.Context, log *slog.Logger) error {
	ticker := time.NewTicker(DayInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			s.LearnDay(ctx, log)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
