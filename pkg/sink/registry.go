package sink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/schema"
)

// A subject is named after its topic.
const (
	keySubject   = "-key"
	valueSubject = "-value"
)

// schemas finds or registers a topic's schemas, and returns what the state is to
// hold about the topic.
func (s *setup) schemas(ctx context.Context, t *topic, found *TopicFinding, was offsets.TopicMeta) (now offsets.TopicMeta, err error) {
	now = offsets.TopicMeta{Partitions: t.partitions, KeyFormat: s.cfg.KeyFormat}
	if s.cfg.KeyFormat == KeyAvro {
		subject := t.name + keySubject
		key, err := s.keySchemaID(ctx, t.name, subject, was.KeySchema, keySchema(t.name, t.keyFields))
		if err != nil {
			return now, err
		}
		now.KeySchema, t.keyHeader = key.ID, wireHeader(key.ID)
		found.Subjects = append(found.Subjects, key)
	}
	subject := t.name + valueSubject
	value, err := s.schemaID(ctx, subject, t.schema)
	if err != nil {
		return now, err
	}
	t.header = wireHeader(value.ID)
	found.Subjects = append(found.Subjects, value)
	return now, nil
}

// schemaID returns the registry's id for an Avro schema, and its text there. Before anything is
// written with the schema, it asks the registry whether the schema may follow the
// latest one. It does not register a schema that differs from the latest only in
// docs and props: a changed label is not a new version.
//
// A registry that is away is an error like any other. One that refuses the schema
// is a *cdc.RefusedError.
func (s *setup) schemaID(ctx context.Context, subject string, text []byte) (SubjectFinding, error) {
	found, err := acceptedSchema(ctx, s.cfg.Registry, subject, text)
	if err != nil || found.ID != 0 {
		return found, err
	}
	found.Text = string(text)
	found.ID, err = s.effects.registerSchema(ctx, subject, avroSchema(text))
	if readOnly(err) {
		return found, &cdc.RefusedError{
			Subject: subject,
			What:    fmt.Sprintf("the schema registry only lets itself be read, and takes no schema of subject %s: %v", subject, err),
			Cure:    fmt.Sprintf("set the mode of the registry, or of this subject, to READWRITE (PUT /mode/%s)", subject),
		}
	}
	if refuses(err) {
		return found, incompatible(subject, err.Error())
	}
	if err != nil {
		return found, fmt.Errorf("register schema of %s: %w", subject, err)
	}
	return found, nil
}

// keySchemaID returns the registry's id for the schema of a topic's Avro keys.
// Every key holds this id, and Kafka compares keys by their bytes. So it must
// stay what it was at the topic's first key; was is 0 before that.
func (s *setup) keySchemaID(ctx context.Context, topic, subject string, was int, text []byte) (found SubjectFinding, err error) {
	if was == 0 {
		return s.schemaID(ctx, subject, text)
	}
	now, err := s.cfg.Registry.SchemaByID(ctx, was)
	switch {
	case statusOf(err) == http.StatusNotFound:
	case err != nil:
		return found, fmt.Errorf("ask registry for schema %d of %s: %w", was, subject, err)
	default:
		if same, err := schema.SameFields([]byte(now.Schema), text); err == nil && same {
			return SubjectFinding{subject, was, now.Schema}, nil
		}
	}
	return found, &offsets.Refusal{
		What: fmt.Sprintf("the keys in topic %s have schema id %d, and the schema registry has no such schema of subject %s, so every object would get a second key", topic, was, subject),
		Cure: "restore the registry's content or the earlier SCHEMA_REGISTRY_URL, " + startOver,
	}
}

// acceptedSchema finds a schema; its id is 0 if the registry does not have it yet
// and would take it.
func acceptedSchema(ctx context.Context, registry *sr.Client, subject string, text []byte) (SubjectFinding, error) {
	none := SubjectFinding{Name: subject}
	latest, err := registry.SchemaByVersion(ctx, subject, -1)
	switch {
	case statusOf(err) == http.StatusNotFound: // the first version
		return none, nil
	case err != nil:
		return none, fmt.Errorf("ask registry for %s: %w", subject, err)
	}
	if same, err := schema.SameFields([]byte(latest.Schema.Schema), text); err == nil && same {
		return SubjectFinding{subject, latest.ID, latest.Schema.Schema}, nil
	}
	answer, err := registry.CheckCompatibility(ctx, subject, -1, avroSchema(text))
	if refuses(err) {
		return none, incompatible(subject, err.Error())
	}
	if err != nil {
		return none, fmt.Errorf("ask registry about compatibility of %s: %w", subject, err)
	}
	if !answer.Is {
		return none, incompatible(subject, strings.Join(answer.Messages, "; "))
	}
	return none, nil
}

func avroSchema(text []byte) sr.Schema { return sr.Schema{Schema: string(text), Type: sr.TypeAvro} }

func incompatible(subject, reason string) error {
	if reason == "" {
		reason = "it gave no reason"
	}
	return &cdc.RefusedError{Subject: subject, Reason: reason}
}

// refuses reports whether the registry understood a schema and rejected it.
func refuses(err error) bool {
	status := statusOf(err)
	return status == http.StatusConflict || status == http.StatusUnprocessableEntity
}

// errorReadOnly is the code with which registries refuse to write in mode READONLY.
const errorReadOnly = 42205

// readOnly reports whether the registry takes no schema at all, whatever it says.
func readOnly(err error) bool {
	var answer *sr.ResponseError
	if !errors.As(err, &answer) {
		return false
	}
	text := strings.ToLower(answer.Error()) // Apicurio has no code of its own
	return answer.ErrorCode == errorReadOnly || strings.Contains(text, "read-only") || strings.Contains(text, "readonly")
}

// statusOf returns the HTTP status of an error that the registry answered, else
// 0.
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

// keySchema is the schema of Avro keys. It is frozen: no doc, no props, nothing
// that could ever change and give an object a second key (docs/kafka.md A6).
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
