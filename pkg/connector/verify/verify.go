// Package verify compares what HubSpot has with what a consumer of the topics has.
//
// It reads HubSpot's object store (lists of records, association batch reads,
// reference lists) and folds each data topic as a read_committed consumer does. It
// shares no memory with the connector and changes nothing, so it may run beside one
// or without one. What differs is looked at again on both sides, until it has stood
// for as long as a change may be under way.
//
// It keeps about twenty bytes per record, of one topic at a time, and more only for
// what differs.
package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/schema"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// Options say what to compare.
type Options struct {
	// Objects are object types, pairs such as contacts:companies, and reference
	// lists; none means all that a run would follow.
	Objects []string
	// Progress, unless nil, hears how far the comparison is.
	Progress func(Progress)
	// Notes, unless nil, are what an earlier run has finished.
	Notes *Notes
}

// Run compares. The error is that of a configuration, or of what could not be read;
// the report then has the topics that were finished before, and is not equal.
func Run(ctx context.Context, setup *connector.Setup, o Options) (*Report, error) {
	r := &Report{Equal: true, Topics: []Topic{}}
	err := r.fill(ctx, setup, o)
	r.Equal = r.Equal && err == nil
	return r, err
}

func (r *Report) fill(ctx context.Context, setup *connector.Setup, o Options) error {
	v := &verifier{
		setup: setup, client: setup.HubSpot, prefix: setup.Config.Kafka.TopicPrefix, progress: o.Progress,
	}
	if v.progress == nil {
		v.progress = func(Progress) {}
	}
	cl, err := kgo.NewClient(setup.Kafka...)
	if err != nil {
		return err
	}
	defer cl.Close()
	v.admin = kadm.NewClient(cl)
	if err := v.prepare(ctx); err != nil {
		return err
	}
	if o.Notes != nil {
		if err := o.Notes.of(v.prefix, v.portal); err != nil {
			return err
		}
	}
	defer v.heartbeat(ctx)()
	works, err := v.works(ctx, o.Objects)
	if err != nil {
		return err
	}
	r.Left, r.Equal = v.hidden, !slices.ContainsFunc(v.hidden, func(l Left) bool { return l.Err != nil })
	for _, w := range works {
		t, err := w.once(ctx, o.Notes)
		var refusal *hubspot.Error
		switch {
		case err != nil && ctx.Err() != nil: // whatever it says, nobody waited for the answer
			return fmt.Errorf("compare %s: %w", w.topic, err)
		case hubspot.MissingScopes(err) && len(o.Objects) == 0 && !v.there.Has(w.topic): // it never was published
			r.Left = append(r.Left, Left{Topic: w.topic})
		case errors.As(err, &refusal) && !hubspot.Unauthorized(err): // it concerns this topic alone
			r.Left, r.Equal = append(r.Left, Left{w.topic, err}), false
			v.progress(Progress{Topic: w.topic, End: "not compared"})
		case err != nil:
			return fmt.Errorf("compare %s: %w", w.topic, err)
		case !v.there.Has(w.topic) && t.HubSpot == 0 && t.Same(): // it is made by need
		default:
			r.Equal = r.Equal && t.Same() && t.unanswered+t.hidden == 0
			r.Topics = append(r.Topics, *t)
			v.progress(Progress{Topic: w.topic, End: t.sum()})
		}
	}
	if !r.Equal {
		if err := v.explain(ctx, r); err != nil {
			return err
		}
	}
	if o.Notes != nil {
		return o.Notes.end()
	}
	return nil
}

// explain marks the topics that differ because they have not been read once.
func (v *verifier) explain(ctx context.Context, r *Report) error {
	if !v.there.Has(offsets.CursorTopic(v.prefix)) {
		return nil
	}
	cursors, err := offsets.ReadListing(ctx, v.source(), false)
	if err != nil {
		return err
	}
	for _, e := range cursors.Entries {
		backfill, _ := offsets.ParseSweep(e.Value)
		sweep, _ := offsets.ParseAssociations(e.Value)
		for i := range r.Topics {
			t := &r.Topics[i]
			if e.Key.Portal == v.portal && e.Key.Object == t.object && !t.Same() {
				t.unread = t.unread || e.Key.Stream == offsets.BackfillStream && !backfill.Done ||
					e.Key.Stream == offsets.AssociationsStream && sweep.Completed == 0
			}
		}
	}
	return nil
}

// heartbeat looks once a minute whether a connector runs, and asks HubSpot for the
// account, until stop is called. A connector that restarts just when a long list ends
// must have been seen. And the client tells a request that HubSpot cannot answer from an
// outage by the answers to others, and a comparison has one request under way.
func (v *verifier) heartbeat(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for sleep(ctx, time.Minute) == nil {
			v.running(ctx)
			_, _ = v.client.Account(ctx, hubspot.Call{Priority: hubspot.Reconcile})
		}
	}()
	return func() { cancel(); <-done }
}

