package cdc

import (
	"slices"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// confirm asks about ids that are published as live and that a finder found gone:
// live read, archived read, second live read (R7). Another id that answers, an
// archived copy, or nothing at all, twice, is the evidence on which the lane
// decides a delete. An id about which HubSpot says nothing, or which it denies
// without a control or a list page that bears it out, gets no reading and stays as it is.
type confirm struct {
	readings   []Reading
	waiting    []hubspot.ID // for a later round
	unresolved []hubspot.ID
	stuck      []hubspot.ID
	confirmRound
}

// confirmRound is the part of a confirm about as many ids as one request takes.
type confirmRound struct {
	left     []hubspot.ID // not accounted for yet
	step     confirmStep
	again    bool         // this is the second live read
	controls []hubspot.ID // read along with left
	read     LookUp       // of the step
	first    Sent         // of the first live read: all readings are as old as that
	doubtful bool         // a control id was not answered live
	// partial: the list page that stood in for the controls of this live read is not the
	// whole list, so it says nothing of ids that it does not show.
	partial bool
	listed  bool // the controls are records of that page
}

type confirmStep uint8

const (
	chooseControls confirmStep = iota
	readLive
	readList
	readArchived
)

// controlIDs is how many control ids a live read adds: ids of the type that were
// found live lately. If HubSpot answers none of them, it answers nothing.
const controlIDs = 3

// newConfirm confirms ids, however many.
func newConfirm(ids []hubspot.ID) confirm {
	c := confirm{waiting: ids}
	c.begin()
	return c
}

func (c *confirm) begin() {
	n := min(len(c.waiting), hubspot.MaxBatch-controlIDs)
	c.confirmRound = confirmRound{left: c.waiting[:n]}
	c.waiting = c.waiting[n:]
}

// next is the question of the step.
func (c *confirm) next() (Ask, bool) {
	if len(c.left) == 0 {
		return Ask{}, false
	}
	switch c.step {
	case chooseControls:
		return Ask{What: AskControls, IDs: c.left}, true
	case readList:
		return Ask{What: AskList, IDs: c.left}, true
	}
	return c.read.Next()
}

// take takes the answer and moves to the next step.
func (c *confirm) take(a Answer) {
	switch c.step {
	case chooseControls:
		c.partial, c.listed = false, false
		c.readWith(a.IDs)
	case readLive:
		c.read.Take(a)
		if _, more := c.read.Next(); !more {
			c.takeLive()
		}
	case readList:
		c.setAside(a.Stuck)
		c.takeList(&a.List)
	case readArchived:
		c.read.Take(a)
		if _, more := c.read.Next(); !more {
			c.takeArchived()
		}
	}
}

func (c *confirm) readWith(controls []hubspot.ID) {
	c.controls, c.read = controls, LookUp{left: slices.Concat(c.left, controls), each: controls}
	c.step = readLive
}

func (c *confirm) account(found func(hubspot.ID) bool) { c.left = slices.DeleteFunc(c.left, found) }

// setAside takes out the ids that HubSpot does not answer: that is no evidence.
func (c *confirm) setAside(stuck []hubspot.ID) {
	c.stuck = append(c.stuck, stuck...)
	c.account(func(id hubspot.ID) bool { return slices.Contains(stuck, id) })
}

// takeLive evaluates a live read. If it found no control id live, a list page of
// the type that was sent after it must lack the missing ids too. Controls that the page
// has just shown must all be live.
func (c *confirm) takeLive() {
	control := func(id hubspot.ID) bool { return slices.Contains(c.controls, id) }
	live := 0
	for _, r := range c.read.Readings {
		switch {
		case !control(r.ID):
			c.readings = append(c.readings, r)
		case r.Outcome == IsLive:
			live++
		}
	}
	if !c.again && !c.listed {
		c.first = c.read.sent
	}
	c.doubtful = c.doubtful || live < len(c.controls)
	c.unresolved = append(c.unresolved, slices.DeleteFunc(c.read.unresolved, control)...)
	c.stuck = append(c.stuck, slices.DeleteFunc(c.read.stuck, control)...)
	c.left = slices.DeleteFunc(c.read.Missing, control)
	switch {
	case c.listed && live == len(c.controls):
		c.partial = false
	case !c.listed && live == 0 && len(c.left) > 0:
		c.step = readList
		return
	}
	c.takeMissing()
}

// takeList evaluates the list page that stands in for the controls. After a purge of many
// records the controls may be gone too. Where others follow the page, the list need not be in
// order of ids (R11), and any id may come later; where the id of a record cannot be read, any
// may be that record. So what is left is then read once more, along with records that the
// page shows.
func (c *confirm) takeList(list *hubspot.ListPage) {
	var live []hubspot.ID
	for i := range list.Records {
		r := &list.Records[i]
		if !r.Archived && !slices.Contains(c.left, r.ID) {
			live = append(live, r.ID)
		}
	}
	c.partial = list.After != "" || list.Odd > 0
	c.account(func(id hubspot.ID) bool {
		shown := slices.ContainsFunc(list.Records, func(r hubspot.Record) bool { return r.ID == id }) || slices.Contains(list.Unread, id)
		if shown {
			c.unresolved = append(c.unresolved, id)
		}
		return shown
	})
	if n := len(live); n > 0 && c.partial && len(c.left) > 0 {
		c.listed = true
		c.readWith(slices.Compact([]hubspot.ID{live[0], live[n/2], live[n-1]}))
		return
	}
	c.takeMissing()
}

// takeMissing continues with the ids that HubSpot credibly does not have.
func (c *confirm) takeMissing() {
	if len(c.left) > 0 && !c.again {
		c.step, c.read = readArchived, LookUp{archived: true, left: c.left}
		return
	}
	if c.partial {
		c.unresolved, c.left = append(c.unresolved, c.left...), nil
	}
	for _, id := range c.left {
		gone := c.first.Reading(id, IsGone, nil, c.read.date)
		gone.Doubtful = c.doubtful
		c.readings = append(c.readings, gone)
	}
	c.begin()
}

// takeArchived evaluates the archived read. What it found is as old as the first
// live read.
func (c *confirm) takeArchived() {
	c.setAside(c.read.stuck)
	for _, r := range c.read.Readings {
		found := c.first.Reading(r.ID, r.Outcome, r.Record, r.Date)
		found.Into = r.Into
		c.readings = append(c.readings, found)
		c.account(func(id hubspot.ID) bool { return id == r.ID })
	}
	if c.again, c.step = true, chooseControls; len(c.left) == 0 {
		c.begin()
	}
}
