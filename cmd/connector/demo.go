package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/sr/srfake"
	"golang.org/x/sync/errgroup"
	"golang.org/x/term"

	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// demoObjects are the object types of the simulated portal.
var demoObjects = []string{"contacts", "companies", "deals"}

// demoLife is what its users do. They change labels, owners and pipelines a few times in
// a day, as people do: many at once look like a list that comes short (R19). They purge and
// unlink less in an hour than the brakes let pass (R9, R19).
var demoLife = hubspottest.Life{
	Create: 200, Update: 350, Touch: 30, Calculated: 50, Archive: 80, Restore: 40, Merge: 40, Purge: 10,
	Associate: 60, Dissociate: 10, Relabel: 1, Owner: 5, Pipeline: 2,
}

// demoApp reads the portal's webhooks journal.
var demoApp = hubspottest.JournalApp{ClientID: "demo-app", ClientSecret: "demo-secret"}

const (
	demoRecords = 200 // of each type, before the connector starts
	demoRate    = 5   // changes a second
)

// demoCommand shows the whole connector on one machine: a simulated portal, an
// embedded Kafka and schema registry, and the connector as it runs in production.
// Only the addresses differ.
func demoCommand() *cobra.Command {
	var limit time.Duration
	var dir, alone string
	var account int64
	var verbose bool
	c := &cobra.Command{
		Use: "demo", Short: "show it all with a simulated portal and an embedded Kafka", Args: cobra.NoArgs,
		Long: `It needs no account, no Kafka and no environment, and leaves nothing behind but the
directory of --data. Each demo has a portal and a schema registry of its own, in memory.
So it does not go on with the Kafka of an earlier one: that directory must be empty.
`,
	}
	c.Flags().DurationVar(&limit, "for", 0, "end after this long, such as `20s` (default: on Ctrl-C)")
	c.Flags().StringVar(&dir, "data", "", "keep the embedded Kafka's data in `DIR`, an empty directory (default: a temporary one)")
	c.Flags().BoolVar(&verbose, "log", false, "show the connector's log, on standard error")
	c.Flags().StringVar(&alone, "portal", "", "serve only the simulated portal, on this `ADDRESS`, such as 0.0.0.0:8090, for a connector and a Kafka of your own")
	c.Flags().Int64Var(&account, "account", 4242, "the `ID` of the simulated portal's HubSpot account: give each portal of a fleet its own")
	c.RunE = func(c *cobra.Command, _ []string) error {
		ctx, stdout := c.Context(), c.OutOrStdout()
		if alone != "" && (dir != "" || verbose) {
			return miscalled("--portal serves only the portal; --data and --log are of the rest")
		}
		if account <= 0 {
			return miscalled("--account %d: the id of an account is above zero", account)
		}
		if limit > 0 {
			// Without a deadline: the limiter would refuse what it cannot grant before
			// that.
			var cancel context.CancelFunc
			ctx, cancel = context.WithCancel(ctx)
			defer time.AfterFunc(limit, cancel).Stop()
			defer cancel()
		}
		if alone != "" {
			return demoPortal(ctx, alone, account, stdout)
		}
		if dir == "" {
			temporary, err := os.MkdirTemp("", "hubspot-cdc-demo-")
			if err != nil {
				return err
			}
			defer func() { _ = os.RemoveAll(temporary) }() // anything left is in a temporary place
			dir = temporary
		} else if err := unused(dir); err != nil {
			return err
		}
		log := slog.New(slog.DiscardHandler)
		if verbose {
			log = slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil))
		}
		d := &demo{log: log, tail: newTail(stdout, colours(stdout)), account: account}
		return d.run(ctx, dir, stdout)
	}
	return c
}

// unused refuses a directory that is not empty. The Kafka of an earlier demo has
// cursors of that demo's portal, and events whose schemas ended with its registry.
func unused(dir string) error {
	switch files, err := os.ReadDir(dir); {
	case errors.Is(err, os.ErrNotExist):
		return nil // it is made
	case err != nil:
		return misused("--data: %v", err)
	case len(files) > 0:
		return misused("--data %s: the directory is not empty. A demo cannot go on with an earlier one, whose portal and schema registry were in memory: "+
			"name another directory, or remove this one if a demo has made it", dir)
	}
	return nil
}

func colours(w io.Writer) bool { return terminal(w) && os.Getenv("NO_COLOR") == "" }

