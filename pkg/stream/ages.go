package stream

import (
	"cmp"
	"slices"
	"strings"

	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// Age is how far one stream is.
type Age struct {
	Stream  string   `json:"stream"`
	Started bool     `json:"started"` // in this run
	Behind  *float64 `json:"seconds_behind"`
}

// Followed is what is known of one object type, pair or list.
type Followed struct {
	Object   string
	Live     int
	Backfill string // running or done; "" between runs
	Streams  []Age
}

// Followed lists what the run follows, or the last one followed: object types, then
// pairs, both sorted.
func (s *Status) Followed() []Followed {
	now, backfills := s.now(), s.Backfills()
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]*Followed{}
	for object, lane := range s.lanes {
		all[object] = &Followed{Object: object, Live: lane.Live(), Backfill: backfills[object], Streams: []Age{}}
	}
	for k, st := range s.streams {
		if k.object == "" || k.stream == offsets.BackfillStream || st.reached == 0 && (st.started || !st.expected) {
			continue // no object's, without an age, as what reads a record again, or known for its problem alone
		}
		f := all[k.object]
		if f == nil {
			f = &Followed{Object: k.object}
			all[k.object] = f
		}
		age := Age{Stream: k.stream, Started: st.started}
		if st.reached != 0 {
			behind := float64(max(0, now-st.reached)) / 1000
			age.Behind = &behind
		}
		f.Streams = append(f.Streams, age)
	}
	out := []Followed{}
	for _, f := range all {
		slices.SortFunc(f.Streams, func(a, b Age) int { return cmp.Compare(a.Stream, b.Stream) })
		out = append(out, *f)
	}
	slices.SortFunc(out, func(a, b Followed) int {
		return cmp.Or(cmp.Compare(pairs(a.Object), pairs(b.Object)), cmp.Compare(a.Object, b.Object))
	})
	return out
}

// pairs orders pairs of object types after everything else.
func pairs(object string) int { return strings.Count(object, ":") }
