package hubspot

import (
	"context"
	"errors"
	"net/http"
)

// ObjectSchema is the definition of a custom object.
type ObjectSchema struct {
	ObjectTypeID       string     `json:"objectTypeId"`
	Name               string     `json:"name"`
	FullyQualifiedName string     `json:"fullyQualifiedName"`
	Labels             Labels     `json:"labels"`
	Archived           bool       `json:"archived"`
	Properties         []Property `json:"properties"`
}

// Labels are a type's names for people.
type Labels struct {
	Singular string `json:"singular"`
	Plural   string `json:"plural"`
}

// Schemas returns the custom objects of the portal. HubSpot lists only those
// that the token may read, and no standard types.
func (c *Client) Schemas(ctx context.Context, call Call) ([]ObjectSchema, error) {
	var schemas []ObjectSchema
	_, err := c.do(ctx, call, &request{
		api: "schemas", class: objectCalls, method: http.MethodGet,
		path:  "/crm-object-schemas/" + c.version(schemasVersion) + "/schemas",
		query: "includeAuditMetadata=false",
		read: func(body []byte) (err error) {
			schemas, err = readResults[ObjectSchema](body)
			for _, s := range schemas {
				if s.ObjectTypeID == "" || s.FullyQualifiedName == "" {
					return errors.New("an object schema without objectTypeId or fullyQualifiedName")
				}
			}
			return err
		},
	})
	return schemas, err
}
