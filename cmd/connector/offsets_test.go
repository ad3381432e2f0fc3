package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	depl "github.com/hubspot-cdc/connector/internal/world"
	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// cursorTool is connector offsets in this world.
func (w *world) cursorTool() *cursorTool {
	return &cursorTool{
		prefix: "hubspot", log: slog.New(slog.DiscardHandler),
		kafka: w.Kafka.Options(),
	}
}

// gotten is what connector offsets get prints, by key.
func (w *world) gotten() (cursors map[string]string, text, warnings string) {
	w.T.Helper()
	var out, errs bytes.Buffer
	if err := w.cursorTool().get(w.T.Context(), &out, &errs); err != nil {
		w.T.Fatal(err)
	}
	var body cursorBody
	if err := json.Unmarshal(out.Bytes(), &body); err != nil {
		w.T.Fatalf("%v in\n%s", err, out.String())
	}
	cursors = map[string]string{}
	for _, o := range body.Offsets {
		cursors[string(o.Partition)] = string(o.Offset)
	}
	return cursors, out.String(), errs.String()
}

func (w *world) set(body string) error {
	w.T.Helper()
	return w.cursorTool().set(w.T.Context(), []byte(body), &bytes.Buffer{})
}

func one(key, value string) string {
	return fmt.Sprintf(`{"offsets":[{"partition":%s,"offset":%s}]}`, key, value)
}

// TestOffsets_WhatIsPrintedCanBeSet: set takes what get prints (KIP-875), after a
// reset too, and setting it changes nothing.
func TestOffsets_WhatIsPrintedCanBeSet(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 31}, []string{"HUBSPOT_OBJECTS=contacts"}, func(w *world) {
		w.Ran(20)
		before, text, warnings := w.gotten()
		for _, stream := range []string{"leading", "trailing-5m", "trailing-1h", "backfill"} {
			if key := fmt.Sprintf(`{"portal":4242,"object":"contacts","stream":%q}`, stream); before[key] == "" {
				t.Errorf("no %s in\n%s", key, text)
			}
		}
		if strings.Contains(text, "birth") || warnings != "" {
			t.Errorf("printed\n%s\n%s", text, warnings)
		}
		if err := w.set(text); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.cursorTool().reset(w.T.Context(), true, &bytes.Buffer{}), w.set(text)); err != nil {
			t.Fatal(err)
		}
		after, _, _ := w.gotten()
		if fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("after set\n%v\nbefore\n%v", after, before)
		}
		p := w.Start()
		w.SleepUntil(time.Minute, func() bool { return p.Ready().Ready })
		p.Stop()
	})
}

// TestOffsets_ASetCursorIsObeyed: a leading cursor that is moved back finds a
// change that the index had hidden. Another spelling of its key is removed.
func TestOffsets_ASetCursorIsObeyed(t *testing.T) {
	t.Parallel()
	opt := hubspottest.Options{Seed: 2, Index: hubspottest.Index{Min: 15 * time.Minute, Max: 15 * time.Minute}}
	inWorld(t, opt, []string{"HUBSPOT_OBJECTS=contacts", "SYNC_TRAILING_LAG=1m"}, func(w *world) {
		ids := w.Portal.Seed("contacts", 20)
		time.Sleep(20 * time.Minute)
		p := w.Start()
		w.SleepUntil(time.Minute, func() bool { return p.Backfilled("contacts") })
		before := time.Now()
		time.Sleep(time.Minute)
		w.Portal.Update("contacts", ids[0], map[string]string{"firstname": "Hidden"})
		time.Sleep(30 * time.Minute)
		p.Stop()
		odd := `{"stream":"leading","portal":4242,"object":"contacts"}`
		w.Produce("hubspot.offsets", odd, `{"at":"2000-01-01T00:00:00Z"}`)
		if err := w.set(one(depl.LeadingKey, fmt.Sprintf(`{"at": %q}`, before.UTC().Format(time.RFC3339)))); err != nil {
			t.Fatal(err)
		}
		if cursors := w.Cursors(); cursors[odd] != "" || !strings.Contains(cursors[depl.LeadingKey], before.UTC().Format(time.RFC3339)) {
			t.Errorf("cursors %v", cursors)
		}
		p = w.Start()
		w.ReadUntil(time.Minute, func() bool { return w.FirstName(ids[0]) == "Hidden" })
		p.Stop()
		w.Check(nil, "contacts")
	})
}

