package verify

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
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
		if err := notes.of("hubspot", 4242); err != nil {
			t.Fatal(err)
		}
		if len(notes.done) != finished {
			t.Errorf("run %d knows %d finished topics", finished, len(notes.done))
		}
		if before := notes.done["hubspot.contacts"]; finished > 0 && (before.Equal != 3 || before.unjudged != unjudged{2, 1, 3, 4}) {
			t.Errorf("run %d knows %+v", finished, before)
		}
		if err := notes.add((&tally{topic: topic, object: topic, unjudged: unjudged{2, 1, 3, 4}}).report(3)); err != nil {
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

// TestNotes_LeaveOtherFilesAlone: a path may be mistyped.
func TestNotes_LeaveOtherFilesAlone(t *testing.T) {
	for _, text := range []string{"pat-na1-secret", "HUBSPOT_ACCESS_TOKEN=x\nKAFKA_BROKERS=y", "{}\n{\"topic\":\"x\"}\n", "null\n", "\n"} {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenNotes(path); err == nil || !strings.Contains(err.Error(), "does not hold the notes") {
			t.Errorf("%q: %v", text, err)
		}
		if now, _ := os.ReadFile(path); string(now) != text {
			t.Errorf("%q became %q", text, now)
		}
	}
}

// TestNotes_AreOfOnePortalAndOfToday: else what was equal once, or elsewhere, would be
// reported as equal now.
func TestNotes_AreOfOnePortalAndOfToday(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes")
	open := func() *Notes {
		n, err := OpenNotes(path)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if err := open().of("hubspot", 1); err != nil {
		t.Fatal(err)
	}
	if err := open().of("hubspot", 1); err != nil {
		t.Error(err)
	}
	for _, other := range []error{open().of("hubspot", 2), open().of("crm", 1)} {
		if other == nil || !strings.Contains(other.Error(), "remove the file") {
			t.Errorf("notes of another portal: %v", other)
		}
	}
	old := open()
	old.begun.Begun = time.Now().Add(-25 * time.Hour)
	if err := old.of("hubspot", 1); err == nil || !strings.Contains(err.Error(), "too old") {
		t.Errorf("old notes: %v", err)
	}
}
