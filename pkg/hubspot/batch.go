package hubspot

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// BatchPage is the answer of a batch read, sorted by what it says of each id
// that was asked (R8). An id is in one place only.
type BatchPage struct {
	Answer
	Records []Record // of ids that were asked, in HubSpot's order
	Missing []ID     // HubSpot named them as not found
	// Unanswered ids are neither among the results nor named as not found.
	// This says nothing of them: they may have been merged. Read each alone.
	Unanswered []ID
	// Foreign records have ids that were not asked: the survivors of merges.
	// Which id they answer for is not said.
	Foreign []Record
}

// MaxBatch is how many ids one batch read takes.
const MaxBatch = 100

type batchInput struct {
	ID string `json:"id"`
}

// batchBody has all members that HubSpot requires, also the empty one.
type batchBody struct {
	Inputs                []batchInput `json:"inputs"`
	Properties            []string     `json:"properties"`
	PropertiesWithHistory []string     `json:"propertiesWithHistory"`
}

// BatchRead reads up to MaxBatch records by id from the object store: live
// ones, or archived ones. Nil slots ask for ids and times only.
func (c *Client) BatchRead(ctx context.Context, call Call, object string, slots *Slots, ids []ID, archived bool) (BatchPage, error) {
	if len(ids) == 0 || len(ids) > MaxBatch {
		return BatchPage{}, fmt.Errorf("batch read of %s: %d ids, where 1 to %d can be asked", object, len(ids), MaxBatch)
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
			read, err = decodePage(body, slots, len(ids))
			return err
		},
	})
	if err != nil {
		return BatchPage{}, err
	}
	c.oddIDs.note(c.log, object, read.odd)
	return sortBatch(answer, ids, read), nil
}

// sortBatch puts each id where the answer puts it. A record in the results
// counts more than an error that names its id.
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
	for _, id := range ids {
		switch state[id] {
		case asked:
			p.Unanswered = append(p.Unanswered, id)
		case missing:
			p.Missing = append(p.Missing, id)
		}
		state[id] = found // an id that was asked twice is told once
	}
	return p
}
