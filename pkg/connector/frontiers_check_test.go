package connector_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/cdc/cdctest"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// showings are the rows that a process's searches for modified records showed it.
type showings struct {
	to    http.RoundTripper
	first map[string]time.Time // of a type's searches; a lag later no trailing tier begins where the leading one does
	lag   time.Duration        // the shortest one

	mu  sync.Mutex
	all map[string][]shown // by the type's path
	// since is what the latest search of each kind began at: the page that one before it
	// showed is committed.
	since map[walkKind]hubspot.Millis
}

type walkKind struct {
	object  string
	leading bool
}

type shown struct {
	cdctest.Showing
	at time.Time
}

// watch notes from now on what searches show to a process.
func watch(p *process, first map[string]time.Time, lag time.Duration) *showings {
	s := &showings{to: p.w.Portal.Transport(), first: first, lag: lag, all: map[string][]shown{}, since: map[walkKind]hubspot.Millis{}}
	p.HubSpot.Turn(s)
	return s
}

// RoundTrip implements http.RoundTripper.
func (s *showings) RoundTrip(r *http.Request) (*http.Response, error) {
	path, search := strings.CutSuffix(r.URL.Path, "/search")
	if !search || r.Body == nil {
		return s.to.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	answer, err := s.to.RoundTrip(r)
	if err != nil || answer.StatusCode != http.StatusOK {
		return answer, err
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	answer.Body = io.NopCloser(bytes.NewReader(text))
	s.note(path[strings.LastIndex(path, "/")+1:], body, text)
	return answer, nil
}

func (s *showings) note(object string, asked, answered []byte) {
	var q struct {
		Limit        int
		FilterGroups []struct {
			Filters []struct{ PropertyName, Operator, Value string }
		}
	}
	var a struct {
		Results []struct {
			ID        string
			UpdatedAt time.Time
		}
	}
	if json.Unmarshal(asked, &q) != nil || json.Unmarshal(answered, &a) != nil || len(q.FilterGroups) != 1 || q.Limit == 1 { // those of one row look for a bad one
		return
	}
	var since hubspot.Millis
	for _, f := range q.FilterGroups[0].Filters {
		if ms, err := strconv.ParseInt(f.Value, 10, 64); err == nil && strings.HasSuffix(f.PropertyName, "modifieddate") {
			since = hubspot.Millis(ms)
		}
	}
	if since == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.first[object].IsZero() {
		s.first[object] = now
	}
	leading := now.Sub(s.first[object]) > s.lag+10*time.Second && now.Sub(since.Time()) < s.lag
	s.since[walkKind{object, leading}] = max(s.since[walkKind{object, leading}], since)
	for _, row := range a.Results {
		s.all[object] = append(s.all[object], shown{cdctest.Showing{ID: row.ID, Modified: hubspot.MillisOf(row.UpdatedAt), Since: since, At: hubspot.MillisOf(now), Leading: leading}, now})
	}
}

// finished are the rows of walks that had ended when the process did, each once: a
// walk that was under way, perhaps for minutes because HubSpot did not answer about a
// record, goes on in the next process, whose answers may lack what its own had.
func (s *showings) finished(object string, ended time.Time, into map[cdctest.Showing]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, row := range s.all[object] {
		if row.at.Before(ended.Add(-2*time.Minute)) && row.Since < s.since[walkKind{object, row.Leading}] {
			into[row.Showing] = true
		}
	}
}

// watched are the processes of a test, and what their searches showed.
type watched struct {
	lag    time.Duration // the shortest one
	surely time.Duration // within which the index shows nearly every change, even if several answers lack it

	first map[string]time.Time
	last  *showings
	shown map[string]map[cdctest.Showing]bool // by object
}

// start begins a process in place of the one before, which has ended.
func (h *watched) start(w *world, objects ...string) *process {
	h.end(objects...)
	if h.first == nil {
		h.first = map[string]time.Time{}
	}
	p := w.start()
	h.last = watch(p, h.first, h.lag)
	return p
}

// end takes over what the process that has ended was shown.
func (h *watched) end(objects ...string) {
	if h.shown == nil {
		h.shown = map[string]map[cdctest.Showing]bool{}
	}
	for _, object := range objects {
		if h.shown[object] == nil {
			h.shown[object] = map[cdctest.Showing]bool{}
		}
		if h.last != nil {
			h.last.finished(object, time.Now(), h.shown[object])
		}
	}
}

// of are the rows that searches showed of a type, each with the search that looked
// back furthest.
func (h *watched) of(object string) []cdctest.Showing {
	furthest := map[cdctest.Showing]cdctest.Showing{}
	for s := range h.shown[object] {
		key := cdctest.Showing{ID: s.ID, Modified: s.Modified, Leading: s.Leading}
		if other, known := furthest[key]; !known || s.Since < other.Since || s.Since == other.Since && s.At < other.At {
			furthest[key] = s
		}
	}
	out := slices.Collect(maps.Values(furthest))
	slices.SortFunc(out, func(a, b cdctest.Showing) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Modified, b.Modified))
	})
	return out
}

