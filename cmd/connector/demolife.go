package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// demoStep is the time between two actions of the demo's administrator.
const demoStep = 4 * time.Second

// demoSchemas changes the demo portal's schemas as an administrator would, and
// prints what it does: it adds a property, adds a custom object type, and changes
// the property's type.
func demoSchemas(ctx context.Context, portal *hubspottest.Portal, out io.Writer) {
	const property = "bonus_points"
	var car string
	for _, step := range []struct {
		says string
		do   func()
	}{
		{"contacts get the property " + property + ", a text", func() {
			portal.AddProperty("contacts", hubspottest.Property{Name: property, Type: "string"})
			for i, id := range portal.IDs("contacts") {
				if i%50 == 0 {
					portal.Update("contacts", id, map[string]string{property: strconv.Itoa(10 * (i + 1))})
				}
			}
		}},
		{"there is a custom object type, car", func() {
			car = portal.AddCustomType("car", hubspottest.Property{Name: "plate"}, hubspottest.Property{Name: "doors", Type: "number"}).FullyQualifiedName
			contacts := portal.IDs("contacts")
			for i := range 5 {
				id := portal.Create(car, map[string]string{"plate": fmt.Sprintf("B-KA %d", 100+i), "doors": strconv.Itoa(2 + i)})
				portal.Associate("contacts", contacts[i], car, id, "", 0)
			}
		}},
		{property + " of contacts becomes a number", func() {
			portal.RetypeProperty("contacts", property, "number", "")
		}},
	} {
		select {
		case <-time.After(demoStep):
		case <-ctx.Done():
			return
		}
		step.do()
		fmt.Fprintf(out, "* HubSpot: %s\n", step.says)
	}
}
