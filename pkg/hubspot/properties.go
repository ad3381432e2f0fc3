package hubspot

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"reflect"
)

// Property is the definition of one property of an object type.
type Property struct {
	Name        string `json:"name"`
	Label       string `json:"label"`
	Description string `json:"description"`
	Type        string `json:"type"`
	FieldType   string `json:"fieldType"`
	// Calculated is unreliable: a FieldType calculation_… decides too
	// (docs/hubspot.md section 13).
	Calculated           bool   `json:"calculated"`
	Hidden               bool   `json:"hidden"`
	HubSpotDefined       bool   `json:"hubspotDefined"`
	Archived             bool   `json:"archived"`
	DataSensitivity      string `json:"dataSensitivity"`
	ReferencedObjectType string `json:"referencedObjectType"`
}

// Properties returns the definitions of an object type's properties of one
// sensitivity: "" for the ordinary ones, "sensitive" or "highly_sensitive".
func (c *Client) Properties(ctx context.Context, call Call, object, sensitivity string) ([]Property, error) {
	q := url.Values{}
	if sensitivity != "" {
		q.Set("dataSensitivity", sensitivity)
	}
	var properties []Property
	_, err := c.do(ctx, call, &request{
		api: "properties", class: objectCalls, method: http.MethodGet,
		path:  "/crm/properties/" + c.version(propertiesVersion) + "/" + url.PathEscape(object),
		query: q.Encode(),
		read: func(body []byte) (err error) {
			properties, err = readResults[Property](body)
			for _, p := range properties {
				if p.Name == "" || p.Type == "" {
					return errors.New("a property without name or type")
				}
			}
			return err
		},
	})
	return properties, err
}

// Property returns the definition of one property, by its name. The error of one
// that does not exist satisfies NotFound.
func (c *Client) Property(ctx context.Context, call Call, object, name, sensitivity string) (Property, error) {
	q := url.Values{}
	if sensitivity != "" {
		q.Set("dataSensitivity", sensitivity)
	}
	var property Property
	_, err := c.do(ctx, call, &request{
		api: "properties", class: objectCalls, method: http.MethodGet,
		path:  "/crm/properties/" + c.version(propertiesVersion) + "/" + url.PathEscape(object) + "/" + url.PathEscape(name),
		query: q.Encode(),
		read: func(body []byte) error {
			property = Property{}
			if json.Unmarshal(body, &property) != nil {
				return errNotTheJSON
			}
			if property.Name == "" {
				return errors.New("a property without name")
			}
			return nil
		},
	})
	return property, err
}

// readResults reads {"results":[…]}. A member of an odd form costs that member: it
// stays empty. It rejects an answer without results: an
// empty list would be evidence that everything is gone.
func readResults[T any](body []byte) ([]T, error) {
	var page struct {
		Results json.RawMessage `json:"results"`
	}
	if err := json.Unmarshal(body, &page); err != nil {
		return nil, errNotTheJSON
	}
	var elements []json.RawMessage
	if json.Unmarshal(page.Results, &elements) != nil || elements == nil {
		return nil, errNoResults
	}
	var results []T
	if lenient(page.Results, reflect.ValueOf(&results).Elem()); results == nil {
		results = []T{}
	}
	return results, nil
}
