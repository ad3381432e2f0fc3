package hubspottest

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// group is one filterGroup: all its filters must match. Filters on the id and
// on the modified time become ranges that the index can look up. The others
// check each row.
type group struct {
	never          bool // no row can match
	idLo, idHi     uint64
	timeLo, timeHi int64
	rest           []filter
}

// filter is a condition on a value.
type filter struct {
	of       *standard
	property string
	kind     kind
	operator string
	text     string
	lo, hi   float64
	list     []string
}

// kind says how a property's values compare.
type kind int

const (
	kindText kind = iota
	kindEnum
	kindNumber
	kindTime
)

func anyMatch(groups []group, e entry) bool {
	for i := range groups {
		if groups[i].match(e) {
			return true
		}
	}
	return false
}

func (g *group) match(e entry) bool {
	if g.never || e.id < g.idLo || e.id > g.idHi || e.modified < g.timeLo || e.modified > g.timeHi {
		return false
	}
	for i := range g.rest {
		if !g.rest[i].match(e.row.current) {
			return false
		}
	}
	return true
}

// parseGroups reads filterGroups. Without any group everything matches.
func (p *Portal) parseGroups(t *objectType, raw json.RawMessage) ([]group, *failure) {
	var parsed []struct{ Filters []map[string]json.RawMessage }
	if err := json.Unmarshal(raw, &parsed); err != nil {
		return nil, invalid("Invalid input JSON: filterGroups: %v", err)
	}
	if len(parsed) > maxGroups {
		return nil, invalid("%d filterGroups are more than %d", len(parsed), maxGroups)
	}
	groups, filters := []group{}, 0
	for _, g := range parsed {
		filters += len(g.Filters)
		if len(g.Filters) > maxGroupFilters || filters > maxFilters {
			return nil, invalid("more than %d filters in a group or %d in all", maxGroupFilters, maxFilters)
		}
		next := group{idHi: math.MaxUint64, timeLo: math.MinInt64, timeHi: math.MaxInt64}
		for _, members := range g.Filters {
			if fail := next.add(p, t, members); fail != nil {
				return nil, fail
			}
		}
		groups = append(groups, next)
	}
	if len(groups) == 0 {
		groups = append(groups, group{idHi: math.MaxUint64, timeLo: math.MinInt64, timeHi: math.MaxInt64})
	}
	return groups, nil
}

// unfiltered are properties of activities that a search cannot filter by
// (docs/hubspot.md section 1).
var unfiltered = []string{"hs_body_preview_html", "hs_email_html", "hs_body_preview"}

func (g *group) add(p *Portal, t *objectType, members map[string]json.RawMessage) *failure {
	f := filter{of: &t.standard}
	var value, high string
	for name, to := range map[string]*string{"propertyName": &f.property, "operator": &f.operator, "value": &value, "highValue": &high} {
		text, ok := textOf(members[name])
		if !ok {
			return invalid("Invalid input JSON: %s of a filter is not a string", name)
		}
		*to = text
	}
	if f.property == "" || f.operator == "" {
		return invalid("Some required fields were not set: [propertyName, operator]")
	}
	def := p.visible(t, f.property)
	if def == nil {
		return unknownProperty(f.property)
	}
	if slices.Contains(unfiltered, f.property) {
		return invalid("property %s cannot be filtered by", f.property)
	}
	f.kind = kindOf(def)
	if fail := f.parseValues(value, high, members); fail != nil {
		return fail
	}
	// Searching contacts by hs_lastmodifieddate finds nothing, without an
	// error: only their lastmodifieddate is indexed (docs/hubspot.md section 5).
	if f.property == "hs_lastmodifieddate" && t.modified != f.property {
		g.never = true
		return nil
	}
	switch {
	case f.property == "hs_object_id" && g.narrowID(f, value, high):
	case f.property == t.modified && g.narrowTime(f):
	default:
		g.rest = append(g.rest, f)
	}
	return nil
}

func (f *filter) parseValues(value, high string, members map[string]json.RawMessage) (fail *failure) {
	switch f.operator {
	case "HAS_PROPERTY", "NOT_HAS_PROPERTY":
		return nil
	case "IN", "NOT_IN":
		if err := json.Unmarshal(members["values"], &f.list); err != nil || len(f.list) == 0 {
			return invalid("operator %s needs values", f.operator)
		}
		return nil
	case "EQ", "NEQ", "LT", "LTE", "GT", "GTE", "BETWEEN":
	default:
		return invalid("operator %s is not supported by this search", f.operator)
	}
	if f.operator == "BETWEEN" && (f.kind == kindText || f.kind == kindEnum) {
		return invalid("operator BETWEEN does not fit property %s", f.property)
	}
	if value == "" || f.operator == "BETWEEN" && high == "" {
		return invalid("operator %s needs a value (and BETWEEN a highValue)", f.operator)
	}
	f.text = value
	if f.lo, fail = f.bound(value); fail != nil || f.operator != "BETWEEN" {
		return fail
	}
	f.hi, fail = f.bound(high)
	return fail
}