func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

type demo struct {
	log     *slog.Logger
	tail    *tail
	account int64
}

// newDemoPortal makes the simulated portal of the account, with the records that it
// has from the start.
func newDemoPortal(account int64, limits hubspottest.Limits) *hubspottest.Portal {
	portal := hubspottest.New(hubspottest.Options{
		PortalID: account, Types: demoObjects, Seed: uint64(time.Now().UnixNano()), NoHistory: true, Limits: limits,
		Journal: hubspottest.Journal{App: &demoApp, Retention: time.Hour}, // not three days: it is in memory
	})
	for _, object := range demoObjects {
		portal.Seed(object, demoRecords)
	}
	return portal
}

// demoPortal serves only the simulated portal, while its users work on it.
func demoPortal(ctx context.Context, addr string, account int64, stdout io.Writer) error {
	portal := newDemoPortal(account, hubspottest.Limits{})
	url, stop, err := portal.Serve(addr)
	if err != nil {
		return misused("--portal: %v", err)
	}
	defer stop()
	fmt.Fprintf(stdout, `A simulated HubSpot portal (account %d) listens on %s. It has %s, accepts any token, and runs until Ctrl-C.
The app %s with the client secret %s may read its webhooks journal.
`, account, strings.TrimPrefix(url, "http://"), strings.Join(demoObjects, ", "), demoApp.ClientID, demoApp.ClientSecret)
	portal.Live(ctx, demoRate, demoLife)
	return nil
}

// demoCalls is how many calls the demo's portal allows in ten seconds: twenty times
// what a small HubSpot account has, because a start asks about each type that HubSpot
// may have, and nobody wants to watch that.
const demoCalls = 2000

func (d *demo) run(ctx context.Context, dir string, stdout io.Writer) error {
	portal := newDemoPortal(d.account, hubspottest.Limits{TenSecondly: demoCalls})
	hubspotURL, stopPortal, err := portal.Serve("127.0.0.1:0")
	if err != nil {
		return err
	}
	defer stopPortal()
	registry := srfake.New()
	defer registry.Close()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.DefaultNumPartitions(3), kfake.DataDir(dir))
	if err != nil {
		return fmt.Errorf("start the embedded Kafka in %s: %w", dir, err)
	}
	defer cluster.Close()
	brokers := cluster.ListenAddrs()[0]

	cfg := connector.DefaultConfig()
	cfg.HubSpot.AccessToken, cfg.HubSpot.BaseURL = "pat-demo", hubspotURL
	cfg.HubSpot.JournalClientID, cfg.HubSpot.JournalClientSecret = demoApp.ClientID, hubspot.Secret(demoApp.ClientSecret)
	cfg.Kafka.Brokers, cfg.Registry.URL = []string{brokers}, registry.URL()
	cfg.Sync = connector.Sync{
		LeadingInterval: time.Second, TrailingLag: []string{"30s"}, SchemaInterval: time.Second,
		ArchiveInterval: 3 * time.Second, CensusInterval: 3 * time.Second, ReferenceInterval: 3 * time.Second,
		AssociationsInterval: 5 * time.Second, ReconcileInterval: 10 * time.Second,
	}
	cfg.HTTP.Addr = ""
	c, err := connector.New(cfg, connector.Options{Logger: d.log, Version: version()})
	if err != nil {
		return err
	}
	web := httptest.NewServer(c.Handler())
	defer web.Close()
	at := addresses{hubspotURL, brokers, registry.URL(), web.URL}
	fmt.Fprint(stdout, demoBegins(at))

	fold := &demoFold{topics: map[string]*folded{}}
	g, gctx := errgroup.WithContext(ctx)
	for _, part := range []func(context.Context){
		func(ctx context.Context) { portal.Live(ctx, demoRate, demoLife) },
		func(ctx context.Context) { demoSchemas(ctx, portal, d.tail) },
		func(ctx context.Context) { fold.tell(ctx, d.tail) },
	} {
		g.Go(func() error {
			part(gctx)
			return nil
		})
	}
	g.Go(func() error { return c.Run(gctx) })
	g.Go(func() error { return d.tail.follow(gctx, &cfg, fold.takes) })
	err = g.Wait()
	if ctx.Err() != nil { // the user ended it
		err = nil
	}
	d.tail.summary()
	fmt.Fprint(stdout, demoEnds(at))
	return err
}