// TestOffsets_ResetReadsEverythingAndPublishesNothingTwice.
func TestOffsets_ResetReadsEverythingAndPublishesNothingTwice(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 32}, []string{"HUBSPOT_OBJECTS=contacts"}, func(w *world) {
		ids := w.Ran(150)
		w.Portal.UpdateCalculated("contacts", ids[9], map[string]string{"firstname": "Calculated"})
		w.Produce("hubspot.offsets", `{"nobody":"knows"}`, "what this is")
		w.Produce("hubspot.offsets", `{"portal":7,"object":"contacts","stream":"leading"}`, `{"at":"2000-01-01T00:00:00Z"}`)
		tool := w.cursorTool()
		tool.portal = 4242
		if err := tool.reset(w.T.Context(), false, &bytes.Buffer{}); connector.ExitCode(err) != connector.ExitConfig || !strings.Contains(err.Error(), "--yes") {
			t.Errorf("without --yes: %v", err)
		}
		if err := tool.reset(w.T.Context(), true, &bytes.Buffer{}); err != nil {
			t.Fatal(err)
		}
		if cursors, text, _ := w.gotten(); len(cursors) > 0 {
			t.Errorf("left:\n%s", text)
		}
		p := w.Start()
		w.ReadUntil(time.Minute, func() bool { return w.FirstName(ids[9]) == "Calculated" })
		time.Sleep(10 * time.Minute)
		p.Stop()
		if r := w.Check(nil, "contacts"); r.Events != 151 {
			t.Errorf("%d events, want 150 and one change", r.Events)
		}
		if cursors, text, _ := w.gotten(); !strings.Contains(cursors[`{"portal":4242,"object":"contacts","stream":"backfill"}`], `"done":true`) {
			t.Errorf("after the run\n%s", text)
		}
	})
}

// TestOffsets_ResetIsOfOnePortal: the cursors of another portal that ran with this
// prefix stay.
func TestOffsets_ResetIsOfOnePortal(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 37}, []string{"HUBSPOT_OBJECTS=contacts"}, func(w *world) {
		w.Ran(3)
		theirs := `{"portal":7,"object":"contacts","stream":"leading"}`
		w.Produce("hubspot.offsets", `{"portal":7,"stream":"birth"}`, `{"id":"theirs"}`)
		w.Produce("hubspot.offsets", theirs, `{"at":"2000-01-01T00:00:00Z"}`)
		tool := w.cursorTool()
		tool.portal = 4242
		if err := tool.reset(w.T.Context(), true, &bytes.Buffer{}); err != nil {
			t.Fatal(err)
		}
		if cursors, text, _ := w.gotten(); len(cursors) != 1 || cursors[theirs] == "" {
			t.Errorf("left:\n%s", text)
		}
	})
}

// TestOffsets_RefusedWhileSomebodyRunsOrStandsBy, with exit code 3, and no
// instance is fenced.
func TestOffsets_RefusedWhileSomebodyRunsOrStandsBy(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 33}, []string{"HUBSPOT_OBJECTS=contacts"}, func(w *world) {
		w.Portal.Seed("contacts", 3)
		first := w.StartBeside()
		w.SleepUntil(time.Minute, func() bool { return first.Ready().Ready })
		second := w.StartBeside()
		w.SleepUntil(time.Minute, func() bool { return second.Ready().Role == "standby" })
		refused := func(who string) {
			t.Helper()
			for verb, err := range map[string]error{
				"set":   w.set(one(depl.LeadingKey, "null")),
				"reset": w.cursorTool().reset(w.T.Context(), true, &bytes.Buffer{}),
			} {
				if connector.ExitCode(err) != connector.ExitRefused || !strings.Contains(fmt.Sprint(err), "stop every instance") {
					t.Errorf("%s while %s: %v", verb, who, err)
				}
			}
			if cursors, _, _ := w.gotten(); cursors[depl.LeadingKey] == "" {
				t.Errorf("written while %s", who)
			}
		}
		refused("two are there")
		first.Stop()
		w.SleepUntil(time.Minute, func() bool { return second.Ready().Role == "owner" && second.Ready().Ready })
		refused("one is there")
		time.Sleep(time.Minute)
		if second.Log.Count("this instance is the owner") != 1 || !second.Ready().Ready {
			t.Errorf("the owner was disturbed: %+v", second.Ready())
		}
		second.Stop()
		if err := w.set(one(depl.LeadingKey, "null")); err != nil {
			t.Error(err)
		}
	})
}

