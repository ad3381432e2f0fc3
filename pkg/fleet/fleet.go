package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/group"
	"github.com/hubspot-cdc/connector/pkg/sink"
)

// Config is what an instance of a fleet needs to know.
type Config struct {
	// Read reads the files of the folder, and Configure makes a portal's configuration
	// of one. It notes what is wrong in the file.
	Read      func() ([]File, error)
	Configure func(*File) connector.Config

	Topic   sink.Config       // what the group's topic needs: its Prefix is that of the fleet
	Parts   int32             // partitions of the topic, if it has yet to be created
	Addr    string            // where this instance answers over HTTP; "": nowhere
	Address func() string     // where other instances reach it; "", or nil: nowhere. It is asked once the brokers have answered
	Metrics string            // MetricsPortal or MetricsFull
	Version string            // of the program
	Log     *slog.Logger      // not nil
	Others  http.RoundTripper // carries the requests to other instances; nil: over the network
	Each    connector.Options // for every portal's connector; the fleet sets Logger, Shared and Own
}

// Name is that of the fleet's group and of its topic.
func Name(prefix string) string { return prefix + ".fleet" }

const (
	// folderInterval is the time between two looks at the folder.
	folderInterval = 10 * time.Second
	// A portal that only its operator can help is tried again, in case he has: first
	// after startAgain, then seldomer, and at once if its file changes.
	startAgain  = time.Minute
	startSeldom = 10 * time.Minute
	// membershipAgain is the longest wait before the brokers are tried again.
	membershipAgain = 30 * time.Second
)

// Fleet is one instance. Run is called once.
type Fleet struct {
	cfg     Config
	shared  *connector.Shared
	started time.Time
	wake    chan struct{} // one slot: a portal's goroutine has ended, or the folder was read
	reading chan struct{} // one slot: the folder is being read
	unowned atomic.Int64  // portals that no instance had at the last survey

	mu      sync.Mutex
	member  *group.Member // nil: not yet
	address string        // where others reach this instance; "": nowhere, or not known yet
	in      bool          // it is in the group
	since   time.Time     // of in
	problem error         // why it is not in the group
	folder  error         // why the folder could not be read
	unread  time.Time     // since when
	looked  time.Time     // when the latest reading of the folder began
	parts   int32         // partitions of the topic; 0: not known
	holds   map[int32]context.Context
	files   map[string]*file
	running map[string]*running
}

// New makes an instance, and connects to nobody.
func New(cfg Config) *Fleet {
	now := time.Now()
	return &Fleet{
		cfg: cfg, shared: connector.NewShared(cfg.Log), started: now, since: now, wake: make(chan struct{}, 1), reading: make(chan struct{}, 1),
		holds: map[int32]context.Context{}, files: map[string]*file{}, running: map[string]*running{},
	}
}

