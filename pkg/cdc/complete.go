package cdc

import (
	"bytes"
	"slices"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Complete makes readings fit to be published (R7). It confirms what a finder or a
// look-up found missing, if that is published as live. Then it confirms the losers
// that survivors of merges name. Their readings come first: their deletes and the
// survivor's event share a transaction.
type Complete struct {
	Readings []Reading

	asked      []hubspot.ID // the lane is asked next which of them are published as live
	losers     bool         // asked are losers
	confirm    confirm      // of those that are live
	unresolved []hubspot.ID
}

// NewComplete begins with what was read, and with what was found missing.
func NewComplete(readings []Reading, missing []hubspot.ID) *Complete {
	c := &Complete{Readings: readings, asked: missing}
	if len(missing) == 0 {
		c.askLosers()
	}
	return c
}

// Next is the next question about them.
func (c *Complete) Next() (Ask, bool) {
	if ask, ok := c.confirm.next(); ok {
		return ask, true
	}
	return Ask{What: AskLiveAmong, IDs: c.asked}, len(c.asked) > 0
}

// Take moves from the missing ids to the losers, and from these to the end.
func (c *Complete) Take(a Answer) {
	if _, confirming := c.confirm.next(); confirming {
		c.confirm.take(a)
	} else {
		slices.Sort(a.IDs)
		c.confirm = newConfirm(slices.Compact(a.IDs))
	}
	if _, confirming := c.confirm.next(); confirming {
		return
	}
	found := c.confirm.readings
	c.unresolved = append(c.unresolved, c.confirm.unresolved...)
	c.confirm = confirm{}
	if c.losers {
		c.Readings, c.asked = append(found, c.Readings...), nil
		return
	}
	c.Readings = append(c.Readings, found...)
	c.askLosers()
}

// askLosers asks about the losers that have no reading.
func (c *Complete) askLosers() {
	c.losers, c.asked = true, nil
	for i := range c.Readings {
		if c.Readings[i].Outcome != IsLive {
			continue
		}
		for text := range bytes.SplitSeq(c.Readings[i].Record.Merged, []byte(";")) {
			id, err := hubspot.ParseID(string(bytes.TrimSpace(text)))
			if err == nil && !slices.ContainsFunc(c.Readings, func(r Reading) bool { return r.ID == id }) {
				c.asked = append(c.asked, id)
			}
		}
	}
}

// Unresolved are the keys that stay as they are (R8).
func (c *Complete) Unresolved() []hubspot.ID { return c.unresolved }
