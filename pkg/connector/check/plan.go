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
	// Uncounted are the types of which HubSpot gave no count. The backfill leaves them
	// out, and idle calls are those of empty types.
	Uncounted int          `json:"types_not_counted,omitempty"`
	Backfill  planBackfill `json:"backfill"`
	Idle      []planStream `json:"idle_calls_a_day"`
	IdleSum   int          `json:"idle_calls_a_day_sum"`
	// IdleRelied is the sum while the journal may be relied on; 0: there is no journal.
	IdleRelied int      `json:"idle_calls_a_day_journal_sum,omitempty"`
	Limit      int64    `json:"daily_limit"`                   // 0: none
	Share      float64  `json:"idle_share_of_limit,omitempty"` // of the whole
	Ours       float64  `json:"idle_share_of_ours,omitempty"`  // of what the reserve leaves
	Sweep      float64  `json:"reconcile_hours"`               // how long the longest takes
	Every      float64  `json:"reconcile_interval_hours"`
	Notes      []string `json:"notes"`
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
	out.Idle, out.IdleSum = k.planIdle(out, false)
	if k.setup.Journal != nil {
		_, out.IdleRelied = k.planIdle(out, true)
	}
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
		n, counted := p.records[f.Type.Name]
		if !counted {
			out.Uncounted++
			continue
		}
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

// planIdle adds up the calls of a day on which nothing changes, and on which the
// journal may be relied on or not.
func (k *checker) planIdle(out *Plan, relied bool) (idle []planStream, sum int) {
	p, sync := &k.portal, &k.setup.Config.Sync
	var asked []func() // after all streams are known, because they share what there is
	add := func(name string, calls func() float64) {
		i := slices.IndexFunc(idle, func(s planStream) bool { return s.Stream == name })
		if i < 0 {
			i = len(idle)
			idle = append(idle, planStream{Stream: name})
		}
		asked = append(asked, func() { idle[i].Calls += int(math.Round(calls())) })
	}
	pace := stream.NewPace(k.setup.Budget, sync.LeadingInterval, func() int { return 1 })
	pace.Relied = func(string) bool { return relied }
	k.setup.Demands(pace)
	// passes adds a stream that makes so many calls a pass, and then waits.
	passes := func(object, name string, calls float64, d stream.Demand) {
		s := pace.Patient(object, name, func() stream.Demand { return d })
		add(name, func() float64 { return calls * times(s.Quiet(), time.Duration(calls*float64(k.answer))) })
	}
	// starts adds one that begins a pass at each interval, however long it takes.
	starts := func(object, name string, calls int, takes time.Duration, d stream.Demand) {
		s := pace.Patient(object, name, func() stream.Demand { return d })
		add(name, func() float64 { return float64(calls) * times(max(s.Quiet(), takes), 0) })
	}
	more := false
	for i := range p.found {
		name := p.found[i].Type.Name
		pace.Add(name)
		for _, lag := range k.setup.Lags {
			add(lag.Stream, func() float64 { return k.tierCalls(lag, pace.Quiet(name)) })
		}
		searches := sync.CensusDemand(p.records[name])
		if relied && !searches.Fixed {
			searches.Calls = stream.CensusCalls(p.records[name], stream.ReliedCensus)
		}
		passes(name, stream.CensusStream, searches.Calls, searches)
		if bin := p.archived[name]; !bin.none {
			lists := sync.ArchiveDemand(bin.records)
			passes(name, offsets.ArchiveStream, lists.Calls, lists)
			more = more || bin.more
		}
		if slots, err := k.slots(&p.found[i]); err == nil {
			calls := stream.ReconcileCalls(p.records[name], slots, len(k.setup.Config.HubSpot.Sensitivities()))
			takes := stream.SweepTakes(p.records[name], sync.ReconcileInterval) + time.Duration(calls)*k.answer
			starts(name, offsets.ReconcileStream, calls, takes, sync.ReconcileDemand(calls))
		}
	}
	for _, e := range p.ends {
		calls := stream.LinkCalls(p.records[e.From.Name])
		starts(e.Name().String(), offsets.AssociationsStream, calls, 0, sync.LinksDemand(calls, k.linked(e)))
	}
	k.planSchema(pace, add)
	passes(stream.ReferenceOwners, offsets.ReferenceStream, float64(p.owners), sync.ReferenceDemand(p.owners))
	passes(stream.ReferencePipelines, offsets.ReferenceStream, stream.PipelineCalls(p.withPipelines, len(p.found)), sync.ReferenceDemand(len(p.found)))
	if !k.setup.Config.HubSpot.OAuth() {
		add("account", func() float64 { return times(connector.DayInterval, 0) })
	}
	for _, ask := range asked {
		ask()
	}
	for _, s := range idle {
		sum += s.Calls
	}
	if more && !relied {
		out.Notes = append(out.Notes, fmt.Sprintf("some recycle bins hold more than the %d records that a check counts: archive takes more calls than this, one per pass for each further 100 records", listedPages*100))
	}
	return idle, sum
}

// tierCalls is how many searches a tier of a type makes while nothing changes. A
// trailing tier makes none while the leading tier's walks carry it in time.
func (k *checker) tierCalls(lag stream.Lag, leading time.Duration) float64 {
	every := leading
	if lag.By > 0 {
		if every = k.setup.Config.Sync.Trailing(lag, true, leading); every > leading {
			return 0
		}
	}
	return times(every, k.answer)
}

// planSchema adds what the reads of the portal's schemas cost.
func (k *checker) planSchema(pace *stream.Pace, add func(string, func() float64)) {
	p, sync := &k.portal, &k.setup.Config.Sync
	calls := 1 + p.refused + len(p.found)*len(k.setup.Config.HubSpot.Sensitivities())
	schemas := pace.Patient("", stream.SchemaStream, func() stream.Demand { return sync.SchemaDemand(calls) })
	add(stream.SchemaStream, func() float64 { return float64(calls) * times(schemas.Quiet(), k.answer) })
	asks := stream.LabelCalls(len(p.found), k.setup.Config.HubSpot.Associations)
	if asks == 0 {
		return
	}
	labels := pace.Patient("", "labels", func() stream.Demand { return sync.LabelsDemand(asks) })
	add("labels", func() float64 {
		// A run reads labels only when it has just read the schemas.
		looks := math.Ceil(float64(labels.Quiet()) / float64(schemas.Quiet()))
		return float64(asks) * times(schemas.Quiet(), k.answer) / looks
	})
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
