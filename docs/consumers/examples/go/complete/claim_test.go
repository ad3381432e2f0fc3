package main

import (
	"slices"
	"testing"
	"time"
)

// TestClaim: frontiers in, and what a reader at some positions has.
func TestClaim(t *testing.T) {
	early, late := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC), time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	says := func(complete *time.Time, first, second int64) frontier {
		return frontier{Complete: complete, Offsets: map[int32]int64{0: first, 1: second}}
	}
	old := []frontier{says(nil, 2, 2), says(&early, 10, 3), says(&late, 500, 400)}
	again := append(old[:3:3], says(nil, 0, 0))
	for _, test := range []struct {
		name          string
		frontiers     []frontier
		first, second int64 // positions
		want          time.Time
	}{
		{"before the first that claims", old, 9, 400, time.Time{}},
		{"between two", old, 499, 400, early},
		{"past the last", old, 500, 400, late},
		{"made again, where the old topic was complete", again, 10, 3, time.Time{}},
		{"made again, past all of the old topic", again, 600, 600, time.Time{}},
		{"made again and complete", append(again[:4:4], says(&early, 20, 20)), 20, 20, early},
		{"one partition is lower", append(old[:3:3], says(nil, 600, 399)), 500, 400, time.Time{}},
		{"one partition is no longer there", append(old[:3:3], frontier{Offsets: map[int32]int64{0: 600}}), 500, 400, time.Time{}},
		{"forgotten", append(old[:3:3], frontier{}), 500, 400, time.Time{}},
		{"the same offsets again", append(old[:3:3], says(nil, 500, 400)), 500, 400, late},
	} {
		t.Run(test.name, func(t *testing.T) {
			position := map[int32]int64{0: test.first, 1: test.second}
			var afterwards, meanwhile claim
			for _, f := range test.frontiers {
				afterwards.add(f)
				meanwhile.add(f)
				meanwhile.reach(position)
			}
			afterwards.reach(position)
			if !afterwards.at.Equal(test.want) {
				t.Errorf("it claims %v, want %v", afterwards.at, test.want)
			}
			if !meanwhile.at.Equal(test.want) {
				t.Errorf("a reader that was there before claims %v, want %v", meanwhile.at, test.want)
			}
		})
	}
}

// TestFrontiersOf: the prefix of the connector's topics may have dots, and so may what
// stands behind it.
func TestFrontiersOf(t *testing.T) {
	topics := []string{"hubspot.frontiers", "hubspot.4242.frontiers", "acme.eu.frontiers"}
	for topic, want := range map[string]string{
		"hubspot.contacts":                             "hubspot.frontiers",
		"hubspot.associations.contacts.companies":      "hubspot.frontiers",
		"hubspot.4242.contacts":                        "hubspot.4242.frontiers",
		"hubspot.4242.associations.contacts.companies": "hubspot.4242.frontiers",
		"acme.eu.contacts":                             "acme.eu.frontiers",
		"acme.contacts":                                "",
		"contacts":                                     "",
	} {
		got, err := frontiersOf(topic, func(name string) bool { return slices.Contains(topics, name) })
		if got != want || (err == nil) != (want != "") {
			t.Errorf("the frontiers of %s are in %q, %v; want %q", topic, got, err, want)
		}
	}
}
