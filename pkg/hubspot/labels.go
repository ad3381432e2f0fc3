package hubspot

import (
	"context"
	"errors"
	"net/http"
	"strconv"
)

// AssociationLabel is a type of association between a pair of object types, in
// one direction.
type AssociationLabel struct {
	Category string
	TypeID   int
	Label    string // "" for the type of an unlabelled link
}

// AssociationLabels returns the types of association from records of type from
// to records of type to. HubSpot does not list the pairs that exist; NoSuchPair
// recognises the error for one that does not.
func (c *Client) AssociationLabels(ctx context.Context, call Call, from, to string) ([]AssociationLabel, error) {
	type apiLabel struct {
		Category Text `json:"category"`
		TypeID   Text `json:"typeId"` // may be quoted
		Label    Text `json:"label"`
	}
	var labels []AssociationLabel
	_, err := c.do(ctx, call, &request{
		api: "association_labels", class: exemptCalls, method: http.MethodGet,
		path: c.pairPath(from, to) + "/labels",
		read: func(body []byte) error {
			results, err := readResults[apiLabel](body)
			labels = make([]AssociationLabel, 0, len(results))
			for _, l := range results {
				id, odd := strconv.ParseInt(string(l.TypeID), 10, 32)
				if l.Category == "" || odd != nil || id == 0 {
					continue // no link can be of that type
				}
				labels = append(labels, AssociationLabel{string(l.Category), int(id), string(l.Label)})
			}
			if err == nil && len(labels) == 0 && len(results) > 0 {
				return &contentError{"labels without category or typeId"}
			}
			return err
		},
	})
	if e, ok := errors.AsType[*Error](err); ok && (e.Status == http.StatusBadRequest || e.Status == http.StatusNotFound) {
		e.noSuchPair = true
	}
	return labels, err
}
