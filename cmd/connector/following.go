package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/schema"
	"github.com/hubspot-cdc/connector/pkg/sink"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// following is what a run follows: object types and pairs, which come, change
// and go while it lasts. Its Run is the stream `schema`; only that goroutine
// changes what is followed.
type following struct {
	*connector
	log                 *slog.Logger
	account             int64
	out                 *sink.Sink
	loaded              *offsets.Loaded
	status              *stream.Status
	shared              *stream.Metrics
	pace                *stream.Pace
	refused             map[string]bool // types that it could not read at the last look
	seen                stream.Seen     // the last look
	leftOut, unanswered string          // types that the token may not read, or that HubSpot does not answer about, as they were said last
	begun               bool            // the first look was taken up

	ask      stream.Introspection
	removals stream.Removals
	signals  *stream.Signals
	changed  *rate.Limiter // of looks at changed records' links

	pipelines *stream.Pipelines

	ctx   context.Context // the run's
	group *errgroup.Group // the run's

	mu      sync.Mutex // for those who look objects and pairs up
	objects map[string]*object
	pairs   map[cdc.Pair]*pair
}

// object is an object type that is followed, or that was published and is
// away now.
type object struct {
	*stream.Object
	set     *schema.Set // in force, or the last one that was; nil: never published
	refused bool        // the registry does not take the set that would follow

	started hubspot.Millis // HubSpot's time of the type's first start
	// streams is nil while none runs. Refill and reconcile end alone, when what
	// they read changes under them.
	streams   *task
	refill    *stream.Refill
	refilling *task
	reconcile *stream.Reconcile
	sweeping  *task
}

func (c *connector) follow(log *slog.Logger, portal int64, out *sink.Sink, loaded *offsets.Loaded, status *stream.Status, shared *stream.Metrics) (*following, error) {
	f := &following{
		connector: c, log: log, account: portal, out: out, loaded: loaded, status: status, shared: shared,
		pace:    stream.NewPace(c.governor.Rates().Search*leadingShare, c.cfg.Sync.LeadingInterval),
		changed: rate.NewLimiter(rate.Inf, changedBurst),
		removals: stream.Removals{
			Client: c.client, Wait: shorter(time.Hour, c.cfg.Sync.SchemaInterval),
		},
		objects: map[string]*object{}, pairs: map[cdc.Pair]*pair{},
	}
	f.ask = stream.Introspection{
		Client: c.client, Log: log, Wanted: c.cfg.HubSpot.Objects, Sensitivities: c.cfg.HubSpot.sensitivities(),
		Known:     func(word string) bool { return f.known(word) != nil },
		Streaming: f.streaming,
	}
	var err error
	if f.signals, err = f.newSignals(); err != nil {
		return nil, err
	}
	// What an earlier run published is known even where HubSpot does not show
	// it any more: it may have to be deleted.
	for name, text := range loaded.Sets {
		set := &schema.Set{}
		if err := json.Unmarshal(text, set); err != nil {
			return nil, fmt.Errorf("state of %s: %w", name, err)
		}
		t, ok := typeOf(name, set)
		if ok {
			f.objects[name] = f.newObject(t, set, nil)
		}
	}
	return f, nil
}

// typeOf is the object type whose records are published under a name.
func typeOf(name string, set *schema.Set) (hubspot.ObjectType, bool) {
	standard := hubspot.StandardTypes()
	if i := slices.IndexFunc(standard, func(t hubspot.ObjectType) bool { return t.Name == name }); i >= 0 {
		return standard[i], true
	}
	return hubspot.ObjectSchema{ObjectTypeID: set.TypeID, FullyQualifiedName: name}.ObjectType(), set.TypeID != ""
}

