package hubspot

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
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

// Schemas returns the definitions of the portal's custom objects. HubSpot lists
// only those that the token may read, and no standard types.
func (c *Client) Schemas(ctx context.Context, call Call) ([]ObjectSchema, error) {
	var schemas []ObjectSchema
	_, err := c.do(ctx, call, &request{
		api: "schemas", class: objectCalls, method: http.MethodGet,
		path:  "/crm-object-schemas/" + c.version(schemasVersion) + "/schemas",
		query: "includeAuditMetadata=false",
		read: func(body []byte) (err error) {
			schemas, err = readResults[ObjectSchema](body)
			// A type that is left out counts as removed only when its own schema says
			// so (R9).
			all := len(schemas)
			schemas = slices.DeleteFunc(schemas, func(s ObjectSchema) bool { return s.check() != nil })
			if len(schemas) == 0 && all > 0 {
				return &contentError{"object schemas without objectTypeId or fullyQualifiedName"}
			}
			return err
		},
	})
	return schemas, err
}

// Schema returns the definition of one custom object, by its objectTypeId. A
// deleted one has Archived set, or the error satisfies NotFound.
func (c *Client) Schema(ctx context.Context, call Call, typeID string) (ObjectSchema, error) {
	var schema ObjectSchema
	_, err := c.do(ctx, call, &request{
		api: "schemas", class: objectCalls, method: http.MethodGet,
		path: "/crm-object-schemas/" + c.version(schemasVersion) + "/schemas/" + url.PathEscape(typeID),
		read: func(body []byte) error {
			if err := readOne(body, &schema); err != nil {
				return err
			}
			return schema.check()
		},
	})
	return schema, err
}

func (s *ObjectSchema) check() error {
	if s.ObjectTypeID == "" || s.FullyQualifiedName == "" {
		return errors.New("an object schema without objectTypeId or fullyQualifiedName")
	}
	return nil
}