// TestOffsets_NothingWrongIsWritten: every problem is reported at once, and a
// body with one wrong cursor changes none.
func TestOffsets_NothingWrongIsWritten(t *testing.T) {
	t.Parallel()
	good := fmt.Sprintf(`{"partition":%s,"offset":{"at":"1999-12-31T00:00:00Z"}}`, depl.LeadingKey)
	key := func(object, stream string) string {
		return fmt.Sprintf(`{"portal":4242,"object":%q,"stream":%q}`, object, stream)
	}
	pair := func(partition, offset string) string {
		return fmt.Sprintf(`{"offsets":[%s,{"partition":%s,"offset":%s}]}`, good, partition, offset)
	}
	inWorld(t, hubspottest.Options{Seed: 34}, []string{"HUBSPOT_OBJECTS=contacts,deals"}, func(w *world) {
		w.Ran(3)
		before := len(w.Records("hubspot.offsets"))
		for body, want := range map[string]string{
			`{"offset":[]}`:                                                         "unknown field",
			`{"offsets":[]}`:                                                        "is empty",
			one(depl.LeadingKey, `{}`) + `{}`:                                       "behind it",
			one(depl.LeadingKey, `{}`) + `}]`:                                       "behind it",
			`{"offsets":[{"partition":` + depl.LeadingKey + `}]}`:                   "both needed",
			pair(key("contacts", "leading"), `{"at":"tomorrow"}`):                   "not a time",
			pair(key("contacts", "trailing-5m"), `{"at":"2031-01-01T00:00:00Z"}`):   "future",
			pair(key("contacts", "trailing-soon"), `{"at":"1999-01-01T00:00:00Z"}`): "named after a lag",
			pair(key("contacts", "following"), `{"at":"1999-01-01T00:00:00Z"}`):     `no stream "following"`,
			pair(key("contcats", "leading"), `{"at":"1999-01-01T00:00:00Z"}`):       `object "contcats" is not known here; there are contacts, contacts:contacts, contacts:deals, deals`,
			pair(key("companies:deals", "associations"), `{"id":"1"}`):              "is not known here",
			pair(key("contacts:unicorns", "associations"), `null`):                  "is not known here",
			pair(key("deals:contacts", "associations"), `null`):                     "the pair is contacts:deals",
			pair(key("contacts:deals", "leading"), `{"at":"1999-01-01T00:00:00Z"}`): "belongs to an object type",
			pair(key("owners", "backfill"), `null`):                                 "belongs to an object type",
			pair(key("contacts", "associations"), `{"id":"1"}`):                     "belongs to a pair",
			pair(key("contacts", "reference"), `null`):                              "belongs to a reference list",
			pair(key("contacts", "trailing-7m"), `null`):                            "there are trailing-1h, trailing-5m",
			pair(key("contacts", "backfill"), `{"done":"yes"}`):                     "not true or false",
			pair(`{"portal":4242,"stream":"birth"}`, `{"id":"mine"}`):               "cannot be set",
			pair(`{"portal":4242,"stream":"birth"}`, `null`):                        "cannot be set",
			pair(`{"portal":777,"object":"contacts","stream":"leading"}`, `null`):   "those of portal 4242",
			pair(`{"portal":4242,"object":"contacts"}`, `null`):                     `"stream" is missing`,
			pair(depl.LeadingKey, `null`):                                           "twice",
		} {
			err := w.set(body)
			if connector.ExitCode(err) != connector.ExitConfig || !strings.Contains(fmt.Sprint(err), want) {
				t.Errorf("%s\ngives %v (exit %d), want %q", body, err, connector.ExitCode(err), want)
			}
		}
		if after := len(w.Records("hubspot.offsets")); after != before {
			t.Errorf("%d records were written", after-before)
		}
		both := w.set(`{"offsets":[{"partition":` + key("a", "leading") + `,"offset":null},{"partition":` + key("b", "leading") + `,"offset":null}]}`)
		if text := fmt.Sprint(both); !strings.Contains(text, `"a"`) || !strings.Contains(text, `"b"`) {
			t.Errorf("both problems should be reported: %v", both)
		}
	})
}

