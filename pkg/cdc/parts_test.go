package cdc

import (
	"errors"
	"slices"
	"testing"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// failing is a HubSpot that fails every question about one of some ids, or about
// more than most.
type failing struct {
	bad      []hubspot.ID
	most     int
	controls []hubspot.ID
	gone     []hubspot.ID // reported missing
	forgets  func(Ask) bool
	asks     []Ask
}

var errFailing = errors.New("no")

// answerAll steps a question to its end.
func (h *failing) answerAll(p *Parts) (Answer, error) {
	for ask, more := p.Next(); more; ask, more = p.Next() {
		h.asks = append(h.asks, ask)
		if ask.What == AskControls {
			controls := slices.DeleteFunc(slices.Clone(h.controls), func(id hubspot.ID) bool { return slices.Contains(ask.IDs, id) })
			p.Take(Answer{IDs: controls})
			continue
		}
		ids := slices.Clone(ask.IDs)
		for _, in := range ask.Links {
			ids = append(ids, in.ID)
		}
		if slices.ContainsFunc(ids, func(id hubspot.ID) bool { return slices.Contains(h.bad, id) }) || h.most > 0 && len(ids) > h.most {
			p.Fail(errFailing)
			continue
		}
		out := Answer{Sent: Sent{Stamp: uint64(len(h.asks))}}
		for _, id := range ids {
			switch {
			case h.forgets != nil && h.forgets(ask), slices.Contains(h.gone, id):
				out.Batch.Missing = append(out.Batch.Missing, id)
			default:
				out.Batch.Records = append(out.Batch.Records, hubspot.Record{ID: id})
				out.Links.Sets = append(out.Links.Sets, hubspot.LinkSet{From: id})
			}
		}
		p.Take(out)
	}
	return p.Answer()
}

func idsUpTo(n int) (ids []hubspot.ID) {
	for id := range hubspot.ID(n) {
		ids = append(ids, id+1)
	}
	return ids
}

func answeredIDs(a Answer) (ids []hubspot.ID) {
	for _, r := range a.Batch.Records {
		ids = append(ids, r.ID)
	}
	slices.Sort(ids)
	return ids
}

func nothingStuck(hubspot.ID) bool { return false }

// TestR18_AQuestionIsHalvedDownToTheIDsThatFail, wherever they stand and however
// many they are: everything else is answered, and the answer is as old as its oldest
// part.
func TestR18_AQuestionIsHalvedDownToTheIDsThatFail(t *testing.T) {
	all := idsUpTo(100)
	for _, known := range []bool{true, false} {
		for n := 1; n <= 3; n++ {
			for place := 0; place < 100; place += 3 {
				h := &failing{}
				for i := range n {
					h.bad = append(h.bad, all[(place+i*37)%100])
				}
				if known {
					h.controls = []hubspot.ID{500}
				}
				slices.Sort(h.bad)
				a, err := h.answerAll(NewParts(Ask{What: AskLive, IDs: all}, 1000, nothingStuck, false))
				slices.Sort(a.Stuck)
				want := slices.DeleteFunc(slices.Clone(all), func(id hubspot.ID) bool { return slices.Contains(h.bad, id) })
				if err != nil || !slices.Equal(a.Stuck, h.bad) || !slices.Equal(answeredIDs(a), want) {
					t.Fatalf("%v bad: %v, stuck %v, %d answered", h.bad, err, a.Stuck, len(a.Batch.Records))
				}
				if limit := 2 + 15*n; len(h.asks) > limit {
					t.Errorf("%v bad: %d questions, want at most %d", h.bad, len(h.asks), limit)
				}
				for i, ask := range h.asks { // the first part that was answered
					if ask.What == AskLive && len(ask.IDs) < 100 && !slices.Equal(ask.IDs, h.controls) && !slices.ContainsFunc(ask.IDs, func(id hubspot.ID) bool { return slices.Contains(h.bad, id) }) {
						if a.Stamp != uint64(i+1) {
							t.Errorf("stamp %d, want %d", a.Stamp, i+1)
						}
						break
					}
				}
			}
		}
	}
}

// TestR18_AnIDThatIsAskedForTwiceIsAskedOnce: HubSpot may fail it, and a page may ask
// for it twice. Its halves become smaller nevertheless.
func TestR18_AnIDThatIsAskedForTwiceIsAskedOnce(t *testing.T) {
	twice := []hubspot.ID{7, 3, 7, 7}
	var links []hubspot.LinkInput
	for _, id := range twice {
		links = append(links, hubspot.LinkInput{ID: id})
	}
	for _, q := range []Ask{{What: AskLive, IDs: twice}, {What: AskLinks, Links: links}} {
		h := &failing{bad: []hubspot.ID{7}, controls: []hubspot.ID{9}}
		a, err := h.answerAll(NewParts(q, hubspot.MaxBatch, nothingStuck, false))
		if err != nil || !slices.Equal(a.Stuck, []hubspot.ID{7}) || len(a.Batch.Records) != 1 || a.Batch.Records[0].ID != 3 {
			t.Errorf("stuck: %v, records: %v, error: %v", a.Stuck, answeredIDs(a), err)
		}
		if n := len(h.asks[0].Own()); n != 2 {
			t.Errorf("it asks for %d ids", n)
		}
	}
}

// TestR18_OneOtherRecordDecides: if HubSpot does not answer about it either, the
// records are not the reason, and the question fails after a few calls.
func TestR18_OneOtherRecordDecides(t *testing.T) {
	for name, c := range map[string]struct {
		h     failing
		full  bool
		asks  int
		fails bool
	}{
		"the type is refused":               {failing{bad: idsUpTo(600), controls: []hubspot.ID{500, 501, 502}}, false, 5, true},
		"the first control is bad":          {failing{bad: append(idsUpTo(100), 500), controls: []hubspot.ID{500, 501}}, false, 205, false},
		"nobody is known, and all are bad":  {failing{bad: idsUpTo(100)}, false, 20, true},
		"nothing more may be stuck":         {failing{bad: []hubspot.ID{7}, controls: []hubspot.ID{500}}, true, 1, true},
		"a question that is only too heavy": {failing{most: 13, controls: []hubspot.ID{500}}, false, 20, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := NewParts(Ask{What: AskLive, IDs: idsUpTo(100)}, 1000, nothingStuck, c.full)
			a, err := c.h.answerAll(p)
			if (err != nil) != c.fails || len(c.h.asks) > c.asks {
				t.Errorf("%v after %d questions, want at most %d", err, len(c.h.asks), c.asks)
			}
			if err == nil && len(a.Stuck)+len(a.Batch.Records) != 100 {
				t.Errorf("%d stuck, %d answered", len(a.Stuck), len(a.Batch.Records))
			}
		})
	}
	p := NewParts(Ask{What: AskLive, IDs: idsUpTo(100)}, 1000, nothingStuck, false)
	if _, err := (&failing{most: 13, controls: []hubspot.ID{500}}).answerAll(p); err != nil {
		t.Fatal(err)
	}
	size, heavy := p.Size()
	h := &failing{most: 13}
	if _, err := h.answerAll(NewParts(Ask{What: AskLive, IDs: idsUpTo(100)}, size, nothingStuck, false)); err != nil || !heavy || len(h.asks) != (100+size-1)/size {
		t.Errorf("with parts of %d (heavy %v): %v after %d questions", size, heavy, err, len(h.asks))
	}
}

