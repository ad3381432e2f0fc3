package verify

import (
	"os"
	"path/filepath"
	"testing"
)

// Each of several runs that are interrupted in the middle of a line goes on with what
// the ones before it have finished.
func TestNotes_OutliveEveryInterruption(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes")
	for finished, topic := range []string{"hubspot.contacts", "hubspot.companies", "hubspot.deals"} {
		notes, err := OpenNotes(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(notes.done) != finished {
			t.Errorf("run %d knows %d finished topics", finished, len(notes.done))
		}
		if before := notes.done["hubspot.contacts"]; finished > 0 && (before.Equal != 3 || before.changing != 2) {
			t.Errorf("run %d knows %+v", finished, before)
		}
		if err := notes.add((&tally{topic: topic, object: topic, changing: 2}).report(3)); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = f.WriteString(`{"topic":"hubspot.tick`)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
