package hubspottest

import (
	"net/url"
	"slices"
	"strconv"
)

const (
	listDefaultLimit = 10
	listMaxLimit     = 100
)

// serveList answers GET /crm/objects/{ver}/{type} from the object store, in
// order of id. after is the last id plus one, as in every live answer that we
// have seen.
func (p *Portal) serveList(c *call) (int, []byte, *failure) {
	t, fail := p.readable(c.object, recordScopes)
	if fail != nil {
		return 0, nil, fail
	}
	if len(c.names("propertiesWithHistory")) > 0 {
		return 0, nil, noPropertyHistories()
	}
	archived, fail := c.flag("archived")
	if fail != nil {
		return 0, nil, fail
	}
	limit, from := listDefaultLimit, uint64(0)
	if text := c.query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > listMaxLimit {
			return 0, nil, invalid("limit %q is not between 1 and %d", text, listMaxLimit)
		}
		limit = n
	}
	if text := c.query.Get("after"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return 0, nil, invalid("after %q is not a valid cursor", text)
		}
		from = n
	}
	ids := t.live
	if archived {
		if t.noArchivedList {
			return 0, nil, invalid("Paging through deleted objects is not yet supported")
		}
		ids = t.archived
	}
	i, _ := slices.BinarySearch(ids, from)
	ids = ids[i:]
	more := len(ids) > limit
	if more {
		ids = ids[:limit]
	}

	c.records = ids

	b := []byte(`{"results":[`)
	names := t.answered(p, c.names("properties"))
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		b = p.appendRecord(b, t, t.records[id], names, withoutURL)
	}
	b = append(b, ']')
	if more {
		after := strconv.FormatUint(ids[len(ids)-1]+1, 10)
		b = append(b, `,"paging":{"next":{"after":"`...)
		b = append(b, after...)
		b = append(b, `","link":`...)
		b = appendString(b, nextLink(c, after))
		b = append(b, `}}`...)
	}
	return 200, append(b, '}'), nil
}

// nextLink returns an absolute address at HubSpot, whatever host the request
// named.
func nextLink(c *call, after string) string {
	query := url.Values{}
	for name, v := range c.query {
		query[name] = v
	}
	query.Set("after", after)
	return "https://api.hubapi.com" + c.path + "?" + query.Encode()
}

// serveGet answers GET /crm/objects/{ver}/{type}/{id}. For the id of a merged
// record it returns the survivor.
func (p *Portal) serveGet(c *call) (int, []byte, *failure) {
	t, fail := p.readable(c.object, recordScopes)
	if fail != nil {
		return 0, nil, fail
	}
	if len(c.names("propertiesWithHistory")) > 0 {
		return 0, nil, noPropertyHistories()
	}
	if name := c.query.Get("idProperty"); name != "" && name != "hs_object_id" {
		return 0, nil, otherIDProperty(name)
	}
	archived, fail := c.flag("archived")
	if fail != nil {
		return 0, nil, fail
	}
	id, err := strconv.ParseUint(c.id, 10, 64)
	if err != nil {
		return 0, nil, notFound("resource not found")
	}
	st := p.resolve(t, id, archived)
	if st == nil {
		return 0, nil, notFound("Object not found.  objectId are usually numeric.")
	}
	return 200, p.appendRecord(nil, t, st, t.answered(p, c.names("properties")), withURL), nil
}
