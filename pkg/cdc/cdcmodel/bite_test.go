package cdcmodel

import "testing"

// TestSearch_EveryRuleIsNeeded switches off one rule after another and looks for a
// history that shows why it exists. -short, which is for the race detector, looks for
// those that are soon found.
func TestSearch_EveryRuleIsNeeded(t *testing.T) {
	enough := 200_000
	if testing.Short() {
		enough = 400
	}
	for _, c := range []struct {
		rule string
		off  without
	}{
		{"R1: a reading is as old as its answer", without{readingOrder: true}},
		{"R2: the order of a page does not matter", without{order: true}},
		{"R3: the trailing tier does not look back", without{lag: true}},
		{"R3: our clock moves the window", without{ownClock: true}},
		{"R3: a row's time moves the window", without{rowTime: true}},
		{"R3: an unfinished walk moves the window", without{unfinished: true}},
		{"R3: a joint walk moves the tiers that it carries without their lag", without{jointLag: true}},
		{"R4: every reading is settled", without{settled: true}},
		{"R4: rows from before the window are skipped", without{start: true}},
		{"R5: the tiers start after the backfill", without{first: true}},
		{"R5: the tiers' first start has no overlap", without{overlap: true}},
		{"R11: no range has the id behind a border", without{border: true}},
		{"R6: the cursor has pages that are not published", without{together: true}},
		{"R6: the cursor does not wait for re-reads", without{cursorLast: true}},
		{"R7: nothing is confirmed", without{confirm: true}},
		{"R7: no controls", without{controls: true}},
		{"R7: the recycle bin is not asked", without{bin: true}},
		{"R7: the losers that archived copies name are not asked for", without{copies: true}},
		{"R8: what is neither answered nor reported is missing", without{neither: true}},
		{"R18: nobody asks again about what HubSpot did not answer", without{stuck: true}},
		{"R9: no second confirm", without{second: true}},
		{"R1: a set of links is as old as its answer", without{linkOrder: true}},
		{"R14: a set of several calls deletes at once", without{secondSet: true, witness: true, whole: true}},
		{"R14: a record's delete ends its links", without{exchange: true, witness: true, whole: true}},
		{"R14: a sweep asks about live records only", without{union: true}},
		{"R8: a record that is not found has no links", without{deletedBefore: true}},
		{"R16: the journal begins after the backfill", without{subscribedFirst: true}},
		{"R16: where there was no file yet, the newest is the next", without{earliest: true}},
		{"R16: the cursor moves before what a file names is settled", without{journalLast: true}},
		{"R16: a place that is lost has nothing newer", without{placeLost: true}},
		{"R16: nothing begins where files are lost or odd", without{afterLoss: true}},
		{"R16: the cursor moves before that has begun", without{journalWaits: true}},
		{"R16: what events show is published", without{journalContent: true}},
		{"R16: the links of a record that is not published are read", without{publishedFirst: true}},
		{"R16: where an event names what is gone, one reading is enough", without{namedOnce: true}},
		{"R19: one set that lacks a link deletes it", without{witness: true}},
	} {
		t.Run(c.rule, func(t *testing.T) {
			f, _ := search(12, enough, c.off)
			if f == nil && testing.Short() {
				t.Skip("it takes more histories")
			}
			if f == nil {
				t.Fatalf("%d histories without the rule broke no promise", enough)
			}
			t.Logf("history %d: %s", f.number+1, f.broken)
			if testing.Verbose() {
				t.Logf("at its smallest:\n%s", tellStory(shrink(f.blocks, c.off), c.off))
			}
		})
	}
}

// TestSearch_AHubSpotWhoseSetsAreWholeNeedsNoSecondWitness: so it is the other rule
// whose absence TestSearch_EveryRuleIsNeeded shows.
func TestSearch_AHubSpotWhoseSetsAreWholeNeedsNoSecondWitness(t *testing.T) {
	off := without{witness: true, whole: true}
	if f, _ := search(12, bounded(50_000), off); f != nil {
		t.Fatalf("%s\n%s", f.broken, tellStory(shrink(f.blocks, off), off))
	}
}
