package sink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/schema"
	"github.com/twmb/franz-go/pkg/sr"
)

// unasked says that a Probe has no registry to ask, and takes it that nothing
// has changed there.
func (s *Sink) unasked() bool { return s.looking != nil && s.cfg.Registry == nil }

// schemaID has a schema accepted and gives its id; a Probe only asks, and gets
// 0 for one that is to be registered.
func (s *Sink) schemaID(ctx context.Context, subject string, text []byte) (int, error) {
	if s.unasked() {
		return 0, nil
	}
	if s.looking != nil {
		id, err := acceptedSchema(ctx, s.cfg.Registry, subject, text)
		s.looking.subject(subject, id)
		return id, err
	}
	return registerSchema(ctx, s.cfg.Registry, subject, text)
}

// registerSchema gives the registry's id for an Avro schema. The registry is
// asked whether the schema may follow the latest one before anything is
// written with it. A schema that differs from the latest only in docs and
// props is not registered again: a changed label is not a new version.
//
// A registry that is away is an error like any other; one that says no is a
// *cdc.RefusedError.
func registerSchema(ctx context.Context, registry *sr.Client, subject string, text []byte) (int, error) {
	id, err := acceptedSchema(ctx, registry, subject, text)
	if err != nil || id != 0 {
		return id, err
	}
	id, err = registry.RegisterSchema(ctx, subject, avroSchema(text), -1, -1)
	if refuses(err) {
		return 0, incompatible(subject, err.Error())
	}
	if err != nil {
		return 0, fmt.Errorf("register schema of %s: %w", subject, err)
	}
	return id, nil
}

// acceptedSchema gives the id that a schema has, or 0 where the registry does
// not have it yet and would take it.
func acceptedSchema(ctx context.Context, registry *sr.Client, subject string, text []byte) (int, error) {
	latest, err := registry.SchemaByVersion(ctx, subject, -1)
	switch {
	case statusOf(err) == http.StatusNotFound: // the first version
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("ask registry for %s: %w", subject, err)
	}
	if same, err := schema.SameFields([]byte(latest.Schema.Schema), text); err == nil && same {
		return latest.ID, nil
	}
	answer, err := registry.CheckCompatibility(ctx, subject, -1, avroSchema(text))
	if refuses(err) {
		return 0, incompatible(subject, err.Error())
	}
	if err != nil {
		return 0, fmt.Errorf("ask registry about compatibility of %s: %w", subject, err)
	}
	if !answer.Is {
		return 0, incompatible(subject, strings.Join(answer.Messages, "; "))
	}
	return 0, nil
}

func avroSchema(text []byte) sr.Schema { return sr.Schema{Schema: string(text), Type: sr.TypeAvro} }

func incompatible(subject, reason string) error {
	if reason == "" {
		reason = "it gave no reason"
	}
	return &cdc.RefusedError{Subject: subject, Reason: reason}
}

// refuses says that a registry understood a schema and does not take it.
func refuses(err error) bool {
	status := statusOf(err)
	return status == http.StatusConflict || status == http.StatusUnprocessableEntity
}

// statusOf is the HTTP status of an answer that is an error, else 0.
func statusOf(err error) int {
	var answer *sr.ResponseError
	if errors.As(err, &answer) {
		return answer.StatusCode
	}
	return 0
}

// keyField is a field of an Avro key.
type keyField struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// keySchema is the schema of Avro keys. It is frozen: no doc, no props,
// nothing that could ever give the same id another spelling (KAFKA.md A6).
func keySchema(topic string, fields []keyField) []byte {
	text, err := json.Marshal(struct {
		Type      string     `json:"type"`
		Name      string     `json:"name"`
		Namespace string     `json:"namespace"`
		Fields    []keyField `json:"fields"`
	}{"record", "Key", schema.Namespace(topic), fields})
	if err != nil {
		panic(err) // strings
	}
	return text
}
