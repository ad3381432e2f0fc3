package hubspot

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Subscription is what HubSpot writes into an app's journal: some changes of a type's
// records, or of their associations, in one portal. Empty lists mean everything.
type Subscription struct {
	ID                flexibleID `json:"id"`
	Kind              string     `json:"subscriptionType"`
	Portal            int64      `json:"portalId"`
	TypeID            string     `json:"objectTypeId"`
	Actions           []string   `json:"actions"`
	Properties        []string   `json:"properties"`
	ObjectIDs         []int64    `json:"objectIds"`
	AssociatedTypeIDs []string   `json:"associatedObjectTypeIds"`
	DeletedAt         any        `json:"deletedAt"`
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
// post replaces what is there for the same type, so it asks for the actions of both.
func MissingSubscriptions(wanted, have []Subscription) (missing []Subscription) {
	for _, w := range wanted {
		there := false
		for i := range have {
			h := &have[i]
			if h.Kind != w.Kind || h.Portal != w.Portal || h.TypeID != w.TypeID || h.DeletedAt != nil {
				continue
			}
			lacks := slices.ContainsFunc(w.Actions, func(a string) bool { return !slices.Contains(h.Actions, a) })
			if !lacks && len(h.Properties)+len(h.ObjectIDs)+len(h.AssociatedTypeIDs) == 0 {
				there = true
				break
			}
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
	err = j.do(ctx, call, &request{api: "journal_subscriptions", method: http.MethodGet, path: j.journalPath("subscriptions"), read: func(body []byte) (err error) {
		all, err = readResults[Subscription](body)
		return err
	}})
	return all, err
}

// Subscribe posts a subscription. Where HubSpot answers that it is there already
// (409), that is no error.
func (j *Journal) Subscribe(ctx context.Context, call Call, s Subscription) error {
	body := map[string]any{"subscriptionType": s.Kind, "portalId": s.Portal, "objectTypeId": s.TypeID, "actions": s.Actions}
	empty := []string{}
	switch s.Kind {
	case objectSubscription:
		body["properties"], body["objectIds"] = empty, empty
	case associationSubscription:
		body["associatedObjectTypeIds"], body["objectIds"] = empty, empty
	}
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	err = j.do(ctx, call, &request{api: "journal_subscriptions", method: http.MethodPost, path: j.journalPath("subscriptions"), body: text, read: func(body []byte) error {
		if !json.Valid(body) {
			return errNotTheJSON
		}
		return nil
	}})
	if is(err, func(e *Error) bool { return e.Status == http.StatusConflict }) {
		return nil
	}
	return err
}

// Unsubscribe removes a subscription. One that is gone already is no error.
func (j *Journal) Unsubscribe(ctx context.Context, call Call, id string) error {
	err := j.do(ctx, call, &request{api: "journal_subscriptions", method: http.MethodDelete, path: j.journalPath("subscriptions") + "/" + url.PathEscape(id), read: func([]byte) error { return nil }})
	if NotFound(err) {
		return nil
	}
	return err
}

// String names a subscription for people.
func (s *Subscription) String() string {
	return s.Kind + " " + s.TypeID + " " + strings.Join(s.Actions, ",")
}
