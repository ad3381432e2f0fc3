package cdc

import (
	"bytes"
	"iter"
	"slices"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Complete makes readings fit to be published (R7). It confirms what a finder or a
// look-up found missing, if that is published as live. Then it confirms the losers
// that survivors of merges name, live ones and archived copies. Their readings come
// first: their deletes and the survivor's event share a transaction. A loser that is
// not live was merged, whatever its own reads answer.
type Complete struct {
	Readings []Reading

	into       map[hubspot.ID]hubspot.ID // the survivors that losers are named by
	known      map[hubspot.ID]bool       // they have a reading, or the lane was asked about them
	named      []hubspot.ID              // losers that are not known
	asked      []hubspot.ID              // the lane is asked next which of them are published as live
	losers     bool                      // asked are losers
	confirm    confirm                   // of those that are live
	why        Ask                       // about what explains what is not live
	asksWhy    bool
	before     map[hubspot.ID]bool // what of the gone was found gone before; nil: not asked yet
	binSeen    bool
	unresolved []hubspot.ID
	stuck      []hubspot.ID
}

// NewComplete begins with what was read, with what was found missing, and with the
// archived copies that a list of the recycle bin showed.
func NewComplete(readings []Reading, missing []hubspot.ID, copies []hubspot.Record) *Complete {
	c := &Complete{Readings: readings, asked: missing, into: map[hubspot.ID]hubspot.ID{}, known: map[hubspot.ID]bool{}}
	for _, id := range missing {
		c.known[id] = true
	}
	c.note(readings)
	c.hear(copies)
	if len(missing) == 0 {
		c.goOn()
	}
	return c
}

// Next is the next question about them.
func (c *Complete) Next() (Ask, bool) {
	if ask, ok := c.confirm.next(); ok {
		return ask, true
	}
	if len(c.asked) > 0 {
		return Ask{What: AskLiveAmong, IDs: c.asked}, true
	}
	return c.why, c.asksWhy
}

// Take moves from the missing ids to the losers, and then to the recycle bin, whose
// copies may name further losers.
func (c *Complete) Take(a Answer) {
	_, confirming := c.confirm.next()
	switch {
	case confirming:
		c.confirm.take(a)
	case len(c.asked) > 0:
		slices.Sort(a.IDs)
		c.asked, c.confirm = nil, newConfirm(slices.Compact(a.IDs))
	case c.why.What == AskGoneBefore:
		c.asksWhy, c.before = false, map[hubspot.ID]bool{}
		for _, id := range a.IDs {
			c.before[id] = true
		}
	default:
		c.asksWhy, c.binSeen = false, true
		c.hear(a.List.Records)
	}
	if _, confirming := c.confirm.next(); !confirming {
		c.goOn()
	}
}

// goOn takes what a confirm found, and asks about the losers that have no reading.
// If there are none, and something is gone for no reason that is known, it asks what
// the recycle bin has.
func (c *Complete) goOn() {
	found := c.confirm.readings
	c.note(found)
	c.unresolved = append(c.unresolved, c.confirm.unresolved...)
	c.stuck = append(c.stuck, c.confirm.stuck...)
	c.confirm = confirm{}
	if c.losers {
		c.Readings = append(found, c.Readings...)
	} else {
		c.Readings = append(c.Readings, found...)
	}
	c.losers, c.asked, c.named = true, c.named, nil
	if len(c.asked) == 0 {
		c.explain()
	}
}

// explain turns what is not live, and what a survivor names, into merged. Before that
// it asks about the recycle bin, once, if nothing that was read names a record. A
// record that is found gone for the first time waits for its second confirm anyway
// (R9), which will ask: its reading is doubtful until then.
func (c *Complete) explain() {
	var gone, again []hubspot.ID
	archived := false
	into := make([]hubspot.ID, len(c.Readings))
	for i := range c.Readings {
		r := &c.Readings[i]
		if r.Outcome != IsArchived && r.Outcome != IsGone {
			continue
		}
		into[i] = c.survivor(r.ID)
		switch {
		case into[i] != 0:
		case r.Outcome == IsArchived:
			archived = true
		case c.before[r.ID]:
			again = append(again, r.ID)
		default:
			gone = append(gone, r.ID)
		}
	}
	switch {
	case c.binSeen:
	case c.before == nil && len(gone) > 0:
		c.why, c.asksWhy = Ask{What: AskGoneBefore, IDs: gone}, true
		return
	case archived || len(again) > 0:
		c.why, c.asksWhy = Ask{What: AskBin, IDs: again}, true
		return
	}
	for i := range c.Readings {
		switch r := &c.Readings[i]; {
		case into[i] != 0:
			r.Outcome, r.Record, r.Into = IsMerged, nil, into[i]
		case r.Outcome == IsGone && !c.before[r.ID]:
			r.Doubtful = true
		}
	}
}

// survivor is the record that a loser was merged into, by what was read: the last
// one, if that was merged in turn. It is 0 if nothing names the loser.
func (c *Complete) survivor(loser hubspot.ID) (into hubspot.ID) {
	for range c.into {
		next, ok := c.into[loser]
		if !ok {
			break
		}
		into, loser = next, next
	}
	return into
}

// note takes over what readings say.
func (c *Complete) note(readings []Reading) {
	for i := range readings {
		c.known[readings[i].ID] = true
	}
	for i := range readings {
		if r := readings[i].Record; r != nil {
			c.heed(r)
		}
	}
}

// hear takes over what archived copies say that are no readings.
func (c *Complete) hear(copies []hubspot.Record) {
	for i := range copies {
		c.heed(&copies[i])
	}
}

// heed notes the losers that a record names.
func (c *Complete) heed(r *hubspot.Record) {
	for loser := range Losers(r) {
		c.into[loser] = r.ID
		if !c.known[loser] {
			c.known[loser] = true
			c.named = append(c.named, loser)
		}
	}
}

// Losers are the records that were merged into this one.
func Losers(r *hubspot.Record) iter.Seq[hubspot.ID] {
	return func(yield func(hubspot.ID) bool) {
		if len(r.Merged) == 0 {
			return
		}
		for text := range bytes.SplitSeq(r.Merged, []byte(";")) {
			id, err := hubspot.ParseID(string(bytes.TrimSpace(text)))
			if err == nil && id != r.ID && !yield(id) {
				return
			}
		}
	}
}

// Unresolved are the keys that stay as they are (R8).
func (c *Complete) Unresolved() []hubspot.ID { return c.unresolved }

// Stuck are the keys that HubSpot does not answer (R18).
func (c *Complete) Stuck() []hubspot.ID { return c.stuck }
