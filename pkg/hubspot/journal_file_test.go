package hubspot

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestAnEventIsToldByItsMembers(t *testing.T) {
	const at = 1796108399000 // 2026-12-01T06:59:59Z
	odd := JournalEvent{}
	for name, c := range map[string]struct {
		event string
		want  JournalEvent // the zero value: none, and it counts as odd
	}{
		"update": {
			`{"type":"crmObject","portalId":4242,"occurredAt":"2026-12-01T06:59:59Z","action":"UPDATE","objectTypeId":"0-1","objectId":101,"propertyChanges":{"email":"a@b.c","city":null}}`,
			JournalEvent{Kind: ObjectEvent, Action: "UPDATE", Portal: 4242, Occurred: at, TypeID: "0-1", ID: 101},
		},
		"ids as texts": {
			`{"portalId":"4242","occurredAt":"2026-12-01T06:59:59.000Z","action":"CREATE","objectTypeId":"2-7","objectId":"18446744073709551615"}`,
			JournalEvent{Kind: ObjectEvent, Action: "CREATE", Portal: 4242, Occurred: at, TypeID: "2-7", ID: 18446744073709551615},
		},
		"time as a number, offset time": {
			`{"occurredAt":1796108399000,"action":"DELETE","objectTypeId":"0-1","objectId":1}`,
			JournalEvent{Kind: ObjectEvent, Action: ActionDelete, Occurred: at, TypeID: "0-1", ID: 1},
		},
		"merge": {
			`{"action":"MERGE","occurredAt":"2026-12-01T07:59:59+01:00","objectTypeId":"0-1","objectId":9,"mergedObjectIds":[7,"8",null,{},"x"]}`,
			JournalEvent{Kind: ObjectEvent, Action: "MERGE", Occurred: at, TypeID: "0-1", ID: 9, Merged: []ID{7, 8}},
		},
		"merge with one odd list": {
			`{"action":"MERGE","objectTypeId":"0-1","objectId":9,"mergedObjectIds":"7;8"}`,
			JournalEvent{Kind: ObjectEvent, Action: "MERGE", TypeID: "0-1", ID: 9},
		},
		"association": {
			`{"type":"association","portalId":4242,"action":"ASSOCIATION_REMOVED","fromObjectTypeId":"0-1","fromObjectId":1,"toObjectTypeId":"0-2","toObjectId":"2","associationTypeId":279,"associationCategory":"HUBSPOT_DEFINED","isPrimary":false}`,
			JournalEvent{Kind: AssociationEvent, Action: ActionRemoved, Portal: 4242, TypeID: "0-1", ID: 1, ToTypeID: "0-2", ToID: 2, Category: "HUBSPOT_DEFINED", AssociationType: 279},
		},
		"an association with an odd type": {
			`{"action":"ASSOCIATION_ADDED","fromObjectTypeId":"0-1","fromObjectId":1,"toObjectTypeId":"0-2","toObjectId":2,"associationTypeId":{},"associationCategory":7,"isPrimary":"no"}`,
			JournalEvent{Kind: AssociationEvent, Action: "ASSOCIATION_ADDED", TypeID: "0-1", ID: 1, ToTypeID: "0-2", ToID: 2},
		},
		"an unknown type with a record": {
			`{"type":"teleported","action":"TELEPORT","objectTypeId":"0-1","objectId":3}`,
			JournalEvent{Kind: ObjectEvent, Action: "TELEPORT", TypeID: "0-1", ID: 3},
		},
		"an unknown type":       {`{"type":"weather_event","portalId":4242,"action":"RAINED","where":["outside"]}`, JournalEvent{Action: "RAINED", Portal: 4242}},
		"installed":             {`{"type":"app_lifecycle_event","action":"APP_INSTALL","portalId":4242}`, JournalEvent{Action: "APP_INSTALL", Portal: 4242}},
		"odd times and portals": {`{"portalId":-1,"occurredAt":{},"action":"UPDATE","objectTypeId":"0-1","objectId":3}`, JournalEvent{Kind: ObjectEvent, Action: "UPDATE", TypeID: "0-1", ID: 3}},
		"an odd action":         {`{"action":{"name":"UPDATE"},"objectTypeId":"0-1","objectId":3}`, JournalEvent{Kind: ObjectEvent, TypeID: "0-1", ID: 3}},
		"no id":                 {`{"action":"UPDATE","objectTypeId":"0-1"}`, odd},
		"id 0":                  {`{"action":"UPDATE","objectTypeId":"0-1","objectId":0}`, odd},
		"an id of another kind": {`{"action":"UPDATE","objectTypeId":"0-1","objectId":"a@b.c"}`, odd},
		"an id with a fraction": {`{"action":"UPDATE","objectTypeId":"0-1","objectId":1.5}`, odd},
		"a negative id":         {`{"action":"UPDATE","objectTypeId":"0-1","objectId":-1}`, odd},
		"an association's end":  {`{"action":"ASSOCIATION_ADDED","fromObjectTypeId":"0-1","fromObjectId":1,"toObjectTypeId":"0-2"}`, odd},
		"an association's type": {`{"action":"ASSOCIATION_ADDED","fromObjectTypeId":"0-1","fromObjectId":1,"toObjectId":2}`, odd},
		"null":                  {`null`, odd},
		"a text":                {`"UPDATE"`, odd},
		"a list":                {`[]`, odd},
	} {
		t.Run(name, func(t *testing.T) {
			const good = `{"action":"UPDATE","objectTypeId":"0-1","objectId":5}`
			f, err := readJournalFile([]byte(`{"offset":"o","publishedAt":"2026-12-01T06:59:59Z","journalEvents":[` + good + "," + c.event + "," + good + `]}`))
			if err != nil {
				t.Fatal(err)
			}
			other := JournalEvent{Kind: ObjectEvent, Action: "UPDATE", TypeID: "0-1", ID: 5}
			want := &JournalFile{Offset: "o", Published: at, Events: []JournalEvent{other, c.want, other}}
			if reflect.DeepEqual(c.want, odd) {
				want.Events, want.Odd = []JournalEvent{other, other}, 1
			}
			if !reflect.DeepEqual(f, want) {
				t.Errorf("got %+v, want %+v", f, want)
			}
		})
	}
}

