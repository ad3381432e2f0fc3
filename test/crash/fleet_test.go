//go:build integration

package crash

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc/cdctest"
	"github.com/hubspot-cdc/connector/pkg/fleet"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/pkg/sink"
	"github.com/hubspot-cdc/connector/test/services"
)

var (
	fleetKills   = flag.Int("fleet-kills", 2, "how many times to kill -9 an instance of a fleet, and how many times to restart one besides")
	fleetPortals = flag.Int("fleet-portals", 20, "how many portals the fleet has; 50 need a broker with KAFKA_TEST_HEAP=1500m")
)

const (
	fleetInstances = 3
	fleetStarting  = 5 * time.Minute // until all portals stream; the first start creates the topics
	fleetBack      = 2 * time.Minute // until they do so again
	fleetCatchUp   = 2 * time.Minute
	// A kill or a restart comes at a random moment of this span, counted from when the
	// one before it was over.
	latestBlow = 3 * time.Second
)

// TestFleet_KillsAndRollingRestartsLoseNothing: three instances share portals out, which
// all change. Instances are killed, and others told to stop, and each time another one
// starts in its place: at once, or after every second kill when the others have taken the
// portals over. After each all portals stream again, and no portal of another instance
// notices, unless the group gives it to another one. What is published of each portal is
// complete, without duplicates, and in order.
func TestFleet_KillsAndRollingRestartsLoseNothing(t *testing.T) {
	began := time.Now()
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("-seed %d", *seed)
	rng := rand.New(rand.NewPCG(*seed, 2))

	here := services.Start(t)
	lives := newLives(*seed, *fleetPortals)
	lives.start(t)
	f := buildFleet(t, here, lives, fmt.Sprintf("fleet-%d", began.UnixMilli()))
	consumer := consume(t, here, lives.objects, f.prefixes()...)
	for range fleetInstances {
		f.start(t)
	}
	t.Logf("%d portals stream %v after the first start", len(lives.names), tenths(f.settle(t, fleetStarting)))

	var kills, restarts, inside int
	var longestKill, longestRestart, ending time.Duration
	for kills+restarts < 2**fleetKills {
		i := rng.IntN(len(f.instances))
		f.instances[i].Sleep(t, time.Duration(rng.Int64N(int64(latestBlow))))
		if kills == restarts {
			kills++
			takenOver := kills%2 == 1
			if takenOver {
				f.stopInTransaction(t, f.instances[i], latestBlow)
			}
			at := time.Now()
			if f.kill(t, i) {
				inside++
			}
			if !takenOver {
				f.start(t)
			}
			longestKill = max(longestKill, f.streamAgain(t, at))
			if takenOver {
				f.settle(t, fleetBack)
				f.start(t)
			}
		} else {
			restarts++
			at := time.Now()
			f.terminate(t, i)
			ending = max(ending, time.Since(at))
			f.start(t)
			longestRestart = max(longestRestart, f.streamAgain(t, at))
		}
		f.settle(t, fleetBack)
	}

	changes, rate := lives.stop()
	histories := lives.histories()
	lost := func() (n int) {
		for _, name := range lives.names {
			n += len(cdctest.Lost(histories[name], consumer.events(t, f.of(name))))
		}
		return n
	}
	quiet := time.Now()
	for lost() > 0 && time.Since(quiet) < fleetCatchUp {
		f.sleep(t, time.Second)
	}
	caughtUp := time.Since(quiet)
	f.sleep(t, afterall)
	f.settle(t, fleetBack)
	for len(f.instances) > 0 {
		f.terminate(t, 0)
	}
	consumer.drain(t)

	var sum cdctest.Report
	unclean := 0
	for _, name := range lives.names {
		r := cdctest.Check(histories[name], consumer.events(t, f.of(name)))
		sum.Events += r.Events
		sum.Lost, sum.Doubled = append(sum.Lost, r.Lost...), append(sum.Doubled, r.Doubled...)
		sum.Reordered, sum.Malformed = append(sum.Reordered, r.Reordered...), append(sum.Malformed, r.Malformed...)
		if r.Clean() {
			continue
		}
		const tell = 3
		if unclean++; unclean <= tell {
			t.Errorf("promises to %s were broken (-seed %d):\n%s", name, *seed, r.Findings())
		}
	}
	t.Logf("portals %d, changes %d (%.0f a second), all published %v after the last", len(lives.names), changes, rate, tenths(caughtUp))
	t.Logf("from a kill until all stream again at most %v, from a SIGTERM at most %v, of which the process took %v; portals disturbed on other instances %d, moved between living instances %d",
		tenths(longestKill), tenths(longestRestart), tenths(ending), len(f.disturbed), f.moved)
	t.Logf("kills %d, kills inside a transaction %d, restarts %d, events %d, lost %d, doubled %d, reordered %d, malformed %d, in %v",
		kills, inside, restarts, sum.Events, len(sum.Lost), len(sum.Doubled), len(sum.Reordered), len(sum.Malformed), time.Since(began).Round(time.Second))
	if unclean > 0 {
		t.Errorf("promises to %d of %d portals were broken", unclean, len(lives.names))
	}
	if len(f.disturbed) > 0 {
		t.Errorf("portals of instances that nobody touched began again there:\n%s", strings.Join(f.disturbed, "\n"))
	}
	if sum.Events < changes/2 {
		t.Errorf("%d events of %d changes", sum.Events, changes)
	}
}

