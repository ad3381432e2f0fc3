package fleet

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hubspot-cdc/connector/pkg/group"
	"github.com/hubspot-cdc/connector/pkg/sink"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// StatusVersion is that of the JSON. Members may be added to it; one that goes or
// changes its meaning makes another version.
const StatusVersion = 1

// Status is what GET /status answers. What is not known is null.
type Status struct {
	V          int              `json:"v"`
	Time       time.Time        `json:"time"`
	Ready      bool             `json:"ready"` // as /readyz: of this instance
	Group      string           `json:"group"`
	Partitions int32            `json:"partitions"` // of the group's topic; 0: not known
	Member     string           `json:"member"`     // the group's id of this instance; "": it is not in the group
	Version    string           `json:"version"`
	Started    time.Time        `json:"started"`  // the process
	Problems   []stream.Problem `json:"problems"` // of this instance
	Instances  []Instance       `json:"instances"`
	Portals    []Portal         `json:"portals"` // by name
}

// Instance is a member of the group.
type Instance struct {
	Address string `json:"address"` // "": it answers nowhere
	Host    string `json:"host"`    // as Kafka sees it
	Self    bool   `json:"self"`    // it is the one that answers
	Portals int    `json:"portals"`
	Problem string `json:"problem"` // why it does not answer; "": it does

	up time.Duration // how long it has run, if it answers
}

// The states of a portal.
const (
	StateStreaming = "streaming" // it follows its portal; it may have problems
	StateLoading   = "loading"   // it begins, and nothing is wrong
	StateFailing   = "failing"   // it does not stream because of a problem, and tries again by itself
	StateStopped   = "stopped"   // it needs its operator
	StateUnowned   = "unowned"   // no instance has it
	StateUnknown   = "unknown"   // its instance does not answer, or Kafka does not tell which one has it
)

// Portal is one of the fleet.
type Portal struct {
	Name      string           `json:"name"`
	Partition int32            `json:"partition"`
	Instance  string           `json:"instance"` // its owner's address, or host; "": nobody's
	State     string           `json:"state"`
	Since     time.Time        `json:"since"`            // of its role
	Portal    int64            `json:"portal,omitempty"` // HubSpot's account
	Live      int              `json:"live"`             // records
	Behind    *float64         `json:"behind"`           // seconds since the oldest leading search
	Backfill  *stream.Backfill `json:"backfill"`
	Problems  []stream.Problem `json:"problems"`
}

// own is the status of this instance and of its portals.
func (f *Fleet) own() Status {
	f.mu.Lock()
	s := Status{
		V: StatusVersion, Time: moment(time.Now()), Group: Name(f.cfg.Topic.Prefix), Partitions: f.parts, Version: f.cfg.Version, Started: moment(f.started),
		Problems: f.instanceProblems(),
	}
	here := map[*file]*running{}
	for name, one := range f.files {
		if f.term(name) != nil || f.running[name] != nil {
			here[one] = f.running[name]
		}
	}
	in, parts, m, address := f.in, f.parts, f.member, f.address
	f.mu.Unlock()
	if m != nil {
		s.Member = m.ID()
	}
	s.Portals = []Portal{}
	for one, r := range here {
		p := Portal{Name: one.Name, Instance: address, Since: moment(one.since), State: StateStopped, Problems: one.problems()}
		if parts > 0 {
			p.Partition = sink.PartitionOf([]byte(one.Name), parts)
		}
		if len(one.Problems) == 0 {
			p.fill(r)
		}
		s.Portals = append(s.Portals, p)
	}
	slices.SortFunc(s.Portals, func(a, b Portal) int { return strings.Compare(a.Name, b.Name) })
	s.Ready = in && !slices.ContainsFunc(s.Portals, func(p Portal) bool { return p.State != StateStreaming && p.State != StateLoading })
	s.Instances = []Instance{{Address: address, Self: true, Portals: len(s.Portals)}}
	return s
}

// fill says how a portal that this instance has is; nil: it begins.
func (p *Portal) fill(r *running) {
	p.State, p.Problems = StateLoading, []stream.Problem{}
	if r == nil {
		return
	}
	c, stopped, trying := r.now()
	if c != nil {
		b := c.Brief()
		p.Since, p.Portal, p.Live, p.Behind, p.Backfill, p.Problems = b.Since, b.Portal, b.Live, b.Behind, b.Backfill, b.Problems
		switch {
		case b.Ready:
			p.State = StateStreaming
		case !b.Waits():
			p.State = StateFailing
		}
	}
	// A try that has streamed changed its role after it began.
	if len(stopped) > 0 && (trying.IsZero() || p.State == StateLoading && !p.Since.After(trying)) {
		p.State, p.Problems = StateStopped, slices.Clone(stopped)
	}
}

