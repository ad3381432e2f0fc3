package stream

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// TestRefused_OnceUntilHubSpotAnswers: streams that wait for something to be due say once
// that they are refused, and that they continue once HubSpot has answered them, and not
// each time that nothing is due. Then nothing is wrong.
func TestRefused_OnceUntilHubSpotAnswers(t *testing.T) {
	for _, c := range []struct {
		stream, object string
		run            func(context.Context, *Object, *Pair) error
		due            func(*Object, *Pair)
	}{
		{recheckStream, "contacts", func(ctx context.Context, o *Object, _ *Pair) error { return (&Recheck{o}).Run(ctx) },
			func(o *Object, _ *Pair) { o.recheck.add("census", []cdc.Later{{ID: 1}}) }},
		{recheckStream, "contacts:companies", func(ctx context.Context, _ *Object, p *Pair) error { return (&RecheckLinks{p}).Run(ctx) },
			func(_ *Object, p *Pair) { p.recheck.add("associations", []cdc.Later{{ID: 1}}) }},
		{changedStream, "contacts:companies", func(ctx context.Context, _ *Object, p *Pair) error {
			return (&ChangedAssociations{p, func(context.Context) error { return nil }}).Run(ctx)
		}, func(_ *Object, p *Pair) { p.looks.add(cdc.Look{End: cdc.FromEnd, ID: 1}) }},
	} {
		t.Run(c.stream+" of "+c.object, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				hubspotAnswers := answering(func(r *http.Request) (int, string) {
					if time.Since(began) < 10*time.Minute {
						return 403, refusal
					}
					if strings.Contains(r.URL.Path, "/associations/") {
						return 200, `{"status":"COMPLETE","results":[]}`
					}
					return 200, `{"status":"COMPLETE","results":[{"id":"1","createdAt":"2000-01-01T00:00:00Z","updatedAt":"2000-01-01T00:00:00Z","properties":{}}]}`
				})
				o, out := hubspotAnswers.contacts(t)
				rows := cdc.NewTable()
				rows.Put(1, cdc.Row{Live: true, Version: 1})
				o.Lane = cdc.NewLane(cdc.LaneConfig{Object: "contacts", Slots: &hubspot.Slots{}, Content: cdc.NewContent(nil), Committer: out, Table: rows})
				log := &testkit.Log{}
				o.Log = log.Logger()
				p := NewPair(&Pair{From: o, FromPath: "contacts", ToPath: "companies", Waits: []time.Duration{0}, Log: o.Log, Lane: cdc.NewLinkLane(cdc.LinkLaneConfig{
					Pair: cdc.Pair{From: "contacts", To: "companies"}, From: o.Lane, Swept: true, Committer: out,
				})}, offsets.Associations{})
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- c.run(ctx, o, p) }()
				wrong := false
				for range 10 {
					c.due(o, p)
					time.Sleep(time.Minute)
					p.looks.add(cdc.Look{End: cdc.ToEnd, ID: 99}) // whom nobody holds
					time.Sleep(time.Minute)
					wrong = wrong || len(o.Status.Problems()) > 0
				}
				if refused, goesOn := log.Count("a stream is refused"), log.Count("a stream continues"); !wrong || refused != 1 || goesOn != 1 {
					t.Errorf("a problem: %v; refused %d times, continues %d times; want once each:\n%s", wrong, refused, goesOn, log)
				}
				if left := o.Status.Problems(); len(left) > 0 {
					t.Errorf("HubSpot answers again, and this is left: %+v", left)
				}
				cancel()
				if err := <-done; !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			})
		})
	}
}

// TestRecheck_LeavesTheFindersProblem: what it confirms for a stream that HubSpot refuses
// does not show that HubSpot answers that stream.
func TestRecheck_LeavesTheFindersProblem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		read := 0
		o, out := answering(func(*http.Request) (int, string) {
			read++
			return 200, `{"status":"COMPLETE","results":[{"id":"1","createdAt":"2000-01-01T00:00:00Z","updatedAt":"2000-01-01T00:00:00Z","properties":{}}]}`
		}).contacts(t)
		rows := cdc.NewTable()
		rows.Put(1, cdc.Row{Live: true, Version: 1})
		o.Lane = cdc.NewLane(cdc.LaneConfig{Object: "contacts", Slots: &hubspot.Slots{}, Content: cdc.NewContent(nil), Committer: out, Table: rows})
		o.Status.Problem("contacts", CensusStream, errNoAnswer)
		o.recheck.add(CensusStream, []cdc.Later{{ID: 1}})
		if err := (&Recheck{o}).pass(t.Context()); err != nil || read == 0 {
			t.Fatalf("%v after %d calls", err, read)
		}
		if left := o.Status.Problems(); len(left) != 1 || left[0].Stream != CensusStream {
			t.Errorf("the problems are %+v, want that of the census", left)
		}
	})
}

// TestUnanswered_AStreamThatEndsLeavesNoProblem: it may have been paused, or its type may
// be followed no more.
func TestUnanswered_AStreamThatEndsLeavesNoProblem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, _ := answering(func(*http.Request) (int, string) { return 502, "" }).contacts(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- o.stuck.patiently(ctx, func() error {
				_, err := o.Client.List(ctx, hubspot.Call{Priority: hubspot.Census, Tries: 1}, "contacts", nil, "", false, 1)
				return err
			})
		}()
		time.Sleep(10 * time.Second)
		if wrong := o.Status.Problems(); len(wrong) != 1 {
			t.Errorf("while HubSpot does not answer, the problems are %+v", wrong)
		}
		cancel()
		if err := <-done; err == nil {
			t.Error("it ended well")
		}
		if left := o.Status.Problems(); len(left) != 0 {
			t.Errorf("this is left: %+v", left)
		}
	})
}