// bound reads a filter's value as a number. Epoch 0 gets HubSpot's 500
// (docs/hubspot.md section 1).
func (f *filter) bound(text string) (float64, *failure) {
	switch f.kind {
	case kindNumber:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return 0, invalid("%s is not a number", f.property)
		}
		return n, nil
	case kindTime:
		ms, ok := parseMoment(text)
		if !ok {
			return 0, invalid("%s is not a time", f.property)
		}
		if ms == 0 {
			return 0, &failure{status: 500, message: "internal error"}
		}
		return float64(ms), nil
	}
	return 0, nil
}

// narrowID narrows the id range by a filter on the id. It returns false if the
// filter is not a range.
func (g *group) narrowID(f filter, value, high string) bool {
	id, err := strconv.ParseUint(value, 10, 64)
	if err != nil {
		return false
	}
	lo, hi := uint64(0), uint64(math.MaxUint64)
	switch f.operator {
	case "EQ":
		lo, hi = id, id
	case "GTE":
		lo = id
	case "GT":
		if id == math.MaxUint64 {
			g.never = true
		}
		lo = id + 1
	case "LTE":
		hi = id
	case "LT":
		if id == 0 {
			g.never = true
		}
		hi = id - 1
	case "BETWEEN":
		lo = id
		if hi, err = strconv.ParseUint(high, 10, 64); err != nil {
			return false
		}
	default:
		return false
	}
	g.idLo, g.idHi = max(g.idLo, lo), min(g.idHi, hi)
	g.never = g.never || g.idLo > g.idHi
	return true
}

// narrowTime does the same for the modified time.
func (g *group) narrowTime(f filter) bool {
	lo, hi, at := int64(math.MinInt64), int64(math.MaxInt64), int64(f.lo)
	switch f.operator {
	case "EQ":
		lo, hi = at, at
	case "GTE":
		lo = at
	case "GT":
		lo = at + 1
	case "LTE":
		hi = at
	case "LT":
		hi = at - 1
	case "BETWEEN":
		lo, hi = at, int64(f.hi)
	default:
		return false
	}
	g.timeLo, g.timeHi = max(g.timeLo, lo), min(g.timeHi, hi)
	g.never = g.never || g.timeLo > g.timeHi
	return true
}

// match checks a row's value. A cleared value counts as absent; the negative
// operators match rows without a value.
func (f *filter) match(st *state) bool {
	text, _ := st.value(f.of, f.property)
	switch f.operator {
	case "HAS_PROPERTY":
		return text != ""
	case "NOT_HAS_PROPERTY":
		return text == ""
	case "NEQ":
		return !f.equal(text)
	case "NOT_IN":
		return !f.listed(text)
	}
	if text == "" {
		return false
	}
	switch f.operator {
	case "EQ":
		return f.equal(text)
	case "IN":
		return f.listed(text)
	}
	if f.kind == kindText || f.kind == kindEnum {
		c := strings.Compare(strings.ToLower(text), strings.ToLower(f.text))
		return compares(f.operator, float64(c), 0, 0)
	}
	n, ok := f.number(text)
	return ok && compares(f.operator, n, f.lo, f.hi)
}

func compares(operator string, n, lo, hi float64) bool {
	switch operator {
	case "LT":
		return n < lo
	case "LTE":
		return n <= lo
	case "GT":
		return n > lo
	case "GTE":
		return n >= lo
	}
	return n >= lo && n <= hi // BETWEEN
}

func (f *filter) number(text string) (float64, bool) {
	if f.kind == kindTime {
		ms, ok := parseMoment(text)
		return float64(ms), ok
	}
	n, err := strconv.ParseFloat(text, 64)
	return n, err == nil
}

// equal compares text regardless of case, enumerations by case, and everything
// else as numbers.
func (f *filter) equal(text string) bool {
	switch f.kind {
	case kindText:
		return strings.EqualFold(text, f.text)
	case kindEnum:
		return slices.Contains(strings.Split(text, ";"), f.text)
	}
	n, ok := f.number(text)
	return ok && n == f.lo
}

// listed compares with the values of IN. For text they must be in lower case
// and never match otherwise, as HubSpot's search page says.
func (f *filter) listed(text string) bool {
	switch f.kind {
	case kindText:
		return slices.Contains(f.list, strings.ToLower(text))
	case kindEnum:
		return slices.ContainsFunc(strings.Split(text, ";"), func(s string) bool { return slices.Contains(f.list, s) })
	}
	n, ok := f.number(text)
	return ok && slices.ContainsFunc(f.list, func(s string) bool {
		other, ok := f.number(s)
		return ok && other == n
	})
}

func kindOf(def *Property) kind {
	switch def.Type {
	case "number":
		return kindNumber
	case "date", "datetime":
		return kindTime
	case "enumeration", "bool":
		return kindEnum
	}
	return kindText
}

// parseMoment reads every spelling of a time that HubSpot accepts or sends:
// epoch milliseconds, ISO with or without a fraction, a date. It ignores
// fractions of a millisecond.
func parseMoment(text string) (int64, bool) {
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		return int64(n), true
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UnixMilli(), true
		}
	}
	return 0, false
}

func unknownProperty(name string) *failure {
	return invalid("There was a problem with the request: property %s does not exist", name)
}
