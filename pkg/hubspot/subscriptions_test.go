package hubspot

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
)

const subscriptionsRoot = "/webhooks-journal/subscriptions/2026-03"

func TestEverythingIsSubscribedTo(t *testing.T) {
	j := newJournalRig(t, map[string]func() (*http.Response, error){"POST " + subscriptionsRoot: answers(200, `{"id":1}`)})
	for _, s := range WantedSubscriptions(4242, []string{"0-1", "2-7"}) {
		if err := j.Subscribe(t.Context(), readOnce, s); err != nil {
			t.Fatal(err)
		}
	}
	var want []any
	for _, id := range []string{"0-1", "2-7"} {
		for _, text := range []string{
			`{"subscriptionType":"OBJECT","portalId":4242,"objectTypeId":%q,"actions":["CREATE","UPDATE","DELETE","MERGE","RESTORE"],"properties":[],"objectIds":[]}`,
			`{"subscriptionType":"ASSOCIATION","portalId":4242,"objectTypeId":%q,"actions":["ASSOCIATION_ADDED","ASSOCIATION_REMOVED"],"associatedObjectTypeIds":[],"objectIds":[]}`,
			`{"subscriptionType":"GDPR_PRIVACY_DELETION","portalId":4242,"objectTypeId":%q,"actions":["GDPR_DELETE"]}`,
		} {
			want = append(want, parsed(t, fmt.Sprintf(text, id)))
		}
	}
	var got []any
	for _, body := range j.bodies {
		got = append(got, parsed(t, body))
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("posted %v, want %v", got, want)
	}
}

