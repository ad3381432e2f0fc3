package stream

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// Progress is how far a pass over everything of an object is: its backfill, its
// first sweep of associations, a later sweep, or a snapshot.
type Progress struct {
	Object    string    `json:"object"`
	Stream    string    `json:"stream"`
	Records   int       `json:"records"`      // read and committed, in earlier runs too
	Expected  *int      `json:"expected"`     // null: HubSpot has not said
	Percent   *float64  `json:"percent"`      // null with expected
	PerSecond float64   `json:"per_second"`   // of late
	Left      *float64  `json:"seconds_left"` // null: nobody can tell
	Since     time.Time `json:"since"`        // when this process began it
	First     bool      `json:"-"`            // a backfill, or the first sweep of a pair
}

// course is a pass under way. Its rate is that of the last half of its time, because
// a backfill begins with one reader and hastens.
type course struct {
	stream       string
	first        bool
	records      int
	expected     int // cdc.Unknown, or a number
	began, ended time.Time
	marks        []mark // of the last rateOver, in order
}

type mark struct {
	at      time.Time
	records int
}

const (
	// rateOver is how far back a rate looks at most, markEvery how far marks are apart.
	rateOver, markEvery = 5 * time.Minute, time.Second
)

// begin notes that a pass begins, or begins once more. first says that it is a
// backfill or a first sweep.
func (s *Status) begin(object, stream string, first bool, done, expected int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := streamKey{object, stream}
	p := s.passes[k]
	if p == nil {
		p = &course{stream: stream, began: time.Now(), expected: cdc.Unknown}
		s.passes[k] = p
	}
	p.first, p.records = first, done
	p.marks = nil
	if expected != cdc.Unknown {
		p.expected = expected
	}
	if first {
		s.firsts[object] = p
		s.firstRead(stream, 0)
		s.tellFirst()
	}
}

// expect notes how many records a pass has to read in all.
func (s *Status) expect(object, stream string, records int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.passes[streamKey{object, stream}]; p != nil {
		p.expected = records
	}
}

// advance notes that a pass has committed so many more records.
func (s *Status) advance(object, stream string, records int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.passes[streamKey{object, stream}]; p != nil {
		p.reach(p.records + records)
		if p.first {
			s.firstRead(stream, records)
		}
	}
}

// left is how many records a pass has yet to read; 0 if that is not known.
func (s *Status) left(object, stream string) (records int, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.passes[streamKey{object, stream}]
	if p == nil || p.expected == cdc.Unknown {
		return 0, false
	}
	return max(0, p.expected-p.records), true
}

// readBy notes how many readers the portal has.
func (s *Status) readBy(readers int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads.readers = readers
}

func (p *course) reach(records int) {
	p.records = records
	now := time.Now()
	if n := len(p.marks); n > 0 && now.Sub(p.marks[n-1].at) < markEvery {
		return
	}
	for len(p.marks) > 1 && now.Sub(p.marks[1].at) > rateOver {
		p.marks = p.marks[1:]
	}
	p.marks = append(p.marks, mark{now, records})
}

// end notes that a pass has read everything. What a backfill has read stays known.
func (s *Status) end(object, stream string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := streamKey{object, stream}
	if p := s.passes[k]; p != nil {
		p.ended, p.expected = time.Now(), p.records
	}
	delete(s.passes, k)
}

// snapshotAt moves the pass of the snapshot that a signal asked for. s.mu is held.
func (s *Status) snapshotAt(now *Snapshot) {
	if now == nil {
		maps.DeleteFunc(s.passes, func(k streamKey, _ *course) bool { return k.stream == offsets.SignalsStream })
		return
	}
	k := streamKey{now.Object, offsets.SignalsStream}
	p := s.passes[k]
	if p == nil {
		p = &course{stream: k.stream, began: time.Now()}
		s.passes[k] = p
	}
	p.expected = now.Of
	p.reach(int(now.Records))
}

// rate is how many records a second the pass has committed of late, and the time since
// the latest of them counts for the next ones. Until a second page is committed, nobody
// can tell: the first one may have come at once.
func (p *course) rate(now time.Time) (perSecond float64, since time.Duration) {
	if len(p.marks) < 2 {
		return 0, 0
	}
	from, last := 0, len(p.marks)-1
	half := now.Add(-min(rateOver, now.Sub(p.marks[0].at)/2))
	for from < last-1 && !p.marks[from+1].at.After(half) {
		from++
	}
	d := p.marks[last].at.Sub(p.marks[from].at)
	between := d / time.Duration(last-from)
	if since = now.Sub(p.marks[last].at); since > between { // the next page is late
		d, since = d+since-between, between
	}
	return float64(p.marks[last].records-p.marks[from].records) / d.Seconds(), since
}

