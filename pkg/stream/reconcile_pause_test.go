package stream

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// commits is a Committer that a function looks at.
type commits func(*cdc.Batch)

func (f commits) Commit(_ context.Context, b *cdc.Batch) error { f(b); return nil }

// TestR17_ASweepAfterAPauseBeginsWithAFence: the pause came with the commit of the last
// page of the sweep before.
func TestR17_ASweepAfterAPauseBeginsWithAFence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := answering(func(*http.Request) (int, string) { return http.StatusOK, `{"results":[]}` }).client(t)
		paused, pause := context.WithCancel(t.Context())
		ended := 0
		log, metrics := slog.New(slog.NewTextHandler(t.Output(), nil)), NewMetrics(prometheus.NewRegistry())
		lane := cdc.NewLane(cdc.LaneConfig{Object: "contacts", Slots: hubspot.NewSlots(nil), Content: cdc.NewContent(nil), Committer: commits(func(b *cdc.Batch) {
			for _, c := range b.Cursors {
				if strings.Contains(string(c.Value), `"done":true`) {
					ended++
				}
			}
			pause()
			time.Sleep(time.Second)
		})})
		o := NewObject(Object{
			Type: hubspot.ObjectType{Name: "contacts", Path: "contacts"}, Client: client, Log: log, Lane: lane, Readers: &Readers{},
			Status: NewStatus(client.Now), Metrics: metrics, Audit: NewAudit(metrics, time.Minute),
		})
		r := &Reconcile{Object: o, Interval: time.Minute, Place: offsets.Sweep{Ranges: []offsets.Range{{From: "0"}}, Started: client.Now()}}
		fences := lane.Now()
		if err := r.pass(paused); !errors.Is(err, context.Canceled) || ended != 1 {
			t.Fatalf("the pause ends the pass with %v, and %d sweeps have ended", err, ended)
		}
		if lane.Now() != fences+1 {
			t.Fatal("the first sweep has no fence")
		}
		if err := r.pass(t.Context()); err != nil || ended != 2 {
			t.Fatalf("the next sweep ends with %v; %d have ended", err, ended)
		}
		if lane.Now() != fences+2 {
			t.Error("the sweep after the pause has no fence: an answer from before it may undo what it shows")
		}
	})
}
