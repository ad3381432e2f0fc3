package hubspottest

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// state is a record at one time. A state in the store never changes, so the
// store, the index and the history can share it.
type state struct {
	id         uint64
	seq        uint64 // numbers the portal's changes in order
	created    int64
	updated    int64
	archivedAt int64
	archived   bool
	gone       bool   // purged, or the loser of a merge
	mergedInto uint64 // the survivor's id, for the loser of a merge
	values     values
}

func (s *state) copy() *state {
	next := *s
	return &next
}

// value returns a property's value as answers carry it; ok is false for null.
func (s *state) value(t *standard, name string) (text string, ok bool) {
	switch {
	case name == "hs_object_id":
		return strconv.FormatUint(s.id, 10), true
	case name == "hs_lastmodifieddate", name == t.modified:
		return isoTime(s.updated), true
	case slices.Contains(t.created, name):
		return isoTime(s.created), true
	}
	return s.values.get(name)
}

// isoTime writes a time as HubSpot does: with milliseconds, but without a
// fraction if it is zero.
func isoTime(ms int64) string {
	t := time.UnixMilli(ms).UTC()
	if ms%1000 == 0 {
		return t.Format("2006-01-02T15:04:05Z")
	}
	return t.Format("2006-01-02T15:04:05.000Z")
}

// values are a record's properties, sorted by name. A cleared property has the
// value ""; one that was never set is absent.
type values []value

type value struct{ name, text string }

func (v values) find(name string) (int, bool) {
	return slices.BinarySearchFunc(v, name, func(e value, name string) int { return strings.Compare(e.name, name) })
}

func (v values) has(name string) bool {
	_, ok := v.find(name)
	return ok
}

func (v values) get(name string) (string, bool) {
	if i, ok := v.find(name); ok {
		return v[i].text, true
	}
	return "", false
}

// with returns a copy in which name has the text, or is unset if text is nil.
func (v values) with(name string, text *string) values {
	i, ok := v.find(name)
	switch {
	case text == nil && !ok:
		return v
	case text == nil:
		return slices.Delete(slices.Clone(v), i, i+1)
	case ok:
		next := slices.Clone(v)
		next[i].text = *text
		return next
	}
	return slices.Insert(slices.Clone(v), i, value{name, *text})
}

// merge returns a copy with the given properties set.
func (v values) merge(properties map[string]string) values {
	next := make(values, 0, len(v)+len(properties))
	for _, e := range v {
		if _, replaced := properties[e.name]; !replaced {
			next = append(next, e)
		}
	}
	for name, text := range properties {
		next = append(next, value{name, text})
	}
	slices.SortFunc(next, func(a, b value) int { return strings.Compare(a.name, b.name) })
	return next
}
