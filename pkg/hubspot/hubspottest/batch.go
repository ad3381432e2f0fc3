package hubspottest

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

const (
	batchMaxInputs        = 100
	batchMaxHistoryInputs = 50
)

// serveBatchRead answers POST /crm/objects/{ver}/{type}/batch/read. Results
// come in random order. The survivor of a merge appears once, under its own id,
// and nothing says which input it answers. One error names all ids without a
// record, and the status is then 207.
func (p *Portal) serveBatchRead(c *call) (int, []byte, *failure) {
	t, fail := p.readable(c.object, recordScopes)
	if fail != nil {
		return 0, nil, fail
	}
	archived, fail := c.flag("archived")
	if fail != nil {
		return 0, nil, fail
	}
	ids, properties, fail := parseBatch(c.body)
	if fail != nil {
		return 0, nil, fail
	}
	started := p.now()

	var found []*state
	var missing []string
	seen := make(map[uint64]bool)
	for _, text := range ids {
		var st *state
		id, err := strconv.ParseUint(text, 10, 64)
		if c.records = append(c.records, id); err == nil && !c.forget {
			st = p.resolve(t, id, archived)
		}
		switch {
		case st == nil:
			if !slices.Contains(missing, text) {
				missing = append(missing, text)
			}
		case !seen[st.id] && !chance(p.chaos, c.omit):
			found = append(found, st)
		}
		if st != nil {
			seen[st.id] = true
		}
	}
	p.chaos.Shuffle(len(found), func(i, j int) { found[i], found[j] = found[j], found[i] })

	b := []byte(`{"status":"COMPLETE","results":[`)
	names := t.answered(p, properties)
	for i, st := range found {
		if i > 0 {
			b = append(b, ',')
		}
		b = p.appendRecord(b, t, st, names, withURL)
	}
	b = append(b, `],"startedAt":"`...)
	b = append(b, isoTime(started)...)
	b = append(b, `","completedAt":"`...)
	b = append(b, isoTime(p.now())...)
	b = append(b, '"')
	status := 200
	if missing != nil {
		status = 207
		b = append(b, `,"numErrors":1,"errors":[`...)
		b = append(b, encode(batchError{
			Status: "error", Category: "OBJECT_NOT_FOUND",
			Message: "Could not get some " + strings.ToUpper(t.singular) + " objects, they may be deleted or not exist. Check that ids are valid.",
			Context: map[string][]string{"ids": missing},
		})...)
		b = append(b, ']')
	}
	return status, append(b, '}'), nil
}

// batchError has the members of recorded errors, which are fewer than the
// OpenAPI file requires.
type batchError struct {
	Status      string              `json:"status"`
	Category    string              `json:"category"`
	SubCategory string              `json:"subCategory,omitempty"`
	Message     string              `json:"message"`
	Context     map[string][]string `json:"context"`
}

func parseBatch(body []byte) (ids, properties []string, fail *failure) {
	members, fail := parseObject(body, "inputs", "properties", "propertiesWithHistory")
	if fail != nil {
		return nil, nil, fail
	}
	var inputs []map[string]json.RawMessage
	if fail := parseMember(members, "inputs", &inputs); fail != nil {
		return nil, nil, fail
	}
	if fail := parseMember(members, "properties", &properties); fail != nil {
		return nil, nil, fail
	}
	var histories []string
	if fail := parseMember(members, "propertiesWithHistory", &histories); fail != nil {
		return nil, nil, fail
	}
	if len(histories) > 0 {
		if len(inputs) > batchMaxHistoryInputs {
			return nil, nil, invalid("The maximum number of inputs supported in a batch request for property histories is %d", batchMaxHistoryInputs)
		}
		return nil, nil, noPropertyHistories()
	}
	if name, fail := parseText(members, "idProperty"); fail != nil {
		return nil, nil, fail
	} else if name != "" && name != "hs_object_id" {
		return nil, nil, otherIDProperty(name)
	}
	if len(inputs) == 0 || len(inputs) > batchMaxInputs {
		return nil, nil, invalid("%d inputs are not between 1 and %d", len(inputs), batchMaxInputs)
	}
	for _, input := range inputs {
		id, fail := parseText(input, "id")
		if fail != nil {
			return nil, nil, fail
		}
		if id == "" {
			return nil, nil, invalid("Some required fields were not set: [id]")
		}
		ids = append(ids, id)
	}
	return ids, properties, nil
}

// The portal does not play what the connector does not use. It says so, rather
// than give an answer that HubSpot would not.
func noPropertyHistories() *failure {
	return invalid("this portal does not answer propertiesWithHistory")
}

func otherIDProperty(name string) *failure {
	return invalid("this portal does not read records by %s", name)
}
