package check

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// Plan is what a run would do, and what that would cost. The figures come from
// the functions that the streams themselves decide by; a test compares them with
// the calls that a simulated portal counts in a day.
type Plan struct {
	ToCreate []string     `json:"topics_to_create"`
	Pairs    int          `json:"pairs"`        // each has a topic from its first link on
	Later    int          `json:"topics_later"` // of pairs and reference lists that have none yet
	Objects  []planObject `json:"objects"`
	Records  int          `json:"records"` // by HubSpot's own count
	Backfill planBackfill `json:"backfill"`
	Idle     []planStream `json:"idle_calls_a_day"`
	IdleSum  int          `json:"idle_calls_a_day_sum"`
	Limit    int64        `json:"daily_limit"`                   // 0: none
	Share    float64      `json:"idle_share_of_limit,omitempty"` // of the whole
	Ours     float64      `json:"idle_share_of_ours,omitempty"`  // of what the reserve leaves
	Sweep    float64      `json:"reconcile_hours"`               // how long the longest takes
	Every    float64      `json:"reconcile_interval_hours"`
	Notes    []string     `json:"notes"`
}

type planObject struct {
	Object  string `json:"object"`
	Records int    `json:"records"`
	Left    int    `json:"backfill_records"` // that the backfill has yet to read
	Calls   int    `json:"backfill_calls"`   // for these
}

// planBackfill is what is left of the first sweep over everything.
type planBackfill struct {
	Left    int     `json:"records"`
	Calls   int     `json:"calls"`             // for the records
	Links   int     `json:"association_calls"` // for the first sweep of associations
	Minutes float64 `json:"minutes"`
	Days    int     `json:"days,omitempty"` // if today's calls are not enough
}

type planStream struct {
	Stream string `json:"stream"`
	Calls  int    `json:"calls"`
}

const day = 24 * time.Hour

// times is how often a day something happens that takes a while and then waits.
func times(every, takes time.Duration) float64 {
	if every+takes <= 0 {
		return 0
	}
	return float64(day) / float64(every+takes)
}

// plan is nil if HubSpot did not show what there is.
func (k *checker) plan() *Plan {
	p := &k.portal
	if k.account == nil || len(p.found) == 0 {
		return nil
	}
	out := &Plan{Pairs: len(p.ends), Every: k.setup.Config.Sync.ReconcileInterval.Hours(), Objects: []planObject{}, Notes: []string{}}
	topics := k.needed()
	if len(topics) > 0 {
		out.ToCreate = []string{}
	}
	for _, t := range topics {
		if !t.There {
			out.ToCreate = append(out.ToCreate, t.Name)
		}
	}
	out.Later = k.topicsLater()
	k.planBackfill(out)
	k.planIdle(out)
	learnt := k.setup.Governor.Learnt()
	if out.Limit = learnt.Daily; out.Limit > 0 {
		out.Share = float64(out.IdleSum) / float64(out.Limit)
		out.Ours = float64(out.IdleSum) / math.Max(1, float64(out.Limit-learnt.Reserve))
	}
	return out
}

// topicsLater counts the topics that a run makes at the first link or entry.
func (k *checker) topicsLater() (n int) {
	prefix := k.setup.Config.Kafka.TopicPrefix
	there := func(topic string) bool {
		if k.loaded == nil {
			return false
		}
		_, known := k.loaded.Topics[topic]
		return known
	}
	for _, e := range k.portal.ends {
		if !there(offsets.PairTopic(prefix, cdc.Pair{From: e.From.Name, To: e.To.Name})) {
			n++
		}
	}
	for _, list := range stream.References() {
		if !there(offsets.ReferenceTopic(prefix, list)) {
			n++
		}
	}
	return n
}

// checkDay reports whether the day's calls suffice while nothing changes.
func (k *checker) checkDay(p *Plan) {
	if p == nil || p.Limit == 0 {
		return
	}
	f := Finding{Area: "hubspot", Check: "idle_calls", Status: OK,
		Found: fmt.Sprintf("while nothing changes, a run spends %s a day: %s of the day's, %s of what the reserve leaves", calls(p.IdleSum), percent(p.Share), percent(p.Ours))}
	switch {
	case p.Ours > 1:
		f.Status = Fail
		f.Found += "; the patient streams slow down until everything fits, and changes come late"
	case p.Share > 0.5:
		f.Status = Warn
	default:
		k.add(f)
		return
	}
	f.Todo = []string{"name fewer types in HUBSPOT_OBJECTS or fewer pairs in HUBSPOT_ASSOCIATIONS, set longer intervals (SYNC_LEADING_INTERVAL, SYNC_CENSUS_INTERVAL, SYNC_ARCHIVE_INTERVAL), or buy calls: the plan below shows what each stream costs"}
	k.add(f)
}

