package connector

import (
	"time"

	"github.com/hubspot-cdc/connector/pkg/stream"
)

// What the patient streams want where no interval is set, and how far they stretch
// before the leading tiers do (docs/contract.md section 3). A run asks by it, and a
// check plans by it.

// LeadingShare is the part of our searches that the leading tiers may spend. The
// rest is for trailing tiers and urgent reads.
const LeadingShare = 0.6

// Budget is what the portal's limits leave to the streams now.
func (s *Setup) Budget() stream.Budget {
	rates := s.Governor.Rates()
	return stream.Budget{
		IdleShare: s.Config.HubSpot.IdleShare, Day: s.Governor.Learnt().Daily,
		Left: rates.Day, Searches: rates.Search * LeadingShare,
	}
}

// Demands adds what costs the same whatever there is.
func (s *Setup) Demands(p *stream.Pace) {
	if !s.Config.HubSpot.OAuth() {
		p.Patient("", "account", func() stream.Demand { return fixed(1, DayInterval) })
	}
}

func demand(calls int, set, least, most time.Duration) stream.Demand {
	if set > 0 {
		return fixed(calls, set)
	}
	return stream.Demand{Calls: float64(calls), Least: least, Most: most}
}

// settled is the demand for what seldom changes, and then several times.
func settled(calls int, set, least, most time.Duration) stream.Demand {
	d := demand(calls, set, least, most)
	d.Settles = true
	return d
}

func fixed(calls int, every time.Duration) stream.Demand {
	return stream.Demand{Calls: float64(calls), Least: every, Fixed: true}
}

// SchemaDemand is that of the reads of the object types and their properties.
func (s *Sync) SchemaDemand(calls int) stream.Demand {
	return settled(calls, s.SchemaInterval, 5*time.Minute, time.Hour)
}

// LabelsDemand is that of the reads of the association labels of all pairs, one
// call each. They change least of all.
func (s *Sync) LabelsDemand(calls int) stream.Demand {
	return settled(calls, s.SchemaInterval, max(5*time.Minute, time.Duration(calls)*labelSpacing), 6*time.Hour)
}

// labelSpacing is the least time between two reads of labels, on average.
const labelSpacing = 10 * time.Second

// ReferenceDemand is that of the readings of a reference list.
func (s *Sync) ReferenceDemand(calls int) stream.Demand {
	return settled(calls, s.ReferenceInterval, 5*time.Minute, time.Hour)
}

// LinksDemand is that of the sweeps of a pair. linked reports whether it has links.
func (s *Sync) LinksDemand(calls int, linked bool) stream.Demand {
	if !linked {
		return demand(calls, s.AssociationsInterval, 24*time.Hour, 24*time.Hour)
	}
	d := demand(calls, s.AssociationsInterval, time.Hour, 4*time.Hour)
	d.Relied = stream.ReliedLinks
	return d
}

// CensusDemand is that of the counts of a type of which no record goes.
func (s *Sync) CensusDemand(records int) stream.Demand {
	every := stream.CensusEvery(s.CensusInterval)
	return stream.Demand{Calls: stream.CensusCalls(records, every), Least: every, Most: every, Relied: stream.ReliedCensus, Fixed: s.CensusInterval > 0}
}

// ArchiveDemand is that of the passes over the recycle bin of such a type.
func (s *Sync) ArchiveDemand(archived int) stream.Demand {
	every := stream.ArchiveEvery(s.ArchiveInterval, archived)
	return stream.Demand{Calls: float64(stream.ArchiveCalls(archived)), Least: every, Most: every, Relied: stream.ReliedArchive, Fixed: s.ArchiveInterval > 0}
}

// ReconcileDemand is that of the sweeps over a type.
func (s *Sync) ReconcileDemand(calls int) stream.Demand { return fixed(calls, s.ReconcileInterval) }
