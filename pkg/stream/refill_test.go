package stream

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// TestRefill_ARefusedSecondRoundDoesNotWaitForTheLagAgain: it goes on as soon as HubSpot
// answers, and nothing is wrong then.
func TestRefill_ARefusedSecondRoundDoesNotWaitForTheLagAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		o, _ := answering(func(r *http.Request) (int, string) {
			if since := time.Since(began); strings.HasSuffix(r.URL.Path, "/search") && since > 30*time.Minute && since < 70*time.Minute {
				return 403, refusal
			}
			return 200, `{"total":0,"results":[]}`
		}).contacts(t)
		r := &Refill{Object: o, Place: offsets.Refill{Properties: []string{"city"}, Round: 1}, Lag: time.Hour}
		if err := r.Run(t.Context()); err != nil || r.Left() != nil {
			t.Fatalf("%v, left %+v", err, r.Left())
		}
		if took := time.Since(began); took < 70*time.Minute || took > 72*time.Minute {
			t.Errorf("the second round ended after %s, want it within two minutes after HubSpot answers again", took)
		}
		if left := o.Status.Problems(); len(left) != 0 {
			t.Errorf("this is left: %+v", left)
		}
	})
}

// TestRefill_APauseAsksForNoOtherReconcile: the one that it has asked for reads what its
// searches cannot.
func TestRefill_APauseAsksForNoOtherReconcile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, _ := answering(func(*http.Request) (int, string) { return 400, refusal }).contacts(t)
		r := &Refill{Object: o, Place: offsets.Refill{Properties: []string{"body"}, Round: 1}, Lag: time.Hour}
		done := make(chan error, 1)
		go func() { done <- r.Run(t.Context()) }()
		time.Sleep(time.Minute)
		<-o.wanted
		reconcile := o.Client.Now()
		o.sweeps.begin(reconcile)
		o.Status.pauses.set(map[string]hubspot.Millis{"contacts": reconcile}, 0)
		time.Sleep(time.Minute)
		o.Status.pauses.set(nil, 0)
		time.Sleep(time.Minute)
		o.sweeps.end(reconcile)
		time.Sleep(time.Minute)
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		default:
			t.Fatal("the reconcile that it asked for has ended, and it waits for another")
		}
		if len(o.wanted) != 0 {
			t.Error("it asked for another reconcile")
		}
	})
}
