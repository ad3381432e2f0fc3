package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
	"golang.org/x/sync/errgroup"
	"golang.org/x/term"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/schema"
	"github.com/hubspot-cdc/connector/pkg/sink"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

func runCommand(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stdout, "connector run follows a HubSpot portal until it is told to stop. Environment:")
		_ = printVariables(stdout)
	}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil || flags.NArg() > 0 {
		return &configError{[]string{"connector run takes no arguments; it is configured by the environment, see connector run -h"}}
	}
	cfg, files, err := loadConfig(os.Environ())
	if err != nil {
		return err
	}
	log := newLogger(cfg, stderr)
	if names := newEnvironment(os.Environ()).unknown(); len(names) > 0 {
		log.Warn("variables that this version does not know are passed over; see connector run -h", "variables", strings.Join(names, ","))
	}
	c, err := newConnector(cfg, files, log, network{})
	if err != nil {
		return err
	}
	return c.run(ctx)
}

func newLogger(cfg *config, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.LogLevel)) // validate has checked it
	opts := &slog.HandlerOptions{Level: level}
	f, isFile := w.(*os.File)
	if cfg.LogFormat == "text" || cfg.LogFormat == "" && isFile && term.IsTerminal(int(f.Fd())) {
		return slog.New(slog.NewTextHandler(w, opts))
	}
	return slog.New(slog.NewJSONHandler(w, opts))
}

// connector is what lives as long as the process: HubSpot's client with its
// budget and token, and the HTTP server. Runs come and go inside it.
type connector struct {
	cfg      *config
	log      *slog.Logger
	kafka    []kgo.Opt
	registry *sr.Client
	governor *hubspot.Governor
	client   *hubspot.Client
	metrics  *prometheus.Registry
	lags     []stream.Lag
	volatile schema.Globs
	health   *health
	learnt   learntPairs // by the run under way, or the last one

	selection     *schema.Selection
	saidSelection string // by saySelection
}

// network is how the connector reaches the others. The zero value is the real
// network.
type network struct {
	hubspot  http.RoundTripper
	registry http.RoundTripper
	kafka    []kgo.Opt
}

// newConnector builds a connector and makes no request.
func newConnector(cfg *config, files func(string) string, log *slog.Logger, net network) (*connector, error) {
	c := &connector{cfg: cfg, log: log, metrics: prometheus.NewRegistry()}
	var err error
	if c.kafka, err = cfg.Kafka.options(); err != nil {
		return nil, &configError{[]string{err.Error()}}
	}
	c.kafka = append(c.kafka, net.kafka...)
	if c.lags, err = stream.Lags(cfg.Sync.TrailingLag); err != nil {
		return nil, &configError{[]string{err.Error()}}
	}
	if c.volatile, err = schema.CompileGlobs(cfg.HubSpot.Volatile); err != nil {
		return nil, &configError{[]string{err.Error()}}
	}
	if c.selection, err = cfg.HubSpot.selection(); err != nil {
		return nil, &configError{[]string{err.Error()}}
	}
	registry := []sr.ClientOpt{sr.URLs(cfg.Registry.URL), sr.UserAgent("hubspot-cdc/" + version())}
	if cfg.Registry.Username != "" {
		registry = append(registry, sr.BasicAuth(cfg.Registry.Username, cfg.Registry.Password.Reveal()))
	}
	if net.registry != nil {
		registry = append(registry, sr.HTTPClient(&http.Client{Transport: net.registry}))
	}
	if c.registry, err = sr.NewClient(registry...); err != nil {
		return nil, &configError{[]string{"SCHEMA_REGISTRY_URL: " + err.Error()}}
	}
	c.governor = hubspot.NewGovernor(hubspot.Limits{
		Share:           cfg.HubSpot.RateShare,
		DailyReserve:    cfg.HubSpot.DailyReserve,
		SearchPerSecond: float64(cfg.HubSpot.RateSearch),
		TenSeconds:      cfg.HubSpot.Rate10s,
		Daily:           int64(cfg.HubSpot.RateDaily),
	})
	c.client, err = hubspot.New(hubspot.Config{
		BaseURL: cfg.HubSpot.BaseURL, APIVersion: cfg.HubSpot.APIVersion, Auth: cfg.HubSpot.auth(files),
		Transport: net.hubspot, Governor: c.governor, Logger: log, Registerer: c.metrics,
	})
	if err != nil {
		return nil, &configError{[]string{err.Error()}}
	}
	c.health = newHealth(c.metrics)
	return c, nil
}

// run serves HTTP and repeats runs until ctx ends, or until a run ends in a way
// that only an operator can mend.
func (c *connector) run(ctx context.Context) error {
	stop, err := c.health.serve(c.cfg.HTTPAddr, c.log)
	if err != nil {
		return err
	}
	defer stop()
	return c.repeat(ctx)
}

// calmAfter is how long a run must have lasted for the next failure to count as
// a new one.
const calmAfter = time.Minute

