package hubspottest

import (
	"slices"
	"strings"
	"testing"
)

func TestBatchReadNamesAllMissingInOneError(t *testing.T) {
	p := calm()
	a, b := p.Create("contacts", nil), p.Create("contacts", nil)
	p.Archive("contacts", b)
	pg := batch(t, p, "", a, b, 999_999).want(t, 207).page(t)
	wantIDs(t, pg.ids(), a)
	if pg.NumErrors != 1 || len(pg.Errors) != 1 || pg.Errors[0].Category != "OBJECT_NOT_FOUND" ||
		!slices.Equal(pg.Errors[0].Context["ids"], []string{str(b), "999999"}) {
		t.Errorf("got %d errors %+v", pg.NumErrors, pg.Errors)
	}
	// archived=true reads only archived ones.
	pg = batch(t, p, "?archived=true", a, b).want(t, 207).page(t)
	wantIDs(t, pg.ids(), b)
	if !pg.Results[0].Archived || pg.Results[0].ArchivedAt == "" {
		t.Errorf("got %+v, want archived with archivedAt", pg.Results[0])
	}
}

func TestBatchReadTakes100Inputs(t *testing.T) {
	p := calm()
	ids := p.Seed("contacts", 101)
	wantIDs(t, sortedIDs(batch(t, p, "", ids[:100]...).want(t, 200).page(t)), ids[:100]...)
	batch(t, p, "", ids...).want(t, 400)
	batch(t, p, "").want(t, 400)
}

func TestBatchReadIsInNoOrderAndWithoutRepeats(t *testing.T) {
	p := calm()
	ids := p.Seed("contacts", 50)
	sorted := 0
	for range 10 {
		got := batch(t, p, "", append(slices.Clone(ids), ids[:10]...)...).want(t, 200).page(t)
		wantIDs(t, sortedIDs(got), ids...)
		if slices.IsSorted(got.ids()) {
			sorted++
		}
	}
	if sorted == 10 {
		t.Error("results are always in the order of their ids")
	}
}

func TestBatchReadRefusals(t *testing.T) {
	p := calm()
	for body, says := range map[string]string{
		`{"inputs":[{"id":"1"}],"properties":[]}`:                                                                            "propertiesWithHistory",
		`{"properties":[],"propertiesWithHistory":[]}`:                                                                       "inputs",
		`{"inputs":[{"id":"1"}],"propertiesWithHistory":[]}`:                                                                 "properties",
		`{"inputs":[{"id":"1"}],"properties":[],"propertiesWithHistory":["email"]}`:                                          "propertiesWithHistory",
		`{"inputs":[{}],"properties":[],"propertiesWithHistory":[]}`:                                                         "id",
		`{"inputs":[{"id":"a@b"}],"idProperty":"email","properties":[],"propertiesWithHistory":[]}`:                          "email",
		`{"inputs":[` + strings.Repeat(`{"id":"1"},`, 50) + `{"id":"1"}],"properties":[],"propertiesWithHistory":["email"]}`: "is 50",
	} {
		do(t, p, "POST", batchPath, body).want(t, 400).says(t, says).says(t, "VALIDATION_ERROR")
	}
	do(t, p, "POST", batchPath, "").want(t, 415) // no content type
}
