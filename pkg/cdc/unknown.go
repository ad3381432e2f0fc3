package cdc

import "math"

// A topic may hold live keys of which the state knows nothing but that (R20). They
// count as published with a content that no reading equals: so what HubSpot has of
// them is published, and what it no longer has is confirmed and deleted.

// UnknownRow is the row of a record or an entry whose published content is not
// known. No content has the hash 0.
func UnknownRow(seq int64) Row { return Row{Live: true, Seq: seq} }

func (r *Row) unknown() bool { return r.Live && r.Version == 0 && r.Hash == 0 }

// UnknownLink is the row of a link whose published label is not known.
func UnknownLink() LinkRow { return LinkRow{Live: true, Label: unknownLabel} }

const unknownLabel = math.MaxUint64

// IsLive reports whether a link is published and not deleted.
func (t *LinkTable) IsLive(k LinkKey) bool {
	l, known := t.links.get(t.probe(k))
	return known && t.faces[l.face].reason == NoReason
}
