package offsets

import "testing"

// docs/contract.md section 4: keys are compared as JSON.
func TestKey_EverySpellingIsTheSameKey(t *testing.T) {
	want := Key{Portal: 4242, Object: "contacts", Stream: "leading"}
	for _, text := range []string{
		`{"portal":4242,"object":"contacts","stream":"leading"}`,
		`{"stream":"leading","portal":4242,"object":"contacts"}`,
		"{ \"portal\" : 4242,\n\t\"object\": \"contacts\", \"stream\": \"leading\" }",
		`{"portal":4242.0,"object":"\u0063ontacts","stream":"leading"}`,
		`{"portal":4.242e3,"object":"contacts","stream":"leading"}`,
	} {
		got, err := ParseKey([]byte(text))
		if err != nil || got != want {
			t.Errorf("ParseKey(%s) = %v, %v, want %v", text, got, err, want)
		}
	}
	if got := want.String(); got != `{"portal":4242,"object":"contacts","stream":"leading"}` {
		t.Errorf("written as %s", got)
	}
	if got := (Key{Portal: 4242, Stream: BirthStream}).String(); got != `{"portal":4242,"stream":"birth"}` {
		t.Errorf("written as %s", got)
	}
}

func TestKey_WhatIsNobodysIsRefused(t *testing.T) {
	for _, text := range []string{
		``, `null`, `[]`, `"leading"`, `{}`, `{"portal":4242}`, `{"stream":"leading","object":"contacts"}`,
		`{"portal":"4242","object":"contacts","stream":"leading"}`,
		`{"portal":4242.5,"object":"contacts","stream":"leading"}`,
		`{"portal":4242,"object":7,"stream":"leading"}`,
		`{"portal":4242,"object":"contacts","stream":""}`,
		`{"portal":4242,"object":"contacts","straem":"leading"}`,
		`{"portal":4242,"object":"contacts","Stream":"leading"}`,
		`{"portal":4242,"object":"contacts","stream":"leading","x":1}`,
		`{"portal":4242,"stream":"leading"}`,
		`{"portal":4242,"stream":"backfill"}`,
		`{"portal":4242,"stream":"reference"}`,
		`{"portal":4242,"object":"contacts","stream":"birth"}`,
		`{"portal":4242,"object":"contacts","stream":"leading"} x`,
	} {
		if got, err := ParseKey([]byte(text)); err == nil {
			t.Errorf("ParseKey(%s) = %v, want an error", text, got)
		}
	}
}
