package stream

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// named is a collection that has only names.
type named struct{ is, at string }

func (n named) name() string  { return n.is }
func (n named) topic() string { return n.at }
func (n named) live() int     { return 0 }
func (n named) page(context.Context, place, []hubspot.ID) (snapshotPage, error) {
	panic("nobody reads it")
}

var portal = []collection{
	named{"deals", "hubspot.deals"},
	named{"contacts:companies", "hubspot.associations.contacts.companies"},
	named{"contacts", "hubspot.contacts"},
	named{"p4242_car", "hubspot.p4242_car"},
}

// TestSignal_WhatIsAskedFor has what Debezium's users write (names, topics,
// everything, ids) and what a snapshot then reads: object types come before pairs,
// each by name (docs/contract.md section 4).
func TestSignal_WhatIsAskedFor(t *testing.T) {
	for text, want := range map[string]string{
		`{"id":"1","type":"execute-snapshot","data":{"data-collections":["contacts"],"type":"incremental"}}`:   "contacts",
		`{"type":"execute-snapshot","data":{"data-collections":["hubspot.contacts","deals"]}}`:                 "contacts deals",
		`{"type":"execute-snapshot","data":{"data-collections":["contacts","hubspot.contacts"]}}`:              "contacts",
		`{"type":"execute-snapshot","data":{"data-collections":["hubspot\\.p4242_car"],"type":"INCREMENTAL"}}`: "p4242_car",
		`{"type":"execute-snapshot","data":{"data-collections":[".*"]}}`:                                       "contacts deals p4242_car contacts:companies",
		`{"type":"execute-snapshot","data":{"data-collections":["contacts:companies"]}}`:                       "contacts:companies",
		`{"type":"execute-snapshot","data":{"data-collections":["hubspot.associations.contacts.companies"],
			"additional-conditions":[{"data-collection":"contacts:companies","filter":"7"}]}}`: "contacts:companies[7]",
		`{"type":"execute-snapshot","data":{"data-collections":["contacts"],
			"additional-conditions":[{"data-collection":"hubspot.contacts","filter":" 30, 4,30"},{"data-collection":"contacts","filter":"1"}]}}`: "contacts[1 4 30]",
		`{"type":"execute-snapshot","data":{"data-collections":[".*"],
			"additional-conditions":[{"data-collection":"deals","filter":"5"}]}}`: "contacts deals[5] p4242_car contacts:companies",
		`{"type":"execute-snapshot","data":{"data-collections":["contacts","invoices"]}}`: "contacts, unknown: invoices",
		`{"type":"stop-snapshot"}`: "",
		`{"type":"stop-snapshot","data":{"data-collections":["deals"],"type":"incremental"}}`: "deals",
	} {
		s, err := parseSignal([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		works, unknown, err := s.plan(portal)
		var got []string
		for _, w := range works {
			is := w.of.name()
			if w.ids != nil {
				is += fmt.Sprint(w.ids)
			}
			got = append(got, is)
		}
		said := strings.Join(got, " ")
		if len(unknown) > 0 {
			said += ", unknown: " + strings.Join(unknown, " ")
		}
		if err != nil || said != want {
			t.Errorf("%s: %q, %v, want %q", text, said, err, want)
		}
	}
}

// TestSignal_WhatIsNotUnderstood: a signal that could mean something else than it
// says is refused, in words for its author.
func TestSignal_WhatIsNotUnderstood(t *testing.T) {
	execute := func(data string) string { return `{"id":"x","type":"execute-snapshot","data":` + data + `}` }
	for text, want := range map[string]string{
		``:                  "not the JSON of a signal",
		`snapshot please`:   "not the JSON of a signal",
		`[]`:                "not the JSON of a signal",
		`{"type":"log"}`:    `data.message is empty`,
		`{"type":"ad-hoc"}`: `its type is "ad-hoc"`,
		`{"type":"pause"}`:  "data-collections names nothing",
		`{"type":"pause-snapshot","data":{"data-collections":["contacts"]}}`: "about all snapshots",
		`{"type":"resume-snapshot","data":{"type":"blocking"}}`:              `data.type is "blocking"`,
		`{"id":"x"}`:          `its type is ""`,
		execute(`{}`):         "data-collections names nothing",
		execute(`"contacts"`): "not the JSON of a signal",
		execute(`{"data-collections":"contacts"}`):                                                                            "not the JSON of a signal",
		execute(`{"data-collections":["contacts"],"type":"blocking"}`):                                                        `data.type is "blocking"`,
		execute(`{"data-collections":["contacts"],"additional-condition":"id=7"}`):                                            "additional-condition is not understood",
		execute(`{"data-collections":["contacts"],"additional-conditions":[{"data-collection":"contacts","filter":"id=7"}]}`): `the filter of "contacts" is not a list of ids`,
		execute(`{"data-collections":["contacts"],"additional-conditions":[{"data-collection":"contacts","filter":""}]}`):     `the filter of "contacts" is not a list of ids`,
		execute(`{"data-collections":["contacts"],"additional-conditions":[{"data-collection":"contacts","filter":"1,,2"}]}`): `the filter of "contacts" is not a list of ids`,
		execute(`{"data-collections":["contacts"],"additional-conditions":[{"data-collection":"deals","filter":"1"}]}`):       `"deals" is not among data.data-collections`,
		execute(`{"data-collections":["contacts"],"additional-conditions":[{"data-collection":"contact","filter":"1"}]}`):     `nothing is published under "contact"`,
		execute(`{"data-collections":[".*"],"additional-conditions":[{"data-collection":".*","filter":"1"}]}`):                `nothing is published under ".*"`,
	} {
		s, err := parseSignal([]byte(text))
		if err == nil {
			_, _, err = s.plan(portal)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// FuzzSignal: whatever is in the topic, it can only be taken or refused.
func FuzzSignal(f *testing.F) {
	f.Add([]byte(`{"id":"1","type":"execute-snapshot","data":{"data-collections":["contacts",".*"],"additional-conditions":[{"data-collection":"contacts","filter":"1,2"}]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := parseSignal(text)
		if err != nil {
			return
		}
		works, _, err := s.plan(portal)
		if err == nil && !slices.IsSortedFunc(works, func(a, b *work) int { return inOrder(a.of.name(), b.of.name()) }) {
			t.Error("the works are not in the order by which a place tells what is done")
		}
	})
}
