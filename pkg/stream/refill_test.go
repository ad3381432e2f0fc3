package stream

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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