// Progress lists the passes under way, sorted by object and stream.
func (s *Status) Progress() []Progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	out := []Progress{}
	for k, p := range s.passes {
		out = append(out, p.progress(k.object, now))
	}
	slices.SortFunc(out, func(a, b Progress) int {
		return cmp.Or(cmp.Compare(a.Object, b.Object), cmp.Compare(a.Stream, b.Stream))
	})
	if rate, _ := s.reads.all.rate(now); rate > 0 {
		share(out, rate, s.reads.readers)
	}
	for i := range out {
		round(&out[i].PerSecond, out[i].Percent, out[i].Left)
	}
	return out
}

func (p *course) progress(object string, now time.Time) Progress {
	rate, since := p.rate(now)
	out := Progress{Object: object, Stream: p.stream, Records: p.records, PerSecond: rate, Since: p.began, First: p.first}
	if p.expected == cdc.Unknown {
		return out
	}
	expected := max(p.expected, p.records)
	percent := percentOf(p.records, expected)
	out.Expected, out.Percent = &expected, &percent
	if left := float64(expected - p.records); left == 0 || out.PerSecond > 0 {
		left = max(0, left/max(rate, 1e-9)-since.Seconds())
		out.Left = &left
	}
	return out
}

// figures are those of the metrics. A backfill that has not begun has none.
func (p *course) figures() (records, expected float64) {
	if p == nil {
		return 0, 0
	}
	return float64(p.records), float64(max(0, p.expected))
}

// share corrects the time that is left to backfills. They share HubSpot's limit, which
// lets so many records a second pass, and the portal's readers: each type has one, and
// the others are where the most is left (Readers.takes). share plays that through.
func share(all []Progress, rate float64, readers int) {
	var running []*Progress
	var left []float64 // records
	sum := 0.0
	for i := range all {
		if p := &all[i]; p.Stream == offsets.BackfillStream && p.Left != nil {
			running, left = append(running, p), append(left, float64(*p.Expected-p.Records))
			sum += left[len(left)-1]
			*p.Left = 0
		}
	}
	const steps = 500
	for step, now := sum/steps, 1.0; sum > 0; now++ {
		busy, part := 0.0, make([]float64, len(left)) // in readers
		for i := range left {
			if left[i] > 0 {
				part[i] = max(1, float64(readers)*left[i]/sum)
				busy += part[i]
			}
		}
		sum = 0
		for i := range left {
			if left[i] > 0 {
				left[i] -= step * part[i] / busy
				sum += max(0, left[i])
				*running[i].Left = now * step / rate
			}
		}
	}
}

// round leaves what an estimate can tell.
func round(perSecond, percent, left *float64) {
	*perSecond = math.Round(10**perSecond) / 10
	if percent != nil {
		*percent = math.Floor(10**percent) / 10
	}
	if left != nil {
		*left = math.Ceil(*left)
	}
}

func percentOf(records, expected int) float64 {
	if expected == 0 {
		return 100
	}
	return 100 * float64(records) / float64(expected)
}

// Backfill is the first read of all object types together.
type Backfill struct {
	Types     int      `json:"types"` // that are not done
	Records   int      `json:"records"`
	Expected  *int     `json:"expected"`
	Percent   *float64 `json:"percent"`
	PerSecond float64  `json:"per_second"`
	Left      *float64 `json:"seconds_left"`
}

// Backfill sums up the backfills of object types, those that have ended too; nil if
// none is under way.
func (s *Status) Backfill() *Backfill {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, expected, b, running := time.Now(), 0, &Backfill{}, []Progress{}
	for object, c := range s.firsts {
		if c.stream != offsets.BackfillStream {
			continue
		}
		b.Records += c.records
		expected += max(c.expected, c.records)
		if c.ended.IsZero() {
			running = append(running, c.progress(object, now))
		}
	}
	if b.PerSecond, _ = s.reads.all.rate(now); b.PerSecond > 0 {
		share(running, b.PerSecond, s.reads.readers)
	}
	known, left := true, 0.0
	for _, p := range running {
		b.Types++
		if known = known && p.Left != nil; known {
			left = max(left, *p.Left)
		}
	}
	if b.Types == 0 {
		return nil
	}
	if !slices.ContainsFunc(running, func(p Progress) bool { return p.Expected == nil }) {
		percent := percentOf(b.Records, expected)
		b.Expected, b.Percent = &expected, &percent
	}
	if known {
		b.Left = &left
	}
	round(&b.PerSecond, b.Percent, b.Left)
	return b
}
