package hubspot

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"slices"
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
// sensitivity: "" for the ordinary ones, "sensitive" or "highly_sensitive". It
// leaves out definitions without name or type, and logs how many. What a list lacks
// is not gone yet (R19).
func (c *Client) Properties(ctx context.Context, call Call, object, sensitivity string) ([]Property, error) {
	q := url.Values{}
	if sensitivity != "" {
		q.Set("dataSensitivity", sensitivity)
	}
	var properties []Property
	odd := 0
	_, err := c.do(ctx, call, &request{
		api: "properties", class: objectCalls, method: http.MethodGet,
		path:  "/crm/properties/" + c.version(propertiesVersion) + "/" + url.PathEscape(object),
		query: q.Encode(),
		read: func(body []byte) (err error) {
			properties, err = readResults[Property](body)
			all := len(properties)
			properties = slices.DeleteFunc(properties, func(p Property) bool { return p.Name == "" || p.Type == "" })
			if odd = all - len(properties); odd > 0 && len(properties) == 0 {
				return errors.New("properties without name or type")
			}
			return err
		},
	})
	if before, _ := c.oddProperties.Swap(object+" "+sensitivity, odd); odd > 0 && before != odd {
		c.log.Warn("HubSpot's list of properties has definitions without name or type; they are left out, and what is published of them stays as it is",
			"object", object, "properties", odd, "cure", "ask HubSpot's support")
	}
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
			if err := readOne(body, &property); err != nil {
				return err
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
		Status  any             `json:"status"` // of a batch
	}
	if err := json.Unmarshal(body, &page); err != nil {
		return nil, errNotTheJSON
	}
	if text, _ := page.Status.(string); !completed(text) {
		return nil, errUnderWay
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
