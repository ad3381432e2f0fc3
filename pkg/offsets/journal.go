package offsets

import "github.com/hubspot-cdc/connector/pkg/hubspot"

// Journal is the cursor of the webhooks journal (R16).
type Journal struct {
	Offset    string         // of the last file that is done; "" = before the earliest one
	Published hubspot.Millis // when HubSpot published that file; 0 = null
	// Lost is since when what the journal carried may be missing, because the place
	// was lost or a file could not be understood; 0 = nothing is missing. It stays
	// until a reconcile and an association sweep of everything began after it and
	// have ended.
	Lost hubspot.Millis
}

// Bytes writes the cursor: lost only where something may be missing.
func (j Journal) Bytes() []byte {
	if j.Lost != 0 {
		return object("offset", j.Offset, "published", j.Published, "lost", j.Lost)
	}
	return object("offset", j.Offset, "published", j.Published)
}

// ParseJournal reads what Bytes wrote or an operator typed.
func ParseJournal(text []byte) (j Journal, err error) {
	m, err := parseMembers(text)
	if err != nil {
		return Journal{}, err
	}
	if j.Offset, err = m.text("offset"); err != nil {
		return Journal{}, err
	}
	if j.Published, err = m.optionalMillis("published"); err != nil {
		return Journal{}, err
	}
	j.Lost, err = m.optionalMillis("lost")
	return j, err
}