// repeat is the one way to recover (DESIGN section 4): a run that failed is
// followed by another one, which fences, rebuilds and goes on. Waits grow from
// one second to one minute.
func (c *connector) repeat(ctx context.Context) error {
	wait, said := time.Second, ""
	for {
		began := time.Now()
		err := c.once(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if permanent(err) {
			return err
		}
		if time.Since(began) > calmAfter {
			wait, said = time.Second, ""
		}
		c.health.failed(err)
		if text := err.Error(); text != said {
			c.log.Error("the run ended; it is begun anew", "err", err, "wait", wait.String())
			said = text
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
		wait = min(2*wait, time.Minute)
	}
}

// permanent says that beginning anew cannot help.
func permanent(err error) bool {
	var config *configError
	var refusal *offsets.Refusal
	return errors.As(err, &config) || errors.As(err, &refusal)
}

// once is one run: learn the portal, fence the predecessor, rebuild what is
// published, and stream until something fails.
func (c *connector) once(ctx context.Context) error {
	account, err := c.client.Account(ctx, hubspot.Call{Priority: hubspot.Schema})
	if err != nil {
		return fmt.Errorf("read the account's details: %w", err)
	}
	log := c.log.With("portal", account.PortalID)
	c.learnDay(ctx, log)

	metrics := prometheus.NewRegistry()
	out, err := sink.Open(ctx, sink.Config{
		Opts: c.kafka, Prefix: c.cfg.Kafka.TopicPrefix, Portal: account.PortalID,
		Partitions: c.cfg.Kafka.Partitions, Replication: c.cfg.Kafka.Replication,
		MaxMessageBytes: c.cfg.Kafka.MaxMessageBytes, KeyFormat: c.cfg.Kafka.KeyFormat,
		Registry: c.registry, Version: version(), Tombstones: c.cfg.Event.Tombstones,
		BeforeKey: c.cfg.Event.Before == "key", Logger: c.log, Registerer: metrics,
	})
	if err != nil {
		return err
	}
	defer out.Close()
	loaded, err := out.Load(ctx)
	if err != nil {
		return err
	}
	found, err := stream.Introspect(ctx, c.client, log, c.cfg.HubSpot.Objects, c.cfg.HubSpot.sensitivities())
	if err != nil {
		var unknown *stream.UnknownObjectError
		if errors.As(err, &unknown) {
			return &configError{[]string{err.Error()}}
		}
		return err
	}
	if len(found) == 0 {
		return errors.New("the token may read no object type: give it the read scopes of those to follow")
	}
	c.saySelection(log, found)

	status := stream.NewStatus(c.client.Now)
	metrics.MustRegister(status)
	shared := stream.NewMetrics(metrics)
	g, gctx := errgroup.WithContext(ctx)
	c.health.running(out, status, metrics)
	defer c.health.ended()
	g.Go(func() error { return out.Run(gctx) })
	g.Go(func() error { return c.watchDay(gctx, log) })
	g.Go(func() error {
		pace := stream.NewPace(c.governor.Rates().Search*leadingShare, c.cfg.Sync.LeadingInterval)
		var objects []*stream.Object
		for _, f := range found {
			o := stream.NewObject(stream.Object{
				Type: f.Type, Client: c.client, Status: status, Metrics: shared,
				Log: log.With("object", f.Type.Name),
			})
			streams, err := c.prepare(gctx, o, f, account.PortalID, out, loaded, pace)
			if err != nil {
				return fmt.Errorf("start %s: %w", f.Type.Name, err)
			}
			for _, s := range streams {
				g.Go(func() error { return s.Run(gctx) })
			}
			objects = append(objects, o)
		}
		log.Info("streaming", "objects", len(found))
		streams, err := c.pairs(gctx, log, objects, account.PortalID, out, loaded)
		if err != nil {
			return err
		}
		for _, s := range streams {
			g.Go(func() error { return s.Run(gctx) })
		}
		log.Info("following associations", "pairs", len(streams)/2)
		return nil
	})
	return g.Wait()
}

// learnDay asks what of the day's calls is left, so that the governor need not
// wait for the headers of the first answers. Not every kind of token may ask,
// and no start waits for it.
func (c *connector) learnDay(ctx context.Context, log *slog.Logger) {
	if c.cfg.HubSpot.AccessToken == "" {
		return // an OAuth app has no day's limit, and is answered that of the private apps
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	usage, err := c.client.DailyUsage(ctx, hubspot.Call{Priority: hubspot.Schema})
	if err != nil {
		log.Debug("the daily limit is learnt from headers", "err", err)
		return
	}
	log.Debug("daily limit", "used", usage.Used, "limit", usage.Limit)
}

// dayInterval is how often the day's calls are asked for: other integrations
// spend from the same day, and searches carry no headers that say so.
const dayInterval = 5 * time.Minute

func (c *connector) watchDay(ctx context.Context, log *slog.Logger) error {
	ticker := time.NewTicker(dayInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			c.learnDay(ctx, log)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// leadingShare is the part of our searches that the leading tiers may spend;
// the rest is for trailing tiers and for what is urgent.
const leadingShare = 0.5

// runner is a stream.
type runner interface{ Run(context.Context) error }

// prepare makes an object type's topic, lane and streams, and commits its first
// cursors: all of them in one transaction, before anything is read (R5).
func (c *connector) prepare(ctx context.Context, o *stream.Object, f stream.Found, portal int64, out *sink.Sink, loaded *offsets.Loaded, pace *stream.Pace) ([]runner, error) {
	name := f.Type.Name
	var before *schema.Set
	if text := loaded.Sets[name]; text != nil {
		before = &schema.Set{}
		if err := json.Unmarshal(text, before); err != nil {
			return nil, err
		}
	}
	set, diff := schema.Evolve(before, name, f.Properties, c.selection)
	set.TypeID = f.Type.TypeID
	diff.Withhold(before, f.Sensitivities())
	o.SayWithheld(&f)
	if !diff.Empty() {
		o.Log.Info("properties changed", "added", strings.Join(diff.Added, ","), "removed", strings.Join(diff.Removed, ","),
			"excluded", strings.Join(diff.Excluded, ","), "treated", strings.Join(diff.Treated, ","), "withheld", strings.Join(diff.Withheld, ","))
	}
	if err := out.Topic(ctx, name, set); err != nil {
		return nil, err
	}
	saved := func(s string) []byte { return loaded.Cursors[offsets.Key{Portal: portal, Object: name, Stream: s}] }
	places, err := stream.Resume(name, c.lags, saved, c.client.Now(), diff.Ask())
	if err != nil {
		return nil, err
	}
	o.Lane = cdc.NewLane(cdc.LaneConfig{
		Object: name, Rows: loaded.Rows[name], Slots: set.Slots(c.selection), Content: content(set, c.volatile),
		Started: places.Sweep.Started, SkipUnchanged: c.cfg.Event.SkipUnchanged, Patience: c.cfg.Sync.patience(), Committer: out,
	})
	o.Status.Watch(name, o.Lane)
	first := cdc.Page{Cursors: places.First, Sync: true}
	if before == nil || !before.Same(set) {
		if first.Set, err = json.Marshal(set); err != nil {
			return nil, err
		}
	}
	if len(first.Cursors) > 0 || first.Set != nil {
		if _, err := o.Lane.Publish(ctx, first); err != nil {
			return nil, err
		}
	}
	return c.streams(o, places, pace), nil
}

// streams lists an object type's finders; a new one is one line here.
func (c *connector) streams(o *stream.Object, p stream.Places, pace *stream.Pace) []runner {
	var out []runner
	longest := time.Duration(0)
	for i, lag := range c.lags {
		t := &stream.Tier{Object: o, Stream: lag.Stream, Lag: lag.By, Window: p.Windows[i]}
		if lag.By == 0 {
			pace.Add(o.Type.Name)
			t.Interval = func() time.Duration { return pace.Interval(o.Type.Name) }
			t.Seen = func(n int) { pace.Seen(o.Type.Name, n) }
		} else {
			interval := c.cfg.Sync.trailing(lag)
			t.Interval = func() time.Duration { return interval }
		}
		longest = max(longest, lag.By)
		o.Status.Expect(o.Type.Name, lag.Stream)
		out = append(out, t)
	}
	if !p.Sweep.Done {
		o.Status.Expect(o.Type.Name, stream.Backfill)
	}
	out = append(out, &stream.Sweep{Object: o, Stream: stream.Backfill, Priority: hubspot.Backfill, Place: p.Sweep})
	out = append(out, &stream.Reconcile{Object: o, Place: p.Reconcile, Interval: c.cfg.Sync.ReconcileInterval, Since: p.Sweep.Completed})
	out = append(out, &stream.Census{
		Object: o, Interval: c.cfg.Sync.CensusInterval,
		Recent:  shorter(2*time.Minute, c.cfg.Sync.CensusInterval),
		Recheck: shorter(time.Hour, c.cfg.Sync.ReconcileInterval),
	})
	out = append(out, &stream.Archive{Object: o, Place: p.Archive, Interval: c.cfg.Sync.ArchiveInterval})
	out = append(out, &stream.Recheck{Object: o})
	if p.Refill != nil {
		out = append(out, &stream.Refill{Object: o, Place: *p.Refill, Lag: longest})
	}
	return out
}

// content is what counts as a change of a record: everything in force but the
// volatile properties and the modified time, which is the version (R10).
func content(set *schema.Set, volatile schema.Globs) *cdc.Content {
	names := make([]string, len(set.Fields))
	for i, f := range set.Fields {
		modified := f.Property == "lastmodifieddate" || f.Property == "hs_lastmodifieddate"
		if f.InForce && !modified && !volatile.Match(set.Object, f.Property) {
			names[i] = f.Name
		}
	}
	return cdc.NewContent(names)
}
