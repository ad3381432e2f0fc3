package check

import (
	"slices"
	"strconv"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// left is how many records of a type the backfill has yet to read: by HubSpot's
// count, and by what is published of the ids that its cursor has passed.
func (k *checker) left(object string) int {
	n := k.portal.records[object]
	if k.loaded == nil {
		return n
	}
	place, err := offsets.ParseSweep(k.loaded.Cursors[offsets.Key{Portal: k.account.PortalID, Object: object, Stream: offsets.BackfillStream}])
	switch {
	case err != nil: // there is none yet
		return n
	case place.Done:
		return 0
	}
	for id, row := range k.loaded.Rows[object].All() {
		if row.Live && !slices.ContainsFunc(place.Ranges, func(r offsets.Range) bool { return unread(r, uint64(id)) }) {
			n--
		}
	}
	return max(0, n)
}

// unread reports whether a range of a sweep has yet to read an id.
func unread(r offsets.Range, id uint64) bool {
	from, _ := strconv.ParseUint(r.From, 10, 64) // a cursor that cannot be read has no range
	if read, err := strconv.ParseUint(r.ID, 10, 64); err == nil {
		from = read
	}
	to, err := strconv.ParseUint(r.To, 10, 64)
	return id > from && (err != nil || id <= to)
}

// sweptAlready reports whether a type's backfill is done.
func (k *checker) sweptAlready(object string) bool {
	if k.loaded == nil {
		return false
	}
	place, err := offsets.ParseSweep(k.loaded.Cursors[offsets.Key{Portal: k.account.PortalID, Object: object, Stream: offsets.BackfillStream}])
	return err == nil && place.Done
}

// linksLeft is how many records of its from type a pair's first sweep has yet to
// ask about.
func (k *checker) linksLeft(e stream.Ends) int {
	n := k.portal.records[e.From.Name]
	place, known := k.linkPlace(e)
	if !known {
		return n
	}
	if place.Completed != 0 {
		return 0
	}
	for id, row := range k.loaded.Rows[e.From.Name].All() {
		if row.Live && id <= place.ID {
			n--
		}
	}
	return max(0, n)
}

// sweptLinks reports whether a pair's first sweep is done.
func (k *checker) sweptLinks(e stream.Ends) bool {
	place, known := k.linkPlace(e)
	return known && place.Completed != 0
}

func (k *checker) linkPlace(e stream.Ends) (place offsets.Associations, known bool) {
	if k.loaded == nil {
		return place, false
	}
	pair := cdc.Pair{From: e.From.Name, To: e.To.Name}
	place, err := offsets.ParseAssociations(k.loaded.Cursors[offsets.Key{Portal: k.account.PortalID, Object: pair.String(), Stream: offsets.AssociationsStream}])
	return place, err == nil
}