func TestAPrivacyDeletionIsToldHoweverItIsSpelt(t *testing.T) {
	for _, members := range []string{
		`"type":"gdprPrivacyDeletion","action":"GDPR_DELETE"`,
		`"type":"GDPR_PRIVACY_DELETION","action":"GDPR_DELETE"`,
		`"type":"gdpr_privacy_deletion"`,
		`"type":"privacyDeletion","action":"DELETE"`,
		`"type":"crmObject","action":"GDPR_DELETE"`,
		`"type":"crmObject","action":"gdpr_delete"`,
		`"action":"GDPR_DELETE"`,
		`"type":7,"action":"GDPR_DELETE"`,
	} {
		e, ok := readJournalEvent([]byte(`{` + members + `,"portalId":4242,"objectTypeId":"0-1","objectId":"12"}`))
		if want := (JournalEvent{Kind: ObjectEvent, Action: ActionPurge, Portal: 4242, TypeID: "0-1", ID: 12}); !ok || !reflect.DeepEqual(e, want) {
			t.Errorf("%s: got %+v, %v, want %+v", members, e, ok, want)
		}
	}
}

func TestAFileSaysWhatItCan(t *testing.T) {
	for text, want := range map[string]*JournalFile{
		`{"offset":7,"publishedAt":{},"journalEvents":[]}`:    {Events: []JournalEvent{}},
		`{"journalEvents":[],"somethingNew":[{}]}`:            {Events: []JournalEvent{}},
		`{"publishedAt":"1796108399000","journalEvents":[1]}`: {Published: 1796108399000, Events: []JournalEvent{}, Odd: 1},
		`{"offset":"o"}`:                   nil,
		`{"journalEvents":{}}`:             nil,
		`{"journalEvents":[]}{}`:           nil,
		`[{"journalEvents":[]}]`:           nil,
		`{"journalEvents":[{"objectId":1}`: nil,
		``:                                 nil,
	} {
		f, err := readJournalFile([]byte(text))
		if (err == nil) != (want != nil) || want != nil && !reflect.DeepEqual(f, want) {
			t.Errorf("%s: got %+v, %v, want %+v", text, f, err, want)
		}
	}
}

// manyEvents is a file as large as HubSpot makes them: 10,000 events, 5 MB.
func manyEvents() []byte {
	var b strings.Builder
	b.WriteString(`{"offset":"` + offset1 + `","publishedAt":"2026-12-01T06:59:59Z","journalEvents":[`)
	for i := range 10_000 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"type":"crmObject","portalId":4242,"occurredAt":"2026-12-01T06:59:59Z","action":"UPDATE","objectTypeId":"0-1","objectId":%d,"propertyChanges":{"email":"someone@example.com","city":null,"notes":%q}}`, i+1, strings.Repeat("x", 300))
	}
	b.WriteString(`]}`)
	return []byte(b.String())
}

func TestAFileOfTenThousandEventsIsRead(t *testing.T) {
	f, err := readJournalFile(manyEvents())
	if err != nil || len(f.Events) != 10_000 || f.Odd != 0 || f.Events[9_999].ID != 10_000 {
		t.Fatalf("%v", err)
	}
}

func BenchmarkJournalFile(b *testing.B) {
	text := manyEvents()
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := readJournalFile(text); err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzJournalFile: whatever a file holds, what it names can be asked for.
func FuzzJournalFile(f *testing.F) {
	f.Add([]byte(fileJSON(offset1)))
	f.Add([]byte(`{"journalEvents":[{"fromObjectTypeId":"0-1","fromObjectId":1,"toObjectTypeId":"0-2","toObjectId":"2"},null,7,{"type":"x"}]}`))
	f.Add([]byte(`{"journalEvents":[{"objectTypeId":"0-1","objectId":"9","mergedObjectIds":[1,"2",null]}],"publishedAt":1}`))
	f.Add([]byte(htmlPage))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := readJournalFile(text)
		if err != nil {
			return
		}
		if file.Published < 0 {
			t.Errorf("published at %d", file.Published)
		}
		for _, e := range file.Events {
			named := e.Kind == OtherEvent || e.TypeID != "" && e.ID != 0
			if e.Kind == AssociationEvent {
				named = named && e.ToTypeID != "" && e.ToID != 0
			}
			for _, id := range e.Merged {
				named = named && id != 0
			}
			if !named || e.Occurred < 0 {
				t.Errorf("%+v names nothing", e)
			}
		}
	})
}
