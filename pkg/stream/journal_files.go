package stream

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

const (
	// journalBatch is how many files are asked for at once when there are several,
	// journalFiles how many of them are fetched at a time, and journalEvents how many
	// events make a page: more files than that wait for the next one.
	journalBatch  = 100
	journalFiles  = 8
	journalEvents = 10_000
)

// take reads a file, and those after it that are there already, and moves past them
// once everything that they name is published. It does not wait for what is refused: that
// is read again as after a loss, which a kill does not make it forget.
func (j *Journal) take(ctx context.Context, first *hubspot.JournalEntry) error {
	entries := []*hubspot.JournalEntry{first}
	files := make([]*hubspot.JournalFile, 1)
	var failed error
	var g sync.WaitGroup
	g.Go(func() { files[0], failed = j.file(ctx, first) })
	g.Go(func() {
		for _, more := range j.others(ctx, first) {
			entries = append(entries, &more)
		}
	})
	g.Wait()
	if err := j.passes(ctx, failed, first); err != nil {
		return err
	}
	for len(files) < len(entries) && events(files) < journalEvents {
		more := entries[len(files):min(len(entries), len(files)+journalFiles)]
		fetched, errs := make([]*hubspot.JournalFile, len(more)), make([]error, len(more))
		for i, entry := range more {
			g.Go(func() { fetched[i], errs[i] = j.file(ctx, entry) })
		}
		g.Wait()
		if err := ctx.Err(); err != nil {
			return err
		}
		if slices.Contains(errs, nil) { // their host works
			for i, err := range errs {
				if hubspot.Unreadable(err) {
					errs[i] = nil
					j.passOver(more[i], err)
				}
			}
		}
		n := slices.IndexFunc(errs, func(err error) bool { return err != nil })
		if n < 0 {
			files = append(files, fetched...)
			continue
		}
		files = append(files, fetched[:n]...) // the next poll asks for the one after them
		break
	}
	to := offsets.Journal{Offset: entries[len(files)-1].Offset}
	if j.Place != nil {
		to.Published, to.Lost = j.Place.Published, j.Place.Lost
	}
	missed, err := j.publish(ctx, files)
	if err != nil {
		return err
	}
	if missed {
		j.sayLost("the journal names what cannot be read from HubSpot or written to its topic for now, and goes on; every record and association is read again", "offset", to.Offset)
	}
	missing := 0
	for _, f := range files {
		switch {
		case f == nil:
			missing++
		case f.Published > to.Published:
			to.Published = f.Published
		}
	}
	j.blind = missing == len(files)
	j.Metrics.journalFiles.WithLabelValues(journalRead).Add(float64(len(files) - missing))
	j.Metrics.journalFiles.WithLabelValues(journalUnreadable).Add(float64(missing))
	j.Status.journalRead(to.Published)
	j.Status.reached("", offsets.JournalStream, to.Published)
	if missing > 0 || missed {
		return j.miss(ctx, to)
	}
	return j.move(ctx, to)
}

// batchPatience is how long a file that is there waits for the question which others
// are.
const batchPatience = 3 * time.Second

// others are the entries after one, if HubSpot tells them at once.
func (j *Journal) others(ctx context.Context, first *hubspot.JournalEntry) []hubspot.JournalEntry {
	ctx, cancel := context.WithTimeout(ctx, batchPatience)
	defer cancel()
	more, err := j.Source.NextBatch(ctx, hubspot.Call{Priority: hubspot.Leading, Tries: 1}, first.Offset, journalBatch)
	if err != nil {
		j.Log.Debug("HubSpot does not give several journal entries at once", "err", err)
	}
	return more
}

// fileRounds is how often a file may fail to come while the newest one can be read.
const fileRounds = 3

// passes decides what becomes of a failure of a file: nil if there was none, or if the
// file is to be passed over, because the newest one can be read (R18). If that cannot be
// read either, no file is to blame: the journal waits where it is, and lacks nothing
// once its files can be read. One that came and cannot be understood is passed over too
// if it is the newest, but not two in a row.
func (j *Journal) passes(ctx context.Context, failed error, first *hubspot.JournalEntry) error {
	if failed == nil {
		j.failures = 0
		return nil
	}
	if ctx.Err() != nil {
		return failed
	}
	newest, err := j.Source.Latest(ctx, hubspot.Call{Priority: hubspot.Leading, Tries: 1})
	alone := err == nil && (newest == nil || newest.Offset == first.Offset)
	if err != nil || alone && (j.blind || !hubspot.Unreadable(failed)) {
		return failed
	}
	if !alone {
		if _, err := j.file(ctx, newest); err != nil {
			return failed
		}
	}
	if j.failures++; j.failures < fileRounds && !hubspot.Unreadable(failed) {
		return failed
	}
	j.failures = 0
	j.passOver(first, failed)
	return nil
}

// passOver says that a file is left out.
func (j *Journal) passOver(entry *hubspot.JournalEntry, err error) {
	j.sayLost("a file of the journal cannot be read or understood and is passed over; every record and association is read again", "offset", entry.Offset, "err", err)
}

func events(files []*hubspot.JournalFile) (n int) {
	for _, f := range files {
		if f != nil {
			n += len(f.Events)
		}
	}
	return n
}

// fileTries is how often a file is asked for before the journal waits.
const fileTries = 5

// file fetches a file.
func (j *Journal) file(ctx context.Context, entry *hubspot.JournalEntry) (*hubspot.JournalFile, error) {
	defer j.overdue()()
	f, err := j.Source.File(ctx, hubspot.Call{Priority: hubspot.Leading, Tries: fileTries}, entry)
	if err != nil {
		return nil, &journalError{fmt.Errorf("fetch the journal's file %s: %w", entry.Offset, err)}
	}
	return f, nil
}
