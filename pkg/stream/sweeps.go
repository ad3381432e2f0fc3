package stream

import (
	"sync/atomic"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// sweeps is when the sweeps over everything of an object type or a pair began, by
// HubSpot's time: the latest of all, and the latest that has ended.
type sweeps struct{ begun, ended atomic.Int64 }

func (s *sweeps) begin(at hubspot.Millis) { s.begun.Store(int64(at)) }
func (s *sweeps) end(at hubspot.Millis)   { s.ended.Store(int64(at)) }

// begunSince and endedSince report whether one that began at a time or later has
// begun, or has ended.
func (s *sweeps) begunSince(at hubspot.Millis) bool { return hubspot.Millis(s.begun.Load()) >= at }
func (s *sweeps) endedSince(at hubspot.Millis) bool { return hubspot.Millis(s.ended.Load()) >= at }
