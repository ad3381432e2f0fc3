// Command bench measures the connector from outside: it runs the built program
// against a simulated portal with HubSpot's real limits and round trips, and prints
// what it finds as a table or as JSON.
//
//	go run ./bench                          # every figure
//	go run ./bench -records 20000 backfill  # one, quickly
//	go run ./bench -against OTHER backfill  # two builds in turn, with ratios
//	go run ./bench -h                       # the figures and the settings
//
// Everything that must not disturb the measurement (the portal, the brokers, the
// consumer) runs in this process. The connector is a process of its own, so its
// CPU time and memory are its own. Times are real and depend on the machine:
// compare them within one run. An idle day and a busy day take a day, so a test
// plays them in virtual time; -h names it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// settings are what the flags say.
type settings struct {
	binary, against   string
	brokers, registry string
	records, small    int
	many, links       int
	kills, deletes    int
	peerRecords       int
	portals, each     int
	instances         int
	settle            time.Duration
	share             float64
	asJSON, verbose   bool
}

// days plays an idle and a busy day.
const days = "go test -count 1 -v -run 'TestIdleDay|TestBusyDay' ./pkg/connector -days"

// peersName is measured only when it is asked for: it installs packages.
const peersName = "peers"

// figure is a thing to measure.
type figure struct {
	name, what string
	measure    func(ctx context.Context, b *bench) ([]result, error)
}

var figures = []figure{
	{"backfill", "one large type, as a share of what the list calls allow; CPU time", measureBackfill},
	{"beside", "the same with five small types beside it", measureBeside},
	{"kills", "kill -9 in the middle of it: what is read again, lost, doubled", measureKills},
	{"deletes", "from a delete to its event, of types with half the records each", measureDeletes},
	{"restart", "memory and first poll beside a large state; a sweep over all associations", measureRestart},
	{fleetName, "a fleet of portals: start, memory, CPU, connections, the death of an instance; only if named", measureFleet},
	{peersName, "CPU time of other programs from PyPI for the same contacts; only if named", measurePeers},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var s settings
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.binary, "binary", "", "the connector to measure (default: build ./cmd/connector)")
	flags.StringVar(&s.against, "against", "", "another build of the connector, measured in turn, for ratios")
	flags.StringVar(&s.brokers, "brokers", "", "brokers of a real Kafka (default: an embedded one)")
	flags.StringVar(&s.registry, "registry", "", "address of a real schema registry (default: an embedded one)")
	flags.IntVar(&s.records, "records", 200_000, "records of the large type")
	flags.IntVar(&s.small, "small", 500, "records of a small type, of which the smallest has a tenth")
	flags.IntVar(&s.kills, "kills", 10, "how often kills kills")
	flags.IntVar(&s.deletes, "deletes", 12, "how many records deletes deletes of each kind")
	flags.IntVar(&s.many, "many", 1_000_000, "records of the state that restart starts beside")
	flags.IntVar(&s.links, "links", 5_000_000, "links of it")
	flags.IntVar(&s.peerRecords, "peer-records", 10_000, "contacts that peers read")
	flags.IntVar(&s.portals, "portals", 1000, "portals of the fleet")
	flags.IntVar(&s.each, "each", 200, "records of each of the three object types of one of its portals")
	flags.IntVar(&s.instances, "instances", 3, "instances of the fleet")
	flags.DurationVar(&s.settle, "settle", 4*time.Minute, "wait before the fleet counts as idle: a portal is awake for a while when it begins")
	withPeers := flags.Bool("peers", false, "measure the figure peers too")
	flags.Float64Var(&s.share, "share", 0.8, "HUBSPOT_RATE_SHARE")
	flags.BoolVar(&s.asJSON, "json", false, "print JSON")
	flags.BoolVar(&s.verbose, "v", false, "tell on standard error what is going on")
	flags.Usage = func() {
		fmt.Fprint(stderr, "usage: bench [flags] [figure ...]\n\nThe figures, all of them by default:\n")
		for _, f := range figures {
			fmt.Fprintf(stderr, "  %-10s %s\n", f.name, f.what)
		}
		fmt.Fprint(stderr, "\nAn idle day and a busy day, in virtual time:\n  "+days+"\n")
		fmt.Fprint(stderr, "\nThe flags:\n")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	if (s.brokers == "") != (s.registry == "") {
		return errors.New("-brokers and -registry go together")
	}
	chosen, err := choose(flags.Args(), *withPeers)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "hubspot-cdc-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // anything left is in a temporary place
	if s.binary == "" {
		if s.binary, err = build(ctx, dir, stderr); err != nil {
			return err
		}
	}
	var r report
	failed := r.measure(ctx, chosen, bench{settings: s, dir: dir, stderr: stderr, report: &r})
	write := r.table
	if s.asJSON {
		write = r.json
	}
	return errors.Join(failed, write(stdout))
}

// measure adds the results of the chosen figures. With an error, it has added those that
// were measured before.
func (r *report) measure(ctx context.Context, chosen []figure, b bench) error {
	for _, f := range chosen {
		for _, binary := range []string{b.settings.binary, b.against} {
			if binary == "" {
				continue
			}
			b.binary, b.figure = binary, f.name
			results, err := f.measure(ctx, &b)
			r.add(f.name, binary == b.against, results)
			if err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
		}
	}
	return nil
}

func choose(names []string, withPeers bool) ([]figure, error) {
	var chosen []figure
	if len(names) == 0 {
		for _, f := range figures {
			if f.name != peersName && f.name != fleetName {
				names = append(names, f.name)
			}
		}
	}
	if withPeers && !slices.Contains(names, peersName) {
		names = append(names, peersName)
	}
	for _, name := range names {
		i := slices.IndexFunc(figures, func(f figure) bool { return f.name == name })
		if i < 0 {
			var known []string
			for _, f := range figures {
				known = append(known, f.name)
			}
			return nil, fmt.Errorf("there is no figure %q; there are %s", name, strings.Join(known, ", "))
		}
		chosen = append(chosen, figures[i])
	}
	return chosen, nil
}

// build builds the connector of the module in whose folder bench was started.
func build(ctx context.Context, dir string, stderr io.Writer) (string, error) {
	binary := filepath.Join(dir, "connector")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/hubspot-cdc/connector/cmd/connector")
	cmd.Stderr = stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build the connector (or name one with -binary): %w", err)
	}
	return binary, nil
}
