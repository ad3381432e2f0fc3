package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hubspot-cdc/connector/pkg/fleet"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// fleetName is measured only when it is asked for: a thousand portals take minutes.
const fleetName = "fleet"

// fleetLab is a fleet with its portals.
type fleetLab struct {
	*lab
	names     []string
	portals   hubspottest.Portals
	ids       map[string][]uint64 // contacts
	folder    string
	instances []*fleetInstance
	changes   atomic.Int64
}

type fleetInstance struct {
	*child
	addr string
}

// measureFleet starts instances of a fleet and gives them portals of three object types,
// each of which changes about every 17 minutes: of a thousand, one a second. It measures
// how long they take, what they need when nothing else happens, and what the death of one
// does. If it fails or is interrupted, it returns what it has measured until then.
func measureFleet(ctx context.Context, b *bench) (results []result, err error) {
	f := &fleetLab{lab: b.newLab("contacts"), portals: hubspottest.Portals{}, ids: map[string][]uint64{}}
	if err := f.connect(); err != nil { // a consumer of ten thousand topics would disturb the brokers
		return nil, err
	}
	defer f.close()
	defer f.end()
	add := func(all ...result) {
		for _, r := range all {
			f.tell("%s: %s %s", r.name, number(r.value), r.unit)
		}
		results = append(results, all...)
	}
	if err := f.fill(); err != nil {
		return nil, err
	}
	for range b.instances {
		if err := f.startInstance(ctx); err != nil {
			return nil, err
		}
	}
	if err := f.all(ctx, time.Minute, func(s *fleet.Status) bool { return len(s.Instances) == b.instances && len(s.Problems) == 0 }); err != nil {
		return nil, err
	}
	if err := sleep(ctx, 5*time.Second); err != nil {
		return nil, err
	}
	base, _, err := f.footprint()
	if err != nil {
		return nil, err
	}
	n := float64(len(f.names))
	add(result{"portals", n, "", ""}, result{"instances", float64(b.instances), "", ""},
		result{"memory of an instance without portals", base / float64(b.instances), "MB", ""})

	began := time.Now()
	for _, name := range f.names {
		text := "HUBSPOT_ACCESS_TOKEN=" + name + "\n"
		if err := os.WriteFile(filepath.Join(f.folder, name+".env"), []byte(text), 0o600); err != nil {
			return results, err
		}
	}
	go f.change(ctx)
	if err := f.streaming(ctx, 30*time.Minute); err != nil {
		return results, err
	}
	add(result{"from their files until all stream", time.Since(began).Seconds(), "s", "≤ 300"})
	if err := sleep(ctx, b.settle); err != nil {
		return results, err
	}
	memory, connections, err := f.footprint()
	if err != nil {
		return results, err
	}
	add(result{"memory of a portal beyond that", (memory - base) / n, "MB", "≤ 1.5"},
		result{"connections of a portal to the brokers", connections / n, "", "≤ 2"})
	cpu, err := f.cpu(ctx, time.Minute)
	if err != nil {
		return results, err
	}
	add(result{"CPU of all instances when idle, of a core", 100 * cpu, "%", "≤ 15"})
	calls, err := f.calls(ctx)
	if err != nil {
		return results, err
	}
	add(result{"calls to HubSpot of a portal in a day, at this rate", calls, "", ""})
	moved, back, disturbed, err := f.killOne(ctx)
	if err != nil {
		return results, err
	}
	add(result{"portals of an instance that is killed", float64(moved), "", ""},
		result{"from its kill until they stream again", back.Seconds(), "s", "≤ 20"},
		result{"portals of other instances that stopped meanwhile", float64(disturbed), "", "0"})
	again, err := f.startAgain(ctx)
	if err != nil {
		return results, err
	}
	add(result{"all instances killed and started again: until all stream", again.Seconds(), "s", "≤ 300"})
	return results, nil
}

// fill makes the portals and the folder, still empty.
func (f *fleetLab) fill() error {
	f.folder = filepath.Join(f.dir, "portals")
	if err := os.Mkdir(f.folder, 0o700); err != nil {
		return err
	}
	for i := range f.bench.portals {
		name := fmt.Sprintf("portal-%04d", i)
		p := hubspottest.New(hubspottest.Options{
			Seed: uint64(i), PortalID: int64(1000 + i), Types: []string{"contacts", "companies", "deals"}, NoHistory: true, Limits: realLimits, Latency: realLatency,
		})
		for _, object := range []string{"contacts", "companies", "deals"} {
			ids := p.Seed(object, f.bench.each)
			if object == "contacts" {
				f.ids[name] = ids
			}
		}
		f.names, f.portals[name] = append(f.names, name), p
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: f.portals, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }() // ends with Close
	f.stops = append(f.stops, func() { _ = server.Close() })
	f.hubspot = "http://" + listener.Addr().String()
	return nil
}

