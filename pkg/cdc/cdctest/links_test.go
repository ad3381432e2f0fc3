package cdctest

import (
	"slices"
	"testing"
)

// TestCheckLinks_SeesWhatIsWrong, one fault at a time.
func TestCheckLinks_SeesWhatIsWrong(t *testing.T) {
	history := LinkHistory{
		"1:2:X:3": {{Live: true, Label: "a"}, {Live: true, Label: "b"}, {Live: false, Label: "b"}, {Live: true, Label: "b"}},
		"1:3:X:3": {{Live: true, Label: ""}, {Live: false, Label: ""}},
	}
	good := []LinkEvent{
		{Key: "1:2:X:3", Op: "r", Snapshot: "true", Label: "a", Seq: 1},
		{Key: "1:2:X:3", Op: "u", Snapshot: "false", Label: "b", Seq: 2},
		{Key: "1:2:X:3", Op: "r", Snapshot: "incremental", Stream: "signals", Label: "b", Seq: 3},
		{Key: "1:2:X:3", Op: "d", Snapshot: "false", Reason: "archived", Seq: 4},
		{Key: "1:2:X:3", Tombstone: true},
		{Key: "1:2:X:3", Op: "c", Snapshot: "false", Reason: "restored", Label: "b", Seq: 5},
	}
	if r := CheckLinks(history, good); !r.Clean() || r.Events != 5 {
		t.Fatalf("%d events, %s", r.Events, r.Findings())
	}
	for name, c := range map[string]struct {
		spoil func(e []LinkEvent) []LinkEvent
		found func(r *LinkReport) []string
	}{
		"the last is missing":      {func(e []LinkEvent) []LinkEvent { return e[:5] }, func(r *LinkReport) []string { return r.Lost }},
		"all are missing":          {func([]LinkEvent) []LinkEvent { return nil }, func(r *LinkReport) []string { return r.Lost }},
		"one comes twice":          {func(e []LinkEvent) []LinkEvent { e[1].Label = "a"; return e }, func(r *LinkReport) []string { return r.Doubled }},
		"a state that never was":   {func(e []LinkEvent) []LinkEvent { e[1].Label = "z"; return e }, func(r *LinkReport) []string { return r.Reordered }},
		"an earlier state at last": {func(e []LinkEvent) []LinkEvent { e[5].Label = "a"; return e }, func(r *LinkReport) []string { return r.Reordered }},
		"no tombstone":             {func(e []LinkEvent) []LinkEvent { return slices.Delete(e, 4, 5) }, func(r *LinkReport) []string { return r.Malformed }},
		"a create of a live one":   {func(e []LinkEvent) []LinkEvent { e[1].Op = "c"; return e }, func(r *LinkReport) []string { return r.Malformed }},
		"a delete without reason":  {func(e []LinkEvent) []LinkEvent { e[3].Reason = ""; return e }, func(r *LinkReport) []string { return r.Malformed }},
		"not restored":             {func(e []LinkEvent) []LinkEvent { e[5].Reason = ""; return e }, func(r *LinkReport) []string { return r.Malformed }},
		"nobody asked for it":      {func(e []LinkEvent) []LinkEvent { e[2].Stream = "associations"; return e }, func(r *LinkReport) []string { return r.Malformed }},
		"asked for, but not read":  {func(e []LinkEvent) []LinkEvent { e[2].Op = "u"; return e }, func(r *LinkReport) []string { return r.Malformed }},
		"a read nobody asked for":  {func(e []LinkEvent) []LinkEvent { e[2].Snapshot = "true"; return e }, func(r *LinkReport) []string { return r.Doubled }},
		"seq goes back":            {func(e []LinkEvent) []LinkEvent { e[1].Seq = 1; return e }, func(r *LinkReport) []string { return r.Malformed }},
		"two partitions":           {func(e []LinkEvent) []LinkEvent { e[5].Partition = 1; return e }, func(r *LinkReport) []string { return r.Malformed }},
	} {
		if r := CheckLinks(history, c.spoil(slices.Clone(good))); len(c.found(r)) == 0 {
			t.Errorf("%s: the check missed it; %s", name, r.Findings())
		}
	}
}
