package hubspottest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// HubSpot's limits for one search (docs/hubspot.md section 1).
const (
	searchMaxLimit   = 200
	searchMaxResults = 10_000
	searchMaxQuery   = 3_000 // characters of the filters and the query
	maxGroups        = 5
	maxGroupFilters  = 6
	maxFilters       = 18
)

// searchRequest is the parsed and checked body of a search.
type searchRequest struct {
	groups     []group
	sort       sortRule
	limit      int
	after      int
	properties []string
}

type sortRule struct {
	property   string // "": HubSpot's default, oldest record first
	descending bool
}

// serveSearch answers POST /crm/objects/{ver}/{type}/search from the index.
func (p *Portal) serveSearch(c *call) (int, []byte, *failure) {
	t, fail := p.readable(c.object, recordScopes)
	if fail != nil {
		return 0, nil, fail
	}
	req, fail := p.parseSearch(t, c.body)
	if fail != nil {
		return 0, nil, fail
	}
	t.index.catchUp(p.now())
	total, page, more := p.search(c, t, req)

	b := append([]byte(`{"total":`), strconv.Itoa(total)...)
	b = append(b, `,"results":[`...)
	names := t.answered(p, req.properties)
	for i, e := range page {
		if i > 0 {
			b = append(b, ',')
		}
		c.records = append(c.records, e.row.current.id)
		b = p.appendRecord(b, t, p.answeredVersion(c, t, e.row), names, withURL)
	}
	b = append(b, ']')
	if more {
		// Search pages carry no link, and after is an offset.
		b = append(b, `,"paging":{"next":{"after":"`...)
		b = strconv.AppendInt(b, int64(req.after+len(page)), 10)
		b = append(b, `"}}`...)
	}
	return 200, append(b, '}'), nil
}

// answeredVersion picks the values to return for a matching row: mostly those
// that matched, at times newer or older ones.
func (p *Portal) answeredVersion(c *call, t *objectType, r *row) *state {
	switch x := p.opt.Index; {
	case chance(p.chaos, x.Fresh):
		if st := t.liveState(r.current.id); st != nil {
			return st
		}
	case r.previous != nil && chance(p.chaos, x.Stale):
		c.hide(r.current.id)
		return r.previous
	}
	return r.current
}

// search finds the rows of a page. total counts every match in the index. more
// reports whether rows that this answer can see follow the page.
func (p *Portal) search(c *call, t *objectType, req searchRequest) (total int, page []entry, more bool) {
	if req.sort == (sortRule{property: "hs_object_id"}) {
		return p.searchByID(c, t, req)
	}
	matches := collect(t.index.byID, req.groups)
	total = len(matches)
	p.order(t, matches, req.sort)
	matches = slices.DeleteFunc(matches, func(e entry) bool { return p.flaps(c, e) })
	from := min(req.after, len(matches))
	to := min(from+req.limit, len(matches))
	return total, matches[from:to], to < len(matches)
}

// flaps reports whether an answer lacks a row that matches.
func (p *Portal) flaps(c *call, e entry) bool {
	if !chance(p.chaos, p.opt.Index.Flap) {
		return false
	}
	c.hide(e.row.current.id)
	return true
}

// searchByID is search sorted by ascending id, the reliable sort and the one that
// must be fast. It goes through the ids in range or, if the window of times holds
// far fewer rows, through those.
func (p *Portal) searchByID(c *call, t *objectType, req searchRequest) (total int, page []entry, more bool) {
	candidates, groups := t.index.byID, req.groups
	if len(groups) == 1 {
		g := groups[0]
		if g.never {
			return 0, nil, false
		}
		candidates = t.index.idRange(g.idLo, g.idHi)
		if recent := t.index.timeRange(g.timeLo, g.timeHi); len(recent)*16 < len(candidates) {
			candidates = collect(recent, groups)
			slices.SortFunc(candidates, entryByID)
			groups = nil
		} else if len(recent) == len(t.index.byTime) && len(g.rest) == 0 {
			groups = nil // the id range alone decides: no need to check each row
		}
	}
	flap := p.opt.Index.Flap > 0
	if groups == nil && !flap {
		from := min(req.after, len(candidates))
		to := min(from+req.limit, len(candidates))
		return len(candidates), candidates[from:to], to < len(candidates)
	}
	skip := req.after
	for _, e := range candidates {
		if groups != nil && !anyMatch(groups, e) {
			continue
		}
		total++
		if more || flap && p.flaps(c, e) {
			continue
		}
		switch {
		case skip > 0:
			skip--
		case len(page) < req.limit:
			page = append(page, e)
		default:
			more = true
		}
	}
	return total, page, more
}

func collect(candidates []entry, groups []group) []entry {
	var matches []entry
	for _, e := range candidates {
		if anyMatch(groups, e) {
			matches = append(matches, e)
		}
	}
	return matches
}

// order sorts matches by anything but ascending id. By modified time it is as
// unreliable as HubSpot (docs/hubspot.md section 1): it places rows as if their
// time were off by up to an hour, always by the same amount for one version.
func (p *Portal) order(t *objectType, matches []entry, rule sortRule) {
	compare := func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.row.current.created, b.row.current.created), cmp.Compare(a.id, b.id))
	}
	switch name := rule.property; {
	case name == "":
	case name == "hs_object_id":
		compare = entryByID
	case name == "hs_lastmodifieddate", name == t.modified:
		compare = func(a, b entry) int { return cmp.Compare(blurred(a), blurred(b)) }
	default:
		compare = func(a, b entry) int {
			x, _ := a.row.current.value(&t.standard, name)
			y, _ := b.row.current.value(&t.standard, name)
			return cmp.Or(compareTexts(x, y), cmp.Compare(a.id, b.id))
		}
	}
	slices.SortFunc(matches, func(a, b entry) int {
		if rule.descending {
			return compare(b, a)
		}
		return compare(a, b)
	})
}

