package stream

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// transactions is a Committer that keeps the events of each batch.
type transactions []string

func (c *transactions) Commit(_ context.Context, b *cdc.Batch) error {
	var events []string
	for _, ch := range b.Changes {
		if ch.Event != nil {
			events = append(events, fmt.Sprintf("%s %c", ch.ID, ch.Event.Op))
		}
	}
	if len(events) > 0 {
		*c = append(*c, strings.Join(events, ", "))
	}
	return nil
}

// TestR7_LosersGoWithTheSurvivor, whatever finder reads the survivor. Here a recheck
// finds its record live, and the record names a loser.
func TestR7_LosersGoWithTheSurvivor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		object, _ := answering(func(r *http.Request) (int, string) {
			body, _ := io.ReadAll(r.Body)
			if strings.Contains(string(body), `{"id":"1"}`) || strings.Contains(string(body), `{"id":"2"}`) {
				return 200, `{"status":"COMPLETE","results":[{"id":"1","properties":{"hs_merged_object_ids":"2"},"createdAt":"2026-01-01T00:00:00Z","updatedAt":"2026-02-01T00:00:00Z","archived":false}]}`
			}
			return 200, `{"status":"COMPLETE","results":[]}`
		}).contacts(t)
		var out transactions
		slots := &hubspot.Slots{Merged: true}
		published := cdc.NewTable()
		published.Put(1, cdc.Row{Live: true, Version: 1})
		published.Put(2, cdc.Row{Live: true, Version: 1})
		object.Lane = cdc.NewLane(cdc.LaneConfig{
			Object: "contacts", Slots: slots, Content: cdc.NewContent(nil), Committer: &out,
			Table: published,
		})
		object.recheck.add("leading", []cdc.Later{{ID: 1, After: -time.Second}})
		if err := (&Recheck{object}).pass(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(out) != 1 || out[0] != "2 d, 1 u" {
			t.Errorf("published %q, want the delete of 2 and the update of 1 in one transaction", out)
		}
	})
}
