package connector

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// described is the start's line: the version, where the connector reads and
// writes, and what is set to something else than its default. Secrets stay out.
func (s *Setup) described() []any {
	c := &s.Config
	return []any{
		"version", s.Version, "hubspot", c.HubSpot.BaseURL, "brokers", strings.Join(c.Kafka.Brokers, ","),
		"registry", c.Registry.URL, "topic_prefix", c.Kafka.TopicPrefix, "settings", strings.Join(c.changed(), " "),
	}
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
