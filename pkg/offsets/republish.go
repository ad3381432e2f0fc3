package offsets

import (
	"fmt"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Republish is the place in the snapshot that follows when a topic has lost
// records (R20). The cursor exists from the moment at which the loss is known
// until everything is published again and, of an object type or a pair, a sweep that
// began after that has shown everything (R17).
type Republish struct {
	After   string         // HubSpot's paging token for the next page
	ID      hubspot.ID     // the last id that is done
	Records int64          // so far
	Left    []hubspot.ID   // passed, but HubSpot did not answer them; ascending
	Swept   bool           // only Left is left
	Owed    hubspot.Millis // when everything was published again: only the sweep is left; 0 before
}

// Bytes writes the cursor: left, swept and owed where there is any of it.
func (r Republish) Bytes() []byte {
	members := []any{"after", r.After, "id", r.ID, "records", r.Records}
	if len(r.Left) > 0 {
		texts := make([]string, len(r.Left))
		for i, id := range r.Left {
			texts[i] = id.String()
		}
		members = append(members, "left", texts)
	}
	if r.Swept {
		members = append(members, "swept", true)
	}
	if r.Owed != 0 {
		members = append(members, "owed", r.Owed)
	}
	return object(members...)
}

// ParseRepublish reads what Bytes wrote or an operator typed.
func ParseRepublish(text []byte) (r Republish, err error) {
	m, err := parseMembers(text)
	if err != nil {
		return Republish{}, err
	}
	if r.After, err = m.optionalText("after"); err != nil {
		return Republish{}, err
	}
	if r.ID, err = m.id("id"); err != nil {
		return Republish{}, err
	}
	if m.has("records") {
		if r.Records, err = m.integer("records"); err != nil {
			return Republish{}, err
		}
	}
	var left []string
	if m.has("left") {
		err = m.read("left", "a list of ids", &left)
	}
	for _, text := range left {
		id, wrong := hubspot.ParseID(text)
		if wrong != nil {
			return Republish{}, fmt.Errorf(`"left": %w`, wrong)
		}
		r.Left = append(r.Left, id)
	}
	if err == nil {
		r.Swept, err = m.flag("swept")
	}
	if err == nil {
		r.Owed, err = m.optionalMillis("owed")
	}
	return r, err
}
