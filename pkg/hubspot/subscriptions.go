package hubspot

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Subscription is what HubSpot writes into an app's journal: some changes of a type's
// records, or of their associations, in one portal. Empty lists mean everything.
type Subscription struct {
	ID      string // of one that HubSpot has
	Kind    string // OBJECT, ASSOCIATION, GDPR_PRIVACY_DELETION and others
	Portal  int64
	TypeID  string
	Actions []string
	Narrow  bool // only some properties, records or associated types
}

// subscriptionAnswer is a subscription as HubSpot lists it.
type subscriptionAnswer struct {
	ID                flexibleID `json:"id"`
	Kind              string     `json:"subscriptionType"`
	Portal            flexibleID `json:"portalId"`
	TypeID            string     `json:"objectTypeId"`
	Actions           []string   `json:"actions"`
	Properties        []any      `json:"properties"`
	ObjectIDs         []any      `json:"objectIds"`
	AssociatedTypeIDs []any      `json:"associatedObjectTypeIds"`
	// Overrides are an action's own lists.
	Overrides map[string]map[string][]any `json:"actionOverrides"`
	DeletedAt any                         `json:"deletedAt"`
}

func (a *subscriptionAnswer) subscription() Subscription {
	lists := [][]any{a.Properties, a.ObjectIDs, a.AssociatedTypeIDs}
	for _, own := range a.Overrides {
		lists = slices.AppendSeq(lists, maps.Values(own))
	}
	return Subscription{
		ID: ID(a.ID).String(), Kind: a.Kind, Portal: int64(a.Portal), TypeID: a.TypeID, Actions: a.Actions,
		Narrow: slices.ContainsFunc(lists, func(l []any) bool { return len(l) > 0 }),
	}
}

// Kinds of subscriptions that the connector needs.
const (
	objectSubscription      = "OBJECT"
	associationSubscription = "ASSOCIATION"
	privacySubscription     = "GDPR_PRIVACY_DELETION"
)

// Ours reports whether the connector made a subscription, or would have.
func (s *Subscription) Ours(portal int64) bool {
	return s.Portal == portal && slices.Contains([]string{objectSubscription, associationSubscription, privacySubscription}, s.Kind)
}

// WantedSubscriptions has everything that happens to the records of some types in a
// portal written into the journal.
func WantedSubscriptions(portal int64, types []string) (all []Subscription) {
	for _, id := range types {
		all = append(all,
			Subscription{Kind: objectSubscription, Portal: portal, TypeID: id, Actions: []string{"CREATE", "UPDATE", ActionDelete, "MERGE", "RESTORE"}},
			Subscription{Kind: associationSubscription, Portal: portal, TypeID: id, Actions: []string{"ASSOCIATION_ADDED", ActionRemoved}},
			Subscription{Kind: privacySubscription, Portal: portal, TypeID: id, Actions: []string{ActionPurge}})
	}
	return all
}

// MissingSubscriptions is what to post so that the wanted subscriptions are there. A
// post replaces what is there for the same type, so it asks for the actions of both,
// and has the ID of what it replaces.
func MissingSubscriptions(wanted, have []Subscription) (missing []Subscription) {
	for _, w := range wanted {
		actions, there := w.Actions, false
		for _, h := range have {
			if h.Kind != w.Kind || h.Portal != w.Portal || h.TypeID != w.TypeID {
				continue
			}
			lacks := slices.ContainsFunc(actions, func(a string) bool { return !slices.Contains(h.Actions, a) })
			if there = !lacks && !h.Narrow; there {
				break
			}
			w.ID = h.ID
			for _, a := range h.Actions {
				if !slices.Contains(w.Actions, a) {
					w.Actions = append(slices.Clip(w.Actions), a)
				}
			}
		}
		if !there {
			missing = append(missing, w)
		}
	}
	return missing
}

// Subscriptions lists what HubSpot writes into the app's journal, of all portals.
func (j *Journal) Subscriptions(ctx context.Context, call Call) (all []Subscription, err error) {
	err = j.do(ctx, call, &request{
		api: "journal_subscriptions", method: http.MethodGet, path: j.journalPath("subscriptions"),
		read: func(body []byte) error {
			answers, err := readResults[subscriptionAnswer](body)
			for i := range answers {
				if answers[i].Kind != "" && answers[i].DeletedAt == nil {
					all = append(all, answers[i].subscription())
				}
			}
			return err
		},
	})
	return all, err
}

// Subscribe posts a subscription. HubSpot may answer that it is there already (409).
// That is an error only for one that was to replace another.
func (j *Journal) Subscribe(ctx context.Context, call Call, s Subscription) error {
	body := map[string]any{"subscriptionType": s.Kind, "portalId": s.Portal, "objectTypeId": s.TypeID, "actions": s.Actions}
	all := []string{}
	switch s.Kind {
	case objectSubscription:
		body["properties"], body["objectIds"] = all, all
	case associationSubscription:
		body["associatedObjectTypeIds"], body["objectIds"] = all, all
	}
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	err = j.do(ctx, call, &request{
		api: "journal_subscriptions", method: http.MethodPost, path: j.journalPath("subscriptions"), body: text,
		mayBeEmpty: true, read: anyJSON,
	})
	if s.ID == "" && is(err, func(e *Error) bool { return e.Status == http.StatusConflict }) {
		return nil
	}
	return err
}

// anyJSON takes an answer whose content does not matter.
func anyJSON(body []byte) error {
	if !json.Valid(body) {
		return errNotTheJSON
	}
	return nil
}

// Unsubscribe removes a subscription. One that is gone already is no error.
func (j *Journal) Unsubscribe(ctx context.Context, call Call, id string) error {
	err := j.do(ctx, call, &request{
		api: "journal_subscriptions", method: http.MethodDelete, path: j.journalPath("subscriptions") + "/" + url.PathEscape(id),
		mayBeEmpty: true, read: anyJSON,
	})
	if NotFound(err) {
		return nil
	}
	return err
}

// String names a subscription for people.
func (s *Subscription) String() string {
	return s.Kind + " " + s.TypeID + " " + strings.Join(s.Actions, ",")
}