// allFrontiers are the records of the frontiers topic, by topic and in order.
func (w *world) allFrontiers() map[string][]cdctest.Frontier {
	w.T.Helper()
	out := map[string][]cdctest.Frontier{}
	for _, r := range w.Records("hubspot.frontiers") {
		topic, f, err := cdctest.DecodeFrontier(r.Key, r.Value)
		if err != nil {
			w.T.Fatal(err)
		}
		f.At = hubspot.MillisOf(r.Timestamp)
		out[topic] = append(out[topic], f)
	}
	return out
}

// evidence is everything that bears on the frontiers: the topics' records and what HubSpot
// had.
type evidence struct {
	w         *world
	back      bool // cursors were moved back, or forgotten with their type
	processes *watched
	objects   map[string][]cdctest.Event
	lists     map[string][]cdctest.LinkEvent // of pairs and reference lists
	histories map[string]cdctest.LinkHistory
	hidden    map[string]hidden         // what lists lacked, by topic
	searches  map[string]hidden         // what searches lacked, by topic
	unknown   map[string]hubspot.Millis // until when a type was not followed, because HubSpot did not show it
}

// hidden is when HubSpot hid keys of a topic from answers to lists so that nobody could
// see through it, by key and in order.
type hidden map[string][]hubspot.Millis

// from adds an answer.
func (h hidden) from(at int64, key string) { h[key] = append(h[key], hubspot.Millis(at)) }

// once reports whether one answer hid a key between two times.
func (h hidden) once(key string, since, until hubspot.Millis) bool {
	return slices.ContainsFunc(h[key], func(at hubspot.Millis) bool { return since <= at && at <= until })
}

// twice reports whether two answers hid a key that came as long after each other as the
// readings of a list do that verify it.
func (h hidden) twice(key string, since, until hubspot.Millis) bool {
	return slices.ContainsFunc(h[key], func(at hubspot.Millis) bool {
		return since <= at && h.once(key, at.Add(30*time.Second), until)
	})
}

func (w *world) evidence(h *watched, objects []string, pairs []cdc.Pair) *evidence {
	w.T.Helper()
	t := &evidence{w, w.Log.Has("it is moved back") || w.Log.Has("an object type was removed"), h, map[string][]cdctest.Event{}, map[string][]cdctest.LinkEvent{}, map[string]cdctest.LinkHistory{}, map[string]hidden{}, map[string]hidden{}, map[string]hubspot.Millis{}}
	for _, object := range objects {
		t.objects[object] = w.Seen(object)
	}
	for _, pair := range pairs {
		topic := offsets.PairTopic("hubspot", pair)
		t.histories[topic], t.lists[topic] = cdctest.LinkHistoryOf(w.Portal, pair.From, pair.To), w.seenLinks(pair)
	}
	pipelines, stages := cdctest.PipelineHistoriesOf(w.Portal, objects...)
	for list, history := range map[string]cdctest.ReferenceHistory{"owners": cdctest.OwnerHistoryOf(w.Portal), "pipelines": pipelines, "pipeline_stages": stages} {
		t.histories["hubspot."+list], t.lists["hubspot."+list] = history.States, w.seenEntries(list)
	}
	t.hide()
	return t
}

// hide notes what HubSpot hid from its lists and searches, and which types it did not show at first:
// pipelines say nothing of a type for times before the type has a frontier. A page of records that lacks a record
// which is published as live shows that it is short: that hides nothing.
func (t *evidence) hide() {
	live := map[string]func(id string, at int64) bool{}
	for object, events := range t.objects {
		t.searches["hubspot."+object] = hidden{}
		t.hidden["hubspot."+object], live[object] = hidden{}, t.w.published(object, events)
	}
	for topic := range t.lists {
		t.hidden[topic] = hidden{}
	}
	unshown := map[string]bool{}
	for line := range strings.Lines(t.w.Log.String()) {
		if _, objects, found := strings.Cut(line, "they are left out\" portal=4242 objects="); found {
			for object := range strings.SplitSeq(strings.TrimSpace(objects), ",") {
				unshown[object] = true
			}
		}
	}
	for _, h := range t.w.Portal.Hidings() {
		for _, key := range h.Keys {
			switch h.Endpoint {
			case hubspottest.EndpointList:
				if !slices.ContainsFunc(h.Keys, func(id string) bool { return live[h.Object](id, h.At) }) {
					t.hidden["hubspot."+h.Object].from(h.At, key)
				}
			case hubspottest.EndpointSearch:
				t.searches["hubspot."+h.Object].from(h.At, key)
			case hubspottest.EndpointSchemas:
				unshown[key] = true
			case hubspottest.EndpointOwners:
				t.hidden["hubspot.owners"].from(h.At, key)
			case hubspottest.EndpointPipelines:
				for _, list := range []string{"hubspot.pipelines", "hubspot.pipeline_stages"} {
					for entry := range t.histories[list] {
						if is := h.Object + ":" + key; entry == is || strings.HasPrefix(entry, is+":") {
							t.hidden[list].from(h.At, entry)
						}
					}
				}
			}
		}
	}
	frontiers := t.w.allFrontiers()
	for object := range unshown {
		t.unknown[object] = hubspot.AnyTime
		if of := frontiers["hubspot."+object]; len(of) > 0 {
			t.unknown[object] = of[0].At
		}
	}
}

