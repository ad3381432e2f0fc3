package connector_test

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// latePrefix begins the names of the properties that an administrator defines.
const latePrefix = "late_"

// administrator changes a portal's schemas and the token's scopes at random.
type administrator struct {
	portal  *hubspottest.Portal
	rng     *rand.Rand
	objects []string
	done    func(deed string)

	late   []lateProperty
	boat   bool
	boatID string // its name; "" before the first
	taken  string // the object type whose scopes are taken away
}

type lateProperty struct{ object, name string }

var lateTypes = []string{"string", "number", "date", "datetime", "bool", "enumeration"}

func (a *administrator) step() {
	deeds := []struct {
		name string
		do   func() bool
	}{
		{"property added", a.addProperty},
		{"property added", a.addProperty},
		{"property removed", a.removeProperty},
		{"property retyped", a.retypeProperty},
		{"label of a property", a.labelProperty},
		{"association label", a.labelAssociation},
		{"type", a.changeType},
		{"scopes", a.changeScopes},
	}
	d := deeds[a.rng.IntN(len(deeds))]
	if d.do() {
		a.done(d.name)
	}
}

func (a *administrator) pick() lateProperty { return a.late[a.rng.IntN(len(a.late))] }

func (a *administrator) addProperty() bool {
	p := lateProperty{a.objects[a.rng.IntN(len(a.objects))], fmt.Sprint(latePrefix, a.rng.IntN(4))}
	if slices.Contains(a.late, p) {
		return false
	}
	a.portal.AddProperty(p.object, hubspottest.Property{Name: p.name, Type: lateTypes[a.rng.IntN(len(lateTypes))]})
	a.late = append(a.late, p)
	ids := a.portal.IDs(p.object)
	for range min(3, len(ids)) {
		a.portal.UpdateCalculated(p.object, ids[a.rng.IntN(len(ids))], map[string]string{p.name: fmt.Sprint(a.rng.IntN(1000))})
	}
	return true
}

func (a *administrator) removeProperty() bool {
	if len(a.late) == 0 {
		return false
	}
	p := a.pick()
	a.portal.RemoveProperty(p.object, p.name)
	a.late = slices.DeleteFunc(a.late, func(q lateProperty) bool { return q == p })
	return true
}

func (a *administrator) retypeProperty() bool {
	if len(a.late) == 0 {
		return false
	}
	p := a.pick()
	a.portal.RetypeProperty(p.object, p.name, lateTypes[a.rng.IntN(len(lateTypes))], "")
	return true
}

func (a *administrator) labelProperty() bool {
	object := a.objects[a.rng.IntN(len(a.objects))]
	a.portal.RelabelProperty(object, bulkProperty(object), fmt.Sprint("Label ", a.rng.IntN(9)))
	return true
}

func (a *administrator) labelAssociation() bool {
	a.portal.AddLabel("contacts", "companies", fmt.Sprint("Role ", a.rng.IntN(1000)), fmt.Sprint("Place ", a.rng.IntN(1000)))
	return true
}

func (a *administrator) changeType() bool {
	if a.boat {
		a.portal.RemoveCustomType(a.boatID)
		a.boat = false
		return true
	}
	a.boatID = a.portal.AddCustomType("boat", hubspottest.Property{Name: "length", Type: lateTypes[a.rng.IntN(2)]}).FullyQualifiedName
	a.boat = true
	a.portal.Seed(a.boatID, 1+a.rng.IntN(20))
	return true
}

// boats names the object type that came, if one did.
func (a *administrator) boats() []string {
	if a.boatID == "" {
		return nil
	}
	return []string{a.boatID}
}

func (a *administrator) changeScopes() bool {
	if a.taken != "" {
		a.giveBack()
		return true
	}
	a.taken = a.objects[a.rng.IntN(len(a.objects))]
	a.allow()
	return true
}

func (a *administrator) giveBack() {
	a.taken = ""
	a.allow()
}

func (a *administrator) allow() {
	scopes := []string{"crm.objects.owners.read"}
	for _, object := range []string{"contacts", "companies", "deals", "custom"} {
		if object == a.taken || object == "custom" && a.taken != "" && !slices.Contains([]string{"contacts", "companies", "deals"}, a.taken) {
			continue
		}
		scopes = append(scopes, "crm.objects."+object+".read", "crm.schemas."+object+".read")
	}
	a.portal.SetScopes(scopes...)
}
