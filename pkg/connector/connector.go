package connector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hubspot-cdc/connector/pkg/group"
	"github.com/hubspot-cdc/connector/pkg/sink"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// Connector follows one portal. New makes it; Run is called once.
type Connector struct {
	setup    *Setup
	health   *health
	reporter *reporter
	// Counters, and what a run learnt, outlive the run.
	counts     *stream.Metrics
	audit      *stream.Audit
	pairs      *learntPairs
	unmatched  string // patterns, as last logged
	introduced bool   // the portal was logged
	warned     sink.Warned
	committed  sink.Committed
	alike      map[string]bool // fields whose likeness was logged
	notices    *notices
	confirm    func(context.Context) error // Options.Own
}

// New prepares a connector and makes no request. Its error is a *[ConfigError].
func New(cfg Config, o Options) (*Connector, error) {
	setup, err := Prepare(cfg, o)
	if err != nil {
		return nil, err
	}
	sink.RegisterMetrics(setup.Metrics)
	counts := stream.NewMetrics(setup.Metrics)
	counts.Sums = o.Sums
	c := &Connector{
		setup: setup, health: newHealth(setup), reporter: &reporter{log: setup.Log, said: map[string]*saying{}},
		counts: counts, audit: stream.NewAudit(counts, setup.Config.Sync.timings().Missed), pairs: &learntPairs{}, alike: map[string]bool{},
	}
	c.confirm, c.health.list = o.Own, o.List
	c.notices = newNotices(setup, c.health, &c.warned)
	return c, nil
}

// Handler answers /, /status, /healthz, /readyz and /metrics. Run serves it where
// Config.HTTP.Addr names an address.
func (c *Connector) Handler() http.Handler { return c.health.handler() }

// Gatherer is what GET /metrics answers about the portal, without what it says of the
// process. It asks nobody and waits for nobody.
func (c *Connector) Gatherer() prometheus.Gatherer {
	known := prometheus.NewRegistry()
	known.MustRegister(gauges{c.health, false})
	return prometheus.Gatherers{c.setup.Metrics, known}
}

// Run takes part until ctx ends: it stands by while another instance with the
// same prefix runs, and follows the portal while it is the owner. A failure ends
// the run under way, not the process: the next run recovers from what is
// committed. Run returns nil after ctx has ended. It returns an error only when
// an operator has to act; [ExitCode] gives [ExitConfig] or [ExitRefused] for it.
func (c *Connector) Run(ctx context.Context) error {
	defer c.setup.unshare()
	if addr := c.setup.Config.HTTP.Addr; addr != "" {
		stop, err := c.health.serve(addr, c.setup.Log)
		if err != nil {
			return err
		}
		defer stop()
	}
	began := time.Now()
	c.setup.Log.Info("connector starts", c.setup.described()...)
	watching, end := context.WithCancel(ctx)
	var watched sync.WaitGroup
	watched.Go(func() { c.watch(watching) })
	watched.Go(func() { c.notices.run(watching) })
	err := c.takePart(ctx)
	c.notices.end(err)
	end()
	watched.Wait()
	c.setup.HubSpot.CloseIdleConnections()
	c.health.failed(cmp.Or(err, errStopped))
	c.setup.Log.Info("connector stopped", "why", whyStopped(ctx, err), "ran", lasted(began),
		"transactions", c.committed.Transactions.Load(), "events", c.committed.Events.Load())
	return err
}

// errStopped is what operators see of a connector whose context has ended.
var errStopped = errors.New("the connector has stopped")

// takePart stands by and runs in turn, until ctx ends or only an operator can
// help.
func (c *Connector) takePart(ctx context.Context) error {
	// After leaving, an instance rejoins only when the standbys have had time to
	// notice that it left.
	const giveWay = 2 * group.Heartbeat
	try := c.member
	if c.confirm != nil {
		try = c.chosen
	}
	return c.again(ctx, "", giveWay, permanent, try)
}

// own is the one way to recover (docs/contract.md section 4): after a failed
// run it begins another, which fences, rebuilds and continues. Its caller is the
// owner, and confirm returns an error when it is not any more. own ends with ctx, and
// gives up the ownership when another process has fenced this one.
func (c *Connector) own(ctx context.Context, confirm func(context.Context) error) error {
	over := func(err error) bool { return permanent(err) || errors.Is(err, errNotOwner) }
	return c.again(ctx, "the run ended; the next one begins", time.Second, over, func(ctx context.Context) error {
		// A run may have failed because another instance has become the owner, and the
		// client may not know yet. Fencing that instance would begin a ping-pong.
		if err := confirm(ctx); err != nil {
			return fmt.Errorf("%w: %w", errNotOwner, err)
		}
		// Whose HubSpot does not answer takes no turn from the others.
		portal, err := c.askHubSpot(ctx)
		if err != nil {
			return err
		}
		started, err := c.start(ctx)
		if err != nil {
			return err
		}
		defer started()
		if c.setup.shared != nil { // the turn may have taken long to come
			if err := confirm(ctx); err != nil {
				return fmt.Errorf("%w: %w", errNotOwner, err)
			}
		}
		err = c.once(ctx, portal, started)
		if sink.Fenced(err) {
			return fmt.Errorf("%w: fenced by another process: %w", errNotOwner, err)
		}
		return err
	})
}

// calmAfter is how long a try must have lasted for its failure to count as a new
// one.
const calmAfter = time.Minute

// again tries until ctx ends, or until over reports that another try cannot help.
// Waits grow from first to one minute.
// what is the message where a problem begins; "": the usual one.
func (c *Connector) again(ctx context.Context, what string, first time.Duration, over func(error) bool, try func(context.Context) error) error {
	wait := first
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
			wait = first
		}
		c.health.failed(err)
		c.report(what)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
		wait = min(2*wait, time.Minute)
	}
}
