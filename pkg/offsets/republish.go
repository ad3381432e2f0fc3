package offsets

import "github.com/hubspot-cdc/connector/pkg/hubspot"

// Republish is the place in the snapshot that follows when a topic has lost
// records (R20). The cursor exists from the moment at which the loss is known
// until everything is published again.
type Republish struct {
	After   string     // HubSpot's paging token for the next page
	ID      hubspot.ID // the last id that is done
	Records int64      // so far
}

// Bytes writes the cursor.
func (r Republish) Bytes() []byte {
	return object("after", r.After, "id", r.ID, "records", r.Records)
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
		r.Records, err = m.integer("records")
	}
	return r, err
}