// TestR18_AnIllHubSpotSaysNothingOfSizes: where it fails a known record too, later
// questions are not made smaller for an hour.
func TestR18_AnIllHubSpotSaysNothingOfSizes(t *testing.T) {
	for _, ill := range []bool{false, true} {
		h := &failing{most: 13, controls: []hubspot.ID{500, 501}}
		if ill {
			h.bad = []hubspot.ID{500}
		}
		p := NewParts(Ask{What: AskLive, IDs: idsUpTo(100)}, 1000, nothingStuck, false)
		a, err := h.answerAll(p)
		if _, heavy := p.Size(); err != nil || len(a.Batch.Records) != 100 || heavy == ill || p.Doubted() != ill {
			t.Errorf("ill %v: %v, %d answered, heavy %v", ill, err, len(a.Batch.Records), heavy)
		}
	}
}

// TestR18_AnOutageInTheMiddleMakesNothingStuck: ids that had only one try count as
// stuck only if HubSpot still answers at the end.
func TestR18_AnOutageInTheMiddleMakesNothingStuck(t *testing.T) {
	h := &failing{bad: idsUpTo(40), controls: []hubspot.ID{500}}
	p := NewParts(Ask{What: AskLive, IDs: idsUpTo(40)}, 1000, nothingStuck, false)
	for ask, more := p.Next(); more; ask, more = p.Next() {
		switch {
		case ask.What == AskControls:
			p.Take(Answer{IDs: h.controls})
		case slices.Equal(ask.IDs, h.controls) && len(h.asks) < 5:
			p.Take(Answer{})
		default:
			p.Fail(errFailing)
		}
		h.asks = append(h.asks, ask)
	}
	if a, err := p.Answer(); err == nil {
		t.Errorf("stuck %v", a.Stuck)
	}
}

