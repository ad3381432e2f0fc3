package hubspottest

import (
	"cmp"
	"encoding/json"
	"slices"
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
				pipeline["stages"] = encode(c.lost.first(stages))
				results[i] = encode(pipeline)
			}
		}
	} else {
		results = c.lost.first(results)
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

// first keeps the first things by id or name, in the order in which they came.
func (l Loss) first(things []json.RawMessage) []json.RawMessage {
	name := func(raw json.RawMessage) string {
		var thing struct {
			ID     json.RawMessage `json:"id"`
			Name   string          `json:"name"`
			TypeID json.RawMessage `json:"typeId"`
		}
		_ = json.Unmarshal(raw, &thing)
		return strings.Trim(cmp.Or(string(thing.ID), string(thing.TypeID), thing.Name), `"`)
	}
	sorted := slices.Clone(things)
	slices.SortStableFunc(sorted, func(a, b json.RawMessage) int { return cmp.Compare(name(a), name(b)) })
	kept := map[string]bool{}
	for _, thing := range sorted[:l.kept(len(sorted))] {
		kept[name(thing)] = true
	}
	return slices.DeleteFunc(things, func(raw json.RawMessage) bool { return !kept[name(raw)] })
}
