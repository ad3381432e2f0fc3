package hubspottest

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// Loss is how much a short answer (FaultShort) lacks.
type Loss uint8

// The losses. Half is rounded up.
const (
	LostAll Loss = iota + 1
	LostHalf
	LostOne
)

// kept is how many of n things are left.
func (l Loss) kept(n int) int {
	switch l {
	case LostAll:
		return 0
	case LostHalf:
		return n / 2
	case LostOne:
		return max(0, n-1)
	}
	return n
}

// Hiding is an answer that hid something and was sent whole: a list of live entries that
// came short (FaultShort), or a search that lacks rows which match or shows older values of
// them (Index).
type Hiding struct {
	At       int64 // when the portal made it: milliseconds since 1970-01-01T00:00:00Z
	Endpoint Endpoint
	Object   string // the type's name; of owners and object schemas ""
	// Keys are what it lacks: ids, names of properties, fully qualified names of object
	// schemas; of stages the pipeline's id, a colon and their own. A page of records that
	// is empty seems to be the last one: it lacks all that follow, too.
	Keys []string
}

// Hidings returns the answers that hid something, in order.
func (p *Portal) Hidings() []Hiding {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.hidings)
}

// noteHiding keeps what an answer lacks that is about to be sent.
func (p *Portal) noteHiding(c *call, a *answer) {
	if len(c.hidden) == 0 || c.query.Get("archived") == "true" || a.status >= 300 || a.reset || a.cut || a.large {
		return
	}
	h := Hiding{p.now(), c.endpoint, c.object, c.hidden}
	if t := p.find(c.object); t != nil {
		h.Object = t.name
		if c.endpoint == EndpointList && len(c.hidden) == len(c.records) {
			last := slices.Max(c.records)
			for _, id := range t.live {
				if id > last {
					h.Keys = append(h.Keys, strconv.FormatUint(id, 10))
				}
			}
		}
	}
	p.hidings = append(p.hidings, h)
}

// hide notes a record that an answer hides.
func (c *call) hide(id uint64) { c.hidden = append(c.hidden, strconv.FormatUint(id, 10)) }

// short takes results out of an answer, and with FaultShort's Stages stages out of
// each pipeline. Every such answer lacks the same ones: the last by id or name. An
// answer without results has no next page and a total of 0.
func (c *call) short(body []byte) []byte {
	var answer map[string]json.RawMessage
	if c.endpoint == EndpointLinks || json.Unmarshal(body, &answer) != nil || answer["results"] == nil {
		return body
	}
	var results []json.RawMessage
	if json.Unmarshal(answer["results"], &results) != nil {
		return body
	}
	if c.shortStages {
		for i, raw := range results {
			var pipeline map[string]json.RawMessage
			var stages []json.RawMessage
			if json.Unmarshal(raw, &pipeline) == nil && json.Unmarshal(pipeline["stages"], &stages) == nil {
				kept, lost := c.lost.first(stages)
				pipeline["stages"] = encode(kept)
				results[i] = encode(pipeline)
				for _, key := range lost {
					c.hidden = append(c.hidden, keyOf(raw)+":"+key)
				}
			}
		}
	} else {
		kept, lost := c.lost.first(results)
		results, c.hidden = kept, append(c.hidden, lost...)
	}
	answer["results"] = encode(results)
	if len(results) == 0 {
		delete(answer, "paging")
		if answer["total"] != nil {
			answer["total"] = json.RawMessage("0")
		}
	}
	return encode(answer)
}

// first keeps the first things by key, in the order in which they came, and returns the
// keys of the others.
func (l Loss) first(things []json.RawMessage) (first []json.RawMessage, lost []string) {
	var keys []string
	for _, thing := range things {
		keys = append(keys, keyOf(thing))
	}
	slices.Sort(keys)
	kept := keys[:l.kept(len(keys))]
	lost = slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return slices.Contains(kept, key) })
	return slices.DeleteFunc(things, func(thing json.RawMessage) bool { return slices.Contains(lost, keyOf(thing)) }), lost
}

// keyOf is what a result is called: its id or its name.
func keyOf(thing json.RawMessage) string {
	var is struct {
		ID                 json.RawMessage `json:"id"`
		TypeID             json.RawMessage `json:"typeId"`
		Name               string          `json:"name"`
		FullyQualifiedName string          `json:"fullyQualifiedName"`
	}
	_ = json.Unmarshal(thing, &is)
	return strings.Trim(cmp.Or(is.FullyQualifiedName, string(is.ID), string(is.TypeID), is.Name), `"`)
}
