package fleet

import (
	"strings"
	"testing"

	"github.com/hubspot-cdc/connector/pkg/stream"
)

// TestPage_SaysHowFarAPortalsBackfillIs in per cent.
func TestPage_SaysHowFarAPortalsBackfillIs(t *testing.T) {
	percent := 12.4
	s := &Status{Portals: []Portal{{Name: "some", State: StateStreaming, Backfill: &stream.Backfill{Types: 1, Percent: &percent}}}}
	text, err := s.HTML()
	if err != nil {
		t.Fatal(err)
	}
	if page := string(text); !strings.Contains(page, "first read 12.4 %") || strings.Contains(page, "%!") {
		t.Error(page)
	}
}