// call is how HubSpot is asked: as patiently as a reconcile asks. A request that it
// does not answer, though it answers others, fails.
var call = hubspot.Call{Priority: hubspot.Reconcile, Tries: cdc.PartTries}

// verifier is what the comparisons of all topics share.
type verifier struct {
	setup    *connector.Setup
	client   *hubspot.Client
	prefix   string
	portal   int64
	progress func(Progress)

	admin *kadm.Client
	there kadm.TopicDetails
	sets  map[string][]byte // property sets of earlier runs
	seen  stream.Seen       // the object types that HubSpot shows
	// hidden are topics of object types and pairs that HubSpot does not show, about
	// which it does not answer, or that the settings leave out.
	hidden []Left

	mu  sync.Mutex
	ran time.Time // when a connector was last seen to run; zero: none was
}

// accountPatience is how long HubSpot may take for the first answer. An outage that
// begins later is waited for.
const accountPatience = time.Minute

// prepare learns the portal, and what the brokers have of it.
func (v *verifier) prepare(ctx context.Context) error {
	short, cancel := context.WithTimeout(ctx, accountPatience)
	defer cancel()
	account, err := v.client.Account(short, hubspot.Call{Priority: hubspot.Schema})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		d := v.setup.Config.HubSpot.Diagnose(err)
		return fmt.Errorf("ask HubSpot for the account: %s\n%s", d.Found, d.Cure)
	}
	v.portal = account.PortalID
	v.setup.LearnDay(ctx, v.setup.Log)
	v.running(ctx) // it may restart before the first suspects are looked at
	if v.there, err = v.topics(ctx); err != nil {
		return err
	}
	if v.there.Has(offsets.StateTopic(v.prefix)) {
		v.sets, err = offsets.PropertySets(ctx, v.source())
	}
	return err
}

func (v *verifier) source() offsets.Source {
	return offsets.Source{Opts: v.setup.Kafka, Prefix: v.prefix, Portal: v.portal, Logger: v.setup.Log}
}

// set is the property set that a run would have for a type.
func (v *verifier) set(f *stream.Found) (*schema.Set, error) {
	var before *schema.Set
	if text := v.sets[f.Type.Name]; text != nil {
		before = &schema.Set{}
		if err := json.Unmarshal(text, before); err != nil {
			return nil, fmt.Errorf("state of %s: %w", f.Type.Name, err)
		}
	}
	return v.follow(before, f), nil
}

// follow is the set that follows another one. A property that HubSpot's list lacks is
// asked for all the same: where it is gone, HubSpot answers no value.
func (v *verifier) follow(before *schema.Set, f *stream.Found) *schema.Set {
	listing := schema.Listing{
		Properties: f.Properties, Asked: v.setup.Config.HubSpot.Sensitivities(), Refused: f.Sensitivities(),
	}
	for _, p := range before.Missing(&listing) {
		listing.Doubted = append(listing.Doubted, p.Name)
	}
	set, _ := schema.Next(before, f.Type, listing, v.setup.Selection)
	return set
}

func (v *verifier) digesters(of counts, raw func(property string) bool) *digesters {
	return &digesters{
		registry: v.setup.Registry, portal: strconv.FormatInt(v.portal, 10), counts: of, raw: raw, byID: map[int]*digester{},
	}
}

// topics lists topics, all of them if none is named.
func (v *verifier) topics(ctx context.Context, names ...string) (kadm.TopicDetails, error) {
	there, err := v.admin.ListTopics(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	return there, nil
}

// drive asks a protocol's questions until it has no more. Where HubSpot does not
// answer one as a whole, it is asked in parts (R18).
func drive(ctx context.Context, p cdc.Protocol, answer func(context.Context, cdc.Ask) (cdc.Answer, error)) error {
	for ask, more := p.Next(); more; ask, more = p.Next() {
		if err := sleep(ctx, ask.Wait); err != nil {
			return err
		}
		parts := cdc.NewParts(ask, hubspot.MaxLinks, func(hubspot.ID) bool { return false }, false)
		for part, more := parts.Next(); more; part, more = parts.Next() {
			a, err := answer(ctx, part)
			switch {
			case hubspot.Divisible(err):
				parts.Fail(err)
			case err != nil:
				return err
			default:
				parts.Take(a)
			}
		}
		a, err := parts.Answer()
		if err != nil {
			return err
		}
		p.Take(a)
	}
	return nil
}
