package hubspot

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// BatchPage is the answer to a batch read, grouped by what it says about each
// requested id (R8). Each id is in one group only.
type BatchPage struct {
	Answer
	Records []Record // of requested ids, in HubSpot's order
	Missing []ID     // HubSpot named them as not found
	// Unanswered ids are neither in the results nor named as not found, which
	// tells nothing about them: they may have been merged. Read each alone.
	Unanswered []ID
	// Unread records are in the results, but their properties cannot be read.
	Unread []ID
	// Foreign records have ids that were not requested: the survivors of
	// merges. HubSpot does not say which id each answers.
	Foreign []Record
}

// MaxBatch is how many ids one batch read takes.
const MaxBatch = 100

type batchInput struct {
	ID string `json:"id"`
}

// batchBody has every member that HubSpot requires, even the empty one.
type batchBody struct {
	Inputs                []batchInput `json:"inputs"`
	Properties            []string     `json:"properties"`
	PropertiesWithHistory []string     `json:"propertiesWithHistory"`
}

// BatchRead reads up to MaxBatch records by id from the object store, either
// live or archived ones. With nil slots it asks for ids and times only.
func (c *Client) BatchRead(ctx context.Context, call Call, object string, slots *Slots, ids []ID, archived bool) (BatchPage, error) {
	if len(ids) == 0 || len(ids) > MaxBatch {
		return BatchPage{}, fmt.Errorf("batch read of %s: %d ids, want 1 to %d", object, len(ids), MaxBatch)
	}
	body := batchBody{Inputs: make([]batchInput, len(ids)), Properties: slots.asked(), PropertiesWithHistory: []string{}}
	for i, id := range ids {
		body.Inputs[i].ID = id.String()
	}
	text, err := json.Marshal(body)
	if err != nil {
		return BatchPage{}, err
	}
	query := ""
	if archived {
		query = "archived=true"
	}
	var read page
	answer, err := c.do(ctx, call, &request{
		api: "batch_read", class: objectCalls, method: http.MethodPost,
		path: c.objectPath(object) + "/batch/read", query: query, body: text,
		read: func(body []byte) (err error) {
			read, err = decodePage(body, slots, len(ids), archived)
			return err
		},
	})
	if err != nil {
		return BatchPage{}, err
	}
	c.oddIDs.note(c.log, object, read.odd)
	c.clock.witness(read.records)
	return sortBatch(answer, ids, read), nil
}

// sortBatch groups each id by what the answer says about it. A record in the
// results outranks an error that names its id.
func sortBatch(answer Answer, ids []ID, read page) BatchPage {
	const (
		asked = iota + 1
		missing
		found
	)
	p := BatchPage{Answer: answer}
	state := make(map[ID]uint8, len(ids))
	for _, id := range ids {
		state[id] = asked
	}
	for _, text := range read.missing {
		if id, err := ParseID(text); err == nil && state[id] != 0 {
			state[id] = missing
		}
	}
	for _, r := range read.records {
		if state[r.ID] == 0 {
			p.Foreign = append(p.Foreign, r)
			continue
		}
		state[r.ID] = found
		p.Records = append(p.Records, r)
	}
	for _, id := range read.unread {
		if state[id] != 0 && state[id] != found {
			state[id] = found
			p.Unread = append(p.Unread, id)
		}
	}
	for _, id := range ids {
		switch state[id] {
		case asked:
			p.Unanswered = append(p.Unanswered, id)
		case missing:
			p.Missing = append(p.Missing, id)
		}
		state[id] = found // an id requested twice is reported once
	}
	return p
}
