package main

import (
	"context"
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
	counts   *stream.Metrics
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
	c.counts = stream.NewMetrics(c.metrics)
	var err error
	if c.kafka, err = cfg.Kafka.options(); err != nil {
		return nil, &configError{[]string{err.Error()}}
	}
	c.kafka = append(append(c.kafka, sink.ClientLog(log)), net.kafka...)
	if c.lags, err = stream.Lags(cfg.Sync.TrailingLag); err != nil {
		return nil, &configError{[]string{err.Error()}}
	}
	if c.volatile, err = schema.CompileGlobs(cfg.HubSpot.Volatile); err != nil {
		return nil, &configError{[]string{err.Error()}}
	}
	if c.selection, err = cfg.HubSpot.selection(); err != nil {
		return nil, &configError{[]string{err.Error()}}
	}
	if c.registry, err = registryClient(cfg, net.registry); err != nil {
		return nil, err
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

// run serves HTTP and takes part until ctx ends, or until something is found
// that only an operator can mend.
func (c *connector) run(ctx context.Context) error {
	stop, err := c.health.serve(c.cfg.HTTPAddr, c.log)
	if err != nil {
		return err
	}
	defer stop()
	return c.takePart(ctx)
}

// repeat is the one way to recover (DESIGN section 4): a run that failed is
// followed by another one, which fences, rebuilds and goes on. It is called
// while this instance is the owner, ends with ctx, and gives the ownership up
// when somebody else has fenced it.
func (c *connector) repeat(ctx context.Context, s *seat) error {
	over := func(err error) bool { return permanent(err) || errors.Is(err, errNotOwner) }
	return c.again(ctx, "the run ended; it is begun anew", time.Second, over, func(ctx context.Context) error {
		if err := s.confirm(ctx); err != nil {
			return err
		}
		err := c.once(ctx)
		if sink.Fenced(err) {
			return fmt.Errorf("%w: fenced by another process: %w", errNotOwner, err)
		}
		return err
	})
}

// calmAfter is how long a try must have lasted for the next failure to count as
// a new one.
const calmAfter = time.Minute

// again tries until ctx ends, or until an error for which over says that
// another try cannot help. Waits grow from the first one to one minute; the
// same error is said once.
func (c *connector) again(ctx context.Context, what string, first time.Duration, over func(error) bool, try func(context.Context) error) error {
	wait, said := first, ""
	for {
		began := time.Now()
		err := try(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if over(err) {
			return err
		}
		if time.Since(began) > calmAfter {
			wait, said = first, ""
		}
		c.health.failed(err)
		if text := err.Error(); text != said {
			c.log.Error(what, "err", err, "wait", wait.String())
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

	sinkConfig := c.sinkConfig()
	sinkConfig.Portal, sinkConfig.Registerer = account.PortalID, c.metrics
	out, err := sink.Open(ctx, sinkConfig)
	if err != nil {
		return err
	}
	defer out.Close()
	loaded, err := out.Load(ctx)
	if err != nil {
		return err
	}
	status := stream.NewStatus(c.client.Now)
	metrics := prometheus.NewRegistry() // of this run alone
	metrics.MustRegister(status)
	defer c.counts.Between()
	f, err := c.follow(log, account.PortalID, out, loaded, status, c.counts)
	if err != nil {
		return err
	}
	seen, err := f.ask.Look(ctx)
	if unknown, ok := errors.AsType[*stream.UnknownObjectError](err); ok {
		return &configError{[]string{unknown.Error()}}
	}
	if err != nil {
		return fmt.Errorf("look at the portal's schemas: %w", err)
	}
	if len(seen.Found) == 0 && len(f.objects) == 0 {
		return errors.New("the token may read no object type: give it the read scopes of those to follow")
	}
	c.saySelection(log, seen.Found)

	f.group, f.ctx = errgroup.WithContext(ctx)
	c.health.running(out, status, metrics)
	defer c.health.ended()
	f.group.Go(func() error { return out.Run(f.ctx) })
	f.group.Go(func() error { return c.watchDay(f.ctx, log) })
	f.group.Go(func() error { return f.Run(f.ctx, seen) })
	f.group.Go(func() error { return f.signals.Run(f.ctx) })
	return f.group.Wait()
}

// sinkConfig is what the configuration says about writing to Kafka.
func (c *connector) sinkConfig() sink.Config {
	return sink.Config{
		Opts: c.kafka, Prefix: c.cfg.Kafka.TopicPrefix,
		Partitions: c.cfg.Kafka.Partitions, Replication: c.cfg.Kafka.Replication,
		MaxMessageBytes: c.cfg.Kafka.MaxMessageBytes, KeyFormat: c.cfg.Kafka.KeyFormat,
		Registry: c.registry, Version: version(), Tombstones: c.cfg.Event.Tombstones,
		BeforeKey: c.cfg.Event.Before == "key", Logger: c.log,
	}
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

// streams lists an object type's finders; a new one is one line here. Refill and
// reconcile stand apart, in evolve: they begin anew when the properties change.
func (f *following) streams(o *object, p stream.Places) []runner {
	var out []runner
	for i, lag := range f.lags {
		t := &stream.Tier{Object: o.Object, Stream: lag.Stream, Lag: lag.By, Window: p.Windows[i]}
		if lag.By == 0 {
			f.pace.Add(o.Type.Name)
			t.Interval = func() time.Duration { return f.pace.Interval(o.Type.Name) }
			t.Seen = func(n int) { f.pace.Seen(o.Type.Name, n) }
		} else {
			interval := f.cfg.Sync.trailing(lag)
			t.Interval = func() time.Duration { return interval }
		}
		f.status.Expect(o.Type.Name, lag.Stream)
		out = append(out, t)
	}
	if !p.Sweep.Done {
		f.status.Expect(o.Type.Name, stream.Backfill)
	}
	return append(out,
		&stream.Sweep{Object: o.Object, Stream: stream.Backfill, Priority: hubspot.Backfill, Place: p.Sweep},
		&stream.Census{
			Object: o.Object, Interval: f.cfg.Sync.CensusInterval,
			Recent:  shorter(2*time.Minute, f.cfg.Sync.CensusInterval),
			Recheck: shorter(time.Hour, f.cfg.Sync.ReconcileInterval),
		},
		&stream.Archive{Object: o.Object, Place: p.Archive, Interval: f.cfg.Sync.ArchiveInterval},
		&stream.Recheck{Object: o.Object},
	)
}

// content is what counts as a change of a record: everything in force but the
// volatile properties and the modified time, which is the version (R10).
func content(set *schema.Set, volatile schema.Globs) *cdc.Content {
	names := make([]string, len(set.Fields))
	for i, f := range set.Fields {
		if f.InForce && counts(set.Object, f.Property, volatile) {
			names[i] = f.Name
		}
	}
	return cdc.NewContent(names)
}

func counts(object, property string, volatile schema.Globs) bool {
	return property != "lastmodifieddate" && property != "hs_lastmodifieddate" && !volatile.Match(object, property)
}
