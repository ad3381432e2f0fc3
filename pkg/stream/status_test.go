package stream

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

type someLane int

func (n someLane) Live() int { return int(n) }

// TestStatus_OutlivesARun: between two runs, what the streams have reached goes on
// ageing and the numbers of records stay, while nothing counts as running; the
// next run drops what it no longer follows.
func TestStatus_OutlivesARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewStatus(func() hubspot.Millis { return hubspot.MillisOf(time.Now()) })
		reg := prometheus.NewRegistry()
		reg.MustRegister(s)
		behind := func(object string) float64 {
			return testkit.Metric(t, reg, "hubspot_cdc_milliseconds_behind_source", object, "leading")
		}
		begin := func(objects ...string) {
			for _, object := range objects {
				s.Watch(object, someLane(7))
				s.Expect(object, "leading")
				s.started(object, "leading")
				s.reached(object, "leading", hubspot.MillisOf(time.Now()))
				s.backfillDone(object)
			}
			s.Settle()
		}
		begin("contacts", "cars")
		s.Problem("cars", "census", errors.New("some problem"))
		if !s.Running() || len(s.Problems()) != 1 || s.Backfills()["cars"] != "done" {
			t.Errorf("running %v, problems %v, backfills %v", s.Running(), s.Problems(), s.Backfills())
		}
		time.Sleep(time.Minute)
		s.Between()
		time.Sleep(time.Minute)
		if got := behind("contacts"); got != 120_000 {
			t.Errorf("between runs it is %v ms behind, want 120000", got)
		}
		if n := testkit.Metric(t, reg, "hubspot_cdc_live_records", "contacts"); n != 7 {
			t.Errorf("%v live records", n)
		}
		if s.Running() || len(s.Problems()) != 0 || len(s.Backfills()) != 0 || len(s.Waiting()) != 0 {
			t.Errorf("between runs: running %v, problems %v, backfills %v, waiting %v", s.Running(), s.Problems(), s.Backfills(), s.Waiting())
		}

		s.Expect("contacts", "leading")
		if s.Running() || len(s.Waiting()) != 1 {
			t.Errorf("before the first pass: running %v, waiting %v", s.Running(), s.Waiting())
		}
		begin("contacts") // and cars no more
		if !s.Running() || behind("contacts") != 0 {
			t.Errorf("running %v, %v ms behind", s.Running(), behind("contacts"))
		}
		time.Sleep(time.Minute)
		if got := behind("cars"); got != 0 {
			t.Errorf("what is not followed is %v ms behind", got)
		}
		if n := testkit.Metric(t, reg, "hubspot_cdc_live_records", "cars"); n != 0 {
			t.Errorf("what is not followed has %v records", n)
		}
		s.journalRead(hubspot.MillisOf(time.Now()))
		time.Sleep(time.Minute)
		lag := func() float64 { return testkit.Metric(t, reg, "hubspot_cdc_journal_lag_seconds") }
		if got := lag(); got != 60 {
			t.Errorf("the journal is %v s behind, want 60", got)
		}
		s.Reset() // standing by
		if behind("contacts") != 0 || lag() != 0 {
			t.Errorf("a standby is %v ms behind, and its journal %v s", behind("contacts"), lag())
		}
	})
}

// TestStatus_SinceIsStable: while a problem lasts, whatever its text.
func TestStatus_SinceIsStable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewStatus(func() hubspot.Millis { return 0 })
		began := time.Now()
		for _, text := range []string{"one", "another", "one"} {
			s.Problem("contacts", "leading", errors.New(text))
			if p := s.Problems(); len(p) != 1 || !p[0].Since.Equal(began) || p[0].Problem != text || p[0].Area != ProblemArea {
				t.Errorf("%+v, want since %v", p, began)
			}
			time.Sleep(time.Minute)
		}
		s.started("contacts", "leading")
		s.Problem("contacts", "leading", errors.New("one"))
		if p := s.Problems(); !p[0].Since.Equal(time.Now()) {
			t.Errorf("a new problem is since %v", p[0].Since)
		}
	})
}
