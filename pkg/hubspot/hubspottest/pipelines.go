package hubspottest

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// Pipeline is a series of stages that a type's records go through. AddPipeline
// makes up the times, and the ids that are "". Times are milliseconds since
// 1970-01-01T00:00:00Z.
type Pipeline struct {
	ID, Label            string
	DisplayOrder         int
	CreatedAt, UpdatedAt int64
	Stages               []Stage
}

// Stage is a stage of a pipeline.
type Stage struct {
	ID, Label            string
	DisplayOrder         int
	Metadata             map[string]string // probability, ticketState …
	CreatedAt, UpdatedAt int64
}

// pipelined are the standard types that can have pipelines; custom types can
// too. HubSpot's OpenAPI files do not say which can. For any other type the
// portal answers 404, or 400 if it is in badPipelines.
var (
	pipelined    = set([]string{"deals", "tickets", "leads", "orders", "carts", "subscriptions", "appointments", "courses", "listings", "services", "projects"})
	badPipelines = set([]string{"contacts", "companies"})
)

// defaultPipelines returns the pipelines that HubSpot makes for deals and
// tickets in every account, created at the start of 1970.
func defaultPipelines(name string) []Pipeline {
	switch name {
	case "deals":
		return []Pipeline{{ID: "default", Label: "Sales Pipeline", UpdatedAt: standardSince, Stages: stages(
			"appointmentscheduled", "Appointment Scheduled", "0.2", "qualifiedtobuy", "Qualified To Buy", "0.4",
			"contractsent", "Contract Sent", "0.9", "closedwon", "Closed Won", "1.0", "closedlost", "Closed Lost", "0.0")}}
	case "tickets":
		return []Pipeline{{ID: "0", Label: "Support Pipeline", UpdatedAt: standardSince, Stages: stages(
			"1", "New", "OPEN", "2", "Waiting on contact", "OPEN", "3", "Waiting on us", "OPEN", "4", "Closed", "CLOSED")}}
	}
	return nil
}

func stages(words ...string) []Stage {
	var out []Stage
	for i := 0; i < len(words); i += 3 {
		s := Stage{ID: words[i], Label: words[i+1], DisplayOrder: len(out), UpdatedAt: standardSince, Metadata: map[string]string{"ticketState": words[i+2]}}
		if strings.Contains(words[i+2], ".") {
			s.Metadata = map[string]string{"isClosed": strconv.FormatBool(strings.HasPrefix(words[i], "closed")), "probability": words[i+2]}
		}
		out = append(out, s)
	}
	return out
}

// AddPipeline adds a pipeline to a type and returns its id.
func (p *Portal) AddPipeline(object string, pl Pipeline) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.addPipeline(p.must(object), pl)
}

func (p *Portal) addPipeline(t *objectType, pl Pipeline) string {
	if !t.pipelined() {
		panic(fmt.Sprintf("hubspottest: %s cannot have pipelines", t.name))
	}
	pl.ID = cmp.Or(pl.ID, p.newListID())
	if slices.ContainsFunc(t.pipelines, func(other Pipeline) bool { return other.ID == pl.ID }) {
		panic(fmt.Sprintf("hubspottest: %s have a pipeline %q already", t.name, pl.ID))
	}
	pl.CreatedAt, pl.UpdatedAt = p.now(), p.now()
	given := pl.Stages
	pl.Stages = nil
	for _, s := range given {
		pl.Stages = append(pl.Stages, p.newStage(s))
	}
	t.pipelines = append(t.pipelines, pl)
	p.notePipeline(OpCreate, t, pl, true)
	return pl.ID
}

func (p *Portal) newListID() string {
	p.listID++
	return fmt.Sprintf("75e28846-ad0d-4be2-a027-%012x", p.listID)
}

func (p *Portal) newStage(s Stage) Stage {
	s.ID = cmp.Or(s.ID, p.newListID())
	s.CreatedAt, s.UpdatedAt, s.Metadata = p.now(), p.now(), maps.Clone(s.Metadata)
	return s
}

// UpdatePipeline changes a pipeline's label and order and moves its updatedAt.
// It returns false if there is no such pipeline.
func (p *Portal) UpdatePipeline(object, id string, change func(*Pipeline)) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changePipeline(p.must(object), id, func(pl *Pipeline) bool {
		change(pl)
		pl.ID, pl.UpdatedAt = id, max(p.now(), pl.UpdatedAt+1)
		return true
	})
}

