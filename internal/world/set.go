package world

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/hubspot-cdc/connector/pkg/connector"
)

// set changes the fields that settings of the form NAME=value name. An empty
// value restores the default.
func set(c *connector.Config, settings ...string) error {
	for _, text := range settings {
		name, value, _ := strings.Cut(text, "=")
		f := field(reflect.ValueOf(c).Elem(), name)
		if !f.IsValid() {
			return fmt.Errorf("no variable is called %s", name)
		}
		if value == "" {
			initial := connector.DefaultConfig()
			f.Set(field(reflect.ValueOf(&initial).Elem(), name))
			continue
		}
		if err := assign(f, value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func field(parts reflect.Value, name string) reflect.Value {
	for _, part := range parts.Fields() {
		for f, v := range part.Fields() {
			if f.Tag.Get("envconfig") == name {
				return v
			}
		}
	}
	return reflect.Value{}
}

func assign(f reflect.Value, value string) error {
	switch f.Kind() {
	case reflect.String:
		f.SetString(value)
	case reflect.Slice:
		f.Set(reflect.ValueOf(strings.Split(value, ",")))
	case reflect.Bool:
		b, err := strconv.ParseBool(value)
		f.SetBool(b)
		return err
	case reflect.Float64:
		x, err := strconv.ParseFloat(value, 64)
		f.SetFloat(x)
		return err
	default:
		if _, ok := f.Interface().(time.Duration); ok {
			d, err := time.ParseDuration(value)
			f.SetInt(int64(d))
			return err
		}
		n, err := strconv.ParseInt(value, 10, f.Type().Bits())
		f.SetInt(n)
		return err
	}
	return nil
}
