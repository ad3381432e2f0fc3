package stream

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Status is what an operator sees of the streams: which run, how far they are
// and what is in their way. It is a prometheus.Collector for the two figures
// that depend on the moment they are asked for.
type Status struct {
	// Now is HubSpot's time.
	now func() hubspot.Millis

	mu      sync.Mutex
	streams map[streamKey]*streamState
	lanes   map[string]published
	done    map[string]bool // object types whose backfill has ended

	snapshot *Snapshot // that a signal asked for
}

type streamKey struct{ object, stream string }

type streamState struct {
	expected bool // the connector is not ready before it has started
	started  bool
	reached  hubspot.Millis // complete up to here; zero while not known
	problem  error
}

// Problem is one thing that is wrong, in words for an operator.
type Problem struct {
	Object  string `json:"object"`
	Stream  string `json:"stream"`
	Problem string `json:"problem"`
	Action  string `json:"action"`
}

// NewStatus makes an empty status of streams that follow HubSpot's time.
func NewStatus(now func() hubspot.Millis) *Status {
	return &Status{now: now, streams: map[streamKey]*streamState{}, lanes: map[string]published{}, done: map[string]bool{}}
}

// Expect announces a stream; until it has started the connector is not ready.
func (s *Status) Expect(object, stream string) {
	s.change(object, stream, func(st *streamState) { st.expected = true })
}

// started says that a pass of the stream succeeded, and clears its problem.
func (s *Status) started(object, stream string) {
	s.change(object, stream, func(st *streamState) { st.started, st.problem = true, nil })
}

// reached says up to which moment of HubSpot's the stream has seen everything.
func (s *Status) reached(object, stream string, at hubspot.Millis) {
	s.change(object, stream, func(st *streamState) { st.reached = at })
}

// Problem says why a stream does not get on; whether that is news is what it
// returns.
func (s *Status) Problem(object, stream string, err error) (news bool) {
	s.change(object, stream, func(st *streamState) {
		news = st.problem == nil || st.problem.Error() != err.Error()
		st.problem = err
	})
	return news
}

// Clear says that what was wrong with a part of an object's work is over.
func (s *Status) Clear(object, part string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.streams, streamKey{object, part})
}

// Forget takes an object type or a pair out that is not followed any more.
func (s *Status) Forget(object string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.lanes, object)
	delete(s.done, object)
	maps.DeleteFunc(s.streams, func(k streamKey, _ *streamState) bool { return k.object == object })
}

// published is what publishes an object type's records or a pair's links.
type published interface{ Live() int }

// Watch reports the figures of an object type's or a pair's lane.
func (s *Status) Watch(object string, lane published) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lanes[object] = lane
}

func (s *Status) change(object, stream string, f func(*streamState)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := streamKey{object, stream}
	if s.streams[k] == nil {
		s.streams[k] = &streamState{}
	}
	f(s.streams[k])
}

// Running says whether every announced stream has started.
func (s *Status) Running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.streams {
		if st.expected && !st.started {
			return false
		}
	}
	return len(s.streams) > 0
}

// backfillDone says that an object type's backfill has ended.
func (s *Status) backfillDone(object string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done[object] = true
}

// Backfills says of every object type whether its backfill runs or is done.
func (s *Status) Backfills() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]string{}
	for object := range s.lanes {
		out[object] = "running"
		if s.done[object] {
			out[object] = "done"
		}
	}
	return out
}

// Live gives the number of live records of every object type.
func (s *Status) Live() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string]int, len(s.lanes))
	for object, lane := range s.lanes {
		out[object] = lane.Live()
	}
	return out
}

// Problems lists what is wrong, by object and stream.
func (s *Status) Problems() []Problem {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []Problem{}
	for k, st := range s.streams {
		if st.problem != nil {
			out = append(out, Problem{k.object, k.stream, st.problem.Error(), action(st.problem)})
		}
	}
	slices.SortFunc(out, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Object, b.Object), cmp.Compare(a.Stream, b.Stream))
	})
	return out
}

func action(err error) string {
	var brake *brakeError
	var withheld *withheldError
	var list *referenceError
	var topic *cdc.RefusedError
	var inbox *inboxError
	switch {
	case errors.As(err, &inbox):
		return "see to it that the connector may create, describe and read the topic of signals; until then it takes none"
	case errors.As(err, &withheld):
		return withheld.action()
	case errors.As(err, &list):
		return list.action()
	case errors.As(err, &topic):
		return "look at what else was registered under that subject; if it is the connector's alone, set its compatibility to BACKWARD or FULL. It is asked again with every look at the schemas"
	case errors.As(err, &brake):
		return "look into HubSpot whether these records were deleted on purpose; if so, wait, and they are published when they are still gone after the hour"
	case hubspot.MissingScopes(err):
		return "give the token the read scope of this object type, or leave the type out of HUBSPOT_OBJECTS"
	case hubspot.NotFound(err):
		return "check that the object type still exists in the portal"
	default:
		return "see HubSpot's status page and the log; the stream is tried again every minute"
	}
}

var (
	behindDesc = prometheus.NewDesc("hubspot_cdc_milliseconds_behind_source",
		"How long ago the stream's last finished pass began: changes before that have been looked for.",
		[]string{"object", "stream"}, nil)
	liveDesc = prometheus.NewDesc("hubspot_cdc_live_records",
		"Records that are published as live.", []string{"object"}, nil)
	olderDesc = prometheus.NewDesc("hubspot_cdc_older_versions_total",
		"Records that HubSpot's object store showed, twice, with an older version than before. It is trusted to never do so.",
		[]string{"object"}, nil)
)

// Describe is part of prometheus.Collector.
func (s *Status) Describe(ch chan<- *prometheus.Desc) {
	ch <- behindDesc
	ch <- liveDesc
	ch <- olderDesc
}

// Collect is part of prometheus.Collector.
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
	for object, lane := range s.lanes {
		if records, ok := lane.(*cdc.Lane); ok {
			ch <- prometheus.MustNewConstMetric(olderDesc, prometheus.CounterValue, float64(records.WentBack()), object)
		}
		ch <- prometheus.MustNewConstMetric(liveDesc, prometheus.GaugeValue, float64(lane.Live()), object)
	}
}