// blurred returns a row's modified time, moved by up to an hour for one row in
// four and by seconds for the others.
func blurred(e entry) int64 {
	h := rand.NewPCG(e.id, e.row.current.seq).Uint64()
	reach := 5 * time.Second.Milliseconds()
	if h%4 == 0 {
		reach = time.Hour.Milliseconds()
	}
	return e.modified + int64(h>>8)%(reach+1)
}

// compareTexts compares numbers as numbers and everything else as text, without
// regard to case.
func compareTexts(a, b string) int {
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	if errX == nil && errY == nil {
		return cmp.Compare(x, y)
	}
	return strings.Compare(strings.ToLower(a), strings.ToLower(b))
}

// parseSearch parses a body, as strictly as the OpenAPI file allows: it checks
// for all five required members, a single sort and the sizes.
func (p *Portal) parseSearch(t *objectType, body []byte) (req searchRequest, fail *failure) {
	members, fail := parseObject(body, "after", "filterGroups", "limit", "properties", "sorts")
	if fail != nil {
		return req, fail
	}
	if fail := parseMember(members, "limit", &req.limit); fail != nil {
		return req, fail
	}
	if req.limit < 1 || req.limit > searchMaxLimit {
		return req, invalid("limit %d is not between 1 and %d", req.limit, searchMaxLimit)
	}
	after, fail := parseText(members, "after")
	if fail != nil {
		return req, fail
	}
	if after != "" {
		n, err := strconv.Atoi(after)
		if err != nil || n < 0 {
			return req, invalid("after %q is not a valid cursor of a search", after)
		}
		req.after = n
	}
	if req.after+req.limit > searchMaxResults {
		return req, invalid("paging past %d results of a search is not possible", searchMaxResults)
	}
	if fail := parseMember(members, "properties", &req.properties); fail != nil {
		return req, fail
	}
	if len(members["filterGroups"])+len(members["query"]) > searchMaxQuery {
		return req, invalid("the query is longer than %d characters", searchMaxQuery)
	}
	if query, fail := parseText(members, "query"); fail != nil {
		return req, fail
	} else if query != "" {
		return req, invalid("this portal has no full text search")
	}
	if req.sort, fail = p.parseSorts(t, members["sorts"]); fail != nil {
		return req, fail
	}
	req.groups, fail = p.parseGroups(t, members["filterGroups"])
	return req, fail
}

// parseSorts accepts the strings of the OpenAPI file ("hs_object_id", with a
// leading "-" for descending) and the objects of HubSpot's guide.
func (p *Portal) parseSorts(t *objectType, raw json.RawMessage) (rule sortRule, fail *failure) {
	var sorts []json.RawMessage
	if err := json.Unmarshal(raw, &sorts); err != nil {
		return rule, invalid("sorts is not an array")
	}
	switch len(sorts) {
	case 0:
		return rule, nil
	case 1:
	default:
		return rule, invalid("only one sort is allowed, not %d", len(sorts))
	}
	if sorts[0][0] == '"' {
		if p.opt.SortObjects {
			return rule, invalid("cannot construct a sort from a string")
		}
		var text string
		if err := json.Unmarshal(sorts[0], &text); err != nil {
			return rule, invalid("sorts: %v", err)
		}
		rule.property, rule.descending = strings.CutPrefix(text, "-")
	} else {
		var object struct{ PropertyName, Direction string }
		if err := json.Unmarshal(sorts[0], &object); err != nil {
			return rule, invalid("sorts is not an array of strings or objects")
		}
		switch object.Direction {
		case "", "ASCENDING":
		case "DESCENDING":
			rule.descending = true
		default:
			return rule, invalid("%s is not a direction of a sort", object.Direction)
		}
		rule.property = object.PropertyName
	}
	if p.visible(t, rule.property) == nil {
		return rule, unknownProperty(rule.property)
	}
	return rule, nil
}

// parseObject reads a JSON object and refuses it if required members are missing.
func parseObject(body []byte, required ...string) (map[string]json.RawMessage, *failure) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		return nil, invalid("Invalid input JSON: %v", err)
	}
	var missing []string
	for _, name := range required {
		if raw := members[name]; raw == nil || bytes.Equal(raw, []byte("null")) {
			missing = append(missing, name)
		}
	}
	if missing != nil {
		return nil, invalid("Invalid input JSON on line 1, column 1: Some required fields were not set: [%s]", strings.Join(missing, ", "))
	}
	return members, nil
}

func parseMember(members map[string]json.RawMessage, name string, to any) *failure {
	if err := json.Unmarshal(members[name], to); err != nil {
		return invalid("Invalid input JSON: %s: %v", name, err)
	}
	return nil
}

// parseText reads a string, or a number as its text, because HubSpot accepts
// both. An absent member is "".
func parseText(members map[string]json.RawMessage, name string) (string, *failure) {
	text, ok := textOf(members[name])
	if !ok {
		return "", invalid("Invalid input JSON: %s is not a string", name)
	}
	return text, nil
}

func textOf(raw json.RawMessage) (string, bool) {
	if raw == nil || bytes.Equal(raw, []byte("null")) {
		return "", true
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text, true
	}
	var number json.Number
	if json.Unmarshal(raw, &number) == nil {
		return number.String(), true
	}
	return "", false
}
