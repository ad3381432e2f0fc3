package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// TestBench_MeasuresABackfill: the whole way, with a real process: two builds in
// turn, here the same one, whose numbers and ratios come out as JSON.
func TestBench_MeasuresABackfill(t *testing.T) {
	binary, err := build(t.Context(), t.TempDir(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	var stdout bytes.Buffer
	args := []string{"-json", "-records", "150", "-small", "20", "-binary", binary, "beside"}
	if err := command(t.Context(), args, &stdout, t.Output()); err != nil {
		t.Fatal(err)
	}
	var rows []row
	if err := json.Unmarshal(stdout.Bytes(), &rows); err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, r := range rows {
		got[r.Name] = r.Value
	}
	for name, most := range map[string]float64{
		"share of the list ceiling": 1000, "records a second": 15000, "most resident memory": 1000,
		"first event of the smallest type, after the first page of the largest": 60,
	} {
		if v := got[name]; v <= 0 || v > most {
			t.Errorf("%s: %v, want more than 0 and at most %v", name, v, most)
		}
	}
	for _, name := range []string{"records doubled", "429 answers"} {
		if v, there := got[name]; !there || v != 0 {
			t.Errorf("%s: %v (%v), want 0", name, v, there)
		}
	}
}

// The ratio is this build's value divided by the other's.
func TestReport_PutsTwoBuildsBesideEachOther(t *testing.T) {
	var r report
	r.add("backfill", false, []result{{"CPU", 0.02, "s", "≤ 0.6 of it"}, {"429 answers", 0, "", "0"}})
	r.add("backfill", true, []result{{"CPU", 0.04, "s", ""}, {"429 answers", 0, "", "0"}})
	var table bytes.Buffer
	if err := r.table(&table); err != nil {
		t.Fatal(err)
	}
	want := []string{"figure of value unit to reach against ratio", "backfill CPU 0.0200 s ≤ 0.6 of it 0.0400 0.50", "backfill 429 answers 0 0 0"}
	for i, line := range strings.Split(strings.TrimSpace(table.String()), "\n") {
		if got := strings.Join(strings.Fields(line), " "); got != want[i] {
			t.Errorf("line %d: %q, want %q", i, got, want[i])
		}
	}
}

// A figure that does not exist is named, with those that do.
func TestBench_KnowsItsFigures(t *testing.T) {
	err := command(t.Context(), []string{"backfil"}, t.Output(), t.Output())
	if err == nil || !strings.Contains(err.Error(), "backfil") || !strings.Contains(err.Error(), "beside") {
		t.Errorf("error %v", err)
	}
}
