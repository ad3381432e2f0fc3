package stream

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Status is what an operator sees of the streams: which ones run, how far they are
// and what is in their way. It is a prometheus.Collector for the figures that depend
// on when they are asked for.
//
// It outlives a run: between two runs, what the streams have reached goes on
// ageing.
type Status struct {
	now func() hubspot.Millis // HubSpot's time

	mu      sync.Mutex
	streams map[streamKey]*streamState
	lanes   map[string]published
	done    map[string]bool       // objects whose backfill, or first sweep, has ended
	older   map[string]float64    // versions that went back, in the runs that have ended
	passes  map[streamKey]*course // under way
	firsts  map[string]*course    // of objects: the backfill or first sweep, under way or ended

	reads        firstReads
	firstChanged chan struct{} // one slot, for FirstRead
	settled      bool          // the run has announced what it follows
	stalled      func() bool   // Status.Commits; nil: no run is under way

	pauses   pauses         // by signals
	news     chan struct{}  // one slot: News
	snapshot *Snapshot      // the one that a signal asked for
	journal  hubspot.Millis // when HubSpot published the journal's last file that was read; zero: none was
}

type streamKey struct{ object, stream string }

type streamState struct {
	expected bool // the connector is not ready before it has started
	started  bool
	reached  hubspot.Millis // complete up to here; zero while unknown
	problem  error
	since    time.Time // when the problem began
	earlier  bool      // known from an earlier run alone
	proven   bool      // Status.Proven
}

// Problem is one thing that is wrong, in words for an operator.
type Problem struct {
	Area    string    `json:"area"` // what has it: stream, or what the streams depend on
	Object  string    `json:"object"`
	Stream  string    `json:"stream"`
	Problem string    `json:"problem"`
	Action  string    `json:"action"`
	Runbook string    `json:"runbook"` // where docs/runbook.md says more
	Since   time.Time `json:"since"`
}

// ProblemArea is the Area of a problem of one stream or part.
const ProblemArea = "stream"

// NewStatus makes an empty status. now returns HubSpot's time.
func NewStatus(now func() hubspot.Millis) *Status {
	return &Status{
		now: now, streams: map[streamKey]*streamState{}, lanes: map[string]published{}, done: map[string]bool{}, older: map[string]float64{},
		passes: map[streamKey]*course{}, firsts: map[string]*course{},
		firstChanged: make(chan struct{}, 1), news: make(chan struct{}, 1),
	}
}

// Expect announces a stream. The connector is not ready until it has started.
func (s *Status) Expect(object, stream string) {
	s.change(object, stream, func(st *streamState) { st.expected = true })
}

// started notes that a pass of the stream succeeded, and clears its problem.
func (s *Status) started(object, stream string) {
	s.change(object, stream, func(st *streamState) { st.started, st.proven, st.problem = true, true, nil })
}

// idle notes that the stream has nothing to do now, which keeps nothing from being ready.
func (s *Status) idle(object, stream string) {
	s.change(object, stream, func(st *streamState) { st.started, st.problem = true, nil })
}

// Proven reports whether the stream has succeeded in this run, and has no problem: what an
// earlier run had is over.
func (s *Status) Proven(object, stream string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[streamKey{object, stream}]
	return st != nil && st.proven && st.problem == nil
}

// Commits begins a run. stalled reports that Kafka takes none of its transactions.
func (s *Status) Commits(stalled func() bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stalled = stalled
}

// reached notes up to which of HubSpot's times the stream has seen everything. A pass
// that found nothing ends although Kafka takes nothing; it does not count then.
func (s *Status) reached(object, stream string, at hubspot.Millis) {
	s.change(object, stream, func(st *streamState) {
		if s.stalled == nil || !s.stalled() {
			st.reached = at
		}
	})
}

// begins notes since when the stream owes changes, where it is not known yet what it
// has seen: from the time of its cursor, or from now on where that is zero.
func (s *Status) begins(object, stream string, at hubspot.Millis) {
	now := s.now()
	if at == 0 || at > now {
		at = now
	}
	s.change(object, stream, func(st *streamState) { st.reached = cmp.Or(st.reached, at) })
}

