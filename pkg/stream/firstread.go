package stream

import (
	"context"
	"log/slog"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// FirstRead logs how far the backfills and first sweeps are: a line a minute for all
// of them together, and one when everything is read.
type FirstRead struct {
	Status *Status
	Log    *slog.Logger
}

// sayEvery is the time between two lines.
const sayEvery = time.Minute

// firstReads are the backfills and first sweeps of this process since nothing was left
// to be read.
type firstReads struct {
	since   time.Time // zero: nothing is left
	all     course    // of the backfills together
	readers int       // of lists, at the latest page
	links   int       // of the pairs that were swept; once all is done
}

// Run logs until ctx ends. It sleeps while nothing is read for the first time.
func (f *FirstRead) Run(ctx context.Context) error {
	next, records := sayEvery, 0
	for {
		var due <-chan time.Time
		var stop func() bool
		if f.Status.readsFirst() {
			t := time.NewTimer(next)
			due, stop = t.C, t.Stop
		}
		began := time.Now()
		select {
		case <-due:
			next = sayEvery
			if now := f.Status.readFirst(); now != records { // one that is refused says so itself
				records = now
				f.say()
			}
			continue
		case <-f.Status.firstChanged:
			if next = max(0, next-time.Since(began)); due == nil {
				next = sayEvery
			}
			if done, ok := f.Status.allRead(); ok {
				took := time.Since(done.since)
				f.Log.Info("everything is read for the first time", "records", done.all.records, "links", done.links,
					"took", took.Round(time.Second).String(), "per_second", int(float64(done.all.records)/max(took.Seconds(), 1)))
			}
		case <-ctx.Done():
		}
		if stop != nil {
			stop()
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

func (f *FirstRead) say() {
	of := func(n *int) any {
		if n == nil {
			return "unknown"
		}
		return *n
	}
	if b := f.Status.Backfill(); b != nil {
		args := []any{"types", b.Types, "records", b.Records, "of", of(b.Expected)}
		if b.Percent != nil {
			args = append(args, "percent", *b.Percent)
		}
		args = append(args, "per_second", b.PerSecond)
		if b.Left != nil {
			args = append(args, "left", (time.Duration(*b.Left) * time.Second).String())
		}
		f.Log.Info("backfill under way", args...)
		return
	}
	pairs, records, expected := 0, 0, 0
	for _, p := range f.Status.Progress() {
		if p.First && p.Expected != nil {
			pairs, records, expected = pairs+1, records+p.Records, expected+*p.Expected
		}
	}
	f.Log.Info("first sweep of associations under way", "pairs", pairs, "records", records, "of", expected)
}

// firstRead notes that a first read has begun, ended or grown. s.mu is held.
func (s *Status) firstRead(stream string, records int) {
	if s.reads.since.IsZero() {
		s.reads.since = time.Now()
	}
	if stream == offsets.BackfillStream {
		s.reads.all.reach(s.reads.all.records + records)
	}
}

// tellFirst wakes FirstRead.
func (s *Status) tellFirst() {
	select {
	case s.firstChanged <- struct{}{}:
	default:
	}
}

// readsFirst reports whether a first read is under way.
func (s *Status) readsFirst() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.passes {
		if c.first {
			return true
		}
	}
	return false
}

// readFirst is how many records all first reads have read.
func (s *Status) readFirst() (records int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.firsts {
		records += c.records
	}
	return records
}

// allRead gives the sums once nothing is left to be read for the first time of what the
// run follows. It gives them once.
func (s *Status) allRead() (done firstReads, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reads.since.IsZero() || !s.settled {
		return done, false
	}
	for object, lane := range s.lanes {
		switch lane.(type) {
		case *cdc.Lane, *cdc.LinkLane:
			if !s.done[object] {
				return done, false
			}
		}
	}
	done, s.reads = s.reads, firstReads{}
	for object, c := range s.firsts {
		if lane := s.lanes[object]; lane != nil && c.stream == offsets.AssociationsStream && !c.began.Before(done.since) {
			done.links += lane.Live()
		}
	}
	return done, true
}