func tenths(d time.Duration) time.Duration { return d.Round(100 * time.Millisecond) }

// fleetOf is a fleet under test.
type fleetOf struct {
	*connector
	here      *services.Services
	prefix    string
	lives     *lives
	instances []*instance // that live, the eldest first
	started   int

	gone      map[string]bool // the addresses of those that were killed or told to stop
	seen      map[string]seen // by portal
	disturbed []string
	moved     int
}

type instance struct {
	*services.Process
	addr string
}

// seen is where a portal was seen last, and since when it streams there; zero: it has
// not yet been seen to.
type seen struct {
	instance string
	since    time.Time
}

func buildFleet(t *testing.T, s *services.Services, l *lives, prefix string) *fleetOf {
	t.Helper()
	folder := t.TempDir()
	for _, name := range l.names {
		if err := os.WriteFile(filepath.Join(folder, name+".env"), []byte("HUBSPOT_ACCESS_TOKEN="+name+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := &fleetOf{here: s, prefix: prefix, lives: l, gone: map[string]bool{}, seen: map[string]seen{}}
	f.connector = &connector{admin: s.Admin, Connector: s.Build(t, l.url, prefix, "FLEET_DIR="+folder,
		"HUBSPOT_OBJECTS="+strings.Join(l.objects, ","), "HUBSPOT_ASSOCIATIONS=none", "KAFKA_PARTITIONS=2", "SYNC_LEADING_INTERVAL=1s",
		"SYNC_TRAILING_LAG=2s,7s", "SYNC_TRAILING_INTERVAL=2s", "SYNC_ARCHIVE_INTERVAL=2s")}
	return f
}

// of is the prefix of a portal's topics.
func (f *fleetOf) of(name string) string { return f.prefix + "." + name }

func (f *fleetOf) prefixes() (all []string) {
	for _, name := range f.lives.names {
		all = append(all, f.of(name))
	}
	return all
}

// firstPort is below those that the kernel gives to connections. Each instance has an
// address of its own, by which the status tells them apart: those that are gone too. All
// of 127.0.0.0/8 is this machine.
const firstPort = 20000

func (f *fleetOf) start(t *testing.T) {
	t.Helper()
	f.started++
	pid := os.Getpid()
	addr := fmt.Sprintf("127.%d.%d.1:%d", 1+pid>>8&0x7f, pid&0xff, firstPort+f.started)
	f.instances = append(f.instances, &instance{f.StartAs(t, []string{"fleet"}, "HTTP_ADDR="+addr), addr})
}

// remove takes an instance out of those that live.
func (f *fleetOf) remove(i int) *instance {
	one := f.instances[i]
	f.instances = slices.Delete(f.instances, i, i+1)
	f.gone[one.addr] = true
	return one
}

// kill kills an instance, and reports whether that was inside a transaction of one of its
// portals.
func (f *fleetOf) kill(t *testing.T, i int) bool {
	t.Helper()
	one := f.remove(i)
	f.connector.kill(t, one.Process)
	f.transactional = f.transactionsOf(one)
	return f.transactionOpen(t, one.Process)
}

func (f *fleetOf) terminate(t *testing.T, i int) {
	t.Helper()
	f.remove(i).Terminate(t)
}

// stopInTransaction is that of a connector, for the transactions of an instance.
func (f *fleetOf) stopInTransaction(t *testing.T, one *instance, limit time.Duration) {
	t.Helper()
	f.transactional = f.transactionsOf(one)
	f.connector.stopInTransaction(t, one.Process, limit)
}

// transactionsOf are the transactional ids of the portals that were last seen on an
// instance.
func (f *fleetOf) transactionsOf(one *instance) (ids []string) {
	for i, name := range f.lives.names {
		if f.seen[name].instance == one.addr {
			ids = append(ids, sink.TransactionalID(f.of(name), firstPortal+int64(i)))
		}
	}
	return ids
}

func (f *fleetOf) sleep(t *testing.T, d time.Duration) {
	t.Helper()
	pause(t.Context(), d)
	for _, one := range f.instances {
		one.Lives(t)
	}
}

// look asks the eldest instance how all portals are. It notes the portals whose run ended
// although their instance kept them.
func (f *fleetOf) look(t *testing.T) (*fleet.Status, error) {
	t.Helper()
	s, err := status(t.Context(), f.instances[0].addr)
	if err != nil {
		return nil, err
	}
	for i := range s.Portals {
		p := &s.Portals[i]
		was := f.seen[p.Name]
		if p.Instance != was.instance && p.Instance != "" { // "" while it is given to another one
			if was.instance != "" && !f.gone[p.Instance] && !f.gone[was.instance] {
				f.moved++
			}
			was = seen{instance: p.Instance}
		}
		if p.State == fleet.StateStreaming && !f.gone[p.Instance] {
			again := !was.since.IsZero() && !was.since.Equal(p.Since)
			about := ""
			if again {
				about = f.about(p)
			}
			switch {
			case !again:
			case strings.Contains(about, "connector stopped"): // the group took it away, and gave it back before anybody looked
				f.moved++
			default:
				f.disturbed = append(f.disturbed, fmt.Sprintf("%s streamed on %s since %s, and now since %s:\n%s",
					p.Name, p.Instance, was.since.Format(time.TimeOnly), p.Since.Format(time.TimeOnly), about))
			}
			was.since = p.Since
		}
		f.seen[p.Name] = was
	}
	return s, nil
}

// about is what the log of a portal's instance says of the portal.
func (f *fleetOf) about(p *fleet.Portal) string {
	for _, one := range f.instances {
		if one.addr == p.Instance {
			return one.About("portal_name="+p.Name, 20)
		}
	}
	return ""
}

// streamAgain waits until all portals stream on instances that live, and gives the time
// from a moment until then.
func (f *fleetOf) streamAgain(t *testing.T, from time.Time) time.Duration {
	t.Helper()
	f.until(t, fleetBack, f.stream)
	return time.Since(from)
}

func (f *fleetOf) stream(s *fleet.Status) error {
	for i := range s.Portals {
		if p := &s.Portals[i]; p.State != fleet.StateStreaming || f.gone[p.Instance] {
			return fmt.Errorf("%s is %s on %q: %v", p.Name, p.State, p.Instance, p.Problems)
		}
	}
	if len(s.Portals) != len(f.lives.names) {
		return fmt.Errorf("there are %d portals", len(s.Portals))
	}
	return nil
}

// settle waits until the instances and Kafka's coordinator agree that those that live are
// the group, and all portals stream. It gives the time that this took.
func (f *fleetOf) settle(t *testing.T, limit time.Duration) time.Duration {
	t.Helper()
	began := time.Now()
	f.until(t, limit, func(s *fleet.Status) error {
		if err := f.stream(s); err != nil {
			return err
		}
		if len(s.Problems) > 0 || len(s.Instances) != len(f.instances) {
			return fmt.Errorf("instances %v, problems %v", s.Instances, s.Problems)
		}
		groups, err := f.here.Admin.DescribeGroups(t.Context(), s.Group)
		if err != nil {
			return err
		}
		group := groups[s.Group]
		if group.State != "Stable" || len(group.Members) != len(f.instances) {
			return fmt.Errorf("the group is %s with %d members", group.State, len(group.Members))
		}
		for _, m := range group.Members {
			if assigned, ok := m.Assigned.AsConsumer(); !ok || len(assigned.Topics) == 0 {
				return fmt.Errorf("%s has nothing", m.ClientID)
			}
		}
		return nil
	})
	return time.Since(began)
}

// until looks until nothing is wrong.
func (f *fleetOf) until(t *testing.T, limit time.Duration, wrong func(*fleet.Status) error) {
	t.Helper()
	for began := time.Now(); ; f.sleep(t, 100*time.Millisecond) {
		s, err := f.look(t)
		if err == nil {
			err = wrong(s)
		}
		if err == nil {
			return
		}
		if time.Since(began) > limit {
			t.Fatalf("not within %v: %v", limit, err)
		}
	}
}

func status(ctx context.Context, addr string) (*fleet.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	s, err := fleet.Get(ctx, "http://"+addr+"/status", nil)
	return &s, err
}

// lives are portals in use, at one address.
type lives struct {
	names   []string // these are their tokens too
	portals hubspottest.Portals
	objects []string
	url     string
	users
}

// firstPortal is the account of the first portal; those of the others follow.
const firstPortal = 1000

func newLives(seed uint64, n int) *lives {
	l := &lives{portals: hubspottest.Portals{}, objects: []string{"contacts", "companies"}, users: users{rng: rand.New(rand.NewPCG(seed, 3))}}
	for i := range n {
		name := fmt.Sprintf("portal-%02d", i)
		p := hubspottest.New(hubspottest.Options{
			Seed: seed + uint64(i), PortalID: firstPortal + int64(i), Types: l.objects,
			Latency:    hubspottest.Span{Min: 2 * time.Millisecond, Max: 30 * time.Millisecond},
			WriteDelay: 300 * time.Millisecond,
			Limits:     hubspottest.Limits{SearchPerSecond: 1000, TenSecondly: 100_000, Daily: 10_000_000},
			LowIDs:     0.05,
			Index: hubspottest.Index{
				Min: 20 * time.Millisecond, Max: 1500 * time.Millisecond,
				Tail: 0.02, TailMax: 4 * time.Second, // for the trailing tier of 7 s
				Fresh: 0.2,
			},
		})
		p.Seed("contacts", 100)
		p.Seed("companies", 40)
		l.names, l.portals[name] = append(l.names, name), p
	}
	return l
}

func (l *lives) start(t *testing.T) {
	t.Helper()
	l.url = serve(t, l.portals)
	n := 0
	l.work(t, func() {
		p := l.portals[l.names[n%len(l.names)]]
		n++
		l.change(p, l.objects)
	}, func() int {
		return l.bulk(l.portals[l.names[l.rng.IntN(len(l.names))]], "contacts", "jobtitle", 100)
	})
}

// histories are what happened in each portal, by name.
func (l *lives) histories() map[string]cdctest.History {
	all := map[string]cdctest.History{}
	for name, p := range l.portals {
		all[name] = cdctest.HistoryOf(p, l.objects...)
	}
	return all
}