// instanceProblems are those of the instance itself.
func (f *Fleet) instanceProblems() []stream.Problem {
	out := []stream.Problem{}
	if f.problem != nil {
		out = append(out, stream.Problem{
			Area: "kafka", Problem: "this instance is not in the group of the fleet's instances: " + f.problem.Error(),
			Action: "make the brokers reachable, or do what the problem says; the instance tries again by itself", Runbook: "docs/runbook.md#kafka-cannot-be-used", Since: moment(f.since),
		})
	} else if !f.in {
		out = append(out, stream.Problem{
			Area: "loading", Problem: "this instance joins the group of the fleet's instances",
			Action: "wait: an instance that died leaves the group after some seconds", Runbook: "docs/runbook.md#not-ready-yet", Since: moment(f.since),
		})
	}
	if f.folder != nil {
		out = append(out, stream.Problem{
			Area: "connector", Problem: "the folder with the portals' files cannot be read: " + f.folder.Error(),
			Action: "make FLEET_DIR readable; until then the portals stay as they were", Runbook: "docs/runbook.md#a-portals-file-is-wrong", Since: moment(f.unread),
		})
	}
	return out
}

func moment(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// othersPatience is how long another instance may take to answer.
const othersPatience = 2 * time.Second

// whole is the status of all instances and portals: it asks the others.
func (f *Fleet) whole(ctx context.Context) Status {
	ctx, cancel := context.WithTimeout(ctx, othersPatience)
	defer cancel()
	s := f.own()
	f.mu.Lock()
	m, files := f.member, maps.Clone(f.files)
	f.mu.Unlock()
	known := map[string]Portal{}
	for _, p := range s.Portals {
		known[p.Name] = p
	}
	var owners map[int32]Instance // nil: Kafka does not tell
	if m != nil {
		others, err := m.Others(ctx)
		if err == nil {
			owners = map[int32]Instance{}
		} else {
			s.Problems = append(s.Problems, stream.Problem{
				Area: "kafka", Problem: err.Error(), Action: "see whether the brokers answer; only this instance's portals are known now", Runbook: "docs/runbook.md#kafka-cannot-be-used", Since: s.Time,
			})
		}
		if len(others) > 0 {
			s.Instances = nil
		}
		answers, problems := make([]Status, len(others)), make([]error, len(others))
		var asked sync.WaitGroup
		for i, one := range others {
			if one.ID != m.ID() {
				asked.Go(func() { answers[i], problems[i] = ask(ctx, &one, f.cfg.Others) })
			}
		}
		asked.Wait()
		for i, one := range others {
			at := Instance{Address: one.Address, Host: strings.TrimPrefix(one.Host, "/"), Self: one.ID == m.ID(), Portals: len(answers[i].Portals), up: answers[i].Time.Sub(answers[i].Started)}
			switch {
			case at.Self:
				at.Portals = len(s.Portals)
				for _, p := range s.Portals {
					if p.Instance == "" { // it cannot tell its address
						p.Instance = at.Host
						known[p.Name] = p
					}
				}
			case problems[i] != nil:
				at.Problem = problems[i].Error()
			}
			holds := one.Partitions[Name(f.cfg.Topic.Prefix)]
			for _, p := range answers[i].Portals {
				if _, told := known[p.Name]; !told || slices.Contains(holds, p.Partition) { // else it may be ending it
					known[p.Name] = p
				}
			}
			for _, p := range holds {
				owners[p] = at
			}
			s.Instances = append(s.Instances, at)
		}
	}
	for name, one := range files {
		if _, there := known[name]; !there && s.Partitions > 0 {
			known[name] = unseen(one, s.Partitions, owners, s.Time)
		}
	}
	s.Portals = slices.SortedFunc(maps.Values(known), func(a, b Portal) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(s.Instances, func(a, b Instance) int {
		return cmp.Or(strings.Compare(a.Address, b.Address), strings.Compare(a.Host, b.Host))
	})
	twice(s.Portals)
	return s
}

// foldersAlike is how long two instances may see different folders before that is a
// problem.
const foldersAlike = 3 * folderInterval

// unseen is a portal of which no instance has told. owners is nil if nobody knows which
// instance has which partition.
func unseen(one *file, parts int32, owners map[int32]Instance, now time.Time) Portal {
	p := Portal{Name: one.Name, Partition: sink.PartitionOf([]byte(one.Name), parts), State: StateUnowned, Since: now, Problems: []stream.Problem{}}
	if owners == nil {
		p.State = StateUnknown
		return p
	}
	owner, ok := owners[p.Partition]
	if !ok {
		return p
	}
	p.Instance, p.State = cmp.Or(owner.Address, owner.Host), StateUnknown
	switch {
	case owner.Problem != "":
	case owner.up > foldersAlike && now.Sub(one.since) > foldersAlike:
		p.State = StateUnowned
		p.Problems = append(p.Problems, stream.Problem{
			Area: "connector", Problem: fmt.Sprintf("%s should run it, and does not see its file %s%s", p.Instance, one.Name, suffix),
			Action: "give all instances the same files in FLEET_DIR", Runbook: "docs/runbook.md#a-portals-file-is-wrong", Since: moment(one.since),
		})
	default: // it has yet to read the folder
		p.State = StateLoading
	}
	return p
}

// twice adds a problem to portals that are one account of HubSpot's. They all run, as
// they would in processes of their own.
func twice(portals []Portal) {
	names, since := map[int64][]string{}, map[int64]time.Time{} // the latest of them has run since then
	for _, p := range portals {
		if p.Portal != 0 {
			names[p.Portal] = append(names[p.Portal], p.Name)
			if p.Since.After(since[p.Portal]) {
				since[p.Portal] = p.Since
			}
		}
	}
	for i := range portals {
		p := &portals[i]
		same := names[p.Portal]
		if p.Portal == 0 || len(same) < 2 {
			continue
		}
		others := slices.DeleteFunc(slices.Clone(same), func(name string) bool { return name == p.Name })
		p.Problems = append(p.Problems, stream.Problem{
			Area: "connector", Problem: fmt.Sprintf("its token is of the same HubSpot account (%d) as that of %s: everything is read and published more than once", p.Portal, strings.Join(others, ", ")),
			Action: "give it the token of its own account, or remove one of the files", Runbook: "docs/runbook.md#two-portals-are-one-account", Since: since[p.Portal],
		})
	}
}

// Get asks an instance for a status, at its /status. transport carries the request; nil:
// over the network.
func Get(ctx context.Context, url string, transport http.RoundTripper) (s Status, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return s, err
	}
	answer, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return s, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return s, fmt.Errorf("GET /status answers %s", answer.Status)
	}
	const most = 64 << 20
	err = json.NewDecoder(io.LimitReader(answer.Body, most)).Decode(&s)
	if err == nil && s.V != StatusVersion {
		err = fmt.Errorf("its status has version %d", s.V)
	}
	return s, err
}

