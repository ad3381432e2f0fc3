package main

import (
	"bytes"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

// TestReadmeListsEveryVariable: the README's table of the environment and
// "connector run -h" say the same of every variable, in the same order, so that
// nobody sets what does not work (DESIGN section 7).
func TestReadmeListsEveryVariable(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(readme)) {
		if cells := strings.Split(line, "|"); len(cells) == 5 && isVariable(cells[1]) {
			got = append(got, strings.TrimSpace(line))
		}
	}
	var help bytes.Buffer
	if code := command(t.Context(), []string{"run", "-h"}, &help, &help); code != exitOK {
		t.Fatalf("connector run -h: exit code %d", code)
	}
	var want []string
	for v := range variables(reflect.TypeFor[config]()) {
		if !strings.Contains(help.String(), "  "+v.name+" ") {
			t.Errorf("connector run -h does not list %s", v.name)
		}
		want = append(want, readmeRow(v))
	}
	for i := range max(len(got), len(want)) {
		g, w := "nothing", "nothing"
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Fatalf("row %d of the README's table is\n%s\nwant\n%s\n\nthe whole table:\n%s", i+1, g, w, strings.Join(want, "\n"))
		}
	}
}

// isVariable says that a cell holds a variable's name, as `KAFKA_BROKERS`.
func isVariable(cell string) bool {
	name, quoted := strings.CutPrefix(strings.TrimSpace(cell), "`")
	return quoted && strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_`") == ""
}

// readmeRow is a variable's row: name, default, help.
func readmeRow(v variable) string {
	byDefault := ""
	if v.byDefault != "" {
		byDefault = "`" + v.byDefault + "`"
	}
	help := v.help
	if v.secret {
		help += "; also `" + v.name + "_FILE`"
	}
	return strings.ReplaceAll(fmt.Sprintf("| `%s` | %s | %s |", v.name, byDefault, help), "|  |", "| |")
}
