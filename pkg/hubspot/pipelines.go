package hubspot

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
)

// Pipeline is a row of stages through which the records of a type go. Ids are
// texts ("default") and unique within the type.
type Pipeline struct {
	ID           Text            `json:"id"`
	Label        Text            `json:"label"`
	DisplayOrder *int32          `json:"displayOrder"`
	CreatedAt    Moment          `json:"createdAt"`
	UpdatedAt    Moment          `json:"updatedAt"`
	Archived     bool            `json:"archived"`
	Stages       []PipelineStage `json:"stages"`
}

// PipelineStage is a stage of a pipeline; its id is unique within it.
type PipelineStage struct {
	ID           Text            `json:"id"`
	Label        Text            `json:"label"`
	DisplayOrder *int32          `json:"displayOrder"`
	Metadata     json.RawMessage `json:"metadata"` // an object: probability, ticketState …
	CreatedAt    Moment          `json:"createdAt"`
	UpdatedAt    Moment          `json:"updatedAt"`
	Archived     bool            `json:"archived"`
}

// PipelinesAnswer is all pipelines of an object type.
type PipelinesAnswer struct {
	Answer
	Pipelines []Pipeline
}

// Pipelines returns all pipelines of an object type with their stages, in one
// answer. Deleted ones are not in it. HubSpot refuses types that cannot have
// any.
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
					// Not an empty list: it would be evidence that they are gone.
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
