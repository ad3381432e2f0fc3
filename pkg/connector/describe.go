package connector

import (
	"context"
	"fmt"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// described is the start's line: the version, where the connector reads and
// writes, and what is set to something else than its default. Secrets stay out.
func (s *Setup) described() []any {
	c := &s.Config
	commit, modified := builtFrom()
	return []any{
		"version", s.Version, "commit", commit, "modified", modified, "hubspot", c.HubSpot.BaseURL, "brokers", strings.Join(c.Kafka.Brokers, ","),
		"registry", c.Registry.URL, "topic_prefix", c.Kafka.TopicPrefix, "settings", strings.Join(c.changed(), " "),
	}
}

// builtFrom is the commit that the Go tool built the program from, and whether the
// checkout had changes besides. Both are zero if it was built elsewhere.
func builtFrom() (commit string, modified bool) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "", false
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			commit = s.Value
		case "vcs.modified":
			modified = s.Value == "true"
		}
	}
	return commit, modified
}

// whyStopped says in the end's line what ended the connector. The error itself is
// the caller's to report.
func whyStopped(ctx context.Context, err error) string {
	switch {
	case isConfigError(err):
		return "it needs another configuration"
	case isRefusal(err):
		return "it refuses to go on until an operator has acted"
	}
	return fmt.Sprint(context.Cause(ctx))
}

// changed lists the settings that are not their defaults, as NAME=value. Of a
// secret it says that it is set.
func (c *Config) changed() []string {
	usual := DefaultConfig()
	told := []string{"HUBSPOT_BASE_URL", "KAFKA_BROKERS", "KAFKA_TOPIC_PREFIX", "SCHEMA_REGISTRY_URL"}
	var out []string
	for i, part := range fields(reflect.ValueOf(c).Elem()) {
		was := fields(reflect.ValueOf(&usual).Elem())[i]
		for j, value := range fields(part) {
			field := part.Type().Field(j)
			name := field.Tag.Get("envconfig")
			switch {
			case slices.Contains(told, name), reflect.DeepEqual(value.Interface(), fields(was)[j].Interface()):
			case field.Type == reflect.TypeFor[hubspot.Secret]():
				out = append(out, name+"=(set)")
			case field.Type == reflect.TypeFor[[]string]():
				out = append(out, name+"="+strings.Join(value.Interface().([]string), ","))
			default:
				out = append(out, fmt.Sprintf("%s=%v", name, value.Interface()))
			}
		}
	}
	return out
}

func fields(v reflect.Value) []reflect.Value {
	out := make([]reflect.Value, v.NumField())
	for i := range out {
		out[i] = v.Field(i)
	}
	return out
}
