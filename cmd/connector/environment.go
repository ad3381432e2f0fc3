package main

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/kelseyhightower/envconfig"

	"github.com/hubspot-cdc/connector/pkg/connector"
)

// settings is everything that the environment sets. A variable is a field of
// connector.Config, or of logging: its tags give its name and its help, which
// connector run -h and docs/configuration.md print.
type settings struct {
	connector connector.Config
	log       logging
	fleet     fleetSettings
}

// defaults are the settings of an empty environment.
func defaults() *settings {
	return &settings{connector.DefaultConfig(), usualLog, usualFleet}
}

// part is a group of variables, in the order of the help.
type part struct {
	title string
	group any // a pointer to a struct with a tag on each field
}

func (s *settings) parts() []part {
	c := &s.connector
	return []part{
		{"HubSpot", &c.HubSpot}, {"Kafka", &c.Kafka}, {"Schema registry", &c.Registry},
		{"How often the connector asks HubSpot", &c.Sync}, {"Events", &c.Event}, {"HTTP", &c.HTTP}, {"Log", &s.log}, {"Many portals: connector fleet", &s.fleet},
	}
}

// load reads and checks the environment, and reports every problem at once. It
// reports only problems of variables whose names begin with one of only; without
// any, all problems.
func load(only ...string) (*settings, error) {
	s := defaults()
	tidy(s)
	var problems []string
	for _, p := range s.parts() {
		problems = append(problems, fill("", p.group)...)
	}
	var wrong *connector.ConfigError
	if errors.As(s.connector.Validate(), &wrong) {
		problems = append(problems, wrong.Problems...)
	}
	problems = append(problems, s.log.validate()...)
	problems = append(problems, s.fleet.validate()...)
	problems = append(problems, unsafe()...)
	if len(only) > 0 {
		problems = slices.DeleteFunc(problems, func(problem string) bool {
			return !slices.ContainsFunc(only, func(prefix string) bool { return strings.HasPrefix(problem, prefix) })
		})
	}
	if len(problems) > 0 {
		guess(problems)
		slices.Sort(problems)
		return nil, &connector.ConfigError{Problems: problems}
	}
	return s, nil
}

// tidy unsets empty variables, and trims white space around the values of others.
// It changes this process's environment, because envconfig reads nothing else.
func tidy(s *settings) {
	for v := range s.variables() {
		text, set := os.LookupEnv(v.name)
		switch trimmed := strings.TrimSpace(text); {
		case !set || trimmed == text && text != "":
		case trimmed == "":
			_ = os.Unsetenv(v.name) // never fails
		default:
			_ = os.Setenv(v.name, trimmed)
		}
	}
}

// fill sets a group's fields from the environment. A variable with the prefix counts
// before the one without. A value that cannot be parsed is a problem, and counts as
// unset. Each group is processed separately, because envconfig would also look up the
// fields of a nested struct under the struct's name.
func fill(prefix string, group any) (problems []string) {
	for {
		err := envconfig.Process(prefix, group)
		var wrong *envconfig.ParseError
		if !errors.As(err, &wrong) {
			if err != nil {
				problems = append(problems, err.Error())
			}
			break
		}
		name, key := strings.TrimPrefix(wrong.KeyName, strings.ToUpper(prefix)+"_"), wrong.KeyName
		if _, set := os.LookupEnv(key); !set { // it was the one without the prefix
			key = name
		}
		problems = append(problems, fmt.Sprintf("%s: %q is not a %s", name, wrong.Value, kindOf(wrong.TypeName)))
		_ = os.Unsetenv(key)
		defer os.Setenv(key, wrong.Value) //nolint:errcheck // it was there; the portals of a fleet read it too
	}
	for f, field := range reflect.ValueOf(group).Elem().Fields() {
		if list, ok := field.Addr().Interface().(*[]string); ok {
			for i := range *list {
				(*list)[i] = strings.TrimSpace((*list)[i])
			}
			// A template that expands to nothing must not choose everything.
			if slices.Contains(*list, "") {
				problems = append(problems, f.Tag.Get("envconfig")+": has an empty member; remove the comma beside it")
			}
		}
	}
	return problems
}

func kindOf(typeName string) string {
	switch typeName {
	case "time.Duration":
		return "duration such as 30s or 5m"
	case "bool":
		return "boolean: true or false"
	}
	return "number that fits"
}

// unsafe refuses the unknown variables that seem to choose what is published:
// ignoring them would publish what they were meant to leave out.
func unsafe() []string {
	var p []string
	for _, one := range unknown() {
		words := strings.ToUpper(one.name) + " " + one.meant
		if slices.ContainsFunc([]string{"PROPERT", "INCLUDE", "EXCLUDE", "HASH", "SENSITIV"}, func(word string) bool { return strings.Contains(words, word) }) {
			p = append(p, one.String()+": is not a variable of this version, see connector run -h; the connector does not ignore a variable that may choose the properties to publish")
		}
	}
	return p
}

// variable is one line of the configuration.
type variable struct {
	title, name, help string
	byDefault         string // as written in the environment
	secret            bool
}

// variables iterates over the fields in their order.
func (s *settings) variables() func(func(variable) bool) {
	return func(yield func(variable) bool) {
		for _, p := range s.parts() {
			for f, value := range reflect.ValueOf(p.group).Elem().Fields() {
				v := variable{p.title, f.Tag.Get("envconfig"), f.Tag.Get("help"), spelled(value), f.Tag.Get("secret") != ""}
				if !yield(v) {
					return
				}
			}
		}
	}
}

// spelled is a value as an operator writes it, "" if it is not set.
func spelled(v reflect.Value) string {
	if v.IsZero() {
		return ""
	}
	switch value := v.Interface().(type) {
	case []string:
		return strings.Join(value, ",")
	case time.Duration: // 5m, not 5m0s
		return strings.NewReplacer("m0s", "m", "h0m0s", "h").Replace(value.String())
	}
	return fmt.Sprint(v.Interface())
}

// variablesHelp lists the variables, for the help of connector run.
func variablesHelp() string {
	var text strings.Builder
	t := tabwriter.NewWriter(&text, 0, 8, 2, ' ', 0)
	title := ""
	for v := range defaults().variables() {
		if v.title != title {
			title = v.title
			fmt.Fprintf(t, "\n%s\n", title)
		}
		if v.help == "" { // the file of the secret above it
			continue
		}
		text := v.help
		if v.byDefault != "" {
			text += " (default " + v.byDefault + ")"
		}
		if v.secret {
			text += "; also " + v.name + "_FILE"
		}
		fmt.Fprintf(t, "  %s\t%s\n", v.name, text)
	}
	_ = t.Flush() // the builder takes everything
	return text.String()
}
