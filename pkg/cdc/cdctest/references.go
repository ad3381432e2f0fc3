package cdctest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// ReferenceHistory is what HubSpot really had of a reference list's entries, by the
// topic's keys. The label of a state is the text of all its fields (EntryText).
type ReferenceHistory struct {
	States   LinkHistory
	Archived map[string]bool // keys that have been in HubSpot's list of archived entries
}

func (h *ReferenceHistory) add(at int64, key string, live bool, fields map[string]any) {
	if h.States == nil {
		h.States, h.Archived = LinkHistory{}, map[string]bool{}
	}
	s := LinkState{Live: live, Since: hubspot.Millis(at)}
	if live {
		s.Label = EntryText(fields)
	}
	if states := h.States[key]; len(states) == 0 || states[len(states)-1].Live != s.Live || states[len(states)-1].Label != s.Label {
		h.States[key] = append(states, s)
	}
}

// OwnerHistoryOf returns the history of the owners in a simulated portal.
func OwnerHistoryOf(p *hubspottest.Portal) ReferenceHistory {
	var h ReferenceHistory
	for _, c := range p.OwnerHistory() {
		o := c.Entry
		fields := map[string]any{
			"id": o.ID, "email": o.Email, "firstName": o.FirstName, "lastName": o.LastName, "type": o.Type, "archived": o.Archived,
			"createdAt": time.UnixMilli(o.CreatedAt), "updatedAt": time.UnixMilli(o.UpdatedAt),
		}
		if o.UserID != 0 {
			fields["userId"] = fmt.Sprint(o.UserID)
		}
		if len(o.Teams) > 0 {
			teams, _ := json.Marshal(o.Teams) // it holds only strings and flags
			fields["teams"] = string(teams)
		}
		h.add(c.At, o.ID, c.Live, fields)
		h.Archived[o.ID] = h.Archived[o.ID] || c.Entry.Archived
	}
	return h
}

// PipelineHistoriesOf returns the histories of the pipelines of some types, and of
// their stages, in a simulated portal.
func PipelineHistoriesOf(p *hubspottest.Portal, objects ...string) (pipelines, stages ReferenceHistory) {
	for _, object := range objects {
		there := map[string][]string{} // the stages of each pipeline
		for _, c := range p.PipelineHistory(object) {
			pl := c.Entry
			key := object + ":" + pl.ID
			pipelines.add(c.At, key, c.Live, map[string]any{
				"id": pl.ID, "objectType": object, "label": pl.Label, "displayOrder": pl.DisplayOrder, "archived": false,
				"createdAt": time.UnixMilli(pl.CreatedAt), "updatedAt": time.UnixMilli(pl.UpdatedAt),
			})
			var now []string
			for _, s := range pl.Stages {
				metadata, _ := json.Marshal(s.Metadata) // it holds only strings
				if s.Metadata == nil {
					metadata = []byte("{}")
				}
				stages.add(c.At, key+":"+s.ID, c.Live, map[string]any{
					"id": s.ID, "objectType": object, "pipelineId": pl.ID, "label": s.Label, "displayOrder": s.DisplayOrder, "archived": false,
					"metadata": string(metadata), "createdAt": time.UnixMilli(s.CreatedAt), "updatedAt": time.UnixMilli(s.UpdatedAt),
				})
				now = append(now, key+":"+s.ID)
			}
			for _, gone := range there[pl.ID] {
				if !slices.Contains(now, gone) {
					stages.add(c.At, gone, false, nil)
				}
			}
			there[pl.ID] = now
		}
	}
	return pipelines, stages
}

// EntryText writes the fields of an entry in a way that does not depend on who
// wrote them: sorted by name, without nulls, with JSON in an order of its own.
func EntryText(fields map[string]any) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		var text string
		switch v := fields[name].(type) {
		case nil:
		case time.Time:
			text = fmt.Sprint(v.UnixMilli())
		case string:
			text = v
			if name == "teams" || name == "metadata" {
				text = anyOrder(v)
			}
		default:
			text = fmt.Sprint(v)
		}
		if text != "" {
			fmt.Fprintf(&b, "%s=%s ", name, text)
		}
	}
	return b.String()
}

// anyOrder writes JSON so that the order of members and elements does not matter.
func anyOrder(text string) string {
	var v any
	if text == "" || json.Unmarshal([]byte(text), &v) != nil {
		return text
	}
	if list, ok := v.([]any); ok {
		slices.SortFunc(list, func(a, b any) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	}
	return fmt.Sprint(v)
}

// CheckReferences compares a reference list's events with its history, as
// CheckLinks does for a pair.
func CheckReferences(history ReferenceHistory, events []LinkEvent) *LinkReport {
	r := checkKeys(history.States, events, func(key string) string { return key })
	for _, e := range events {
		if !e.isDelete() {
			continue
		}
		switch e.Reason {
		case "archived":
			if !history.Archived[e.Key] {
				r.Malformed = append(r.Malformed, fmt.Sprintf("%s: seq %d: the entry was never archived", e.Key, e.Seq))
			}
		case "removed", "object_type_removed":
		default:
			r.Malformed = append(r.Malformed, fmt.Sprintf("%s: seq %d: a delete with reason %q", e.Key, e.Seq, e.Reason))
		}
	}
	return r
}
