package cdc

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// LinkRead reads the links of records, each to its last page. It keeps apart what
// HubSpot says about a record (R8): a set, an empty one, or nothing that counts,
// and then there is no reading. A set of which a page leads back to one that was read
// is read from its beginning.
type LinkRead struct {
	Readings []LinkReading

	inputs []hubspot.LinkInput        // of the next call
	begins bool                       // the next call is the first of a try
	came   map[hubspot.LinkInput]bool // the pages of the try
	try    int
	open   map[hubspot.ID]*LinkReading // sets with pages to come
	again  []hubspot.ID                // ids to ask for in the next try
	// gone are the records that HubSpot, asked last, did not find. That means no
	// links only if their delete was published before: else HubSpot may have hidden
	// them from this call alone. silent are those that it said nothing about. It
	// may always answer a merged record under its survivor's id, so silence counts
	// as not found once the record was asked for often enough.
	gone, silent []hubspot.ID
	sent         Sent           // of the call
	date         hubspot.Millis // of its answer
	unresolved   []hubspot.ID
	unfound      []hubspot.ID
	stuck        []hubspot.ID
}

// NewLinkRead reads up to hubspot.MaxLinks records.
func NewLinkRead(ids []hubspot.ID) *LinkRead {
	r := &LinkRead{open: map[hubspot.ID]*LinkReading{}}
	r.begin(ids)
	return r
}

func (r *LinkRead) begin(ids []hubspot.ID) {
	r.inputs, r.begins, r.came = make([]hubspot.LinkInput, len(ids)), true, make(map[hubspot.LinkInput]bool, len(ids))
	for i, id := range ids {
		r.inputs[i].ID = id
	}
}

// Next is the next call, or the question to the lane about the records that HubSpot
// did not find.
func (r *LinkRead) Next() (Ask, bool) {
	if len(r.gone) > 0 {
		return Ask{What: AskDeletedBefore, IDs: r.gone, Stamp: r.sent.Stamp}, true
	}
	ask := Ask{What: AskLinks, Links: r.inputs}
	if r.begins {
		ask.Wait = time.Duration(r.try) * time.Second
	}
	return ask, len(r.inputs) > 0
}

// Take sorts an answer.
func (r *LinkRead) Take(a Answer) {
	if len(r.gone) == 0 {
		r.sent, r.date = a.Sent, a.Links.Date
		r.stuck = append(r.stuck, a.Stuck...)
		for _, id := range a.Stuck {
			delete(r.open, id)
		}
		if r.takePage(&a.Links); len(r.gone) > 0 {
			return
		}
	} else {
		for _, id := range a.IDs {
			r.finish(&LinkReading{From: id, Stamp: r.sent.LinkStamp, SentAt: r.sent.At, Date: r.date, Calls: 1})
		}
		r.unfound = append(r.unfound, slices.DeleteFunc(r.gone, func(id hubspot.ID) bool {
			return slices.Contains(a.IDs, id) || slices.Contains(r.silent, id)
		})...)
		silent := slices.DeleteFunc(r.silent, func(id hubspot.ID) bool { return slices.Contains(a.IDs, id) })
		r.again, r.gone, r.silent = append(r.again, silent...), nil, nil
	}
	r.sent, r.date = Sent{}, 0
	for _, id := range r.again { // what was read of them is not complete
		delete(r.open, id)
	}
	if len(r.inputs) > 0 {
		return
	}
	if r.try++; r.try < AloneTries {
		r.begin(r.again)
	} else {
		r.unresolved = r.again
	}
	r.again = nil
	if len(r.inputs) == 0 {
		slices.SortFunc(r.Readings, func(a, b LinkReading) int { return cmp.Compare(a.From, b.From) })
	}
}

func (r *LinkRead) takePage(page *hubspot.LinksPage) {
	for _, in := range r.inputs {
		r.came[in] = true
	}
	r.inputs, r.begins = nil, false
	for _, set := range page.Sets {
		reading := r.part(set.From)
		reading.Links = append(reading.Links, set.Links...)
		switch next := (hubspot.LinkInput{ID: set.From, After: set.After}); {
		case set.After == "":
			r.finish(reading)
		case r.came[next]:
			r.again = append(r.again, set.From)
		default:
			r.inputs = append(r.inputs, next)
		}
	}
	for _, id := range page.Empty {
		r.finish(r.part(id))
	}
	r.gone = page.NotFound
	if r.try == AloneTries-1 {
		r.stuck = append(r.stuck, page.Unread...)
	} else {
		r.again = append(r.again, page.Unread...)
	}
	for _, id := range page.Unread {
		delete(r.open, id)
	}
	if r.try == AloneTries-1 {
		r.gone, r.silent = slices.Concat(r.gone, page.Unanswered), slices.Clone(page.Unanswered)
	} else {
		r.again = append(r.again, page.Unanswered...)
	}
}

// part is a record's reading with the page that has just come.
func (r *LinkRead) part(id hubspot.ID) *LinkReading {
	reading := r.open[id]
	if reading == nil {
		reading = &LinkReading{From: id, Stamp: r.sent.LinkStamp, SentAt: r.sent.At}
		r.open[id] = reading
	}
	reading.Calls, reading.Date = reading.Calls+1, r.date
	return reading
}

// finish sorts a complete set. Of a link that came on two pages the later answer
// counts.
func (r *LinkRead) finish(reading *LinkReading) {
	delete(r.open, reading.From)
	if reading.Calls > 1 {
		slices.Reverse(reading.Links)
		order := func(a, b hubspot.Link) int {
			return cmp.Or(cmp.Compare(a.To, b.To), strings.Compare(a.Category, b.Category), cmp.Compare(a.TypeID, b.TypeID))
		}
		slices.SortStableFunc(reading.Links, order)
		reading.Links = slices.CompactFunc(reading.Links, func(a, b hubspot.Link) bool { return order(a, b) == 0 })
	}
	r.Readings = append(r.Readings, *reading)
}

// Unresolved are the keys that stay as they are (R8).
func (r *LinkRead) Unresolved() []hubspot.ID { return r.unresolved }

// Unfound are the keys that HubSpot did not find, although their delete was not decided
// before: they have no reading (R8).
func (r *LinkRead) Unfound() []hubspot.ID { return r.unfound }

// Stuck are the keys that HubSpot does not answer (R18).
func (r *LinkRead) Stuck() []hubspot.ID { return r.stuck }
