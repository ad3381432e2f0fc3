package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/connector/verify"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// verified runs connector verify in the world.
func (w *world) verified(v *verification, code int) (stdout, stderr string) {
	w.T.Helper()
	out, said, _ := w.verifiedUntil("never", v, code)
	return out, said
}

// verifiedUntil interrupts it once standard error has the text.
func (w *world) verifiedUntil(text string, v *verification, code int) (stdout, stderr string, err error) {
	w.T.Helper()
	ctx, cancel := context.WithCancel(w.T.Context())
	defer cancel()
	o := w.Options(w.Portal.Transport(), testkit.NewCable(w.Kafka.Network.DialContext))
	o.Logger = slog.New(slog.DiscardHandler)
	setup, err := connector.Prepare(w.Config, o)
	if err != nil {
		w.T.Fatal(err)
	}
	var out bytes.Buffer
	problems := &interrupter{text: text, cancel: cancel}
	err = v.run(ctx, setup, &out, problems)
	if got := connector.ExitCode(err); got != code {
		w.T.Errorf("connector verify: exit code %d, want %d: %v", got, code, err)
	}
	return out.String(), problems.String(), err
}

// interrupter is a standard error that interrupts the command at a text.
type interrupter struct {
	bytes.Buffer
	text   string
	cancel func()
}

func (i *interrupter) Write(p []byte) (int, error) {
	if strings.Contains(string(p), i.text) {
		i.cancel()
	}
	return i.Buffer.Write(p)
}

func TestVerify_SaysWhatDiffersAndAsksForIt(t *testing.T) {
	inWorld(t, hubspottest.Options{Seed: 1, Types: []string{"contacts"}}, nil, func(w *world) {
		ids := w.Ran(30)
		out, said := w.verified(&verification{}, connector.ExitOK)
		if want := "hubspot.contacts: equal, 30 records\n"; said != want {
			t.Errorf("it says %q, want %q", said, want)
		}
		if !strings.Contains(out, "hubspot.contacts  30") || !strings.Contains(out, "equal: a consumer") {
			t.Errorf("equal, but it says\n%s", out)
		}
		for _, id := range ids[:12] {
			w.Portal.Update("contacts", id, map[string]string{"firstname": "Changed"})
		}
		out, said = w.verified(&verification{fix: true}, connector.ExitFailed)
		if !strings.Contains(out, "12 stale") || !strings.Contains(out, "and 2 more") || !strings.Contains(out, "not equal") || !strings.Contains(out, "12 stale at "+time.Now().UTC().Format("2006-01-02T15:04")) {
			t.Errorf("12 differ, but it says\n%s", out)
		}
		if !strings.HasPrefix(said, "hubspot.contacts: 12 keys differ; looked at again for some seconds\nhubspot.contacts: 12 differ, 18 records are equal\n") {
			t.Errorf("12 differ, but it says %q", said)
		}
		if !strings.Contains(said, "(signals sent: 1)") {
			t.Errorf("asked, but it says %q", said)
		}
		signals := w.Records("hubspot.signals")
		if len(signals) != 1 || string(signals[0].Key) != "hubspot" || strings.Count(string(signals[0].Value), ",") < 11 {
			t.Errorf("signals %d: %s", len(signals), signals[0].Value)
		}
		out, _ = w.verified(&verification{json: true}, connector.ExitFailed)
		var r verify.Report
		if err := json.Unmarshal([]byte(out), &r); err != nil || r.Equal || len(r.Topics) != 1 || len(r.Topics[0].Stale) != 10 {
			t.Errorf("%v in %s", err, out)
		}
		if !strings.HasPrefix(out, `{"equal":false,"topics":[{"topic":"hubspot.contacts","hubspot":30,"kafka":30,"equal":18,"missing":[],"extra":[],"stale":["`) {
			t.Errorf("the JSON begins %s", out)
		}
		_, _ = w.verified(&verification{options: verify.Options{Objects: []string{"contcts"}}}, connector.ExitConfig)
	})
}

// --fix says what it has asked for: nothing, where no signal can name a key, and where
// nothing could be compared. Such a key needs a tombstone, and is named.
func TestVerify_FixSaysWhenItAsksForNothing(t *testing.T) {
	inWorld(t, hubspottest.Options{Seed: 4, Types: []string{"contacts"}}, []string{"HUBSPOT_ASSOCIATIONS=none"}, func(w *world) {
		ids := w.Ran(12)
		w.Produce("hubspot.contacts", "no-id", string(w.Records("hubspot.contacts")[0].Value))
		const nothing, byHand = "asked the connector for nothing", "needs a tombstone of yours (docs/operations.md#verify):\n  hubspot.contacts no-id\n"
		_, said := w.verified(&verification{fix: true}, connector.ExitFailed)
		if !strings.Contains(said, nothing) || !strings.HasSuffix(said, byHand) {
			t.Errorf("no key can be asked for, but it says %q", said)
		}
		w.Portal.Update("contacts", ids[0], map[string]string{"firstname": "Changed"})
		_, said = w.verified(&verification{fix: true}, connector.ExitFailed)
		if !strings.Contains(said, "(signals sent: 1)") || !strings.HasSuffix(said, byHand) {
			t.Errorf("one of two keys can be asked for, but it says %q", said)
		}
		w.Portal.Inject(hubspottest.Fault{Kind: hubspottest.FaultStatus, Status: 500, Endpoint: hubspottest.EndpointList, Object: "contacts"})
		_, said = w.verified(&verification{fix: true, options: verify.Options{Objects: []string{"contacts"}}}, connector.ExitFailed)
		if !strings.Contains(said, nothing) || strings.Contains(said, "signals") {
			t.Errorf("nothing could be compared, but it says %q", said)
		}
		if n := len(w.Records("hubspot.signals")); n != 1 {
			t.Errorf("%d signals were sent, want 1", n)
		}
	})
}