// Run takes part until ctx ends. It returns an error only when an operator has to act
// on the instance; [connector.ExitCode] gives its exit code. What is wrong with a
// portal is that portal's problem.
func (f *Fleet) Run(ctx context.Context) error {
	if f.cfg.Addr != "" {
		stop, err := f.serve()
		if err != nil {
			return err
		}
		defer stop()
	}
	log := f.cfg.Log
	log.Info("fleet starts", "version", f.cfg.Version, "group", Name(f.cfg.Topic.Prefix))
	f.look()
	for wait := time.Second; ; wait = min(2*wait, membershipAgain) {
		began := time.Now()
		err := f.takePart(ctx)
		f.settle(nil)
		if ctx.Err() != nil || connector.ExitCode(err) != connector.ExitFailed {
			log.Info("fleet stopped")
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		f.outside(err)
		if time.Since(began) > time.Minute {
			wait = time.Second
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

// takePart is one membership of the group.
func (f *Fleet) takePart(ctx context.Context) error {
	topic := Name(f.cfg.Topic.Prefix)
	parts, err := sink.EnsureFleetTopic(ctx, f.cfg.Topic, topic, f.cfg.Parts)
	if err != nil {
		return err
	}
	address := ""
	if f.cfg.Address != nil {
		address = f.cfg.Address()
	}
	m, err := group.Join(ctx, group.Config{Opts: f.cfg.Topic.Opts, Group: topic, Topic: topic, Tools: f.cfg.Topic.Tools, Address: address})
	if err != nil {
		return err
	}
	defer func() {
		f.mu.Lock()
		f.member = nil
		f.mu.Unlock()
		m.Leave()
	}()
	defer f.finish() // before it leaves, so that whoever is next need not fence
	f.mu.Lock()
	f.member, f.parts, f.address = m, parts, address
	f.mu.Unlock()
	m.Bury(ctx, f.cfg.Log)
	surveying, end := context.WithCancel(ctx)
	var surveyed sync.WaitGroup
	surveyed.Go(func() { f.survey(surveying) })
	defer surveyed.Wait()
	defer end()
	looks := time.NewTicker(folderInterval)
	defer looks.Stop()
	for {
		state := m.Now()
		if !state.In && state.Err != nil { // the client joins again by itself
			err := fmt.Errorf("join consumer group %s: %w", topic, state.Err)
			if cure := m.Cure(state.Err); cure != "" {
				err = fmt.Errorf("%w; %s", err, cure)
			}
			f.outside(err)
		}
		f.settle(&state)
		select {
		case <-m.Changed():
			f.count(ctx, m)
		case <-looks.C:
			f.look()
			f.count(ctx, m) // again: a broker may learn late that there are more
		case <-f.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

// count asks how many partitions the topic has. Instances that do not agree would run a
// portal twice. Whoever does not answer soon is asked again.
func (f *Fleet) count(ctx context.Context, m *group.Member) {
	ctx, cancel := context.WithTimeout(ctx, othersPatience)
	defer cancel()
	if n, err := m.Partitions(ctx); err == nil {
		f.mu.Lock()
		f.parts = n
		f.mu.Unlock()
	}
}

// outside notes why this instance is not in the group.
func (f *Fleet) outside(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.problem == nil {
		f.since = time.Now()
		f.cfg.Log.Error("not in the group of instances; the instance keeps trying", "group", Name(f.cfg.Topic.Prefix), "err", err)
	}
	f.in, f.problem = false, err
}

// rouse has takePart look at what has changed.
func (f *Fleet) rouse() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// settle starts and ends portals, so that those run that the state of the membership
// gives to this instance. nil: it is not in the group.
func (f *Fleet) settle(state *group.State) {
	f.mu.Lock()
	defer f.mu.Unlock()
	in := state != nil && state.In
	if in != f.in {
		f.in, f.since = in, time.Now()
		if in {
			f.cfg.Log.Info("in the group of instances", "group", Name(f.cfg.Topic.Prefix), "address", f.address)
		}
	}
	f.holds = map[int32]context.Context{}
	if in {
		f.problem, f.holds = nil, state.Holds
	}
	for name, r := range f.running {
		switch one := f.files[name]; {
		case one == nil:
			r.cancel(errFileGone)
		case one != r.file:
			r.cancel(errFileChanged)
		case f.term(name) == nil:
			r.cancel(context.Cause(r.term))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.files)) {
		one, term := f.files[name], f.term(name)
		if term != nil && f.running[name] == nil && len(one.Problems) == 0 {
			f.start(one, term)
		}
	}
}

// term ends when this instance loses a portal; nil: it has not got it.
func (f *Fleet) term(name string) context.Context {
	if f.parts == 0 {
		return nil
	}
	term := f.holds[sink.PartitionOf([]byte(name), f.parts)]
	if term != nil && term.Err() != nil {
		return nil
	}
	return term
}

// confirm asks the coordinator whether this instance is still in the group. A portal
// asks before each of its runs.
func (f *Fleet) confirm(ctx context.Context) error {
	f.mu.Lock()
	m := f.member
	f.mu.Unlock()
	if m == nil {
		return errOutside
	}
	return m.Confirm(ctx)
}

// Why a portal's run ends, as the log says.
var (
	errFileGone    = errors.New("its file is gone")
	errFileChanged = errors.New("its file has changed")
)

var errOutside = errors.New("this instance is not in the group of the fleet's instances")

// endWithin is how long portals may take to end: the process has to leave the group too, and
// to end within ten seconds (docs/contract.md section 7).
const endWithin = 8 * time.Second

// finish ends all portals, and waits for them. It leaves behind those that something
// keeps, such as a secret's file on a disk that does not answer: others wait for the rest.
func (f *Fleet) finish() {
	late := time.After(endWithin)
	for {
		f.mu.Lock()
		left := slices.Sorted(maps.Keys(f.running))
		for _, r := range f.running {
			r.cancel(nil)
		}
		f.mu.Unlock()
		if len(left) == 0 {
			return
		}
		select {
		case <-f.wake:
		case <-late:
			f.cfg.Log.Error("some portals do not end; the instance does not wait for them", "portals", len(left), "first", left[0])
			return
		}
	}
}