// published returns whether a record was published as live some time before, so that a
// reading which was sent then knew of it.
func (w *world) published(object string, events []cdctest.Event) func(id string, at int64) bool {
	type place struct {
		partition int32
		offset    int64
	}
	when := map[place]int64{}
	for _, r := range w.Records("hubspot." + object) {
		when[place{r.Partition, r.Offset}] = r.Timestamp.UnixMilli()
	}
	return func(id string, at int64) (live bool) {
		for i := range events {
			e := &events[i]
			if e.Key.ID == id && !e.Tombstone && when[place{e.Partition, e.Offset}] < at-20_000 {
				live = e.Op != "d"
			}
		}
		return live
	}
}

// wrong is what frontiers claim and is not so, by topic.
func (t *evidence) wrong(frontiers map[string][]cdctest.Frontier) map[string][]string {
	out := map[string][]string{}
	check := func(topic string, places []cdctest.Place, back bool, claims func([]cdctest.Frontier) []string) {
		if wrong := append(cdctest.CheckFrontierPlaces(places, frontiers[topic], back), claims(frontiers[topic])...); len(wrong) > 0 {
			out[topic] = wrong
		}
	}
	for object, events := range t.objects {
		check("hubspot."+object, placesOf(events), t.back, func(all []cdctest.Frontier) []string {
			late := func(property string) bool { return strings.HasPrefix(property, latePrefix) }
			showings := t.processes.of(object)
			for i := range showings { // a trailing tier may have begun where the leading one is
				showings[i].Leading = showings[i].Leading && !t.back
			}
			hidings := cdctest.Hidings{Lists: t.hidden["hubspot."+object].once, Searches: t.searches["hubspot."+object].once}
			return cdctest.CheckFrontiers(cdctest.HistoryOf(t.w.Portal, object), events, all, showings, t.processes.surely, late, hidings)
		})
	}
	for topic, events := range t.lists {
		var places []cdctest.Place
		for i := range events {
			e := &events[i]
			places = append(places, cdctest.Place{Key: e.Key, Partition: e.Partition, Offset: e.Offset, Tombstone: e.Tombstone, Deleted: e.Op == "d", Seq: e.Seq})
		}
		check(topic, places, false, func(all []cdctest.Frontier) []string {
			return cdctest.CheckListFrontiers(t.histories[topic], events, all, func(key string, since, until hubspot.Millis) bool {
				object, _, _ := strings.Cut(key, ":")
				return t.hidden[topic].twice(key, since, until) || since < t.unknown[object]
			})
		})
	}
	return out
}

// placesOf are where the records of an object type's topic stand.
func placesOf(events []cdctest.Event) (places []cdctest.Place) {
	for i := range events {
		e := &events[i]
		places = append(places, cdctest.Place{Key: e.Key.ID, Partition: e.Partition, Offset: e.Offset, Tombstone: e.Tombstone, Deleted: e.Op == "d", Seq: e.Seq})
	}
	return places
}

// checkFrontiers checks every frontier that was ever written (R17).
func (t *evidence) checkFrontiers() {
	t.w.T.Helper()
	frontiers := t.w.allFrontiers()
	for topic, wrong := range t.wrong(frontiers) {
		t.w.T.Errorf("%s: %d of its %d frontiers' claims are wrong:\n%s", topic, len(wrong), len(frontiers[topic]), strings.Join(wrong[:min(len(wrong), 12)], "\n"))
	}
}

// plantedBugs are frontiers as a connector with a bug would have written them.
var plantedBugs = map[string]func([]cdctest.Frontier) []cdctest.Frontier{
	"the offsets count the events of the same transaction": func(is []cdctest.Frontier) []cdctest.Frontier {
		for i := range is[1:] {
			is[i].Offsets = is[i+1].Offsets
		}
		return is
	},
	"the cursor is ahead of its events": func(is []cdctest.Frontier) []cdctest.Frontier {
		for i := range is[2:] {
			is[i].Leading = is[i+2].Leading
		}
		return is[:len(is)-2] // or leading would seem to fall
	},
	"a sweep verifies the time of its end": func(is []cdctest.Frontier) []cdctest.Frontier {
		latest, seen := hubspot.Millis(0), hubspot.Millis(0)
		for i := range is {
			if is[i].Verified != latest {
				latest, seen = is[i].Verified, is[i].At
			}
			is[i].Verified = seen
		}
		return is
	},
}

// plantBugs notes which bugs the check finds in the frontiers of each object type.
func (t *evidence) plantBugs(found map[string]bool) {
	t.w.T.Helper()
	for name, plant := range plantedBugs {
		planted := map[string][]cdctest.Frontier{}
		for topic, is := range t.w.allFrontiers() {
			if len(is) > 2 {
				is = plant(is)
			}
			planted[topic] = is
		}
		wrong := t.wrong(planted)
		for object := range t.objects {
			if len(wrong["hubspot."+object]) > 0 {
				found[name+", "+object] = true
			}
		}
	}
}
