package sink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/schema"
)

// Probe finds what a run would find, and changes nothing: it creates no topic,
// registers no schema, fences nobody and joins no group. The run's own code
// (setup) decides what it finds. It logs nothing. Only one goroutine may use it.
type Probe struct {
	setup  *setup
	absent []string        // internal topics that do not exist
	loaded *offsets.Loaded // what earlier runs have committed; nil before Load
}

// NewProbe makes a Probe and sends no request. Without a Registry in its Config
// it does not look at schemas.
func NewProbe(cfg Config) (*Probe, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	cl, err := kgo.NewClient(cfg.Opts...)
	if err != nil {
		return nil, fmt.Errorf("kafka client: %w", err)
	}
	adm := kadm.NewClient(cl)
	return &Probe{setup: &setup{cfg: cfg, cl: cl, adm: adm, effects: &dryRun{adm, cfg.Replication}}}, nil
}

// Close closes the connections.
func (p *Probe) Close() { p.setup.cl.Close() }

// Internal looks at the cursor topic or the state topic, as Open does. Here and
// below, a finding names its topic even when there is an error.
func (p *Probe) Internal(ctx context.Context, name string) (*TopicFinding, error) {
	t, err := p.setup.internalTopic(ctx, name)
	if err == nil && !t.There {
		p.absent = append(p.absent, name)
	}
	return t, err
}

// Load reads what earlier runs committed, as a run does. Call Internal for both
// topics first: Load does not read one that Internal found missing.
func (p *Probe) Load(ctx context.Context) (*offsets.Loaded, error) {
	cfg := &p.setup.cfg
	l, err := offsets.Load(ctx, offsets.Source{
		Opts: cfg.Opts, Prefix: cfg.Prefix, Portal: cfg.Portal, Absent: p.absent, Logger: slog.New(slog.DiscardHandler),
	})
	if err == nil {
		err = checkFormats(l.Topics, cfg.KeyFormat)
	}
	if err != nil {
		return nil, err
	}
	p.loaded = l
	return l, nil
}

// Topic looks at an object's topic and its schemas, as Sink.Topic does.
func (p *Probe) Topic(ctx context.Context, object string, set *schema.Set) (*TopicFinding, error) {
	t, err := objectTopic(p.setup.cfg.Prefix, object, set)
	return p.find(ctx, t, err)
}

// PairTopic looks at a pair's topic, as Sink.PairTopic does.
func (p *Probe) PairTopic(ctx context.Context, pair cdc.Pair) (*TopicFinding, error) {
	t, err := pairTopic(p.setup.cfg.Prefix, pair)
	return p.find(ctx, t, err)
}

// ReferenceTopic looks at the topic of a reference list, as Sink.ReferenceTopic does.
func (p *Probe) ReferenceTopic(ctx context.Context, list string) (*TopicFinding, error) {
	t, err := referenceTopic(p.setup.cfg.Prefix, list)
	return p.find(ctx, t, err)
}

// SignalsTopic looks at the signals topic, as Sink.Signals does.
func (p *Probe) SignalsTopic(ctx context.Context) (*TopicFinding, error) {
	return p.setup.signalsTopic(ctx)
}

// NotificationsTopic looks at the topic of the notifications, as OpenNotifications
// does.
func (p *Probe) NotificationsTopic(ctx context.Context) (*TopicFinding, error) {
	return p.setup.notificationsTopic(ctx)
}

// FrontierTopic looks at the frontiers topic; see WithoutFrontiers.
func (p *Probe) FrontierTopic(ctx context.Context) (*TopicFinding, error) {
	return p.setup.frontierTopic(ctx)
}

func (p *Probe) find(ctx context.Context, t *topic, err error) (*TopicFinding, error) {
	if err != nil {
		return &TopicFinding{Name: t.name}, err
	}
	l := p.loaded
	if l == nil {
		l = &offsets.Loaded{}
	}
	was := l.Topics[t.name]
	f, err := p.setup.dataTopic(ctx, t, was)
	if err == nil && p.setup.cfg.Registry != nil {
		_, err = p.setup.schemas(ctx, t, f, was)
	}
	if err == nil && f.There && was.Partitions > 0 {
		err = p.compare(ctx, f, l)
	}
	return f, err
}

// compare warns of what a topic has lost, and of what the registry has.
func (p *Probe) compare(ctx context.Context, f *TopicFinding, l *offsets.Loaded) error {
	looks, err := p.setup.looks(ctx, []string{f.Name})
	if err != nil {
		return err
	}
	lost, err := p.setup.compare(ctx, looks[f.Name], l.Identities[f.Name], l.Ends[f.Name])
	if err != nil {
		return err
	}
	if lost != nil {
		f.warn("the topic has lost what was published; a run publishes everything of it again", slog.String("loss", lost.what))
	}
	if p.setup.cfg.Registry == nil {
		return nil
	}
	w := newWritten(p.setup.cfg.Registry, slog.New(slog.DiscardHandler))
	w.load(l.Schemas)
	wrong, err := w.notIntact(ctx, w.of(f.Name+keySubject, f.Name+valueSubject))
	if err != nil {
		return err
	}
	for _, s := range wrong[other] {
		why := otherSchema(s)
		return &offsets.Refusal{What: why.What, Cure: why.Cure}
	}
	for _, s := range wrong[denied] {
		why := deniedSchema(s)
		f.warn(why.What, slog.String("cure", why.Cure))
	}
	for _, s := range wrong[missing] {
		if err := w.takesBack(ctx, s.Subject); err != nil && forGood(err) {
			why := lostSchemas(s.Subject, slices.DeleteFunc(wrong[missing], func(o offsets.Schema) bool { return o.Subject != s.Subject }), err)
			return &offsets.Refusal{What: why.What, Cure: why.Cure}
		}
		f.warn("the schema registry has lost a schema that events were written with; a run puts it back under its id, or refuses to start if the registry does not let this user set the mode IMPORT",
			slog.String("schema", fmt.Sprint(s.Subject, " ", s.ID)))
	}
	return nil
}

// Owners counts the members of a consumer group: the instances that run or stand
// by.
func (p *Probe) Owners(ctx context.Context, group string) (int, error) {
	groups, err := p.setup.adm.DescribeGroups(ctx, group)
	if err == nil {
		err = groups[group].Err
	}
	if errors.Is(err, kerr.GroupIDNotFound) {
		return 0, nil
	}
	return len(groups[group].Members), err
}
