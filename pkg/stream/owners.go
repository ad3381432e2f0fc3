package stream

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Owners reads all of the portal's owners in every pass: HubSpot cannot say which
// have changed.
type Owners struct {
	Reference
	List ReferenceList

	sizes pageSizes
}

// Run reads the owners as often as Pace says, until ctx ends.
func (o *Owners) Run(ctx context.Context) error { return o.repeat(ctx, o.pass, &o.List) }

// errNameless says that some owners are in no key.
var errNameless = errors.New("HubSpot's answers have owners without an id that can be read; the others are published")

func (o *Owners) pass(ctx context.Context) (soon time.Duration, err error) {
	began, short := o.Client.Now(), false
	read := func(ctx context.Context) (cdc.ReferenceReading, error) {
		reading, err := o.read(ctx, hubspot.Reference)
		short = reading.Short
		return reading, err
	}
	reading, err := read(ctx)
	if err == nil {
		soon, err = o.publish(ctx, &o.List, reading, read)
	}
	if refused(err) {
		o.told(&o.List, began, &referenceError{of: ReferenceOwners, err: err})
		return 0, nil
	}
	if err == nil {
		err = o.finish(ctx, &o.List, began)
	}
	if err == nil {
		if short && o.List.held == 0 { // nothing that is published is missing
			o.told(&o.List, began, &referenceError{of: ReferenceOwners, err: errNameless})
		} else {
			o.told(&o.List, began, nil)
			o.verify(&o.List, began, soon)
		}
		o.sayHeld(&o.List)
	}
	return soon, err
}

// read reads the live owners to the last page. If a published owner is not among
// them, it reads the archived ones too. It asks for owners in neither list one by
// one.
func (o *Owners) read(ctx context.Context, prio hubspot.Priority) (cdc.ReferenceReading, error) {
	r := cdc.ReferenceReading{Archived: map[cdc.EntryKey]bool{}}
	date, err := o.pages(ctx, prio, false, func(now hubspot.Millis) {
		r.Stamp, r.SentAt = o.List.Lane.Now(), now
	}, &r.Calls, &r.Short, func(owner *hubspot.Owner) {
		if e := o.entry(owner); owner.Archived {
			r.Archived[e.Key] = true
		} else {
			r.Entries = append(r.Entries, e)
		}
	})
	r.Date = date
	if err != nil {
		return r, err
	}
	live, err := o.List.Lane.LiveUnder(ctx, "")
	if err != nil {
		return r, err
	}
	there := make(map[cdc.EntryKey]bool, len(r.Entries))
	for i := range r.Entries {
		there[r.Entries[i].Key] = true
	}
	lacking := slices.DeleteFunc(live, func(k cdc.EntryKey) bool { return there[k] })
	if len(lacking) == 0 {
		return r, nil
	}
	r.Date, err = o.pages(ctx, prio, true, nil, new(int), new(bool), func(owner *hubspot.Owner) {
		r.Archived[cdc.NewEntryKey(string(owner.ID))] = true
	})
	if err != nil {
		return r, err
	}
	if r.Short {
		return r, nil
	}
	lacking = slices.DeleteFunc(lacking, func(k cdc.EntryKey) bool { return r.Archived[k] })
	for _, key := range lacking[:min(askedAlone, len(lacking))] {
		shown, err := AskAlone(ctx, func(ctx context.Context) (bool, error) {
			owner, err := o.Client.Owner(ctx, hubspot.Call{Priority: prio}, string(key))
			return !owner.Archived, err
		})
		if r.Short, r.Unsure = shown == IsShown, shown == NoAnswer; shown != NotShown || err != nil {
			return r, err
		}
	}
	return r, nil
}

// pages reads the live or the archived owners page by page, and gives each owner
// to take. It adds the number of pages to calls, and calls onSend before each
// attempt at the first one. short reports that some owners cannot be read. date is
// that of the last page.
func (o *Owners) pages(ctx context.Context, prio hubspot.Priority, archived bool, onSend func(hubspot.Millis), calls *int, short *bool, take func(*hubspot.Owner)) (date hubspot.Millis, err error) {
	call := hubspot.Call{Priority: prio, OnSend: onSend}
	seen := trail{}
	for after := ""; ; {
		var page hubspot.OwnersPage
		place := fmt.Sprint(archived, after)
		err := o.sizes.halving(place, hubspot.MaxOwners, func(size, tries int) (err error) {
			call.Tries, call.Quick = tries, quick(size, tries)
			page, err = o.Client.Owners(ctx, call, after, archived, size)
			return err
		})
		if err != nil {
			return date, err
		}
		*short = *short || page.Short
		*calls++
		for i := range page.Owners {
			take(&page.Owners[i])
		}
		call.OnSend, after, date = nil, page.After, page.Date
		switch {
		case after == "":
			return date, nil
		case seen[after]:
			return date, errCircle
		}
		seen[after] = true
	}
}

// entry returns an owner as an entry of its reference list.
func (o *Owners) entry(owner *hubspot.Owner) cdc.Entry {
	values := map[string]any{
		"email": string(owner.Email), "firstName": string(owner.FirstName), "lastName": string(owner.LastName),
		"type": string(owner.Type), "userId": string(cmp.Or(owner.UserID, owner.AnyUserID)), "teams": compactJSON(owner.Teams),
		"createdAt": owner.CreatedAt, "updatedAt": owner.UpdatedAt, "archived": owner.Archived,
	}
	// HubSpot promises no order of the teams, so another order is no change.
	hashed := maps.Clone(values)
	var teams []json.RawMessage
	if json.Unmarshal(owner.Teams, &teams) == nil {
		texts := make([]string, len(teams))
		for i := range teams {
			texts[i] = compactJSON(teams[i])
		}
		slices.Sort(texts)
		hashed["teams"] = strings.Join(texts, ",")
	}
	o.Selection.Reference(ReferenceOwners, values)
	o.Selection.Reference(ReferenceOwners, hashed)
	return cdc.Entry{
		Key: cdc.NewEntryKey(string(owner.ID)), Version: owner.UpdatedAt.Millis, Hash: cdc.EntryHash(hashed), Values: values,
	}
}

// compactJSON writes a JSON value of an answer on one line. It sorts the members
// of objects by name, because HubSpot may send them in any order. Null is "".
func compactJSON(raw json.RawMessage) string {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber() // keep the digits as they came
	var v any
	if err := dec.Decode(&v); err != nil || v == nil {
		return ""
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return ""
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// Collection returns the owners as a signal can name them. prefix is that of the
// topics.
func (o *Owners) Collection(prefix string) ReferenceCollection {
	return ReferenceCollection{Prefix: prefix, Lane: o.List.Lane, Read: func(ctx context.Context, _ bool) ([]cdc.ReferenceReading, error) {
		reading, err := o.read(ctx, hubspot.Snapshot)
		return []cdc.ReferenceReading{reading}, err
	}}
}
