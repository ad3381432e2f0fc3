package cdctest

import (
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// TestCheckFrontiers_ASearchThatHidAChangeIsNoFaultOfComplete: only the change that it
// hid, and only if it hid it once the index surely showed it.
func TestCheckFrontiers_ASearchThatHidAChangeIsNoFaultOfComplete(t *testing.T) {
	states := []State{
		{Live: true, Since: 1000, Indexed: 1000, Version: 1000, Values: map[string]string{"city": "Oslo"}},
		{Live: true, Since: 2000, Indexed: 2000, Version: 2000, Values: map[string]string{"city": "Graz"}},
	}
	published := []Event{live("r", states[0])}
	complete := []Frontier{{At: 9000, Leading: 3000, Complete: 3000, Offsets: map[int32]int64{0: 1}, Seq: 1, Live: 1}}
	const lag = 500 * time.Millisecond
	for _, c := range []struct {
		what  string
		id    string // hidden
		at    hubspot.Millis
		wrong int
	}{
		{"nothing", "", 0, 1},
		{"the change, in time", key.ID, 2600, 0},
		{"the change, before the index had to show it", key.ID, 2400, 1},
		{"the change, after the frontier", key.ID, 9001, 1},
		{"another record", "102", 2600, 1},
	} {
		hid := Hidings{Searches: func(id string, since, until hubspot.Millis) bool {
			return id == c.id && since <= c.at && c.at <= until
		}}
		wrong := CheckFrontiers(History{key: states}, published, complete, nil, lag, func(string) bool { return false }, hid)
		if len(wrong) != c.wrong {
			t.Errorf("a search hid %s: %d claims are wrong, want %d: %v", c.what, len(wrong), c.wrong, wrong)
		}
	}
}