// newObject makes an object type that no stream reads yet. lane is its lane
// where an earlier type of that name had one in this run.
func (f *following) newObject(t hubspot.ObjectType, set *schema.Set, lane *cdc.Lane) *object {
	o := stream.NewObject(stream.Object{
		Type: t, Client: f.client, Status: f.status, Metrics: f.shared, Log: f.log.With("object", t.Name), Lane: lane,
	})
	if lane == nil {
		o.Lane = cdc.NewLane(cdc.LaneConfig{
			Object: t.Name, Rows: f.loaded.Rows[t.Name],
			SkipUnchanged: f.cfg.Event.SkipUnchanged, Patience: f.cfg.Sync.patience(), Committer: f.out,
		})
	}
	return &object{Object: o, set: set}
}

// known finds an object type by an operator's word for it.
func (f *following) known(word string) *object {
	for _, o := range f.objects {
		if stream.Names(o.Type, word) {
			return o
		}
	}
	return nil
}

func (f *following) streaming(t hubspot.ObjectType) bool {
	o := f.objects[t.Name]
	return o != nil && o.streams != nil && o.Type == t
}

// schemaInterval is the time between two looks at the portal's schemas where it
// is not set. Labels are asked for pair by pair: where nothing is set, no
// oftener than one call in labelSpacing.
const (
	schemaInterval = 5 * time.Minute
	labelSpacing   = 10 * time.Second
	// partialInterval is the time to the next look where HubSpot did not answer
	// about a type.
	partialInterval = time.Minute
)

