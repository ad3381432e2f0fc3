package cdc

import (
	"cmp"
	"math"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Middle looks for an id that divides a range into parts of about as many records,
// by counting what lies above an id. Counts cost searches, so it is content with a
// quarter of the records on the smaller side.
type Middle struct {
	// Top is an id with no record above it; 0: not known.
	Top hubspot.ID

	in        Range
	n         int        // records in the range
	low, high hubspot.ID // the middle lies between them
	guess     hubspot.ID
	tries     int
	at        hubspot.ID // the best so far; 0: none
	above     int        // records above it
}

// middleTries is how many counts a middle may cost. A range of 10^15 ids in which
// all records lie in one place takes about a dozen to find that place.
const middleTries = 24

// farID is above every id.
const farID hubspot.ID = 1e15

// NewMiddle looks in a range of n records. step is how far one id is from the next
// where the range begins, top an id with no record above it; 0: not known.
func NewMiddle(in Range, n int, step float64, top hubspot.ID) *Middle {
	m := &Middle{Top: top, in: in, n: n, low: in.After, high: cmp.Or(in.UpTo, top, farID)}
	if guess := float64(in.After) + step*float64(n)/2; m.high == farID && guess < float64(farID) {
		m.guess = hubspot.ID(guess)
	}
	return m
}

// Next is the id above which to count; ok is false when there is no more to ask.
func (m *Middle) Next() (at hubspot.ID, ok bool) {
	if m.n < 2 || m.tries == middleTries || m.even() || m.high-m.low < 2 {
		return 0, false
	}
	at = m.low + (m.high-m.low)/2
	switch {
	case m.guess > m.low && m.guess < m.high:
		at = m.guess
	case m.in.UpTo == 0 && m.high/4 > m.low: // the order of magnitude first
		at = hubspot.ID(math.Sqrt(float64(max(m.low, 1)) * float64(m.high)))
	}
	m.guess = min(max(at, m.low+1), m.high-1)
	return m.guess, true
}

// Take takes the number of records above the id that Next returned.
func (m *Middle) Take(above int) {
	above = min(max(above, 0), m.n)
	at := m.guess
	m.guess = 0
	m.tries++
	if smaller(above, m.n) > smaller(m.above, m.n) {
		m.at, m.above = at, above
	}
	if above > m.n/2 {
		m.low = at
	} else {
		m.high = at
	}
	if above == 0 && m.in.UpTo == 0 {
		m.Top = at
	}
}

func smaller(above, n int) int { return min(above, n-above) }

func (m *Middle) even() bool { return smaller(m.above, m.n) >= (m.n+3)/4 }

// Found is the id that divides the range best, with the records on its two sides;
// ok is false if all records lie on one side of every id that was asked about.
func (m *Middle) Found() (at hubspot.ID, left, right int, ok bool) {
	return m.at, m.n - m.above, m.above, smaller(m.above, m.n) > 0
}
