package hubspot

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
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
}

// Pipelines reads all pipelines of an object type, with their stages, in one
// answer. Deleted pipelines are not in it. HubSpot refuses types that cannot
// have pipelines.
func (c *Client) Pipelines(ctx context.Context, call Call, object string) (PipelinesAnswer, error) {
	var list []Pipeline
	answer, err := c.do(ctx, call, &request{
		api: "pipelines", class: objectCalls, method: http.MethodGet,
		path: "/crm/pipelines/" + c.version(pipelinesVersion) + "/" + url.PathEscape(object),
		read: func(body []byte) (err error) {
			list, err = readResults[Pipeline](body)
			for _, p := range list {
				switch {
				case !p.ID.isID():
					return &contentError{"a pipeline without id"}
				case p.Stages == nil:
					// Not an empty list, which would be evidence that the
					// stages are gone.
					return &contentError{"a pipeline without stages"}
				}
				for _, s := range p.Stages {
					if !s.ID.isID() {
						return &contentError{"a stage without id"}
					}
				}
			}
			return err
		},
	})
	return PipelinesAnswer{answer, list}, err
}
