package connector

import (
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// timings are the waits of the rules. An interval that is set shorter than a wait
// shrinks it: whoever asks HubSpot that often wants to know as soon
// (docs/contract.md section 2). Every wait that an interval shrinks is here, and
// only here.
type timings struct {
	// Confirm holds R9's wait between the two confirms of a purge, and the hour of
	// its brake.
	Confirm cdc.Patience
	// Removed is R9's wait between the two answers that a type is gone.
	Removed time.Duration
	// Recent is R12's age below which a decision does not count yet. Disputed is
	// R12's wait before it reads an id again that the index shows wrongly.
	Recent, Disputed time.Duration
	// Links are R14's waits between a record's change and the reads of its links.
	Links []time.Duration
	// Verify is R20's time between two looks at what is published.
	Verify time.Duration
	// Gone holds R19's wait between the two sets that lack a link, and the hour of
	// the brake for links.
	Gone cdc.Patience
	// Reference holds the wait between the two readings of a reference list that
	// lacks an entry, and R19's hour for one that is empty or halved.
	Reference cdc.Patience
	// Property holds R19's wait between the two looks that miss a property, and the
	// hour for which a list that lacks many is no evidence.
	Property cdc.Patience
	// Missed is how long the journal may take to name what polling has published
	// (docs/contract.md section 2, R16).
	Missed time.Duration
}

func (s *Sync) timings() timings {
	gone := s.patience(s.AssociationsInterval)
	gone.Witnessed = min(gone.Witnessed, linkWitnessed)
	return timings{
		Confirm:  s.patience(s.ArchiveInterval),
		Removed:  shorter(time.Hour, s.SchemaInterval),
		Recent:   shorter(2*time.Minute, s.CensusInterval),
		Disputed: shorter(time.Hour, s.ReconcileInterval),
		Links: []time.Duration{
			0, shorter(time.Minute, s.AssociationsInterval), shorter(10*time.Minute, s.AssociationsInterval),
		},
		Verify:    max(shorter(5*time.Minute, s.SchemaInterval), verifyLeast),
		Gone:      gone,
		Reference: s.patience(s.ReferenceInterval),
		Property:  s.patience(s.SchemaInterval),
		Missed:    s.missed(),
	}
}

// linkWitnessed is R19's wait between the two sets that lack a link which the journal
// named as removed. It is shorter than that of a purge, because the next sweep or look
// undoes a wrong delete of a link.
const linkWitnessed = 500 * time.Millisecond

// missed is ten minutes, or 20 leading intervals where one is set.
func (s *Sync) missed() time.Duration {
	if s.LeadingInterval > 0 {
		return 20 * s.LeadingInterval
	}
	return 10 * time.Minute
}

// verifyLeast spares brokers and registry, however often HubSpot is asked for its
// schemas.
const verifyLeast = 10 * time.Second

// patience is how long the connector doubts that something is gone (R9, R19), where
// what would show it again is read at an interval.
func (s *Sync) patience(interval time.Duration) cdc.Patience {
	second := shorter(30*time.Second, interval)
	return cdc.Patience{Second: second, Witnessed: min(2*time.Second, second), Repeat: shorter(time.Hour, s.ReconcileInterval)}
}

// shorter is d, or the interval if one is set and is shorter.
func shorter(d, interval time.Duration) time.Duration {
	if interval > 0 {
		return min(d, interval)
	}
	return d
}

// Trailing is the wait between two walks of a trailing tier. carried reports that
// the leading tier's walks carry it, one every leading interval: it waits for them.
func (s *Sync) Trailing(lag stream.Lag, carried bool, leading time.Duration) time.Duration {
	switch {
	case s.TrailingInterval > 0:
		return s.TrailingInterval
	case carried:
		return max(lag.By/4, 2*leading)
	}
	return lag.By / 4
}

// partialInterval is the time to the next read of the portal's schemas where
// HubSpot did not answer about a type.
const partialInterval = time.Minute

// signalsPatience is how long a run may take until it obeys signals because HubSpot does
// not answer about a type that was published before. A signal is taken once: one that
// names such a type, a snapshot under way among them, would be passed over.
const signalsPatience = 10 * time.Minute

// laterInterval is the time from a first look that left types for later to the next one.
// The streams of what is followed begin in between.
const laterInterval = 10 * time.Second

// soon is that time, or the interval if one is set and is shorter.
func (s *Sync) soon() time.Duration { return shorter(partialInterval, s.SchemaInterval) }

// roundsShare is the part of the day's calls that the rounds of the census may spend,
// and again that of the archive's.
const roundsShare = 0.1

// RoundsPerSecond bounds the rounds of the census over all object types. Where the
// day has no limit, or none is known, it counts as HubSpot's smallest.
func (s *Setup) RoundsPerSecond() float64 {
	limit := s.Governor.Learnt().Daily
	if limit == 0 {
		limit = smallestDay
	}
	return roundsShare * float64(limit) / (24 * time.Hour).Seconds()
}

// smallestDay is how many calls a day HubSpot allows at least (docs/hubspot.md
// section 7).
const smallestDay = 250_000