// RemovePipeline deletes a pipeline with its stages; no list shows it any more.
// It returns false if there is no such pipeline.
func (p *Portal) RemovePipeline(object, id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.removePipeline(p.must(object), id)
}

func (p *Portal) removePipeline(t *objectType, id string) bool {
	i := t.pipeline(id)
	if i < 0 {
		return false
	}
	gone := t.pipelines[i]
	t.pipelines = slices.Delete(t.pipelines, i, i+1)
	p.notePipeline(OpPurge, t, gone, false)
	return true
}

// AddStage adds a stage to a pipeline and returns its id. It does not move the
// pipeline's updatedAt.
func (p *Portal) AddStage(object, pipeline string, s Stage) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	s = p.newStage(s)
	if !p.changePipeline(p.must(object), pipeline, func(pl *Pipeline) bool {
		pl.Stages = append(pl.Stages, s)
		return true
	}) {
		panic(fmt.Sprintf("hubspottest: %s have no pipeline %q", object, pipeline))
	}
	return s.ID
}

// UpdateStage changes a stage and moves its updatedAt. It returns false if there
// is no such stage.
func (p *Portal) UpdateStage(object, pipeline, id string, change func(*Stage)) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changePipeline(p.must(object), pipeline, func(pl *Pipeline) bool {
		i := slices.IndexFunc(pl.Stages, func(s Stage) bool { return s.ID == id })
		if i < 0 {
			return false
		}
		s := &pl.Stages[i]
		s.Metadata = maps.Clone(s.Metadata)
		change(s)
		s.ID, s.UpdatedAt = id, max(p.now(), s.UpdatedAt+1)
		return true
	})
}

// RemoveStage deletes a stage. It returns false if there is no such stage.
func (p *Portal) RemoveStage(object, pipeline, id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changePipeline(p.must(object), pipeline, func(pl *Pipeline) bool {
		n := len(pl.Stages)
		pl.Stages = slices.DeleteFunc(pl.Stages, func(s Stage) bool { return s.ID == id })
		return len(pl.Stages) < n
	})
}

func (p *Portal) changePipeline(t *objectType, id string, change func(*Pipeline) bool) bool {
	i := t.pipeline(id)
	if i < 0 {
		return false
	}
	pl := t.pipelines[i]
	pl.Stages = slices.Clone(pl.Stages)
	if !change(&pl) {
		return false
	}
	t.pipelines[i] = pl
	p.notePipeline(OpUpdate, t, pl, true)
	return true
}

func (t *objectType) pipeline(id string) int {
	return slices.IndexFunc(t.pipelines, func(pl Pipeline) bool { return pl.ID == id })
}

func (t *objectType) pipelined() bool { return t.custom || pipelined[t.name] }

func (p *Portal) notePipeline(op Op, t *objectType, pl Pipeline, live bool) {
	if !p.opt.NoHistory {
		t.pipelineHistory = append(t.pipelineHistory, ListChange[Pipeline]{p.now(), op, pl, live})
	}
}

// Pipelines returns a type's pipelines.
func (p *Portal) Pipelines(object string) []Pipeline {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.known(object).pipelines)
}

// PipelineHistory returns every change of a type's pipelines and their stages,
// in the order in which they happened, including those of removed types of the
// same name.
func (p *Portal) PipelineHistory(object string) []ListChange[Pipeline] {
	p.mu.Lock()
	defer p.mu.Unlock()
	name := p.known(object).name
	var changes []ListChange[Pipeline]
	for _, t := range p.types {
		if t.name == name {
			changes = append(changes, t.pipelineHistory...)
		}
	}
	return changes
}

type pipelineJSON struct {
	ID           string      `json:"id"`
	Label        string      `json:"label"`
	DisplayOrder int         `json:"displayOrder"`
	CreatedAt    string      `json:"createdAt"`
	UpdatedAt    string      `json:"updatedAt"`
	Archived     bool        `json:"archived"`
	Stages       []stageJSON `json:"stages"`
}

type stageJSON struct {
	ID               string            `json:"id"`
	Label            string            `json:"label"`
	DisplayOrder     int               `json:"displayOrder"`
	Metadata         map[string]string `json:"metadata"`
	CreatedAt        string            `json:"createdAt"`
	UpdatedAt        string            `json:"updatedAt"`
	Archived         bool              `json:"archived"`
	WritePermissions string            `json:"writePermissions"`
}