// Run takes up what the first look has shown, and then looks again and again.
func (f *following) Run(ctx context.Context, seen stream.Seen) error {
	interval := f.cfg.Sync.SchemaInterval
	if interval == 0 {
		interval = schemaInterval
	}
	if err := f.reference(ctx); err != nil {
		return err
	}
	var labelled time.Time
	for first := true; ; first = false {
		changed, err := f.take(ctx, seen)
		if err != nil {
			return err
		}
		f.begun = true
		f.pipelines.Follow(f.types())
		if changed || time.Since(labelled) >= labelsEvery(f.cfg.Sync.SchemaInterval, len(f.pairs)) {
			if err := f.takePairs(ctx, first); err != nil {
				return err
			}
			labelled = time.Now()
		}
		f.signals.Follow(f.streamed())
		if first {
			f.log.Info("streaming", "objects", len(seen.Found), "pairs", len(f.pairs))
		}
		wait := interval
		if len(seen.Unanswered) > 0 {
			wait = min(wait, partialInterval)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
		if seen, err = f.ask.Look(ctx); err != nil {
			return fmt.Errorf("look at the portal's schemas: %w", err)
		}
	}
}

// labelsEvery is the time between two looks at the labels of so many pairs; set
// is what the operator chose for schemas, zero for nothing.
func labelsEvery(set time.Duration, pairs int) time.Duration {
	if set > 0 {
		return set
	}
	return max(schemaInterval, time.Duration(pairs)*labelSpacing)
}

// take brings what is followed in line with what was seen. changed says that
// types came or went.
func (f *following) take(ctx context.Context, seen stream.Seen) (changed bool, err error) {
	// A scope that was taken away since explains whatever is missing (R9).
	shrunk, refused := false, map[string]bool{}
	for name := range seen.Refused {
		o := f.objects[name]
		refused[name] = true
		shrunk = shrunk || o != nil && o.set != nil && !f.refused[name]
	}
	for name := range f.refused {
		if !refused[name] && f.objects[name] == nil { // an operator's word, perhaps, for a type of another name
			f.status.Forget(name)
		}
	}
	f.refused, f.seen = refused, seen
	there := map[string]bool{}
	for _, found := range seen.Found {
		there[found.Type.Name] = true
		started, err := f.takeType(ctx, found, shrunk)
		if err != nil {
			return false, err
		}
		changed = changed || started
	}
	f.sayRefused(seen)
	for _, name := range slices.Sorted(maps.Keys(f.objects)) {
		o := f.objects[name]
		if there[name] || seen.Refused[name] != nil || !o.Type.Custom || !f.wanted(o.Type) {
			continue
		}
		ended, err := f.takeMissing(ctx, o, seen.Custom && !shrunk)
		if err != nil {
			return false, err
		}
		changed = changed || ended
	}
	return changed, nil
}

// wanted says whether HUBSPOT_OBJECTS asks for a type.
func (f *following) wanted(t hubspot.ObjectType) bool {
	words := f.cfg.HubSpot.Objects
	return len(words) == 0 || slices.ContainsFunc(words, func(word string) bool { return stream.Names(t, word) })
}

// sayRefused reports the types that the token may not read: those that were
// asked for, or published before, are a problem.
func (f *following) sayRefused(seen stream.Seen) {
	var left []string
	for _, name := range slices.Sorted(maps.Keys(seen.Refused)) {
		o := f.objects[name]
		switch {
		case o != nil && o.streams != nil: // its streams report it themselves
		case o != nil || len(f.cfg.HubSpot.Objects) > 0:
			f.status.Expect(name, stream.SchemaStream)
			f.problem(name, seen.Refused[name])
		case !slices.Contains(seen.Unanswered, name):
			left = append(left, name)
		}
	}
	if text := strings.Join(left, ","); text != f.leftOut {
		f.leftOut = text
		f.log.Info("HubSpot does not let this token read some object types; they are left out", "objects", text)
	}
	if text := strings.Join(seen.Unanswered, ","); text != f.unanswered {
		f.unanswered = text
		f.log.Warn("HubSpot answers about the other object types, and not about these; it is asked again", "objects", text)
	}
}

// problem reports what keeps an object type from being followed, and says it
// once in the log.
func (f *following) problem(name string, err error) {
	if f.status.Problem(name, stream.SchemaStream, err) {
		f.log.Warn("an object type is not followed; it is tried again", "object", name, "err", err)
	}
}

// takeType follows a type, or its properties if it is followed already. shrunk
// says that scopes were taken away since: that a property is missing is then no
// evidence (R9).
func (f *following) takeType(ctx context.Context, found stream.Found, shrunk bool) (started bool, err error) {
	o := f.objects[found.Type.Name]
	if o != nil && o.set != nil && o.Type.Custom && o.Type.TypeID != found.Type.TypeID {
		if ended, err := f.takeReplaced(ctx, o, shrunk); err != nil || !ended {
			return false, err
		}
	}
	if o == nil || o.Type != found.Type { // o is of a type that was removed
		var set *schema.Set
		var lane *cdc.Lane
		if o != nil {
			set, lane = o.set, o.Lane
		}
		o = f.newObject(found.Type, set, lane)
		f.put(o)
	}
	f.removals.Back(o.Type)
	props := found.Properties
	if shrunk {
		readable := slices.DeleteFunc(slices.Clone(f.ask.Sensitivities), func(s string) bool { return slices.Contains(found.Sensitivities(), s) })
		props = append(slices.Clone(props), o.set.Lacking(props, readable)...)
	}
	set, diff := schema.Evolve(o.set, o.Type.Name, props, f.selection)
	set.TypeID = o.Type.TypeID
	set.Withhold(o.set, &diff, found.Sensitivities(), f.selection)
	o.SayWithheld(&found)
	if o.streams != nil && !o.refused && set.Same(o.set) {
		o.set = set // with the labels of today
		return false, nil
	}
	if !diff.Empty() && !o.refused {
		o.Log.Info("properties changed", "added", strings.Join(diff.Added, ","), "removed", strings.Join(diff.Removed, ","),
			"excluded", strings.Join(diff.Excluded, ","), "treated", strings.Join(diff.Treated, ","), "withheld", strings.Join(diff.Withheld, ","))
		f.sayVolatile(o.Object, &diff)
	}
	started = o.streams == nil
	err = f.evolve(ctx, o, set, stream.Changed{Ask: diff.Ask(), Gone: diff.Removed})
	return started && o.streams != nil, err
}

// evolve has an object's lane go over to a property set, and its streams read
// again what that concerns. It starts them, where none runs: all their first
// cursors are committed in one transaction, before anything is read (R5).
//
// While the registry refuses the set the topic is not written. Streams of a type
// that was published before run all the same, and wait: the associations of its
// records go on.
func (f *following) evolve(ctx context.Context, o *object, set *schema.Set, changed stream.Changed) error {
	name := o.Type.Name
	places, err := f.places(o, changed)
	if err != nil {
		return err
	}
	var text []byte
	if o.set == nil || !o.set.Same(set) {
		if text, err = json.Marshal(set); err != nil {
			return err
		}
	}
	var topic error
	err = o.Lane.Evolve(ctx, f.evolution(o, set, places, text, func(ctx context.Context) error {
		topic = f.out.Topic(ctx, name, set)
		return topic
	}))
	switch {
	case err == nil:
		o.set, o.refused = set, false
		f.status.Clear(name, stream.SchemaStream)
	case topic == nil || ctx.Err() != nil || permanent(err) || !f.begun && !refusedTopic(err):
		return err
	default:
		o.refused = true
		f.status.Expect(name, stream.SchemaStream)
		f.problem(name, err)
		if o.set == nil {
			return nil
		}
		if places, err = f.places(o, stream.Changed{}); err != nil {
			return err
		}
		if o.streams == nil {
			as := func(context.Context) error { return nil }
			if err := o.Lane.Evolve(ctx, f.evolution(o, o.set, places, nil, as)); err != nil {
				return err
			}
		}
	}
	f.start(o, places)
	return nil
}

func (f *following) evolution(o *object, set *schema.Set, p stream.Places, text []byte, accept func(context.Context) error) cdc.Evolution {
	o.started = p.Sweep.Started
	return cdc.Evolution{
		Slots: set.Slots(f.selection), Content: content(set, f.volatile), Started: o.started,
		Accept: accept, Set: text, Cursors: p.First,
	}
}

// start runs the streams of an object that do not run.
func (f *following) start(o *object, p stream.Places) {
	if o.streams == nil {
		f.status.Watch(o.Type.Name, o.Lane)
		o.streams = f.spawn(f.streams(o, p)...)
	}
	if o.refilling == nil && p.Refill != nil {
		o.refill = &stream.Refill{Object: o.Object, Place: *p.Refill, Lag: f.longest()}
		o.refilling = f.spawn(o.refill)
	}
	if o.sweeping == nil {
		o.reconcile = &stream.Reconcile{Object: o.Object, Place: p.Reconcile, Interval: f.cfg.Sync.ReconcileInterval, Since: p.Sweep.Completed}
		o.sweeping = f.spawn(o.reconcile)
	}
}

func refusedTopic(err error) bool {
	_, ok := errors.AsType[*cdc.RefusedError](err)
	return ok
}

// places are where an object's streams go on: what the last run left, or, while
// they run, what they have come to. The streams that would go on with the
// places of before are ended.
func (f *following) places(o *object, changed stream.Changed) (p stream.Places, err error) {
	name := o.Type.Name
	if o.streams == nil {
		saved := func(s string) []byte {
			return f.loaded.Cursors[offsets.Key{Portal: f.account, Object: name, Stream: s}]
		}
		if p, err = stream.Resume(name, f.lags, saved, f.client.Now()); err != nil {
			return p, err
		}
	} else {
		o.refilling.end()
		o.sweeping.end()
		if o.refill != nil {
			p.Refill = o.refill.Left()
		}
		p.Reconcile, p.Sweep.Completed = o.reconcile.Place, o.reconcile.Since
		p.Sweep.Started = o.started
		o.refilling, o.sweeping = nil, nil
	}
	if r := p.Sweep.Ranges; len(r) == 1 && !p.Sweep.Done && r[0].ID == "" {
		return p, nil // the backfill is about to read everything
	}
	p.Renew(name, changed, f.client.Now())
	return p, nil
}

// longest is the longest lag of a tier.
func (f *following) longest() (longest time.Duration) {
	for _, lag := range f.lags {
		longest = max(longest, lag.By)
	}
	return longest
}

// takeMissing looks after a custom type that HubSpot does not list, and ends it
// when that is certain (R9).
func (f *following) takeMissing(ctx context.Context, o *object, evidence bool) (ended bool, err error) {
	if o.Lane.Live() == 0 && o.streams == nil {
		return false, nil
	}
	if !evidence {
		f.removals.Back(o.Type)
		return false, nil
	}
	removed, err := f.removals.Removed(ctx, o.Type, false)
	if err != nil || !removed {
		return false, err
	}
	return true, f.endType(ctx, o)
}

// takeReplaced ends a custom type whose name has another id now.
func (f *following) takeReplaced(ctx context.Context, o *object, shrunk bool) (ended bool, err error) {
	if o.Lane.Live() == 0 && o.streams == nil {
		return true, nil
	}
	if shrunk {
		return false, nil
	}
	removed, err := f.removals.Removed(ctx, o.Type, true)
	if err != nil || !removed {
		return false, err
	}
	return true, f.endType(ctx, o)
}

// endType publishes the end of everything of a type that was removed: its
// records, then their links.
func (f *following) endType(ctx context.Context, o *object) error {
	name := o.Type.Name
	f.log.Warn("an object type was removed from the portal; its records and their associations are published as deleted",
		"object", name, "records", o.Lane.Live())
	for _, p := range f.pairsOf(name) {
		p.stop()
	}
	for _, t := range []*task{o.streams, o.refilling, o.sweeping} {
		t.end()
	}
	if o.streams == nil { // it was missing already when the run began
		if err := f.out.Topic(ctx, name, o.set); err != nil {
			return fmt.Errorf("end %s: %w", name, err)
		}
	}
	date := f.client.Now()
	streams := []string{offsets.Backfill, offsets.Reconcile, offsets.ArchiveStream, offsets.RefillStream}
	for _, lag := range f.lags {
		streams = append(streams, lag.Stream)
	}
	if err := stream.End(ctx, o.Lane, date, f.forget(name, streams...)); err != nil {
		return err
	}
	for _, p := range f.pairsOf(name) {
		links := p.lane.Pair().String()
		if err := stream.EndLinks(ctx, p.lane, date, f.forget(links, offsets.Association)); err != nil {
			return err
		}
		f.status.Forget(links)
	}
	if err := f.pipelines.End(ctx, name, date); err != nil {
		return err
	}
	f.status.Forget(name)
	f.pace.Remove(name)
	f.put(&object{Object: o.Object, set: o.set})
	return nil
}

// forget gives the tombstones of cursors.
func (f *following) forget(name string, streams ...string) []cdc.Cursor {
	var out []cdc.Cursor
	for _, s := range streams {
		delete(f.loaded.Cursors, offsets.Key{Portal: f.account, Object: name, Stream: s})
		out = append(out, cdc.Cursor{Object: name, Stream: s})
	}
	return out
}

func (f *following) put(o *object) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.objects[o.Type.Name] = o
}

// task is streams that end before the run does.
type task struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// spawn runs streams as a part of the run.
func (f *following) spawn(streams ...runner) *task {
	ctx, cancel := context.WithCancel(f.ctx)
	t := &task{cancel: cancel}
	for _, s := range streams {
		t.done.Add(1)
		f.group.Go(func() error {
			defer t.done.Done()
			err := s.Run(ctx)
			if ctx.Err() != nil && f.ctx.Err() == nil && errors.Is(err, context.Canceled) {
				return nil // it was ended alone
			}
			return err
		})
	}
	return t
}

// end returns when the streams have ended. A nil task has none.
func (t *task) end() {
	if t != nil {
		t.cancel()
		t.done.Wait()
	}
}
