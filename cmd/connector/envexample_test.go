package main

import (
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hubspot-cdc/connector/pkg/connector"
)

const exampleFile = "../../.env.example"

const exampleHead = `# Settings of "connector run". Copy this file to .env, which git ignores, and fill
# in the lines that have no "#": without them the connector does not start. All
# other lines show the default; an empty one has none. Remove the "#" where you
# want another value. Write values without quotes and without spaces around "=".
#
#   docker run --env-file .env -p 8080:8080 hubspot-cdc
#   set -a; . ./.env; set +a; connector run
#
# docs/deploy.md shows more. Rather than into this file, put a secret into a file of
# its own and name that file in the variable that ends in _FILE, which overrides the
# one above it.
#
# go test ./cmd/connector -run TestConfigurationPage -update writes this file.
`

// TestConfigurationPage_EnvExample: .env.example has every variable with its
// default and what it is for, and no secret.
func TestConfigurationPage_EnvExample(t *testing.T) {
	want := example(t)
	if *update {
		if err := os.WriteFile(exampleFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf(".env.example is not what the variables say; write it with -update\n%s", want)
	}
}

// example is .env.example as the variables have it.
func example(t *testing.T) string {
	required := missing(t)
	var b strings.Builder
	b.WriteString(exampleHead)
	title := ""
	for v := range defaults().variables() {
		if v.title != title {
			title = v.title
			b.WriteString("\n# ---- " + title + "\n")
		}
		if v.help != "" { // else the file of the secret above it
			b.WriteString("\n# " + v.help + "\n")
		}
		if !slices.Contains(required, v.name) {
			b.WriteString("#")
		}
		b.WriteString(v.name + "=" + v.byDefault + "\n")
	}
	return b.String()
}

// missing names the variables that an empty environment lacks.
func missing(t *testing.T) (names []string) {
	environment(t)
	_, err := load()
	var wrong *connector.ConfigError
	if !errors.As(err, &wrong) {
		t.Fatalf("an empty environment: got %v", err)
	}
	for _, problem := range wrong.Problems {
		name, _, _ := strings.Cut(problem, ":")
		names = append(names, name)
	}
	return names
}

// TestEnvExample_FilledInIsAConfiguration: a copy of .env.example in which only the
// lines without "#" are filled in works, and means the defaults; so does one in which
// every line counts.
func TestEnvExample_FilledInIsAConfiguration(t *testing.T) {
	text, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	environment(t, enough...)
	want, err := load()
	if err != nil {
		t.Fatal(err)
	}
	for _, sign := range []string{"", "#"} {
		var lines []string
		for line := range strings.Lines(string(text)) {
			line = strings.TrimPrefix(strings.TrimSpace(line), sign)
			if name, _, ok := strings.Cut(line, "="); ok && !strings.ContainsAny(name, "# ") {
				lines = append(lines, line)
			}
		}
		if len(lines) < len(enough) {
			t.Fatalf("without %q the file has only the lines %q", sign, lines)
		}
		environment(t, append(lines, enough...)...)
		got, err := load()
		if err != nil {
			t.Errorf("without %q: %v", sign, err)
		} else if !reflect.DeepEqual(got, want) {
			t.Errorf("without %q: got %+v, want %+v", sign, got, want)
		}
	}
}
