package stream

import (
	"slices"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// What the passes of the streams cost while nothing changes, for the plan of
// connector check. A test holds the plan against a portal's count of a day.

// SweepCalls is how many calls one sweep over a type takes: lists, and where the
// names of its properties do not fit into an address, a batch read for each.
func SweepCalls(records int, slots *hubspot.Slots) (lists, reads int) {
	lists = max(1, pages(records, hubspot.MaxList))
	if !hubspot.ListFits(slots) {
		reads = pages(records, hubspot.MaxBatch)
	}
	return lists, reads
}

// SweepTakes is the least that a reconcile over a type takes, answers aside.
func SweepTakes(records int, interval time.Duration) time.Duration {
	return time.Duration(max(0, pages(records, hubspot.MaxList)-1)) * reconcilePause(records, interval)
}

// CensusCalls is how many searches a round of the census takes.
func CensusCalls(records int) int {
	if records/censusPart < 2 {
		return 1
	}
	return 2
}

// ArchiveCalls is how many lists one pass over the archived records takes.
func ArchiveCalls(archived int) int { return max(1, pages(archived, hubspot.MaxList)) }

// LinkCalls is how many calls one sweep over a pair takes.
func LinkCalls(records int) int { return pages(records, hubspot.MaxLinks) }

// LabelCalls is how many calls a look at the labels of all pairs takes. wanted
// is HUBSPOT_ASSOCIATIONS.
func LabelCalls(types int, wanted []string) int {
	switch {
	case slices.Equal(wanted, []string{noPairs}):
		return 0
	case len(wanted) > 0:
		return len(wanted)
	}
	return types * (types + 1) / 2
}

// PipelineCalls is how many calls a pass over the pipelines takes on average:
// of the types those that have some are asked each time, the others seldom.
func PipelineCalls(with, types int) float64 {
	return float64(with) + float64(types-with)/seldom
}

func pages(n, size int) int { return (n + size - 1) / size }
