package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/connector/verify"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// verified runs connector verify in the world.
func (w *world) verified(v *verification, code int) (stdout, stderr string) {
	w.T.Helper()
	return w.verifiedUntil(w.T.Context(), v, code)
}

func (w *world) verifiedUntil(ctx context.Context, v *verification, code int) (stdout, stderr string) {
	w.T.Helper()
	o := w.Options(w.Portal.Transport(), testkit.NewCable(w.Kafka.Network.DialContext))
	o.Logger = slog.New(slog.DiscardHandler)
	setup, err := connector.Prepare(w.Config, o)
	if err != nil {
		w.T.Fatal(err)
	}
	var out, problems bytes.Buffer
	err = v.run(ctx, setup, call{stdout: &out, stderr: &problems})
	if got := connector.ExitCode(err); got != code {
		w.T.Errorf("connector verify: exit code %d, want %d: %v", got, code, err)
	}
	return out.String(), problems.String()
}

func TestVerify_SaysWhatDiffersAndAsksForIt(t *testing.T) {
	inWorld(t, hubspottest.Options{Seed: 1, Types: []string{"contacts"}}, nil, func(w *world) {
		ids := w.Ran(30)
		out, _ := w.verified(&verification{}, connector.ExitOK)
		if !strings.Contains(out, "hubspot.contacts  30") || !strings.Contains(out, "equal: a consumer") {
			t.Errorf("equal, but it says\n%s", out)
		}
		for _, id := range ids[:12] {
			w.Portal.Update("contacts", id, map[string]string{"firstname": "Changed"})
		}
		out, said := w.verified(&verification{fix: true}, connector.ExitFailed)
		if !strings.Contains(out, "12 stale") || !strings.Contains(out, "and 2 more") || !strings.Contains(out, "not equal") {
			t.Errorf("12 differ, but it says\n%s", out)
		}
		if !strings.Contains(said, "1 signals") {
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

func TestVerify_GoesOnWhereItWasInterrupted(t *testing.T) {
	settings := []string{"HUBSPOT_OBJECTS=contacts,companies", "HUBSPOT_ASSOCIATIONS=none"}
	inWorld(t, hubspottest.Options{Seed: 2, Types: []string{"contacts", "companies"}}, settings, func(w *world) {
		w.Portal.Seed("companies", 5)
		ids := w.Ran(12)
		for _, id := range ids[:11] {
			w.Portal.Update("contacts", id, map[string]string{"firstname": "Changed"})
		}
		notes := filepath.Join(t.TempDir(), "notes")
		ctx, cancel := context.WithCancel(w.T.Context())
		interrupted := &verification{notes: notes}
		interrupted.options.Progress = func(p verify.Progress) {
			if p.Topic == "hubspot.companies" {
				cancel()
			}
		}
		_, _ = w.verifiedUntil(ctx, interrupted, connector.ExitFailed)
		whole, _ := w.verified(&verification{json: true}, connector.ExitFailed)
		if text, err := os.ReadFile(notes); err != nil || !strings.Contains(string(text), `"hubspot.contacts"`) {
			t.Fatalf("the notes are %s: %v", text, err)
		}
		w.Portal.ResetStats()
		rest, _ := w.verified(&verification{json: true, notes: notes}, connector.ExitFailed)
		if rest != whole {
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
