package connector

import (
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// Timings are the waits of the rules. Where the interval of a sweep is set
// shorter than the wait, the wait shrinks to it: whoever has HubSpot asked so
// often wants to hear of it as soon (docs/contract.md section 7). Every wait
// that an interval shrinks stands here, and only here.
type timings struct {
	// Confirm is R9's wait between the two confirms of a purge and the hour of
	// its brake.
	Confirm cdc.Patience
	// Removed is R9's wait between the two answers that a type is gone.
	Removed time.Duration
	// Recent is R12's age below which a decision does not count yet, and
	// Disputed its wait between two looks at what the index shows wrongly.
	Recent, Disputed time.Duration
	// Links are R14's waits after a record's change until its links are read.
	Links []time.Duration
	// Second is the wait between the two readings of a list that lacks an entry.
	Second time.Duration
}

func (s *Sync) timings() timings {
	return timings{
		Confirm: cdc.Patience{
			Second: shorter(30*time.Second, s.ArchiveInterval),
			Repeat: shorter(time.Hour, s.ReconcileInterval),
		},
		Removed:  shorter(time.Hour, s.SchemaInterval),
		Recent:   shorter(2*time.Minute, s.CensusInterval),
		Disputed: shorter(time.Hour, s.ReconcileInterval),
		Links: []time.Duration{
			0, shorter(time.Minute, s.AssociationsInterval), shorter(10*time.Minute, s.AssociationsInterval),
		},
		Second: shorter(30*time.Second, s.ReferenceInterval),
	}
}

// shorter is d, or an interval that was set shorter than it.
func shorter(d, interval time.Duration) time.Duration {
	if interval > 0 {
		return min(d, interval)
	}
	return d
}

// Trailing is the wait between two walks of a trailing tier.
func (s *Sync) Trailing(lag stream.Lag) time.Duration {
	if s.TrailingInterval > 0 {
		return s.TrailingInterval
	}
	return lag.By / 4
}

const (
	// schemaInterval is the time between two looks at the portal's schemas
	// where it is not set.
	schemaInterval = 5 * time.Minute
	// Labels are asked for pair by pair: where nothing is set, no oftener than
	// one call in labelSpacing.
	labelSpacing = 10 * time.Second
	// partialInterval is the time to the next look where HubSpot did not answer
	// about a type.
	partialInterval = time.Minute
)

// Schema is the time between two looks at the portal's object types.
func (s *Sync) Schema() time.Duration {
	if s.SchemaInterval > 0 {
		return s.SchemaInterval
	}
	return schemaInterval
}

// Labels is the time between two looks at the labels of so many pairs.
func (s *Sync) Labels(pairs int) time.Duration {
	if s.SchemaInterval > 0 {
		return s.SchemaInterval
	}
	return max(schemaInterval, time.Duration(pairs)*labelSpacing)
}

// LeadingShare is the part of our searches that the leading tiers may spend;
// the rest is for trailing tiers and for what is urgent.
const LeadingShare = 0.5