// TestOffsets_CureARefusal: a cursor with which the connector refuses to start is
// shown, and can be set right.
func TestOffsets_CureARefusal(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 35}, []string{"HUBSPOT_OBJECTS=contacts"}, func(w *world) {
		w.Ran(3)
		w.Produce("hubspot.offsets", depl.LeadingKey, `{"at":"tomorrow"}`)
		if err := <-w.Start().Done; connector.ExitCode(err) != connector.ExitRefused {
			t.Fatalf("got %v", err)
		}
		cursors, _, warnings := w.gotten()
		if cursors[depl.LeadingKey] != `{"at":"tomorrow"}` || !strings.Contains(warnings, "not a time") {
			t.Errorf("%v\n%s", cursors, warnings)
		}
		if err := w.set(one(depl.LeadingKey, "null")); err != nil {
			t.Fatal(err)
		}
		p := w.Start()
		w.SleepUntil(time.Minute, func() bool { return p.Ready().Ready })
		p.Stop()
	})
}

// TestOffsets_WhereNobodyRan: there is nothing to show or to set, and nothing is
// created.
func TestOffsets_WhereNobodyRan(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 36}, nil, func(w *world) {
		if err := w.cursorTool().get(w.T.Context(), &bytes.Buffer{}, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "has not run with KAFKA_TOPIC_PREFIX=hubspot") {
			t.Errorf("get: %v", err)
		}
		if err := w.set(one(depl.LeadingKey, "null")); err == nil || !strings.Contains(err.Error(), "has not run") {
			t.Errorf("set: %v", err)
		}
		w.Ran(1)
		tool := w.cursorTool()
		tool.portal = 777
		if err := tool.reset(w.T.Context(), true, &bytes.Buffer{}); connector.ExitCode(err) != connector.ExitRefused || !strings.Contains(err.Error(), "portal 777") {
			t.Errorf("reset of another portal: %v", err)
		}
		var out bytes.Buffer
		if err := tool.get(w.T.Context(), &out, &bytes.Buffer{}); connector.ExitCode(err) != connector.ExitConfig || !strings.Contains(err.Error(), "portals [4242], and none of 777") || out.Len() > 0 {
			t.Errorf("get of another portal: %v %s", err, &out)
		}
	})
}

// TestOffsets_Usage: wrong usage ends with 2, and help needs no environment.
func TestOffsets_Usage(t *testing.T) {
	run := func(args ...string) (int, string) {
		var out bytes.Buffer
		code := command(t.Context(), append([]string{"offsets"}, args...), &out, &out)
		return code, out.String()
	}
	for _, args := range [][]string{{"-h"}, {"set", "-h"}, {"help"}} {
		if code, text := run(args...); code != connector.ExitOK || !strings.Contains(text, "What the next run does") {
			t.Errorf("%v: exit %d\n%s", args, code, text)
		}
	}
	t.Setenv("KAFKA_BROKERS", "")
	for _, args := range [][]string{{}, {"move"}, {"get", "more"}, {"get", "--all"}, {"reset", "contacts"}, {"get"}} {
		if code, text := run(args...); code != connector.ExitConfig {
			t.Errorf("%v: exit %d\n%s", args, code, text)
		}
	}
	if _, text := run("get"); !strings.Contains(text, "KAFKA_BROKERS") || strings.Contains(text, "HUBSPOT_ACCESS_TOKEN") {
		t.Errorf("it asks for variables that it does not need:\n%s", text)
	}
}

// TestOffsets_ASignalEndsTheWaitForStandardInput, and changes nothing.
func TestOffsets_ASignalEndsTheWaitForStandardInput(t *testing.T) {
	stdin, typing := io.Pipe()
	defer typing.Close()
	ctx, interrupt := context.WithCancel(t.Context())
	time.AfterFunc(time.Millisecond, interrupt)
	if _, err := readBody(ctx, nil, stdin); connector.ExitCode(err) != connector.ExitFailed || !strings.Contains(fmt.Sprint(err), "no cursor is changed") {
		t.Errorf("interrupted: %v", err)
	}
	const text = `{"offsets":[]}`
	if body, err := readBody(t.Context(), []string{"-"}, strings.NewReader(text)); err != nil || string(body) != text {
		t.Errorf("got %q, %v", body, err)
	}
}
