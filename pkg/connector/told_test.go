package connector

import (
	"encoding/json"
	"testing"

	"github.com/hubspot-cdc/connector/pkg/stream"
)

// TestNotifications_TheFormIsFrozen: tools read it, as they read Debezium's.
func TestNotifications_TheFormIsFrozen(t *testing.T) {
	t.Parallel()
	got, err := json.Marshal(stream.Notice{
		ID: "ask-1", Aggregate: stream.IncrementalSnapshot, Type: stream.NoticeScanned, Timestamp: 1795525205000,
		Data: map[string]string{
			stream.DataConnector: "hubspot", stream.DataCollections: "contacts, deals", stream.DataScanned: "contacts",
			stream.DataRows: "250", stream.DataStatus: "SUCCEEDED",
		},
	})
	want := `{"id":"ask-1","aggregate_type":"Incremental Snapshot","type":"TABLE_SCAN_COMPLETED","additional_data":` +
		`{"connector_name":"hubspot","data_collections":"contacts, deals","scanned_collection":"contacts","status":"SUCCEEDED","total_rows_scanned":"250"},"timestamp":1795525205000}`
	if err != nil || string(got) != want {
		t.Errorf("got  %s (%v)\nwant %s", got, err, want)
	}
}

// TestNotifications_OtherNumbersAreTheSameProblem: counts, ids, ports and times
// change from one look to the next.
func TestNotifications_OtherNumbersAreTheSameProblem(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		one, other string
		same       bool
	}{
		{"150 records are gone", "151 records are gone", true},
		{"refused (correlation id 4c8d32f9-c04e-4a18-bdd8-03892c21b769)", "refused (correlation id abcdef1a-aaaa-bbbb-cccc-dddddddddddd)", true},
		{"dial 127.0.0.1:41233: refused", "dial 127.0.0.1:9: refused", true},
		{"no calls are left until 2026-11-29 23:00 UTC", "no calls are left until 2026-11-30 23:00 UTC", true},
		{"cannot read 7", "cannot read 7, 8, 9", true},
		{"the token lacks a scope", "the token has expired", false},
		{"150 records are gone", "150 links are gone", false},
	} {
		if same := withoutNumbers(c.one) == withoutNumbers(c.other); same != c.same {
			t.Errorf("%q and %q: %q and %q", c.one, c.other, withoutNumbers(c.one), withoutNumbers(c.other))
		}
	}
}

// TestNotifications_WhatARunReadsAgainIsNotToldAgain: a run reads signals again, and
// an owner reads what the one before it has told.
func TestNotifications_WhatARunReadsAgainIsNotToldAgain(t *testing.T) {
	t.Parallel()
	snapshot := func(what, offset string) stream.Notice {
		return stream.Notice{Aggregate: stream.IncrementalSnapshot, Type: what, Data: map[string]string{stream.DataOffset: offset}}
	}
	before := []stream.Notice{
		snapshot(stream.NoticeStarted, "3"), snapshot(stream.NoticeCompleted, "3"),
		snapshot(stream.NoticeStarted, "4"), snapshot(stream.NoticeAborted, "4"),
		snapshot(stream.NoticeStarted, "5"), snapshot(stream.NoticePaused, "5"),
		ofProblem(stream.Problem{Area: areaKafka, Problem: "away"}),
	}
	before[6].Type = stream.NoticeRaised
	told := newTold()
	told.recall(before)
	for _, c := range []struct {
		notice stream.Notice
		want   bool
	}{
		{snapshot(stream.NoticeAborted, "4"), false},
		{snapshot(stream.NoticeStarted, "5"), false},
		{snapshot(stream.NoticeResumed, "5"), true},
		{before[6], false},
		{snapshot(stream.NoticeCompleted, "5"), true},
		{snapshot(stream.NoticeCompleted, "5"), false},
		{snapshot(stream.NoticeAborted, "6"), true}, // it never started
		{snapshot(stream.NoticeStarted, "3"), true}, // somebody moved the cursor back
	} {
		if got := told.note(c.notice); got != c.want {
			t.Errorf("%s of %s is needed: %v, want %v", c.notice.Type, about(c.notice), got, c.want)
		}
	}
	told.leave()
	if len(told.open) != 1 {
		t.Errorf("an instance that stands by goes on with %v", told.open)
	}
}
