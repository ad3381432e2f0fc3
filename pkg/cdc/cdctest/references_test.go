package cdctest

import (
	"slices"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// TestListHistories_AreThePortals checks every state of owners, pipelines and
// stages, including the stages that went with their pipeline.
func TestListHistories_AreThePortals(t *testing.T) {
	p := hubspottest.New(hubspottest.Options{Types: []string{"leads"}})
	id := p.AddOwner(hubspottest.Owner{FirstName: "Ada", Teams: []hubspottest.Team{{ID: "1", Name: "A"}}})
	p.UpdateOwner(id, func(o *hubspottest.Owner) { o.FirstName = "Eve" })
	p.ArchiveOwner(id)
	p.PurgeOwner(id)
	other := p.AddOwner(hubspottest.Owner{})
	p.PurgeOwner(other)
	h := OwnerHistoryOf(p)
	if lives := lives(h.States[id]); !slices.Equal(lives, []bool{true, true, false}) || !h.Archived[id] || h.Archived[other] {
		t.Errorf("owner %v, archived %v", h.States[id], h.Archived)
	}
	pl := p.AddPipeline("leads", hubspottest.Pipeline{Stages: []hubspottest.Stage{{ID: "a"}, {ID: "b"}}})
	p.RemoveStage("leads", pl, "a")
	p.UpdateStage("leads", pl, "b", func(s *hubspottest.Stage) { s.Label = "B" })
	p.RemovePipeline("leads", pl)
	pipelines, stages := PipelineHistoriesOf(p, "leads")
	for key, want := range map[string][]bool{"leads:" + pl + ":a": {true, false}, "leads:" + pl + ":b": {true, true, false}} {
		if got := lives(stages.States[key]); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", key, stages.States[key], want)
		}
	}
	if got := lives(pipelines.States["leads:"+pl]); !slices.Equal(got, []bool{true, false}) {
		t.Errorf("pipeline %v", pipelines.States)
	}
}

func lives(states []LinkState) (out []bool) {
	for _, s := range states {
		out = append(out, s.Live)
	}
	return out
}

func TestEntryText_DoesNotDependOnTheWriter(t *testing.T) {
	a := EntryText(map[string]any{"id": "1", "n": int32(3), "at": time.UnixMilli(5), "x": nil, "y": "", "teams": `[{"id":"2","a":1},{"a":1,"id":"1"}]`})
	b := EntryText(map[string]any{"id": "1", "n": 3, "at": time.UnixMilli(5).UTC(), "teams": `[{"id":"1","a":1}, {"id":"2","a":1}]`})
	if a != b || a == EntryText(map[string]any{"id": "1"}) {
		t.Errorf("%q and %q", a, b)
	}
}

// TestCheckLists_SeesWhatIsWrong, as far as CheckLinks does not.
func TestCheckLists_SeesWhatIsWrong(t *testing.T) {
	history := ReferenceHistory{LinkHistory{"deals:1": {{Live: true, Label: "a"}, {Live: false, Label: ""}}, "deals:2": {{Live: true, Label: "b"}}}, map[string]bool{}}
	good := []LinkEvent{
		{Key: "deals:1", Op: "r", Snapshot: "true", Label: "a", Seq: 1},
		{Key: "deals:2", Op: "r", Snapshot: "true", Label: "b", Seq: 2, Partition: 1},
		{Key: "deals:1", Op: "d", Snapshot: "false", Reason: "removed", Seq: 3},
		{Key: "deals:1", Tombstone: true},
	}
	if r := CheckReferences(history, good); !r.Clean() || r.Events != 3 {
		t.Fatalf("%d events, %s", r.Events, r.Findings())
	}
	for _, reason := range []string{"archived", "purged", ""} {
		bad := slices.Clone(good)
		bad[2].Reason = reason
		if r := CheckReferences(history, bad); len(r.Malformed) == 0 {
			t.Errorf("the check missed the reason %q", reason)
		}
	}
	if r := CheckReferences(history, good[:2]); len(r.Lost) != 1 {
		t.Errorf("a lost delete: %s", r.Findings())
	}
}
