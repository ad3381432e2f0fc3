package connector_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// value is that of a key in a line of the log.
func value(t *testing.T, line, key string) string {
	t.Helper()
	_, rest, ok := strings.Cut(line, " "+key+"=")
	if !ok {
		t.Errorf("no %s in %s", key, line)
		return ""
	}
	if strings.HasPrefix(rest, `"`) {
		quoted, _ := strconv.QuotedPrefix(rest)
		text, err := strconv.Unquote(quoted)
		if err != nil {
			t.Error(err)
		}
		return text
	}
	text, _, _ := strings.Cut(rest, " ")
	return text
}

// lineOf is the only line of a log with a text.
func lineOf(t *testing.T, log, text string) (found string) {
	t.Helper()
	n := 0
	for line := range strings.Lines(log) {
		if strings.Contains(line, text) {
			found, n = strings.TrimSpace(line), n+1
		}
	}
	if n != 1 {
		t.Fatalf("%d lines say %q", n, text)
	}
	return found
}

// TestLog_TellsBeginAndEnd: the first line says what runs where with which settings,
// one names the portal, and the last says why it ends, after how long, and what was
// committed.
func TestLog_TellsBeginAndEnd(t *testing.T) {
	inWorld(t, hubspottest.Options{Seed: 31, Types: []string{"contacts"}}, []string{"SYNC_LEADING_INTERVAL=1s"}, func(w *world) {
		w.Portal.Seed("contacts", 7)
		p := w.start()
		w.SleepUntil(time.Minute, func() bool { return p.Backfilled("contacts") })
		time.Sleep(time.Minute)
		p.Stop()
		log := p.Log.String()

		first := lineOf(t, log, `msg="connector starts"`)
		for key, want := range map[string]string{
			"version": "test", "hubspot": "https://hubspot.test", "brokers": w.Kafka.ListenAddrs()[0], "registry": "http://registry.test",
			"topic_prefix": "hubspot", "modified": "false",
		} {
			if got := value(t, first, key); got != want {
				t.Errorf("%s=%s, want %s", key, got, want)
			}
		}
		value(t, first, "commit") // a test is built without one
		if got := value(t, first, "settings"); !strings.Contains(got, "HUBSPOT_ACCESS_TOKEN=(set)") || !strings.Contains(got, "SYNC_LEADING_INTERVAL=1s") {
			t.Errorf("settings=%s", got)
		}
		if got := value(t, lineOf(t, log, `msg="the token is of this portal"`), "portal"); got != "4242" {
			t.Errorf("portal=%s", got)
		}

		last := lineOf(t, log, `msg="connector stopped"`)
		if !strings.HasSuffix(strings.TrimSpace(log), last) {
			t.Error("something follows the last line")
		}
		events := 0
		for _, topic := range w.Topics() {
			if topic != "hubspot.offsets" && topic != "hubspot.state" && topic != "hubspot.signals" && topic != "hubspot.notifications" && topic != "hubspot.frontiers" {
				for _, r := range w.Records(topic) {
					if r.Value != nil {
						events++
					}
				}
			}
		}
		ran, err := time.ParseDuration(value(t, last, "ran"))
		if err != nil || ran < time.Minute {
			t.Errorf("ran=%v %v", ran, err)
		}
		if got := value(t, last, "events"); events < 7 || got != strconv.Itoa(events) {
			t.Errorf("events=%s, and the topics have %d", got, events)
		}
		if n, err := strconv.Atoi(value(t, last, "transactions")); err != nil || n < 1 {
			t.Errorf("transactions=%d %v", n, err)
		}
		if got := value(t, last, "why"); got != "context canceled" {
			t.Errorf("why=%s", got)
		}
	})
}

// TestLog_TellsWhyItRefuses: an end that only an operator can change is told too.
func TestLog_TellsWhyItRefuses(t *testing.T) {
	inWorld(t, hubspottest.Options{Seed: 32, Types: []string{"contacts"}}, []string{"HUBSPOT_OBJECTS=butterflies"}, func(w *world) {
		p := w.start()
		if err := <-p.Done; err == nil {
			t.Fatal("it follows a type that does not exist")
		}
		if got := value(t, lineOf(t, p.Log.String(), `msg="connector stopped"`), "why"); got != "it needs another configuration" {
			t.Errorf("why=%s", got)
		}
	})
}

// TestLog_DebugShowsEachPass: of each stream, with its object, what it found and how
// long it took; a look at whether a pass is due is none.
func TestLog_DebugShowsEachPass(t *testing.T) {
	settings := []string{"SYNC_LEADING_INTERVAL=10s", "SYNC_TRAILING_LAG=5m", "SYNC_TRAILING_INTERVAL=1m", "SYNC_SCHEMA_INTERVAL=1m", "SYNC_ARCHIVE_INTERVAL=1m",
		"SYNC_CENSUS_INTERVAL=1m", "SYNC_RECONCILE_INTERVAL=5m", "SYNC_ASSOCIATIONS_INTERVAL=5m", "SYNC_REFERENCE_INTERVAL=1m"}
	opt := hubspottest.Options{Seed: 33, Types: []string{"contacts", "companies"}}
	inWorld(t, opt, settings, func(w *world) {
		w.Passes = true
		id := w.Portal.Seed("contacts", 7)[0]
		firm := w.Portal.Seed("companies", 1)[0]
		w.Portal.Associate("contacts", id, "companies", firm, "", 0)
		p := w.start()
		w.SleepUntil(time.Minute, func() bool { return p.Backfilled("contacts") })
		time.Sleep(time.Minute)
		before := len(p.Log.String())
		w.Portal.Update("contacts", id, map[string]string{"firstname": "Ada"})
		time.Sleep(10 * time.Minute)
		p.Stop()
		all := p.Log.String()
		passes := func(log, object, stream string) (lines []string) {
			for line := range strings.Lines(log) {
				if strings.Contains(line, "level=DEBUG msg=pass ") && strings.Contains(line, " stream="+stream+" ") && (object == "" || strings.Contains(line, " object="+object+" ")) {
					lines = append(lines, strings.TrimSpace(line))
				}
			}
			return lines
		}
		if first := passes(all, "contacts", "backfill"); len(first) != 1 || value(t, first[0], "found") != "7" {
			t.Errorf("passes of the backfill: %q", first)
		}
		leading := passes(all[before:], "contacts", "leading")
		sum := 0
		for _, line := range leading {
			n, err := strconv.Atoi(value(t, line, "found"))
			if err != nil {
				t.Error(err)
			}
			sum += n
			if took, err := time.ParseDuration(value(t, line, "took")); err != nil || took > 10*time.Second {
				t.Errorf("took %v (%v): %s", took, err, line)
			}
		}
		if sum != 1 || len(leading) < 55 || len(leading) > 61 {
			t.Errorf("%d passes of the leading tier in ten minutes found %d changes, want one of every ten seconds and 1", len(leading), sum)
		}
		for stream, object := range map[string]string{
			"trailing-5m": "contacts", "archive": "contacts", "census": "contacts", "reconcile": "contacts", "associations": "contacts:companies",
			"reference": "owners", "schema": "",
		} {
			if len(passes(all[before:], object, stream)) == 0 {
				t.Errorf("no pass of %s of %s in ten minutes", stream, object)
			}
		}
	})
}
