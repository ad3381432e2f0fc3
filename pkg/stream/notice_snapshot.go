package stream

import (
	"cmp"
	"strconv"
	"strings"
)

// How the snapshot of one collection ended, in Debezium's words.
const (
	scanSucceeded = "SUCCEEDED"
	scanEmpty     = "EMPTY"
	scanSkipped   = "SKIPPED" // given up
)

// tellSnapshot tells of a snapshot that a signal asked for, under the signal's id.
func (s *Signals) tellSnapshot(r *request, what string, more map[string]string) {
	if s.Tell == nil {
		return
	}
	all, left := s.inbox.of(r)
	names := all
	if what == NoticePaused || what == NoticeResumed {
		names = left
	}
	offset := strconv.FormatInt(r.offset, 10)
	data := map[string]string{DataCollections: strings.Join(names, ", "), DataOffset: offset}
	for name, text := range more {
		data[name] = text
	}
	s.Tell(Notice{ID: cmp.Or(r.signal, "signal-"+offset), Aggregate: IncrementalSnapshot, Type: what, Data: data})
}

// tellStarted tells that the snapshot of a signal begins or goes on; it is written
// once.
func (s *Signals) tellStarted(r *request) {
	s.telling.Lock()
	defer s.telling.Unlock()
	if _, left := s.inbox.of(r); len(left) > 0 { // it was not stopped meanwhile
		s.tellSnapshot(r, NoticeStarted, nil)
	}
}

// tellScanned tells that one collection is done, and the whole snapshot with the
// last one.
func (s *Signals) tellScanned(r *request, w *work, records int64, status string) {
	if status == scanSucceeded && records == 0 {
		status = scanEmpty
	}
	s.tellSnapshot(r, NoticeScanned, map[string]string{
		DataScanned: w.of.name(), DataRows: strconv.FormatInt(records, 10), DataStatus: status,
	})
	if _, left := s.inbox.of(r); len(left) == 0 {
		s.tellSnapshot(r, NoticeCompleted, nil)
	}
}

// Unfinished lists the offsets of the signals whose snapshots are not done. dropped is
// that of a signal whose snapshot is given up, or "". known is false until the topic has
// been read.
func (s *Signals) Unfinished() (offsets []string, dropped string, known bool) {
	if !s.caughtUp.Load() {
		return nil, "", false
	}
	for _, offset := range s.inbox.unfinished() {
		offsets = append(offsets, strconv.FormatInt(offset, 10))
	}
	return offsets, s.dropped, true
}
