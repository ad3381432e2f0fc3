package schema

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// TestR19_WhatAListOfPropertiesShows: a property that is missing waits for a second
// look. A list that lacks too much, or what every record has, is no evidence.
func TestR19_WhatAListOfPropertiesShows(t *testing.T) {
	var all []hubspot.Property
	for _, name := range []string{"hs_object_id", "hs_lastmodifieddate"} {
		all = append(all, hubspot.Property{Name: name, Type: "number"})
	}
	for i := range 98 {
		all = append(all, hubspot.Property{Name: fmt.Sprintf("p%02d", i), Type: "string"})
	}
	in, _ := Evolve(nil, "contacts", all, nil)
	without := func(names ...string) []hubspot.Property {
		return slices.DeleteFunc(slices.Clone(all), func(p hubspot.Property) bool { return slices.Contains(names, p.Name) })
	}
	type look struct {
		at      time.Duration
		props   []hubspot.Property
		useless bool
		waiting int
		due     int
	}
	for _, tt := range []struct {
		name  string
		looks []look
	}{
		{"one is removed", []look{{0, without("p07"), false, 1, 0}, {29 * time.Second, without("p07"), false, 1, 0}, {30 * time.Second, without("p07"), false, 0, 1}}},
		{"one is missing twice, and there between", []look{{0, without("p07"), false, 1, 0}, {30 * time.Second, all, false, 0, 0}, {time.Minute, without("p07"), false, 1, 0}}},
		{"another one is missing next", []look{{0, without("p07"), false, 1, 0}, {30 * time.Second, without("p08"), false, 1, 0}}},
		{"ten are removed", []look{{0, all[:90], false, 10, 0}, {30 * time.Second, all[:90], false, 0, 10}}},
		{"eleven are", []look{{0, all[:89], true, 0, 0}, {30 * time.Second, all[:89], true, 0, 0}, {time.Hour, all[:89], false, 0, 11}}},
		{"everything is", []look{{0, nil, true, 0, 0}, {3 * time.Hour, nil, true, 0, 0}}},
		{"the id is", []look{{0, without("hs_object_id"), true, 0, 0}, {3 * time.Hour, without("hs_object_id"), true, 0, 0}}},
		{"the modified time is", []look{{0, without("hs_lastmodifieddate"), true, 0, 0}}},
		{"the modified time of another type is", []look{{0, without("lastmodifieddate"), false, 0, 0}}},
	} {
		d := Doubts{Second: 30 * time.Second, Repeat: time.Hour}
		for _, l := range tt.looks {
			got := d.Look(in, &Listing{Properties: l.props}, "hs_lastmodifieddate", time.Unix(0, 0).Add(l.at))
			if (got.Useless != nil) != l.useless || len(got.Waiting) != l.waiting || len(got.Due) != l.due {
				t.Errorf("%s, after %s: useless %v, waiting %q, %d due; want %+v", tt.name, l.at, got.Useless, got.Waiting, len(got.Due), l)
			}
		}
	}
	d := Doubts{Second: 30 * time.Second, Repeat: time.Hour}
	for _, props := range [][]hubspot.Property{nil, all[3:]} {
		if got := d.Look(nil, &Listing{Properties: props}, "hs_lastmodifieddate", time.Now()); got.Useless != nil || len(got.Waiting)+len(got.Due) > 0 {
			t.Errorf("a type's first list of properties: %+v", got)
		}
	}
}