func parsed(t testing.TB, text string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSubscriptionsAreListedHoweverOddOneIs(t *testing.T) {
	j := newJournalRig(t, map[string]func() (*http.Response, error){"GET " + subscriptionsRoot: answers(200, `{"results":[
		{"id":9007199254740993,"appId":1,"subscriptionType":"OBJECT","portalId":4242,"objectTypeId":"0-1","actions":["CREATE"],"createdAt":"x","updatedAt":"x"},
		{"id":"12","subscriptionType":"OBJECT","portalId":"4242","objectTypeId":"0-2","actions":["CREATE"],"properties":["email"],"objectIds":null},
		{"id":13,"subscriptionType":"OBJECT","portalId":4242,"objectTypeId":"0-2","actions":["DELETE"],"objectIds":["7"]},
		{"id":14,"subscriptionType":"ASSOCIATION","portalId":990099,"objectTypeId":"0-1","actions":7,"associatedObjectTypeIds":["0-2"]},
		{"id":15,"subscriptionType":"OBJECT","portalId":4242,"objectTypeId":"0-3","actions":["UPDATE"],"actionOverrides":{"UPDATE":{"properties":["email"]}}},
		{"id":16,"subscriptionType":"OBJECT","portalId":4242,"objectTypeId":"0-4","actions":["UPDATE"],"actionOverrides":{"UPDATE":{"properties":[]}},"deletedAt":null},
		{"id":17,"subscriptionType":"OBJECT","portalId":4242,"objectTypeId":"0-5","actions":["UPDATE"],"deletedAt":"2026-11-29T07:00:00Z"},
		{"id":18,"subscriptionType":"APP_LIFECYCLE_EVENT","eventTypeId":"4-1909196","actions":["APP_INSTALL"]},
		"odd"]}`)})
	got, err := j.Subscriptions(t.Context(), readOnce)
	want := []Subscription{
		{ID: "9007199254740993", Kind: "OBJECT", Portal: 4242, TypeID: "0-1", Actions: []string{"CREATE"}},
		{ID: "12", Kind: "OBJECT", Portal: 4242, TypeID: "0-2", Actions: []string{"CREATE"}, Narrow: true},
		{ID: "13", Kind: "OBJECT", Portal: 4242, TypeID: "0-2", Actions: []string{"DELETE"}, Narrow: true},
		{ID: "14", Kind: "ASSOCIATION", Portal: 990099, TypeID: "0-1", Narrow: true},
		{ID: "15", Kind: "OBJECT", Portal: 4242, TypeID: "0-3", Actions: []string{"UPDATE"}, Narrow: true},
		{ID: "16", Kind: "OBJECT", Portal: 4242, TypeID: "0-4", Actions: []string{"UPDATE"}},
		{ID: "18", Kind: "APP_LIFECYCLE_EVENT", Actions: []string{"APP_INSTALL"}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
	ours := 0
	for i := range got {
		if got[i].Ours(4242) {
			ours++
		}
	}
	if ours != 5 {
		t.Errorf("%d are ours, want 5: the others are another portal's or of another kind", ours)
	}
}

func TestWhatIsMissingNeverNarrowsWhatIsThere(t *testing.T) {
	all := WantedSubscriptions(4242, []string{"0-1"})
	object, link, privacy := all[0], all[1], all[2]
	with := func(s Subscription, change func(*Subscription)) Subscription {
		s.Actions = slices.Clone(s.Actions)
		change(&s)
		return s
	}
	more := with(object, func(s *Subscription) { s.ID, s.Actions = "1", append(s.Actions, "SNAPSHOT") })
	for name, c := range map[string]struct{ have, missing []Subscription }{
		"none": {nil, all},
		"all":  {[]Subscription{privacy, link, object}, nil},
		"more": {[]Subscription{more, link, privacy}, nil},
		"fewer actions": {
			[]Subscription{with(object, func(s *Subscription) { s.ID, s.Actions = "1", []string{"DELETE"} }), link, privacy},
			[]Subscription{with(object, func(s *Subscription) { s.ID = "1" })},
		},
		"other actions": {
			[]Subscription{with(object, func(s *Subscription) { s.ID, s.Actions = "1", []string{"SNAPSHOT", "DELETE"} }), link, privacy},
			[]Subscription{more},
		},
		"only some properties": {
			[]Subscription{object, with(link, func(s *Subscription) { s.ID, s.Narrow = "2", true }), privacy},
			[]Subscription{with(link, func(s *Subscription) { s.ID = "2" })},
		},
		"narrow and more": {
			[]Subscription{with(more, func(s *Subscription) { s.Narrow = true }), link, privacy},
			[]Subscription{more},
		},
		"a narrow one beside a whole one": {
			[]Subscription{with(object, func(s *Subscription) { s.ID, s.Narrow = "1", true }), object, link, privacy}, nil,
		},
		"another portal's": {
			[]Subscription{with(object, func(s *Subscription) { s.ID, s.Portal = "9", 990099 }), link, privacy},
			[]Subscription{object},
		},
		"another type's": {
			[]Subscription{with(object, func(s *Subscription) { s.ID, s.TypeID = "9", "0-2" }), link, privacy},
			[]Subscription{object},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := MissingSubscriptions(all, c.have); !reflect.DeepEqual(got, c.missing) {
				t.Errorf("got %+v, want %+v", got, c.missing)
			}
			if !reflect.DeepEqual(all, WantedSubscriptions(4242, []string{"0-1"})) {
				t.Error("what is wanted changed")
			}
			// What is posted is there then, and nothing is missing.
			there := append(slices.Clone(c.have), MissingSubscriptions(all, c.have)...)
			if again := MissingSubscriptions(all, there); len(again) > 0 {
				t.Errorf("%+v is missing after it was posted", again)
			}
		})
	}
}

func TestAConflictIsAnErrorOnlyForAReplacement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		post := "POST " + subscriptionsRoot
		s := WantedSubscriptions(4242, []string{"0-1"})[0]
		j := newJournalRig(t, map[string]func() (*http.Response, error){post: inTurn(answers(409, htmlPage), answers(409, refusal("CONFLICT", "x")))})
		if err := j.Subscribe(t.Context(), Call{}, s); err != nil || j.count(post) != 2 {
			t.Errorf("err = %v after %d answers, want none after HubSpot's own", err, j.count(post))
		}
		s.ID = "1"
		if err := j.Subscribe(t.Context(), Call{}, s); err == nil || JournalRefused(err) != "" {
			t.Errorf("a replacement: err = %v, want one that concerns this type alone", err)
		}
		for _, status := range []int{200, 201, 204} {
			body := `{"id":1}`
			if status == 204 {
				body = ""
			}
			j.on[post] = inTurn(answers(200, htmlPage), answers(status, body))
			if err := j.Subscribe(t.Context(), Call{}, s); err != nil {
				t.Errorf("%d: %v", status, err)
			}
		}
	})
}

func TestASubscriptionThatIsGoneIsRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		remove := "DELETE " + subscriptionsRoot + "/12"
		for name, c := range map[string]struct {
			answers  func() (*http.Response, error)
			attempts int
			fails    bool
		}{
			"removed":           {answers(204, ""), 1, false},
			"gone":              {answers(404, refusal("OBJECT_NOT_FOUND", "x")), 1, false},
			"a proxy's answers": {inTurn(answers(404, htmlPage), answers(200, htmlPage), answers(204, "")), 3, false},
			"refused":           {answers(403, refusal("MISSING_SCOPES", "x")), 1, true},
		} {
			j := newJournalRig(t, map[string]func() (*http.Response, error){remove: c.answers})
			if err := j.Unsubscribe(t.Context(), Call{}, "12"); (err != nil) != c.fails || j.count(remove) != c.attempts {
				t.Errorf("%s: err = %v after %d attempts, want %d", name, err, j.count(remove), c.attempts)
			}
		}
	})
}