// What somebody else has written into a topic does not command the terminal.
func TestVerify_TheTableWritesControlCharactersOut(t *testing.T) {
	inWorld(t, hubspottest.Options{Seed: 5, Types: []string{"contacts"}}, []string{"HUBSPOT_ASSOCIATIONS=none"}, func(w *world) {
		w.Ran(3)
		w.Produce("hubspot.contacts", "\x1b[2J\nequal", "no event")
		out, _ := w.verified(&verification{}, connector.ExitFailed)
		if strings.ContainsRune(out, 0x1b) || strings.Contains(out, "\nequal") || !strings.Contains(out, `\x1b[2J\nequal`) {
			t.Errorf("the table is %q", out)
		}
	})
}

func TestVerify_GoesOnWhereItWasInterrupted(t *testing.T) {
	settings := []string{"HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=none"}
	inWorld(t, hubspottest.Options{Seed: 2, Types: []string{"contacts", "companies"}}, settings, func(w *world) {
		w.Portal.Seed("companies", 5)
		ids := w.Ran(12)
		for _, id := range ids[:11] {
			w.Portal.Update("contacts", id, map[string]string{"firstname": "Changed"})
		}
		notes := filepath.Join(t.TempDir(), "notes")
		out, _, err := w.verifiedUntil("hubspot.contacts: 11 differ", &verification{notes: notes, json: true}, connector.ExitFailed)
		if err == nil || !strings.Contains(err.Error(), "interrupted") || !strings.Contains(err.Error(), "--resume "+notes) {
			t.Errorf("interrupted, but it says %v", err)
		}
		var r verify.Report
		if err := json.Unmarshal([]byte(out), &r); err != nil || r.Equal || len(r.Topics) != 1 || len(r.Topics[0].Stale) != 10 {
			t.Errorf("after one topic: %v in %s", err, out)
		}
		whole, _ := w.verified(&verification{json: true}, connector.ExitFailed)
		if text, err := os.ReadFile(notes); err != nil || !strings.Contains(string(text), `"hubspot.contacts"`) {
			t.Fatalf("the notes are %s: %v", text, err)
		}
		w.Portal.ResetStats()
		time.Sleep(time.Hour)
		rest, _ := w.verified(&verification{json: true, notes: notes}, connector.ExitFailed)
		var resumed verify.Report
		if err := json.Unmarshal([]byte(rest), &resumed); err != nil || !resumed.Topics[0].At.Equal(r.Topics[0].At) || resumed.Topics[0].At.Equal(resumed.Topics[1].At) {
			t.Errorf("contacts were compared an hour before companies, at %v: %s", r.Topics[0].At, rest)
		}
		at := regexp.MustCompile(`"at":"[^"]+"`)
		if at.ReplaceAllString(rest, "") != at.ReplaceAllString(whole, "") {
			t.Errorf("the rest says %s, the whole %s", rest, whole)
		}
		if n := w.Portal.Stats().Records["list"]; n >= 17 {
			t.Errorf("it listed %d records, those that were compared already too", n)
		}
		if _, err := os.Stat(notes); !os.IsNotExist(err) {
			t.Errorf("the notes of a run that has ended are still there: %v", err)
		}
	})
}

// An interruption loses no topic that was finished, and nothing is called equal by it.
func TestVerify_InterruptedItSaysWhatItHas(t *testing.T) {
	settings := []string{"HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=none"}
	inWorld(t, hubspottest.Options{Seed: 3, Types: []string{"contacts", "companies"}}, settings, func(w *world) {
		w.Portal.Seed("companies", 5)
		w.Ran(12)
		out, said, err := w.verifiedUntil("hubspot.contacts: equal, 12 records", &verification{}, connector.ExitFailed)
		if !errors.Is(err, errInterrupted) || strings.Count(said, "\n") != 1 {
			t.Errorf("interrupted, but it says %v, after %q", err, said)
		}
		if !strings.Contains(out, "hubspot.contacts  12") || strings.Contains(out, "companies") || !strings.HasSuffix(out, "\nnot compared to the end\n") {
			t.Errorf("one of two topics was finished, but it says\n%s", out)
		}
	})
}

// Beside a connector, the line about suspects comes once for all looks, and says how
// long they take; a terminal's line is written over by the same texts.
func TestVerify_SaysThatItLooksAgainOnceATopic(t *testing.T) {
	shown := func(terminal bool) string {
		var out bytes.Buffer
		line := &progress{out: &out, terminal: terminal}
		for left := range 3 {
			line.show(verify.Progress{Topic: "hubspot.contacts", Suspects: 12 - left, Wait: 10 * time.Minute})
		}
		line.show(verify.Progress{Topic: "hubspot.contacts", Done: 5, Of: 9})
		line.show(verify.Progress{Topic: "hubspot.contacts", End: "equal, 250 records"})
		line.clear()
		return out.String()
	}
	again := "hubspot.contacts: 12 keys differ; looked at again, usually for up to 10 min"
	end := "hubspot.contacts: equal, 250 records"
	if got, want := shown(false), again+"\n"+end+"\n"; got != want {
		t.Errorf("no terminal: %q, want %q", got, want)
	}
	const over = "\r\x1b[K"
	got := shown(true)
	if !strings.HasPrefix(got, over+again+over) || !strings.HasSuffix(got, over+end+over) || strings.Contains(got, "\n") {
		t.Errorf("a terminal: %q", got)
	}
}