// servePipelines answers GET /crm/pipelines/{ver}/{type}: all at once, in random
// order.
func (p *Portal) servePipelines(c *call) (int, []byte, *failure) {
	t, fail := p.pipelinesOf(c)
	if fail != nil {
		return 0, nil, fail
	}
	results := []pipelineJSON{}
	for i := range t.pipelines {
		results = append(results, p.pipelineJSON(&t.pipelines[i]))
	}
	p.chaos.Shuffle(len(results), func(a, b int) { results[a], results[b] = results[b], results[a] })
	return 200, encode(map[string]any{"results": results}), nil
}

// servePipeline answers GET /crm/pipelines/{ver}/{type}/{id}.
func (p *Portal) servePipeline(c *call) (int, []byte, *failure) {
	t, fail := p.pipelinesOf(c)
	if fail != nil {
		return 0, nil, fail
	}
	i := t.pipeline(c.id)
	if i < 0 {
		return 0, nil, notFound("resource not found")
	}
	return 200, encode(p.pipelineJSON(&t.pipelines[i])), nil
}

func (p *Portal) pipelinesOf(c *call) (*objectType, *failure) {
	t, fail := p.readable(c.object, definitionScopes)
	switch {
	case fail != nil:
		return nil, fail
	case badPipelines[t.name]:
		return nil, invalid("Object type %s does not support pipelines", t.typeID)
	case !t.pipelined():
		return nil, notFound("resource not found")
	}
	return t, nil
}

func (p *Portal) pipelineJSON(pl *Pipeline) pipelineJSON {
	j := pipelineJSON{
		ID: pl.ID, Label: pl.Label, DisplayOrder: pl.DisplayOrder,
		CreatedAt: isoTime(pl.CreatedAt), UpdatedAt: isoTime(pl.UpdatedAt), Stages: []stageJSON{},
	}
	for _, s := range pl.Stages {
		sj := stageJSON{
			ID: s.ID, Label: s.Label, DisplayOrder: s.DisplayOrder, Metadata: s.Metadata,
			CreatedAt: isoTime(s.CreatedAt), UpdatedAt: isoTime(s.UpdatedAt), WritePermissions: "CRM_PERMISSIONS_ENFORCEMENT",
		}
		if sj.Metadata == nil {
			sj.Metadata = map[string]string{}
		}
		j.Stages = append(j.Stages, sj)
	}
	p.chaos.Shuffle(len(j.Stages), func(a, b int) { j.Stages[a], j.Stages[b] = j.Stages[b], j.Stages[a] })
	return j
}

// pipelineStep makes one change to a type's pipelines. It never removes the last
// one.
func (p *Portal) pipelineStep(rng *rand.Rand, t *objectType) {
	if !t.pipelined() {
		return
	}
	label := pick(rng, jobs) + " " + strconv.Itoa(rng.IntN(1000))
	n := rng.IntN(10)
	if len(t.pipelines) == 0 || n == 0 {
		p.addPipeline(t, Pipeline{Label: label, Stages: []Stage{{Label: "New"}, {Label: "Done", DisplayOrder: 1}}})
		return
	}
	id := t.pipelines[rng.IntN(len(t.pipelines))].ID
	switch {
	case n == 1 && len(t.pipelines) > 1:
		p.removePipeline(t, id)
	case n < 4:
		p.changePipeline(t, id, func(pl *Pipeline) bool {
			pl.Label, pl.UpdatedAt = label, max(p.now(), pl.UpdatedAt+1)
			return true
		})
	default:
		p.changePipeline(t, id, func(pl *Pipeline) bool {
			switch i := rng.IntN(len(pl.Stages) + 1); {
			case i == len(pl.Stages):
				pl.Stages = append(pl.Stages, p.newStage(Stage{Label: label, DisplayOrder: i, Metadata: map[string]string{"probability": "0.5"}}))
			case n < 8 || len(pl.Stages) == 1: // no administrator removes the last one
				pl.Stages[i].Label, pl.Stages[i].UpdatedAt = label, max(p.now(), pl.Stages[i].UpdatedAt+1)
			default:
				pl.Stages = slices.Delete(pl.Stages, i, i+1)
			}
			return true
		})
	}
}
