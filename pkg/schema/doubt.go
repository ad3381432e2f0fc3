package schema

import (
	"errors"
	"fmt"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Doubts decides when a property that HubSpot no longer lists counts as removed
// (R19). Second is the time between the two looks that a removal takes, Repeat the
// time for which a listing that lacks many properties is no evidence.
//
// They are not stored. After a restart the next listing lacks a property again.
type Doubts struct {
	Second, Repeat time.Duration

	since map[string]time.Time // by property: when a look first missed it
}

// Doubt is what a listing does not show.
type Doubt struct {
	// Useless is why the listing is no evidence at all; nil if it is some. What it
	// adds and changes does not count either.
	Useless error
	// Waiting are properties that a second look has to miss too.
	Waiting []string
	// Due are properties that were missing for long enough. They are removed unless
	// HubSpot, asked for the property itself, shows it.
	Due []hubspot.Property
}

const (
	// A listing that lacks more than missingLeast and more than one in missingShare
	// of the properties in force is no evidence of a removal.
	missingLeast = 5
	missingShare = 10
)

// Look compares a listing, read at now, with the set in force (nil: none yet).
// modified is the type's property with the modified time.
func (d *Doubts) Look(in *Set, l *Listing, modified string, now time.Time) Doubt {
	missing := in.Missing(l)
	if len(missing) > 0 && len(l.Properties) == 0 {
		return Doubt{Useless: errors.New("HubSpot lists no property at all")}
	}
	before := d.since
	d.since = make(map[string]time.Time, len(missing))
	var out Doubt
	for _, p := range missing {
		first, seen := before[p.Name]
		if !seen {
			first = now
		}
		d.since[p.Name] = first
		if p.Name == "hs_object_id" || p.Name == modified {
			out.Useless = fmt.Errorf("HubSpot's list of properties lacks %s, which every record has", p.Name)
		}
		wait := d.Second
		if d.many(in, len(missing)) {
			wait = d.Repeat
		}
		if now.Sub(first) < wait {
			out.Waiting = append(out.Waiting, p.Name)
		} else {
			out.Due = append(out.Due, p)
		}
	}
	if out.Useless == nil && len(out.Waiting) > 0 && d.many(in, len(missing)) {
		out.Useless = fmt.Errorf("HubSpot's list of properties lacks %d of those that are published", len(missing))
	}
	if out.Useless != nil {
		out.Waiting, out.Due = nil, nil
	}
	return out
}

// Long reports whether a property has been missing for as long as any doubt lasts.
func (d *Doubts) Long(property string, now time.Time) bool {
	first, missing := d.since[property]
	return missing && now.Sub(first) >= d.Repeat
}

func (d *Doubts) many(in *Set, missing int) bool {
	known := 0
	for _, f := range in.Fields {
		if f.InForce {
			known++
		}
	}
	return missing > max(missingLeast, known/missingShare)
}