var errNowhere = errors.New("it answers nowhere: set HTTP_ADDR, and FLEET_ADDRESS where it cannot tell its own address")

// ask asks another instance for its own status.
func ask(ctx context.Context, other *group.Other, others http.RoundTripper) (s Status, err error) {
	address := other.Address
	if address == "" {
		return s, errNowhere
	}
	s, err = Get(ctx, "http://"+address+"/status?of=instance", others)
	if err == nil && s.Member != other.ID { // such as 127.0.0.1 on another machine
		return Status{}, fmt.Errorf("somebody else answers at %s; set HTTP_ADDR or FLEET_ADDRESS to an address where other machines reach the instance", address)
	}
	return s, err
}

// Wrong counts the portals that do not stream although they should, and those that
// have a problem.
func (s *Status) Wrong() (n int) {
	for i := range s.Portals {
		if p := &s.Portals[i]; p.State != StateStreaming && p.State != StateLoading || p.wrong() {
			n++
		}
	}
	return n
}

func (p *Portal) wrong() bool { return p.troubles() > 0 }

// troubles counts the problems that somebody has to look at.
func (p *Portal) troubles() (n int) {
	for i := range p.Problems {
		if p.Problems[i].Area != "loading" {
			n++
		}
	}
	return n
}

// Counts are the portals by state.
func (s *Status) Counts() map[string]int {
	n := map[string]int{}
	for i := range s.Portals {
		n[s.Portals[i].State]++
	}
	return n
}
