package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// logged runs connector run with an environment that it refuses, and gives the
// lines of its log.
func logged(t *testing.T, env ...string) (lines []map[string]any, text string) {
	t.Helper()
	environment(t, env...)
	code, stdout, stderr := said(t, "run")
	if code != connector.ExitConfig || stdout != "" {
		t.Errorf("exit code %d, on standard output %q", code, stdout)
	}
	for line := range strings.Lines(stderr) {
		var one map[string]any
		if json.Unmarshal([]byte(line), &one) != nil {
			return nil, stderr
		}
		lines = append(lines, one)
	}
	return lines, stderr
}

// TestLog_ARefusalHasItToo: with its own exit code.
func TestLog_ARefusalHasItToo(t *testing.T) {
	environment(t, "LOG_FORMAT=json")
	var out bytes.Buffer
	refusal := &offsets.Refusal{What: "topic hubspot.offsets is not compacted", Cure: `set "cleanup.policy"`}
	complain(&out, fmt.Errorf("open: %w", refusal))
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%v in %s", err, out.String())
	}
	if text, _ := line["err"].(string); line["exit_code"] != 3.0 || !strings.Contains(text, refusal.What) || !strings.Contains(text, refusal.Cure) {
		t.Errorf("%s", out.String())
	}
}

// TestLog_ErrorsHaveTheFormOfTheLog: whatever reads the log can read the error that
// ends a run too; a terminal gets text.
func TestLog_ErrorsHaveTheFormOfTheLog(t *testing.T) {
	for _, format := range []string{"json", ""} {
		lines, text := logged(t, "LOG_FORMAT="+format, "KAFKA_PARTITIONS=many")
		var problems []string
		for _, one := range lines {
			err, _ := one["err"].(string)
			problems = append(problems, err)
			if one["level"] != "ERROR" || one["exit_code"] != 2.0 {
				t.Errorf("%v", one)
			}
		}
		for _, name := range []string{"KAFKA_PARTITIONS", "KAFKA_BROKERS", "SCHEMA_REGISTRY_URL"} {
			if !slices.ContainsFunc(problems, func(p string) bool { return strings.HasPrefix(p, name) }) {
				t.Errorf("LOG_FORMAT=%s: no line about %s:\n%s", format, name, text)
			}
		}
	}
	if lines, text := logged(t, "LOG_FORMAT=text"); lines != nil || !strings.HasPrefix(text, "configuration:\n") {
		t.Errorf("LOG_FORMAT=text:\n%s", text)
	}
	environment(t, "LOG_FORMAT=json", "KAFKA_BROKERS=a:1")
	var out bytes.Buffer
	for _, args := range [][]string{{"run", "--fast"}, {"fleet", "--fast"}, {"fleet"}} {
		out.Reset()
		var line map[string]any
		if command(t.Context(), args, &out, &out); json.Unmarshal(out.Bytes(), &line) != nil || line["exit_code"] != 2.0 {
			t.Errorf("connector %q:\n%s", args, out.String())
		}
	}
	if command(t.Context(), []string{"offsets", "--fast"}, &out, &out); !strings.Contains(out.String(), "\nconnector offsets: ") {
		t.Errorf("a command that does not log speaks JSON:\n%s", out.String())
	}
}