// Problem notes why a stream makes no progress. news reports whether that was not
// known before.
func (s *Status) Problem(object, stream string, err error) (news bool) {
	s.change(object, stream, func(st *streamState) {
		news = st.problem == nil || st.problem.Error() != err.Error()
		if st.problem == nil {
			st.since = time.Now()
		}
		st.problem = err
		if news {
			s.sayNews()
		}
	})
	return news
}

// excuse removes the problem of a stream that makes no progress.
func (s *Status) excuse(object, stream string) {
	s.change(object, stream, func(st *streamState) { st.problem = nil })
}

// Clear removes the problem of a part of an object's work.
func (s *Status) Clear(object, part string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.streams, streamKey{object, part})
}

// Forget drops an object type or a pair that is no longer followed.
func (s *Status) Forget(object string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.lanes, object)
	delete(s.done, object)
	delete(s.firsts, object)
	maps.DeleteFunc(s.passes, func(k streamKey, _ *course) bool { return k.object == object })
	maps.DeleteFunc(s.streams, func(k streamKey, _ *streamState) bool { return k.object == object })
}

// published is a lane, of records, links or entries.
type published interface{ Live() int }

// Watch shows the figures of a lane under the name of its object.
func (s *Status) Watch(object string, lane published) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lanes[object] = lane
	s.sayNews()
}

func (s *Status) change(object, stream string, f func(*streamState)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := streamKey{object, stream}
	if s.streams[k] == nil {
		s.streams[k] = &streamState{}
	}
	s.streams[k].earlier = false
	f(s.streams[k])
}

// Running reports whether every announced stream has started. It is false while
// there is no stream.
func (s *Status) Running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := false
	for _, st := range s.streams {
		if st.expected && !st.started {
			return false
		}
		known = known || !st.earlier
	}
	return known
}

// Waiting lists the announced streams that have not started, as object and stream.
func (s *Status) Waiting() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for k, st := range s.streams {
		if st.expected && !st.started {
			out = append(out, k.object+" "+k.stream)
		}
	}
	slices.Sort(out)
	return out
}

// Between marks that no run is under way.
func (s *Status) Between() {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.streams, func(_ streamKey, st *streamState) bool { return st.reached == 0 })
	for k, st := range s.streams {
		s.streams[k] = &streamState{reached: st.reached, earlier: true}
	}
	for object, lane := range s.lanes {
		if n, records := wentBack(lane); records {
			s.older[object] += n
		}
		s.lanes[object] = was(lane.Live()) // not the lane, which holds the whole table
	}
	s.done, s.snapshot, s.settled, s.stalled = map[string]bool{}, nil, false, nil
	clear(s.passes)
	maps.DeleteFunc(s.firsts, func(_ string, p *course) bool { return p.ended.IsZero() })
}

// Settle forgets what an earlier run followed and this one does not. It is called
// once this run has announced what it follows.
func (s *Status) Settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settled = true
	s.tellFirst()
	maps.DeleteFunc(s.lanes, func(_ string, lane published) bool { _, gone := lane.(was); return gone })
	announced := map[string]bool{}
	for k, st := range s.streams {
		announced[k.object] = announced[k.object] || !st.earlier
	}
	maps.DeleteFunc(s.streams, func(k streamKey, _ *streamState) bool { return s.lanes[k.object] == nil && !announced[k.object] })
	maps.DeleteFunc(s.firsts, func(object string, _ *course) bool { return s.lanes[object] == nil })
}

// Reset forgets everything but counters: another process is the owner.
func (s *Status) Reset() {
	s.Between()
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.streams)
	clear(s.lanes)
	clear(s.firsts)
	s.reads = firstReads{}
	s.journal = 0
}

// was is how many live records a lane of an ended run had.
type was int

func (w was) Live() int { return int(w) }

// wentBack is how many records a lane has seen in an older version than before. It
// is not ok for a lane of links or entries.
func wentBack(lane published) (n float64, ok bool) {
	records, ok := lane.(*cdc.Lane)
	if ok {
		n = float64(records.WentBack())
	}
	return n, ok
}

