//go:build integration

// Package debezium runs what users put between our topics and their sinks,
// Debezium's own transform in Java, on events of our encoder. It needs mvn, Java
// 17 and, the first time, access to Maven Central:
//
//	go test -tags integration ./test/debezium/
package debezium

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/schema"
	"github.com/hubspot-cdc/connector/test/services"
)

const topic = "hubspot.contacts"

// TestExtractNewRecordState (docs/contract.md section 5): the transform unwraps
// creates and updates, and does not drop deletes, in the modes that
// docs/consumers/connect.md recommends.
func TestExtractNewRecordState(t *testing.T) {
	set, _ := schema.Evolve(nil, "contacts", []hubspot.Property{
		{Name: "email", Label: "E-mail", Type: "string", FieldType: "text"},
		{Name: "amount", Label: "Amount", Type: "number", FieldType: "number"},
		{Name: "closed", Label: "Closed?", Type: "bool", FieldType: "booleancheckbox"},
		{Name: "born", Label: "Born", Type: "date", FieldType: "date"},
		{Name: "last-call", Label: "Last call", Type: "datetime", FieldType: "date"},
	}, nil)
	enc, err := schema.Compile(topic, set)
	if err != nil {
		t.Fatal(err)
	}
	record := func(values map[string]string) *hubspot.Record {
		r := &hubspot.Record{ID: 123, Created: 1700000000000, Updated: 1700000000123, Values: make([][]byte, len(set.Fields))}
		for name, text := range values {
			r.Values[set.Slots(nil).Slot([]byte(name))] = []byte(text)
		}
		return r
	}
	source := func(seq int64, reason string) schema.Source {
		return schema.Source{
			Version: "1.2.3", Name: "hubspot", TsMs: 1700000000123, Snapshot: "false", DB: "4242",
			Table: "contacts", Stream: "leading", Seq: seq, Reason: reason,
		}
	}
	full := map[string]string{
		"email": "ann@example.com", "amount": "12.5", "closed": "true", "born": "1990-05-17", "last-call": "2024-03-01T13:14:15.123Z",
	}
	events := []struct {
		name  string
		event schema.Event
	}{
		{"create", schema.Event{Op: 'c', Record: record(full), Source: source(1, "")}},
		{"update", schema.Event{Op: 'u', Record: record(map[string]string{"email": "ann@example.org", "amount": "about twelve"}), Source: source(2, "")}},
		{"update with key", schema.Event{Op: 'u', Record: record(nil), BeforeKey: true, Source: source(3, "")}},
		{"delete", schema.Event{Op: 'd', Source: source(4, "archived")}},
	}
	var lines strings.Builder
	for _, ev := range events {
		ev.event.ID, ev.event.TsMs = 123, 1700000001000
		body, _ := enc.Append(nil, &ev.event)
		fmt.Fprintf(&lines, "%s\t%x\n", ev.name, body)
	}

	// row is a flattened record with the given columns, the rest null.
	row := func(op string, seq float64, columns map[string]any) map[string]any {
		m := map[string]any{
			"id": "123", "createdAt": nil, "updatedAt": nil, "archived": nil, "unparsed": nil,
			"properties_email": nil, "properties_amount": nil, "properties_closed": nil,
			"properties_born": nil, "properties_last_u002dcall": nil,
			"__op": op, "__source_ts_ms": 1700000000123.0, "__source_seq": seq, "__source_reason": nil,
		}
		for name, v := range columns {
			m[name] = v
		}
		return m
	}
	live := func(columns map[string]any) map[string]any {
		columns["createdAt"], columns["updatedAt"], columns["archived"] = 1700000000000.0, 1700000000123.0, false
		return columns
	}
	rows := map[string]map[string]any{
		"create": row("c", 1, live(map[string]any{
			"properties_email": "ann@example.com", "properties_amount": 12.5, "properties_closed": true,
			"properties_born": 7441.0, "properties_last_u002dcall": 1709298855123.0,
		})),
		"update": row("u", 2, live(map[string]any{
			"properties_email": "ann@example.org", "unparsed": `{"amount":"about twelve"}`,
		})),
		"update with key": row("u", 3, live(map[string]any{})),
		"delete":          row("d", 4, map[string]any{"__source_reason": "archived"}),
	}

	got := unwrap(t, enc.Schema, lines.String())
	for _, ev := range events {
		want := rows[ev.name]
		if ev.name == "delete" {
			check(t, got, "delete-to-tombstone", ev.name, "tombstone")
		} else {
			check(t, got, "delete-to-tombstone", ev.name, want)
		}
		want["__deleted"] = fmt.Sprint(ev.name == "delete")
		check(t, got, "rewrite", ev.name, want)
	}
	if len(got) != 2*len(events) {
		t.Errorf("%d results, want %d: %v", len(got), 2*len(events), got)
	}
}

// check compares the result for an event in a mode with a word or a row.
func check(t *testing.T, results map[[2]string]string, mode, event string, want any) {
	t.Helper()
	text := results[[2]string{mode, event}]
	var got any = text
	if strings.HasPrefix(text, "{") {
		var fields map[string]any
		if err := json.Unmarshal([]byte(text), &fields); err != nil {
			t.Fatalf("%s, mode %s: %v", event, mode, err)
		}
		got = fields
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s, mode %s:\n got %v\nwant %v", event, mode, got, want)
	}
}

// unwrap runs Unwrap.java and gives its results by mode and event.
func unwrap(t *testing.T, avroSchema []byte, events string) map[[2]string]string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	out := run(t, "java", "-cp", classpath(t, dir),
		"src/main/java/Unwrap.java", topic, write("schema.avsc", string(avroSchema)), write("events", events))
	results := make(map[[2]string]string)
	for line := range strings.Lines(out) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), "\t", 3)
		if len(parts) != 3 {
			t.Fatalf("unexpected output: %q", line)
		}
		results[[2]string{parts[0], parts[1]}] = parts[2]
	}
	return results
}

// classpath makes Maven fetch the jars of pom.xml.
func classpath(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "classpath")
	run(t, "mvn", "-q", "-B", "-f", "pom.xml", "dependency:build-classpath", "-Dmdep.outputFile="+path)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// run runs a program and gives its output. A machine without the program cannot
// run the test; any other failure fails it.
func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is needed to run Debezium's transform: %v", program, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	return services.Output(t, exec.CommandContext(ctx, program, args...))
}