func (k *checker) planBackfill(out *Plan) {
	p := &k.portal
	rates, longest := k.setup.Governor.Rates(), time.Duration(0)
	for i := range p.found {
		f := &p.found[i]
		n := p.records[f.Type.Name]
		slots, err := k.slots(f)
		if err != nil {
			continue // checkTopics has reported it
		}
		lists, reads := stream.SweepCalls(n, slots)
		calls, left := 0, k.left(f.Type.Name)
		if !k.sweptAlready(f.Type.Name) {
			more, again := stream.SweepCalls(left, slots)
			calls = more + again
		}
		out.Objects = append(out.Objects, planObject{f.Type.Name, n, left, calls})
		out.Records += n
		out.Backfill.Left += left
		out.Backfill.Calls += calls
		// The pages of a short type are read one after another, those of a long one as
		// fast as the limit allows.
		longest = max(longest, time.Duration(min(calls, stream.SplitCalls))*max(p.page, k.answer))
		out.Sweep = max(out.Sweep, (stream.SweepTakes(n, k.setup.Config.Sync.ReconcileInterval) + time.Duration(lists+reads)*k.answer).Hours())
	}
	slices.SortStableFunc(out.Objects, func(a, b planObject) int { return cmp.Compare(b.Records, a.Records) })
	for _, e := range p.ends {
		out.Backfill.Links += stream.LinkCalls(k.linksLeft(e))
	}
	took := max(longest.Seconds(), float64(out.Backfill.Calls)/rates.Objects)
	out.Backfill.Minutes = took / 60
	if l := k.setup.Governor.Learnt(); l.Daily > 0 {
		calls, left := float64(out.Backfill.Calls+out.Backfill.Links), float64(l.Daily-l.Reserve-l.Used)
		if calls > left {
			out.Backfill.Days = 1 + int(math.Ceil((calls-left)/float64(l.Daily-l.Reserve)))
		}
	}
}

// planIdle adds up the calls of a day on which nothing changes.
func (k *checker) planIdle(out *Plan) {
	p, sync := &k.portal, &k.setup.Config.Sync
	add := func(name string, calls float64) {
		i := slices.IndexFunc(out.Idle, func(s planStream) bool { return s.Stream == name })
		if i < 0 {
			i = len(out.Idle)
			out.Idle = append(out.Idle, planStream{Stream: name})
		}
		out.Idle[i].Calls += int(math.Round(calls))
	}
	pace := stream.NewPace(k.setup.Governor.Rates().Search*connector.LeadingShare, sync.LeadingInterval)
	for _, f := range p.found {
		pace.Add(f.Type.Name)
	}
	more := false
	for i := range p.found {
		f := &p.found[i]
		name := f.Type.Name
		n, bin := p.records[name], p.archived[name]
		for _, lag := range k.setup.Lags {
			every := sync.Trailing(lag)
			if lag.By == 0 {
				every = pace.Interval(name)
			}
			add(lag.Stream, times(every, k.answer))
		}
		every := stream.CensusEvery(sync.CensusInterval)
		searches := stream.CensusCalls(n, every)
		add(stream.CensusStream, searches*times(every, time.Duration(searches*float64(k.answer))))
		if !bin.none {
			lists := stream.ArchiveCalls(bin.records)
			add(offsets.ArchiveStream, float64(lists)*times(stream.ArchiveEvery(sync.ArchiveInterval, bin.records), time.Duration(lists)*k.answer))
			more = more || bin.more
		}
		if slots, err := k.slots(f); err == nil {
			lists, reads := stream.SweepCalls(n, slots)
			takes := stream.SweepTakes(n, sync.ReconcileInterval) + time.Duration(lists+reads)*k.answer
			add(offsets.ReconcileStream, float64(lists+reads)*times(max(sync.ReconcileInterval, takes), 0))
		}
	}
	for _, e := range p.ends {
		every := stream.LinksEvery(sync.AssociationsInterval, k.linked(e))
		add(offsets.AssociationsStream, float64(stream.LinkCalls(p.records[e.From.Name]))*times(every, 0))
	}
	k.planSchema(add)
	every := max(sync.ReferenceInterval, time.Second)
	for _, calls := range []float64{float64(p.owners), stream.PipelineCalls(p.withPipelines, len(p.found))} {
		add(offsets.ReferenceStream, calls*times(every, time.Duration(calls*float64(k.answer))))
	}
	if !k.setup.Config.HubSpot.OAuth() {
		add("account", times(connector.DayInterval, 0))
	}
	for _, s := range out.Idle {
		out.IdleSum += s.Calls
	}
	if more {
		out.Notes = append(out.Notes, fmt.Sprintf("some recycle bins hold more than the %d records that a check counts: archive takes more calls than this, one per pass for each further 100 records", listedPages*100))
	}
}

// planSchema adds what the reads of the portal's schemas cost.
func (k *checker) planSchema(add func(string, float64)) {
	p := &k.portal
	every := k.setup.Config.Sync.Schema()
	calls := 1 + p.refused + len(p.found)*len(k.setup.Config.HubSpot.Sensitivities())
	add(stream.SchemaStream, float64(calls)*times(every, k.answer))
	if labels := stream.LabelCalls(len(p.found), k.setup.Config.HubSpot.Associations); labels > 0 {
		// A run reads labels only when it has just read the schemas.
		looks := math.Ceil(float64(k.setup.Config.Sync.Labels(len(p.ends))) / float64(every))
		add("labels", float64(labels)*times(every, k.answer)/looks)
	}
}

// linked reports whether a pair has links: by the state if the pair was swept,
// else by the sample.
func (k *checker) linked(e stream.Ends) bool {
	pair := cdc.Pair{From: e.From.Name, To: e.To.Name}
	if k.loaded != nil {
		if table := k.loaded.Links[pair]; table != nil && table.Live() > 0 {
			return true
		}
		if k.sweptLinks(e) {
			return false
		}
	}
	linked, sampled := k.portal.links[e]
	return linked || !sampled && k.portal.records[e.From.Name] > 0
}
