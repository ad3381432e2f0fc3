package hubspot

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
)

// Pipeline is a series of stages that a type's records go through. Its ID is
// text ("default") and unique within the type.
type Pipeline struct {
	ID           Text            `json:"id"`
	Label        Text            `json:"label"`
	DisplayOrder *int32          `json:"displayOrder"`
	CreatedAt    Moment          `json:"createdAt"`
	UpdatedAt    Moment          `json:"updatedAt"`
	Archived     bool            `json:"archived"`
	Stages       []PipelineStage `json:"stages"`
}

// PipelineStage is a stage of a pipeline. Its ID is unique within the pipeline.
type PipelineStage struct {
	ID           Text            `json:"id"`
	Label        Text            `json:"label"`
	DisplayOrder *int32          `json:"displayOrder"`
	Metadata     json.RawMessage `json:"metadata"` // an object: probability, ticketState …
	CreatedAt    Moment          `json:"createdAt"`
	UpdatedAt    Moment          `json:"updatedAt"`
	Archived     bool            `json:"archived"`
}

// PipelinesAnswer holds all pipelines of an object type.
type PipelinesAnswer struct {
	Answer
	Pipelines []Pipeline
	// Short and StagesShort say that some pipelines or stages are left out, because
	// they have no id that can be read, or because a pipeline does not show its
	// stages.
	Short, StagesShort bool
}

// Pipelines reads all pipelines of an object type, with their stages, in one
// answer. Deleted pipelines are not in it. HubSpot refuses types that cannot
// have pipelines.
func (c *Client) Pipelines(ctx context.Context, call Call, object string) (PipelinesAnswer, error) {
	var read PipelinesAnswer
	answer, err := c.do(ctx, call, &request{
		api: "pipelines", class: objectCalls, method: http.MethodGet,
		path: "/crm/pipelines/" + c.version(pipelinesVersion) + "/" + url.PathEscape(object),
		read: func(body []byte) (err error) {
			read = PipelinesAnswer{}
			if read.Pipelines, err = readResults[Pipeline](body); err != nil {
				return err
			}
			return read.check()
		},
	})
	read.Answer = answer
	return read, err
}

// check leaves out what has no id. It refuses an answer of which nothing is left.
func (a *PipelinesAnswer) check() error {
	all := len(a.Pipelines)
	a.Pipelines = slices.DeleteFunc(a.Pipelines, func(p Pipeline) bool { return !p.ID.isID() })
	a.Short = len(a.Pipelines) < all
	whole := 0
	for i := range a.Pipelines {
		p := &a.Pipelines[i]
		stages := len(p.Stages)
		p.Stages = slices.DeleteFunc(p.Stages, func(s PipelineStage) bool { return !s.ID.isID() })
		// No stages are not an empty list, which would be evidence that the stages
		// are gone.
		if p.Stages != nil && len(p.Stages) == stages {
			whole++
		}
	}
	a.StagesShort = whole < all
	if all > 0 && whole == 0 {
		return &contentError{"pipelines without ids or stages"}
	}
	return nil
}

// Pipeline reads one pipeline of an object type, with its stages. The error of one
// that does not exist satisfies NotFound.
func (c *Client) Pipeline(ctx context.Context, call Call, object, id string) (Pipeline, error) {
	var pipeline Pipeline
	_, err := c.do(ctx, call, &request{
		api: "pipelines", class: objectCalls, method: http.MethodGet,
		path: "/crm/pipelines/" + c.version(pipelinesVersion) + "/" + url.PathEscape(object) + "/" + url.PathEscape(id),
		read: func(body []byte) error {
			if err := readOne(body, &pipeline); err != nil {
				return err
			}
			return pipeline.check()
		},
	})
	return pipeline, err
}

func (p *Pipeline) check() error {
	switch {
	case !p.ID.isID():
		return &contentError{"a pipeline without id"}
	case p.Stages == nil:
		return &contentError{"a pipeline without stages"}
	}
	return nil
}
