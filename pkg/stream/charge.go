package stream

import (
	"context"
	"fmt"

	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// Runner is a stream: it runs until its context ends, or until something fails that
// ends the run.
type Runner interface{ Run(context.Context) error }

// Charged is what a stream's calls to HubSpot count as (hubspot.Client.Charge).
func Charged(r Runner) string {
	switch s := r.(type) {
	case *Tier:
		return s.Stream
	case *Sweep:
		return s.Stream
	case *Reconcile:
		return offsets.ReconcileStream
	case *Refill:
		return offsets.RefillStream
	case *Census:
		return CensusStream
	case *Archive:
		return offsets.ArchiveStream
	case *Stuck:
		return offsets.StuckStream
	case *Republish:
		return offsets.RepublishStream
	case *AssociationSweep:
		return offsets.AssociationsStream
	case *ChangedAssociations:
		return changedStream
	case *Recheck, *RecheckLinks:
		return recheckStream
	case *Owners, *Pipelines:
		return offsets.ReferenceStream
	case *Journal:
		return offsets.JournalStream
	case *Signals:
		return offsets.SignalsStream
	}
	panic(fmt.Sprintf("stream: nobody says what the calls of %T count as", r))
}
