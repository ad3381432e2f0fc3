package hubspottest

import (
	"encoding/json"
	"strconv"
	"strings"
)

const linksMaxInputs = 1000

// serveLabels answers GET /crm/associations/{ver}/{from}/{to}/labels.
func (p *Portal) serveLabels(c *call) (int, []byte, *failure) {
	pr, fail := p.readablePair(c)
	if fail != nil {
		return 0, nil, fail
	}
	results := []linkTypeJSON{}
	for _, lt := range pr.types {
		results = append(results, lt.json())
	}
	return 200, encode(map[string]any{"results": results}), nil
}

type linkTypeJSON struct {
	Category string  `json:"category"`
	TypeID   int     `json:"typeId"`
	Label    *string `json:"label"`
}

func (lt *linkType) json() linkTypeJSON {
	j := linkTypeJSON{lt.category, lt.id, nil}
	if lt.label != "" {
		j.Label = &lt.label
	}
	return j
}

// readablePair resolves the two types of an associations request. The token
// must be allowed to read both.
func (p *Portal) readablePair(c *call) (*pair, *failure) {
	from, fail := p.readable(c.object, recordScopes)
	if fail != nil {
		return nil, fail
	}
	to, fail := p.readable(c.to, recordScopes)
	if fail != nil {
		return nil, fail
	}
	pr := from.pair(to)
	if pr == nil {
		return nil, invalid("Associations between %s and %s are not supported", from.singular, to.singular)
	}
	return pr, nil
}

type linksJSON struct {
	From   idJSON      `json:"from"`
	To     []toJSON    `json:"to"`
	Paging *pagingJSON `json:"paging,omitempty"`
}

type idJSON struct {
	ID string `json:"id"`
}

// toJSON has a number as the id, as in recorded answers but unlike HubSpot's
// OpenAPI file.
type toJSON struct {
	ToObjectID       uint64         `json:"toObjectId"`
	AssociationTypes []linkTypeJSON `json:"associationTypes"`
}

type pagingJSON struct {
	Next struct {
		After string `json:"after"`
		Link  string `json:"link"`
	} `json:"next"`
}

// serveLinks answers POST /crm/associations/{ver}/{from}/{to}/batch/read. Each
// record has its own pages. HubSpot does not say what after stands for; here it
// counts associated records, so a link that comes or goes between two pages
// shifts the others across the page boundary. A record without associations
// appears among the errors. FaultOmit leaves such an error out of the list but
// numErrors still counts it, as recorded, and is then larger than the list.
func (p *Portal) serveLinks(c *call) (int, []byte, *failure) {
	pr, fail := p.readablePair(c)
	if fail != nil {
		return 0, nil, fail
	}
	inputs, fail := parseLinkInputs(c.body)
	if fail != nil {
		return 0, nil, fail
	}
	started := p.now()
	results, errors, numErrors := []linksJSON{}, []batchError{}, 0
	for _, in := range inputs {
		omit := chance(p.chaos, c.omit)
		id, err := strconv.ParseUint(in.id, 10, 64)
		seen := pr.visible(id)
		c.records = append(c.records, id)
		if c.lost != 0 {
			seen = seen[:c.lost.kept(len(seen))]
		}
		switch {
		case err == nil && len(seen) > 0:
			if !omit {
				results = append(results, pr.page(c, in, seen, p.opt.LinkPage))
			}
		default:
			numErrors++
			if !omit && (p.opt.LinkErrors == 0 || len(errors) < p.opt.LinkErrors) {
				errors = append(errors, pr.without(in.id, p.opt.LinksNotFound && !pr.from.shows(id)))
			}
		}
	}
	p.chaos.Shuffle(len(results), func(i, j int) { results[i], results[j] = results[j], results[i] })
	answer := map[string]any{
		"status": "COMPLETE", "results": results, "startedAt": isoTime(started), "completedAt": isoTime(p.now()),
	}
	status := 200
	if numErrors > 0 {
		status = 207
		answer["errors"], answer["numErrors"] = errors, numErrors
	}
	return status, encode(answer), nil
}

// page returns one page of a record's links.
func (pr *pair) page(c *call, in linkInput, links []link, size int) linksJSON {
	result := linksJSON{From: idJSON{in.id}, To: []toJSON{}}
	n := 0 // associated records
	for i, l := range links {
		if i == 0 || links[i-1].to != l.to {
			if n++; n > in.after+size {
				result.Paging = &pagingJSON{}
				result.Paging.Next.After = strconv.Itoa(in.after + size)
				result.Paging.Next.Link = "https://api.hubapi.com" + c.path + "?after=" + result.Paging.Next.After
				break
			}
			if n > in.after {
				result.To = append(result.To, toJSON{l.to, nil})
			}
		}
		if n > in.after {
			to := &result.To[len(result.To)-1]
			to.AssociationTypes = append(to.AssociationTypes, l.typ.json())
		}
	}
	return result
}

// without returns the error for a record that has no associations or, if
// notFound, for one that does not exist.
func (pr *pair) without(id string, notFound bool) batchError {
	e := batchError{
		Status: "error", Category: "OBJECT_NOT_FOUND", SubCategory: "crm.associations.NO_ASSOCIATIONS_FOUND",
		Message: "No " + pr.to.singular + " is associated with " + pr.from.singular + " " + id + ".",
		Context: map[string][]string{"fromObjectId": {id}, "fromObjectType": {pr.from.singular}, "toObjectType": {pr.to.singular}},
	}
	if notFound {
		e.SubCategory, e.Message = "", strings.ToUpper(pr.from.singular)+" "+id+" does not exist"
	}
	return e
}

// linkInput asks for a record's associations, skipping the first after
// associated records.
type linkInput struct {
	id    string
	after int
}

func parseLinkInputs(body []byte) ([]linkInput, *failure) {
	members, fail := parseObject(body, "inputs")
	if fail != nil {
		return nil, fail
	}
	var texts []map[string]json.RawMessage
	if fail := parseMember(members, "inputs", &texts); fail != nil {
		return nil, fail
	}
	if len(texts) == 0 || len(texts) > linksMaxInputs {
		return nil, invalid("%d inputs are not between 1 and %d", len(texts), linksMaxInputs)
	}
	inputs := make([]linkInput, 0, len(texts))
	for _, text := range texts {
		id, fail := parseText(text, "id")
		if fail != nil {
			return nil, fail
		}
		if id == "" {
			return nil, invalid("Some required fields were not set: [id]")
		}
		in := linkInput{id: id}
		after, fail := parseText(text, "after")
		if fail != nil {
			return nil, fail
		}
		if after != "" {
			n, err := strconv.Atoi(after)
			if err != nil || n < 0 {
				return nil, invalid("after %q is not a valid cursor", after)
			}
			in.after = n
		}
		inputs = append(inputs, in)
	}
	return inputs, nil
}