// TestR18_ControlsStandInEveryPart of a confirm's question, and count only if every
// part answered them (R7).
func TestR18_ControlsStandInEveryPart(t *testing.T) {
	q := Ask{What: AskLive, IDs: append(idsUpTo(50), 500, 501), Each: []hubspot.ID{500, 501}}
	h := &failing{bad: []hubspot.ID{20}, controls: []hubspot.ID{600}, gone: []hubspot.ID{3, 44}}
	a, err := h.answerAll(NewParts(q, 1000, nothingStuck, false))
	if err != nil || !slices.Equal(a.Stuck, []hubspot.ID{20}) || !slices.Equal(a.Batch.Missing, []hubspot.ID{3, 44}) {
		t.Fatalf("%v, stuck %v, missing %v", err, a.Stuck, a.Batch.Missing)
	}
	for _, ask := range h.asks {
		alone := len(ask.IDs) == 1
		if ask.What == AskLive && !alone && (!slices.Contains(ask.IDs, 500) || !slices.Contains(ask.IDs, 501)) {
			t.Errorf("asked about %v without the controls", ask.IDs)
		}
	}
	for _, forgotten := range []hubspot.ID{0, 44} { // of the part that asks about this one
		h := &failing{bad: []hubspot.ID{20}, controls: []hubspot.ID{600}, forgets: func(ask Ask) bool { return slices.Contains(ask.IDs, forgotten) }}
		a, err := h.answerAll(NewParts(q, 1000, nothingStuck, false))
		controls := slices.DeleteFunc(answeredIDs(a), func(id hubspot.ID) bool { return id < 500 })
		want := []hubspot.ID{500, 501}
		if forgotten != 0 {
			want = nil
		}
		if err != nil || !slices.Equal(controls, want) {
			t.Errorf("forgotten %d: %v, controls %v, want %v", forgotten, err, controls, want)
		}
	}
	// If it is a control that HubSpot does not answer about, the ids are asked alone.
	h = &failing{bad: []hubspot.ID{500}, controls: []hubspot.ID{600}}
	a, err = h.answerAll(NewParts(Ask{What: AskLive, IDs: []hubspot.ID{1, 2, 500}, Each: []hubspot.ID{500}}, 1000, nothingStuck, false))
	if err != nil || len(a.Stuck) > 0 || !slices.Equal(answeredIDs(a), []hubspot.ID{1, 2}) {
		t.Errorf("a bad control: %v, stuck %v, answered %v", err, a.Stuck, answeredIDs(a))
	}
}

// TestR18_WhatIsStuckIsNotAskedFor by other streams.
func TestR18_WhatIsStuckIsNotAskedFor(t *testing.T) {
	stuck := func(id hubspot.ID) bool { return id%2 == 0 }
	h := &failing{}
	var links []hubspot.LinkInput
	for _, id := range idsUpTo(6) {
		links = append(links, hubspot.LinkInput{ID: id})
	}
	a, err := h.answerAll(NewParts(Ask{What: AskLinks, Links: links}, 1000, stuck, false))
	if err != nil || len(a.Links.Sets) != 3 || !slices.Equal(a.Stuck, []hubspot.ID{2, 4, 6}) || len(h.asks) != 1 {
		t.Errorf("%v, %d sets, stuck %v after %d questions", err, len(a.Links.Sets), a.Stuck, len(h.asks))
	}
	h = &failing{}
	if a, err = h.answerAll(NewParts(Ask{What: AskLive, IDs: []hubspot.ID{2}}, 1000, stuck, false)); err != nil || len(h.asks) != 0 || !slices.Equal(a.Stuck, []hubspot.ID{2}) {
		t.Errorf("%v, stuck %v after %d questions", err, a.Stuck, len(h.asks))
	}
}
