package stream

import (
	"math"
	"slices"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// What the passes of the streams cost while nothing changes. connector check
// plans with it, and a test compares the plan with the calls that a portal counts
// in a day.

// SweepCalls returns how many calls one sweep over a type takes: list pages and,
// where the names of the properties do not fit into a URL, batch reads.
func SweepCalls(records int, slots *hubspot.Slots) (lists, reads int) {
	lists = max(1, pages(records, hubspot.MaxList))
	if !hubspot.ListFits(slots) {
		reads = pages(records, hubspot.MaxBatch)
	}
	return lists, reads
}

// ReconcileCalls returns how many calls a reconcile takes: a sweep, and at its end the
// lists of properties (Sweep.verify).
func ReconcileCalls(records int, slots *hubspot.Slots, sensitivities int) int {
	lists, reads := SweepCalls(records, slots)
	return lists + reads + sensitivities
}

// SplitCalls is how many calls of a type are made one after another, however many it
// takes: a range with more is divided.
const SplitCalls = SplitLeast / hubspot.MaxList

// SweepTakes returns the sum of a reconcile's pauses: the least time that it takes,
// however fast HubSpot answers.
func SweepTakes(records int, interval time.Duration) time.Duration {
	return time.Duration(max(0, pages(records, hubspot.MaxList)-1)) * reconcilePause(records, interval)
}

// CensusEvery returns the time between two rounds of the census of a type of which
// no record goes. fixed is SYNC_CENSUS_INTERVAL.
func CensusEvery(fixed time.Duration) time.Duration {
	if fixed > 0 {
		return fixed
	}
	return coldRound
}

// CensusCalls returns how many searches a round of the census takes on average,
// with this time between two rounds.
func CensusCalls(records int, every time.Duration) float64 {
	if records/censusPart < 2 {
		return 1
	}
	return 1 + 1/min(openRounds, math.Ceil(openEvery.Seconds()/every.Seconds()))
}

// ArchiveEvery returns the time between two passes over the recycle bin of a type of
// which no record goes. fixed is SYNC_ARCHIVE_INTERVAL.
func ArchiveEvery(fixed time.Duration, archived int) time.Duration {
	if fixed > 0 {
		return fixed
	}
	return longer(coldRound, ArchiveCalls(archived))
}

// ArchiveCalls returns how many list pages one pass over the recycle bin takes.
func ArchiveCalls(archived int) int { return max(1, pages(archived, hubspot.MaxList)) }

// LinkCalls returns how many association batch reads one sweep over a pair takes.
// records is the number of live records of its from type.
func LinkCalls(records int) int { return pages(records, hubspot.MaxLinks) }

// LabelCalls returns how many calls it takes to read the labels of all pairs.
// types is the number of followed object types, wanted is HUBSPOT_ASSOCIATIONS.
func LabelCalls(types int, wanted []string) int {
	switch {
	case slices.Equal(wanted, []string{noPairs}):
		return 0
	case len(wanted) > 0:
		return len(wanted)
	}
	return types * (types + 1) / 2
}

// PipelineCalls returns how many calls a pass over the pipelines takes on average.
// Every pass asks about the types that have pipelines, with of them; one pass in
// seldom asks about the others.
func PipelineCalls(with, types int) float64 {
	return float64(with) + float64(types-with)/seldom
}

// OwnerCalls returns how many calls a pass over the owners takes.
func OwnerCalls(owners int) int { return max(1, pages(owners, hubspot.MaxOwners)) }

func pages(n, size int) int { return (n + size - 1) / size }