// backfillDone notes that an object's backfill, or first sweep, has ended.
func (s *Status) backfillDone(object string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done[object] = true
	s.tellFirst()
	s.sayNews()
}

// Backfills returns "running" or "done" for the backfill, or first sweep, of every
// object.
func (s *Status) Backfills() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string]string, len(s.lanes))
	for object, lane := range s.lanes {
		if _, ended := lane.(was); ended {
			continue
		}
		out[object] = "running"
		if s.done[object] {
			out[object] = "done"
		}
	}
	return out
}

// Live returns how many live records, links or entries every object has.
func (s *Status) Live() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string]int, len(s.lanes))
	for object, lane := range s.lanes {
		out[object] = lane.Live()
	}
	return out
}

// Problems lists what is wrong, sorted by object and stream.
func (s *Status) Problems() []Problem {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []Problem{}
	for k, st := range s.streams {
		if st.problem != nil {
			what, runbook := advise(st.problem)
			out = append(out, Problem{ProblemArea, k.object, k.stream, st.problem.Error(), what, runbook, st.since})
		}
	}
	slices.SortFunc(out, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Object, b.Object), cmp.Compare(a.Stream, b.Stream))
	})
	return out
}

var (
	behindDesc = prometheus.NewDesc("hubspot_cdc_milliseconds_behind_source",
		"Milliseconds since the stream's last finished pass began: the stream has looked for every change before that. Until the first one has ended, milliseconds since it began, or since its cursor.",
		[]string{"object", "stream"}, nil)
	liveDesc = prometheus.NewDesc("hubspot_cdc_live_records",
		"Records that are published as live.", []string{"object"}, nil)
	backfillDesc = prometheus.NewDesc("hubspot_cdc_backfill_records",
		"Records that the backfill has read and committed, or whose links the first sweep of a pair has; 0 if an earlier process did all of it.",
		[]string{"object"}, nil)
	expectedDesc = prometheus.NewDesc("hubspot_cdc_backfill_expected",
		"Records that the backfill, or the first sweep of a pair, has to read in all; 0 while not known.",
		[]string{"object"}, nil)
	journalDesc = prometheus.NewDesc("hubspot_cdc_journal_lag_seconds",
		"Seconds since HubSpot published the last file of its webhooks journal that was read.", nil, nil)
	olderDesc = prometheus.NewDesc("hubspot_cdc_older_versions_total",
		"Records that HubSpot's object store returned, twice, in an older version than before. The connector trusts it never to do so.",
		[]string{"object"}, nil)
)

// journalRead notes when HubSpot published the journal's last file that was read.
func (s *Status) journalRead(published hubspot.Millis) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.journal = published
}

// Describe implements prometheus.Collector.
func (s *Status) Describe(ch chan<- *prometheus.Desc) {
	ch <- behindDesc
	ch <- liveDesc
	ch <- olderDesc
	ch <- backfillDesc
	ch <- expectedDesc
	ch <- journalDesc
}

// Collect implements prometheus.Collector.
func (s *Status) Collect(ch chan<- prometheus.Metric) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, st := range s.streams {
		if st.reached != 0 {
			behind := float64(max(0, now-st.reached))
			ch <- prometheus.MustNewConstMetric(behindDesc, prometheus.GaugeValue, behind, k.object, k.stream)
		}
	}
	if s.journal != 0 {
		ch <- prometheus.MustNewConstMetric(journalDesc, prometheus.GaugeValue, float64(max(0, now-s.journal))/1000)
	}
	for object, lane := range s.lanes {
		n, isType := wentBack(lane)
		if _, counted := s.older[object]; isType || counted {
			ch <- prometheus.MustNewConstMetric(olderDesc, prometheus.CounterValue, s.older[object]+n, object)
		}
		ch <- prometheus.MustNewConstMetric(liveDesc, prometheus.GaugeValue, float64(lane.Live()), object)
		records, expected := s.firsts[object].figures()
		ch <- prometheus.MustNewConstMetric(backfillDesc, prometheus.GaugeValue, records, object)
		ch <- prometheus.MustNewConstMetric(expectedDesc, prometheus.GaugeValue, expected, object)
	}
}
