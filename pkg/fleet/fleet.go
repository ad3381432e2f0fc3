package fleet

import (
	"cmp"
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
	"github.com/hubspot-cdc/connector/pkg/stream"
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

// file is what the folder says of a portal.
type file struct {
	File
	read  []Problem // those that reading found
	since time.Time
	cfg   connector.Config
}

// same reports whether a file says what it said. Where it says so does not matter.
func (one *file) same(now *File) bool {
	alike := func(a, b Line) bool { return a.Variable == b.Variable && a.Value == b.Value }
	return slices.EqualFunc(one.Lines, now.Lines, alike) && slices.Equal(one.read, now.Problems)
}

// running is a portal that this instance runs, or ends.
type running struct {
	file   *file
	term   context.Context
	cancel context.CancelCauseFunc

	mu      sync.Mutex
	c       *connector.Connector // the latest; nil: none could be made
	stopped []stream.Problem     // why it needs its operator, as the last try found; nil: no try has ended
	trying  time.Time            // since when it is tried again; zero: it is not
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

// look begins to read the folder, unless that is under way already: a disk may not
// answer. Until it does, what the folder said before counts.
func (f *Fleet) look() {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case f.reading <- struct{}{}:
	default:
		if time.Since(f.looked) >= foldersAlike {
			f.cannotRead(errSilent, f.looked)
		}
		return
	}
	f.looked = time.Now()
	go func() { // ends once the disk has answered: nothing else can end it
		f.read()
		<-f.reading
		f.rouse()
	}()
}

var errSilent = errors.New("it does not answer")

// read reads the folder. What cannot be read now stays as it was. Only one goroutine
// reads, so it does without the lock.
func (f *Fleet) read() {
	found, err := f.cfg.Read()
	files := f.files
	if err == nil {
		files, err = f.compare(found)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(files) == 0 && len(f.files) > 0 {
		f.cfg.Log.Warn("the folder has no file of a portal any more; all portals end", "portals", len(f.files))
	}
	f.files = files
	f.cannotRead(err, time.Now())
}

// cannotRead notes why the folder cannot be read; nil: it can. Its caller holds mu.
func (f *Fleet) cannotRead(err error, since time.Time) {
	if f.folder == nil && err != nil {
		f.unread = since
		f.cfg.Log.Error("the folder with the portals' files cannot be read; the portals stay as they were", "err", err)
	}
	f.folder = err
}

// rouse has takePart look at what has changed.
func (f *Fleet) rouse() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// compare returns what the folder says now. A file that says what it said is the same as
// before, and so is one that cannot be read now; the error is about the first of those.
func (f *Fleet) compare(found []File) (files map[string]*file, unread error) {
	files = map[string]*file{}
	for i := range found {
		one := found[i]
		was := f.files[one.Name]
		if was != nil && len(was.Problems) == 0 && (one.Unread != nil || was.same(&one)) {
			files[one.Name] = was
			unread = cmp.Or(unread, one.Unread)
			continue
		}
		now := &file{File: one, since: time.Now()}
		now.read = slices.Clone(one.Problems)
		if len(one.Problems) == 0 {
			now.cfg = f.cfg.Configure(&now.File)
		}
		// What was wrong may be right without another line: a secret's file is there.
		if was != nil && was.same(&one) && slices.Equal(was.Problems, now.Problems) {
			files[one.Name] = was
			continue
		}
		for _, p := range now.Problems {
			f.cfg.Log.Error("a portal's file is wrong; the portal does not run", "portal_name", one.Name, "err", now.Where(p))
		}
		files[one.Name] = now
	}
	return files, unread
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

// start runs a portal until its term ends or it is cancelled.
func (f *Fleet) start(one *file, term context.Context) {
	ctx, cancel := context.WithCancelCause(term)
	r := &running{file: one, term: term, cancel: cancel}
	f.running[one.Name] = r
	go func() { // finish waits for it
		defer func() {
			cancel(nil)
			f.mu.Lock()
			delete(f.running, one.Name)
			f.mu.Unlock()
			f.rouse()
		}()
		f.follow(ctx, r)
	}()
}

// follow runs a portal until ctx ends. What ends it otherwise needs its operator.
func (f *Fleet) follow(ctx context.Context, r *running) {
	o := f.cfg.Each
	o.Shared, o.Own, o.Version, o.List = f.shared, f.confirm, f.cfg.Version, "../../"
	o.Logger = f.cfg.Log.With("portal_name", r.file.Name)
	for wait := startAgain; ; wait = min(2*wait, startSeldom) {
		began := time.Now()
		c, err := connector.New(r.file.cfg, o)
		r.tries(c)
		if err == nil {
			err = c.Run(ctx)
		}
		if ctx.Err() != nil {
			return
		}
		r.stops(cmp.Or(err, errors.New("it has stopped")))
		if time.Since(began) > startSeldom {
			wait = startAgain
		}
		o.Logger.Error("the portal needs its operator; it is tried again", "err", err, "after", wait.String())
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

func (r *running) tries(c *connector.Connector) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.c, r.trying = c, time.Now()
}

// stops notes that the portal needs its operator.
func (r *running) stops(failed error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.stopped
	r.trying, r.stopped = time.Time{}, nil
	if r.c != nil {
		r.stopped = r.c.Brief().Problems
	}
	if len(r.stopped) == 0 {
		r.stopped = []stream.Problem{{Area: "connector", Problem: failed.Error(), Action: "do what the problem says; the portal is tried again by itself", Since: moment(time.Now())}}
	}
	for i := range r.stopped { // the try before may have found the same
		if same := slices.IndexFunc(before, func(p stream.Problem) bool { return p.Problem == r.stopped[i].Problem }); same >= 0 {
			r.stopped[i].Since = before[same].Since
		}
	}
}

// now gives the latest connector, and why the portal needs its operator. It does until a
// try streams, or finds something else wrong.
func (r *running) now() (c *connector.Connector, stopped []stream.Problem, trying time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.c, r.stopped, r.trying
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

// problems are those of the file, as the status shows them.
func (one *file) problems() (out []stream.Problem) {
	for _, p := range one.Problems {
		out = append(out, stream.Problem{
			Area: "connector", Problem: one.Where(p), Action: "correct the file, or the environment of the process; the portal starts by itself then",
			Runbook: "docs/runbook.md#a-portals-file-is-wrong", Since: one.since.UTC().Truncate(time.Millisecond),
		})
	}
	return out
}