// changeEvery is the time between two changes of a portal, on average.
const changeEvery = 1000 * time.Second

// change changes a record of one of the portals at a time.
func (f *fleetLab) change(ctx context.Context) {
	for range time.Tick(changeEvery / time.Duration(len(f.names))) {
		if ctx.Err() != nil {
			return
		}
		name := f.names[rand.IntN(len(f.names))]
		f.portals[name].Update("contacts", f.ids[name][0], map[string]string{"firstname": fmt.Sprint("n", f.changes.Add(1))})
	}
}

func (f *fleetLab) startInstance(ctx context.Context) error {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	addr := free.Addr().String()
	_ = free.Close() // for the instance
	c := &child{cmd: exec.CommandContext(ctx, f.binary, "fleet"), exited: make(chan struct{})}
	log, err := os.CreateTemp(f.dir, "log-")
	if err != nil {
		return err
	}
	defer log.Close()
	c.log = log.Name()
	c.cmd.Env = append(os.Environ(), "HUBSPOT_BASE_URL="+f.hubspot, "KAFKA_BROKERS="+f.brokers, "KAFKA_TOPIC_PREFIX="+f.prefix, "KAFKA_PARTITIONS=1",
		"SCHEMA_REGISTRY_URL="+f.registry, "HTTP_ADDR="+addr, "LOG_FORMAT=text", "FLEET_DIR="+f.folder)
	c.cmd.Stdout, c.cmd.Stderr = log, log
	c.began = time.Now()
	if err := c.cmd.Start(); err != nil {
		return err
	}
	go func() { // ends with the process
		_ = c.cmd.Wait() // the outcome is in cmd.ProcessState
		close(c.exited)
	}()
	f.tell("instance %s, pid %d, log %s", addr, c.cmd.Process.Pid, c.log)
	f.instances = append(f.instances, &fleetInstance{c, addr})
	return nil
}

func (f *fleetLab) end() {
	for _, one := range f.instances {
		one.kill()
	}
}

// status asks the first instance.
func (f *fleetLab) status(ctx context.Context) (*fleet.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	s, err := fleet.Get(ctx, "http://"+f.instances[0].addr+"/status", nil)
	return &s, err
}

// all waits until the status is as it should be.
func (f *fleetLab) all(ctx context.Context, limit time.Duration, cond func(*fleet.Status) bool) error {
	last := ""
	for end := time.Now().Add(limit); ; {
		s, err := f.status(ctx)
		if err == nil && cond(s) {
			return nil
		}
		if err == nil {
			last = s.Headline() + ": " + s.States()
			if all := s.AllProblems(); len(all) > 0 {
				last += ", such as " + all[0].Portal + ": " + all[0].Problem.Problem
			}
		} else {
			last = err.Error()
		}
		for _, one := range f.instances {
			select {
			case <-one.exited:
				return fmt.Errorf("instance %s ended by itself:\n%s", one.addr, one.tail())
			default:
			}
		}
		if time.Now().After(end) {
			return fmt.Errorf("not so after %v: %s; the log of %s ends with:\n%s", limit, last, f.instances[0].addr, f.instances[0].tail())
		}
		if err := sleep(ctx, time.Second); err != nil {
			return err
		}
	}
}

func (f *fleetLab) streaming(ctx context.Context, limit time.Duration) error {
	told := time.Now()
	return f.all(ctx, limit, func(s *fleet.Status) bool {
		if time.Since(told) > 10*time.Second {
			told = time.Now()
			f.tell("%s", s.States())
		}
		return s.Counts()[fleet.StateStreaming] == len(f.names)
	})
}

// footprint is the resident memory of all instances, in megabytes, and how many
// connections they have to the brokers.
func (f *fleetLab) footprint() (memory, connections float64, err error) {
	for _, one := range f.instances {
		now, _, err := one.memory()
		if err != nil {
			return 0, 0, err
		}
		n, err := one.connections(f.brokers)
		if err != nil {
			return 0, 0, err
		}
		memory, connections = memory+now, connections+float64(n)
	}
	return memory, connections, nil
}

