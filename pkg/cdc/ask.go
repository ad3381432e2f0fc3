package cdc

import (
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Protocol is a way of asking that takes several questions. It makes no call: Next
// is what to ask now, until there is nothing more, and Take takes the answer.
// Between the two a driver may let anything happen, so the tests of package
// cdcmodel step the code that ships.
type Protocol interface {
	Next() (Ask, bool)
	Take(Answer)
	// Unresolved are the keys about which HubSpot, however often asked, said
	// nothing that counts. They stay as they are (R8).
	Unresolved() []hubspot.ID
	// Stuck are the keys about which HubSpot does not answer at all. They stay as
	// they are too (R18).
	Stuck() []hubspot.ID
}

// Question is what an Ask asks.
type Question uint8

// HubSpot answers the first five, the records' lane the others.
const (
	AskLive          Question = iota // the live records of IDs
	AskArchived                      // the archived copies of IDs
	AskList                          // the first page of the type's list
	AskBin                           // the archived copies that name losers of merges; IDs have no copy of their own
	AskLinks                         // Links
	AskLiveAmong                     // Lane.LiveAmong
	AskControls                      // Lane.Controls
	AskGoneBefore                    // Lane.GoneBefore
	AskDeletedBefore                 // Lane.DeletedBefore
)

// Ask is a question, to be asked after Wait.
type Ask struct {
	What  Question
	Wait  time.Duration
	IDs   []hubspot.ID
	Links []hubspot.LinkInput
	Stamp uint64
	// Each are those of IDs that every part of the question has to ask about too.
	Each []hubspot.ID
	// Tries is how often the request may fail while HubSpot answers others (Parts).
	Tries int
	// Quick says that HubSpot has less time for the answer: if it takes longer, a
	// smaller part is asked about.
	Quick bool
}

// Answer is what was asked for: a page, or ids.
type Answer struct {
	Sent
	Batch hubspot.BatchPage
	List  hubspot.ListPage
	Links hubspot.LinksPage
	IDs   []hubspot.ID
	// Stuck are ids of the question about which HubSpot does not answer (R18).
	Stuck []hubspot.ID
}

// Sent is the moment at which the last attempt of a request was sent: a reading is
// as old as that (R1).
type Sent struct {
	Stamp     uint64         // Lane.Now
	LinkStamp uint64         // LinkLane.Now, of a read of links
	At        hubspot.Millis // a time that HubSpot's clock had passed
	Slots     *hubspot.Slots // the property set that was asked for
}

// Reading is what an answer with this Date says about a key.
func (s *Sent) Reading(id hubspot.ID, outcome Outcome, r *hubspot.Record, date hubspot.Millis) Reading {
	return Reading{ID: id, Outcome: outcome, Record: r, Slots: s.Slots, Stamp: s.Stamp, SentAt: s.At, Date: date}
}
