package hubspottest

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strconv"
)

// Places is what the places of lists are. HubSpot documents a token, and answers the
// last id plus one (docs/hubspot.md section 2); what an id is as a place, it does not
// say.
type Places uint8

// The kinds of places.
const (
	PlacesAreIDs    Places = iota // any id is a place: the page has the ids from it on
	PlacesAfterIDs                // any id is a place: the page has the ids above it
	PlacesGiven                   // ids, but the portal refuses one that it has not given
	PlacesIgnored                 // ids, but one that it has not given leads to the beginning
	PlacesAreTokens               // it refuses everything else
)

// place reads a place: the lowest id of the page.
func (p *Portal) place(text string) (from uint64, fail *failure) {
	switch {
	case p.opt.Places == PlacesIgnored && !p.given[text]:
		return 0, nil
	case p.opt.Places == PlacesGiven && !p.given[text]:
		return 0, invalid("after %q is not a valid cursor", text)
	case p.opt.Places == PlacesAreTokens:
		id, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return 0, invalid("after %q is not a valid cursor", text)
		}
		text = string(id)
	}
	from, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, invalid("after %q is not a valid cursor", text)
	}
	if p.opt.Places == PlacesAfterIDs {
		from++
	}
	return from, nil
}

// placeAfter is the place behind an id.
func (p *Portal) placeAfter(id uint64) string {
	if p.opt.Places != PlacesAfterIDs {
		id++
	}
	text := strconv.FormatUint(id, 10)
	switch p.opt.Places {
	case PlacesAreTokens:
		text = base64.StdEncoding.EncodeToString([]byte(text))
	case PlacesGiven, PlacesIgnored:
		p.given[text] = true
	}
	return text
}

const (
	listDefaultLimit = 10
	listMaxLimit     = 100
)

// serveList answers GET /crm/objects/{ver}/{type} from the object store, in
// order of id.
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
		if from, fail = p.place(text); fail != nil {
			return 0, nil, fail
		}
	}
	if p.opt.ListPage > 0 {
		limit = min(limit, p.opt.ListPage)
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
		after := p.placeAfter(ids[len(ids)-1])
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