// connections counts the established connections of a process to the brokers' ports.
func (c *child) connections(brokers string) (n int, err error) {
	own := map[string]bool{}
	files, err := os.ReadDir(c.proc("fd"))
	if err != nil {
		return 0, err
	}
	for _, file := range files {
		to, _ := os.Readlink(filepath.Join(c.proc("fd"), file.Name())) // it may be closed by now
		if inode, ok := strings.CutPrefix(to, "socket:["); ok {
			own[strings.TrimSuffix(inode, "]")] = true
		}
	}
	var ports []string
	for broker := range strings.SplitSeq(brokers, ",") {
		_, port, _ := net.SplitHostPort(broker)
		number, _ := strconv.Atoi(port)
		ports = append(ports, fmt.Sprintf("%04X", number))
	}
	for _, table := range []string{"net/tcp", "net/tcp6"} {
		text, err := os.ReadFile(c.proc(table))
		if err != nil {
			return 0, err
		}
		for line := range strings.Lines(string(text)) {
			const remote, state, inode = 2, 3, 9
			fields := strings.Fields(line)
			if len(fields) <= inode || fields[state] != "01" || !own[fields[inode]] {
				continue
			}
			if _, port, _ := strings.Cut(fields[remote], ":"); slices.Contains(ports, port) {
				n++
			}
		}
	}
	return n, nil
}

// cpu is what share of a core all instances use.
func (f *fleetLab) cpu(ctx context.Context, over time.Duration) (share float64, err error) {
	sum := func() (all float64, err error) {
		for _, one := range f.instances {
			n, err := one.child.cpu()
			if err != nil {
				return 0, err
			}
			all += n
		}
		return all, nil
	}
	before, err := sum()
	if err != nil {
		return 0, err
	}
	if err := sleep(ctx, over); err != nil {
		return 0, err
	}
	after, err := sum()
	return (after - before) / over.Seconds(), err
}

// calls is how many calls a portal makes in a day, going by half a minute.
func (f *fleetLab) calls(ctx context.Context) (float64, error) {
	const over = 30 * time.Second
	count := func() (n int) {
		for _, p := range f.portals {
			for _, calls := range p.Stats().Calls {
				n += calls
			}
		}
		return n
	}
	before := count()
	err := sleep(ctx, over)
	return float64(count()-before) / float64(len(f.portals)) * (24 * time.Hour).Seconds() / over.Seconds(), err
}

// killOne kills the last instance, and waits until its portals stream elsewhere. It
// counts the portals of others whose run has ended meanwhile.
func (f *fleetLab) killOne(ctx context.Context) (moved int, back time.Duration, disturbed int, err error) {
	before, err := f.status(ctx)
	if err != nil {
		return 0, 0, 0, err
	}
	last := f.instances[len(f.instances)-1]
	since := map[string]time.Time{}
	for _, p := range before.Portals {
		if p.Instance == last.addr {
			moved++
		} else {
			since[p.Name] = p.Since
		}
	}
	if len(f.instances) < 2 || moved == 0 {
		return 0, 0, 0, errors.New("there is no instance to kill that has portals")
	}
	f.instances = f.instances[:len(f.instances)-1]
	began := time.Now()
	last.kill()
	if err := f.all(ctx, 10*time.Minute, func(s *fleet.Status) bool {
		return s.Counts()[fleet.StateStreaming] == len(f.names) && !slices.ContainsFunc(s.Portals, func(p fleet.Portal) bool { return p.Instance == last.addr })
	}); err != nil {
		return 0, 0, 0, err
	}
	back = time.Since(began)
	after, err := f.status(ctx)
	if err != nil {
		return 0, 0, 0, err
	}
	for _, p := range after.Portals {
		if at, other := since[p.Name]; other && !at.Equal(p.Since) {
			disturbed++
		}
	}
	return moved, back, disturbed, nil
}

// startAgain kills all instances and starts as many as there were at first. What the
// portals have published is there already.
func (f *fleetLab) startAgain(ctx context.Context) (took time.Duration, err error) {
	f.end()
	f.instances = nil
	began := time.Now()
	for range f.bench.instances {
		if err := f.startInstance(ctx); err != nil {
			return 0, err
		}
	}
	err = f.streaming(ctx, 15*time.Minute)
	return time.Since(began), err
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
