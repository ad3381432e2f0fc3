package hubspot

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// recorded returns a recorded HubSpot answer. The recordings are not part of
// this repository; without them beside it, recorded skips the test.
func recorded(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "recorded", name))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("the recordings of HubSpot's answers are not here: ", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func at(t testing.TB, iso string) Millis {
	t.Helper()
	tm, err := time.Parse(time.RFC3339, iso)
	if err != nil {
		t.Fatal(err)
	}
	return MillisOf(tm)
}

func TestRecordedList(t *testing.T) {
	p, err := decodePage(recorded(t, "read_objects-api_contacts-response.json"), NewSlots([]string{"email", "", "nothing"}), 3, false)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.records) != 3 || p.after != "394" || !p.more || p.odd != 0 {
		t.Fatalf("%d records, after %q, more %v", len(p.records), p.after, p.more)
	}
	r := p.records[1]
	if r.ID != 51 || string(r.Values[0]) != "b@example.com" || r.Values[1] != nil || r.Values[2] != nil ||
		r.Created != at(t, "2023-10-26T17:55:48.691Z") || r.Updated != at(t, "2023-12-13T22:45:30.353Z") || r.Archived {
		t.Errorf("record %+v", r)
	}
}

func TestRecordedSearch(t *testing.T) {
	first, err := decodePage(recorded(t, "search_contacts_1-first-page.json"), nil, 1, false)
	if err != nil {
		t.Fatal(err)
	}
	if first.total != 57 || !first.more || len(first.records) != 1 || first.records[0].ID != 501 ||
		first.records[0].Updated != at(t, "2025-01-27T19:53:15.581Z") {
		t.Errorf("first page %+v", first)
	}
	last, err := decodePage(recorded(t, "search_contacts_2-second-page.json"), NewSlots([]string{"company", "phone"}), 1, false)
	if err != nil {
		t.Fatal(err)
	}
	if last.more || last.records[0].Values[0] != nil || string(last.records[0].Values[1]) != "9199767082" {
		t.Errorf("last page %+v", last)
	}
}

// A campaign's id is a GUID: the decoder leaves the record out and counts it.
// Its error is not an OBJECT_NOT_FOUND.
func TestRecordedBatchOfGUIDs(t *testing.T) {
	p, err := decodePage(recorded(t, "batch_read_campaigns_multi-207.json"), NewSlots([]string{"hs_name"}), 1, false)
	if err != nil || len(p.records) != 0 || p.odd != 1 || len(p.missing) != 0 {
		t.Errorf("page %+v, err = %v", p, err)
	}
}

func TestDecodedValues(t *testing.T) {
	slots := NewSlots([]string{"a", "b", "", "c", "d", "e", "f", "g"})
	p, err := decodePage([]byte(` {"results" : [ {"id":"7","properties":{
		"a":"x\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\ud800y", "unknown":{"deep":[1,{"x":null}]}, "b":"", "c":null,
		"d":12.50e3, "e":true, "f":{"k": [1]}, "g":"caf`+"\xc3\xa9\xff"+`"},
		"createdAt":"2020-01-02T03:04:05Z","updatedAt":"1577934245123","archived":true,"archivedAt":1577934245999},
		{"id":8,"updatedAt":"2020-01-02T03:04:05.9999+01:00","archivedAt":null,"properties":{"b":"z"}}],
		"paging":null,"numErrors":0} `), slots, 1, false)
	if err != nil {
		t.Fatal(err)
	}
	r := p.records[0]
	for i, want := range []string{"x\"\\/\b\f\n\r\té😀\xed\xa0\x80y", "", "", "", "12.50e3", "true", `{"k": [1]}`, "café\ufffd"} {
		if got := r.Values[i]; string(got) != want || (want == "") != (got == nil) {
			t.Errorf("value %d = %q (nil: %v), want %q", i, got, got == nil, want)
		}
	}
	if r.Created != at(t, "2020-01-02T03:04:05Z") || r.Updated != 1577934245123 || r.ArchivedAt != 1577934245999 || !r.Archived {
		t.Errorf("record %+v", r)
	}
	if r := p.records[1]; r.ID != 8 || r.Updated != at(t, "2020-01-02T02:04:05.999Z") || r.Archived || string(r.Values[1]) != "z" {
		t.Errorf("record %+v", r)
	}
	if p.more {
		t.Error("more pages without paging")
	}
}

// HubSpot may leave a member out, or send it as null or in another form.
func TestOddFormsOfAPageAreTaken(t *testing.T) {
	for body, total := range map[string]int{
		`{"results":[],"errors":null}`:              NoTotal,
		`{"results":[],"errors":{}}`:                NoTotal,
		`{"results":[],"total":null}`:               NoTotal,
		`{"results":[],"total":1.5}`:                NoTotal,
		`{"results":[],"total":"many"}`:             NoTotal,
		`{"results":[],"total":true}`:               NoTotal,
		`{"results":[],"total":12.0}`:               12,
		`{"results":[],"total":"12","errors":[]}`:   12,
		`{"paging":null,"results":[],"total":12e0}`: 12,
	} {
		if p, err := decodePage([]byte(body), nil, 1, false); err != nil || p.total != total || p.missing != nil {
			t.Errorf("%s: total %d, missing %v, err = %v", body, p.total, p.missing, err)
		}
	}
}

// TestDecode_AnEmptyPageTakesLittle: a search for two hundred records finds none most of
// the time, and a process may follow a thousand portals.
func TestDecode_AnEmptyPageTakesLittle(t *testing.T) {
	p, err := decodePage([]byte(`{"total":0,"results":[]}`), nil, 200, false)
	if err != nil || cap(p.records) > 2 {
		t.Errorf("room for %d records in an empty page (%v)", cap(p.records), err)
	}
}

// The decoder rejects an incomplete answer as a whole.
func TestWhatIsNotAPageIsRefused(t *testing.T) {
	good := `{"results":[{"id":"1","properties":{"a":"b"},"updatedAt":"2020-01-02T03:04:05Z"}],"paging":{"next":{"after":"2"}}}`
	slots := NewSlots([]string{"a"})
	if _, err := decodePage([]byte(good), slots, 1, false); err != nil {
		t.Fatal(err)
	}
	for cut := range len(good) {
		if _, err := decodePage([]byte(good[:cut]), slots, 1, false); err == nil {
			t.Errorf("accepted: %s", good[:cut])
		}
	}
	for _, bad := range []string{
		`{}`, `[]`, `null`, `"results"`, htmlPage, `{"results":null}`, `{"results":{}}`, good + `x`, good + good,
		`{"results":[],"errors":[{]}`, `{"results":[],"paging":7}`, `{"results":[],"paging":{"next":"2"}}`, `{"results":[],"paging":{"next":{"after":{}}}}`,
		`{"status":"error","message":"no"}`,
	} {
		if _, err := decodePage([]byte(bad), slots, 1, false); err == nil {
			t.Errorf("accepted: %s", bad)
		}
	}
}

// TestR18_WhatIsOddCostsAMemberOrARecord, never the page.
func TestR18_WhatIsOddCostsAMemberOrARecord(t *testing.T) {
	slots := NewSlots([]string{"a"})
	const before, after = `{"id":"1","properties":{"a":"b"},"updatedAt":"2020-01-02T03:04:05Z"}`, `{"id":3,"properties":{"a":"d"},"updatedAt":1}`
	for _, c := range []struct {
		record string
		want   string // "left out", "unread", or what is read of it
	}{
		{`{"id":"2","properties":{"a":"c"},"updatedAt":"2020-01-02T03:04:05Z"}`, "c at 2020-01-02T03:04:05.000Z"},
		{`{"id":2,"properties":{"a":"c"},"updatedAt":"1970-01-01T00:00:00Z"}`, "c at 1970-01-01T00:00:00.000Z"},
		{`{"id":2,"properties":{"a":"c"},"updatedAt":0}`, "c at 1970-01-01T00:00:00.000Z"},
		{`{"id":2,"properties":{"a":"c"},"updatedAt":-1}`, "c at 1969-12-31T23:59:59.999Z"},
		{`{"id":2,"properties":{"a":"c"}}`, "c at no time"},
		{`{"id":2,"properties":{"a":"c"},"updatedAt":null}`, "c at no time"},
		{`{"id":2,"properties":{"a":"c"},"updatedAt":"yesterday"}`, "c at no time"},
		{`{"id":2,"properties":{"a":"c"},"updatedAt":1.5}`, "c at no time"},
		{`{"id":2,"properties":{"a":"c"},"updatedAt":[true]}`, "c at no time"},
		{`{"id":2,"properties":{"a":"c"},"updatedAt":1,"createdAt":{},"archivedAt":[],"archived":"maybe"}`, "c at 1970-01-01T00:00:00.001Z"},
		{`{"id":2,"properties":{"a":"c"},"updatedAt":1,"archived":null}`, "c at 1970-01-01T00:00:00.001Z"},
		{`{"id":2,"properties":{"a":"c"},"updatedAt":1,"archived":7}`, "c at 1970-01-01T00:00:00.001Z"},
		{`{"id":2,"properties":{"a":"c"},"updatedAt":1,"archived":"true"}`, "c at 1970-01-01T00:00:00.001Z, archived"},
		{`{"id":2,"properties":{"a":{"x":[1]}},"updatedAt":1}`, `{"x":[1]} at 1970-01-01T00:00:00.001Z`},
		{`{"id":2,"updatedAt":1}`, "unread"},
		{`{"id":2,"properties":null,"updatedAt":1}`, "unread"},
		{`{"id":2,"properties":"a","updatedAt":1}`, "unread"},
		{`{"id":2,"properties":[],"updatedAt":1}`, "unread"},
		{`{"properties":{"a":"c"},"updatedAt":1}`, "left out"},
		{`{"id":null,"properties":{"a":"c"},"updatedAt":1}`, "left out"},
		{`{"id":{},"properties":{"a":"c"},"updatedAt":1}`, "left out"},
		{`{"id":"2a","properties":{"a":"c"},"updatedAt":1}`, "left out"},
		{`{"id":2.5,"properties":{"a":"c"},"updatedAt":1}`, "left out"},
		{`{}`, "left out"}, {`null`, "left out"}, {`"2"`, "left out"}, {`[]`, "left out"}, {`7`, "left out"},
	} {
		p, err := decodePage([]byte(`{"results":[`+before+","+c.record+","+after+`]}`), slots, 3, false)
		if err != nil {
			t.Errorf("%s: %v", c.record, err)
			continue
		}
		got := ""
		switch n := len(p.records); {
		case n < 2 || p.records[0].ID != 1 || p.records[n-1].ID != 3 || string(p.records[n-1].Values[0]) != "d":
			got = "its neighbours are gone"
		case n == 3 && p.records[1].ID == 2:
			r := p.records[1]
			got = string(r.Values[0]) + " at " + r.Updated.String()
			if r.Updated == NoTime {
				got = string(r.Values[0]) + " at no time"
			}
			if r.Archived {
				got += ", archived"
			}
		case slices.Equal(p.unread, []ID{2}):
			got = "unread"
		case p.odd == 1:
			got = "left out"
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.record, got, c.want)
		}
	}
	p, err := decodePage([]byte(`{"results":[{"id":2,"properties":{},"archived":"maybe"},{"id":3,"properties":{},"archived":false}]}`), slots, 2, true)
	if err != nil || !p.records[0].Archived || p.records[1].Archived {
		t.Errorf("asked for archived records: %+v, %v", p.records, err)
	}
}

// A page's values stay intact while others are read, and appending to one does
// not overwrite another.
func TestValuesDoNotOverlap(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"results":[`)
	for i := range 100 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":"%d","updatedAt":"2020-01-02T03:04:05Z","properties":{"a":"%s","b":"b%d"}}`, i+1, strings.Repeat("x", i*97%5000), i)
	}
	b.WriteString(`]}`)
	p, err := decodePage([]byte(b.String()), NewSlots([]string{"a", "b"}), 7, false)
	if err != nil || len(p.records) != 100 {
		t.Fatalf("%d records, err = %v", len(p.records), err)
	}
	for _, r := range p.records {
		_ = append(r.Values[0], "overwritten"...)
	}
	for i, r := range p.records {
		if len(r.Values[0]) != i*97%5000 || string(r.Values[1]) != "b"+strconv.Itoa(i) {
			t.Fatalf("record %d: %d bytes, %q", i, len(r.Values[0]), r.Values[1])
		}
	}
}

// naive is a second decoder, based on encoding/json, for the fuzz test.
func naive(body []byte, slots *Slots) ([]Record, error) {
	page, err := membersOnce(body)
	if err != nil {
		return nil, err
	}
	var list []json.RawMessage
	if err := json.Unmarshal(page["results"], &list); err != nil || list == nil {
		return nil, errors.New("no results")
	}
	var records []Record
	for _, one := range list {
		m, err := membersOnce(one)
		if err != nil {
			return nil, err
		}
		var properties map[string]json.RawMessage
		if err := json.Unmarshal(m["properties"], &properties); err != nil || properties == nil {
			return nil, errors.New("no properties")
		}
		var id string
		if err := json.Unmarshal(m["id"], &id); err != nil {
			return nil, err
		}
		n, err := ParseID(id)
		if err != nil {
			continue
		}
		r := Record{ID: n, Values: make([][]byte, len(slots.Names))}
		for i, name := range slots.Names {
			if name == "" {
				continue
			}
			raw := properties[name]
			var text string
			switch {
			case len(raw) == 0 || string(raw) == "null":
			case raw[0] != '"':
				r.Values[i] = raw
			default:
				if err := json.Unmarshal(raw, &text); err != nil {
					return nil, err
				}
				if text != "" {
					r.Values[i] = []byte(text)
				}
			}
			if name == MergedProperty {
				r.Merged = r.Values[i]
			}
			if r.Values[i] != nil && slots.Hashed != nil && slots.Hashed[i] {
				mac := hmac.New(sha256.New, []byte(slots.HashKey.Reveal()))
				mac.Write(r.Values[i])
				r.Values[i] = fmt.Appendf(nil, "%x", mac.Sum(nil))
			}
		}
		records = append(records, r)
	}
	return records, nil
}

// membersOnce are the members of an object that has none of them twice: the decoder adds
// what a second one says to the first.
func membersOnce(object []byte) (map[string]json.RawMessage, error) {
	members := map[string]json.RawMessage{}
	dec := json.NewDecoder(bytes.NewReader(object))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("no object")
	}
	for dec.More() {
		var value json.RawMessage
		name, err := dec.Token()
		if err == nil {
			err = dec.Decode(&value)
		}
		if err != nil {
			return nil, err
		}
		text := fmt.Sprint(name)
		if _, twice := members[text]; twice {
			return nil, fmt.Errorf("member %s comes twice", text)
		}
		members[text] = value
	}
	return members, nil
}

// The decoder accepts only JSON, and reads it as encoding/json does.
func FuzzDecodePage(f *testing.F) {
	for _, s := range []string{
		`{"results":[{"id":"1","properties":{"a":"b","b":null,"c":"\u00e9\ud83d\ude00"},"createdAt":"2020-01-02T03:04:05Z","updatedAt":"2020-01-02T03:04:05Z"}]}`,
		`{"results":[{"id":"1","properties":{"a":1,"b":true,"c":[1,"x"]},"updatedAt":"1577934245123"},{"id":"x","properties":{},"updatedAt":1}],"paging":{"next":{"after":"2"}}}`,
		`{"results":[],"total":3,"errors":[{"category":"OBJECT_NOT_FOUND","context":{"ids":["1"]}}]}`,
		`{"results":[{"id":"1","properties":{"a":"\ud800\ud800\udc00","a":"twice"},"updatedAt":1}]}`,
		`{"results":[{"id":"1","properties":{"a":"x","b":"x","hs_merged_object_ids":"17;18"},"updatedAt":1}]}`,
		`{"results":[{"id":"1","properties":{"a":"x"},"properties":{"b":"x"}}]}`,
		"{\"results\":[{\"id\":\"1\",\"properties\":{\"a\":\"\xff\\n\xfe\"},\"updatedAt\":1}]}",
	} {
		f.Add([]byte(s))
	}
	slots := NewSlots([]string{"a", "b", "", "c", MergedProperty})
	slots.Hashed, slots.HashKey = []bool{false, true, false, false, true}, "the key of the digests"
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := decodePage(body, slots, 2, false)
		if err != nil {
			return
		}
		if !json.Valid(body) {
			t.Fatalf("accepted although it is not JSON: %q", body)
		}
		want, err := naive(body, slots)
		if err != nil {
			// naive reads duplicate members and numeric ids differently;
			// HubSpot sends neither.
			return
		}
		if len(want) != len(p.records) {
			t.Fatalf("%d records, want %d: %q", len(p.records), len(want), body)
		}
		for i, r := range p.records {
			if r.ID != want[i].ID {
				t.Fatalf("record %d: id %v, want %v: %q", i, r.ID, want[i].ID, body)
			}
			if string(r.Merged) != string(want[i].Merged) {
				t.Fatalf("record %d: merged %q, want %q: %q", i, r.Merged, want[i].Merged, body)
			}
			for s := range slots.Names {
				if slots.Hashed[s] && bytes.Contains(bytes.ToLower(body), []byte(`\ud`)) {
					continue // naive hashes U+FFFD for half of a surrogate pair
				}
				if got, want := withoutHalves(r.Values[s]), want[i].Values[s]; string(got) != string(want) || (got == nil) != (want == nil) {
					t.Fatalf("record %d slot %d: %q, want %q: %q", i, s, got, want, body)
				}
			}
		}
	})
}

// withoutHalves has U+FFFD for half of a surrogate pair, as encoding/json does.
func withoutHalves(text []byte) []byte {
	for i := range text {
		if text[i] == 0xED && text[i+1] >= 0xA0 {
			return append([]byte(string(text[:i])+"\uFFFD"), withoutHalves(text[i+3:])...)
		}
	}
	return text
}

// TestDecode_HalfASurrogatePairIsKept: package schema writes it as HubSpot did.
func TestDecode_HalfASurrogatePairIsKept(t *testing.T) {
	slots := NewSlots([]string{"a"})
	for text, want := range map[string]string{
		`\ud83d`:               "\xed\xa0\xbd",
		`x\uD83Dy\n`:           "x\xed\xa0\xbdy\n",
		`\ude00`:               "\xed\xb8\x80",
		`\ude00\ud83d`:         "\xed\xb8\x80\xed\xa0\xbd",
		`\ud83d\ud83d\ude00`:   "\xed\xa0\xbd😀",
		`\ud83d\u0041\\\u0042`: "\xed\xa0\xbdA\\B",
		`\ud83d\\ude00`:        "\xed\xa0\xbd\\ude00",
		`\ufffd\ud83d\ude00é`:  "\uFFFD😀é",
		`\ud83d` + "\xff":      "\xed\xa0\xbd\uFFFD",
	} {
		p, err := decodePage([]byte(`{"results":[{"id":"1","properties":{"a":"`+text+`"},"updatedAt":1}]}`), slots, 1, false)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.records[0].Values[0]; string(got) != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// A page whose records have their properties in different orders, twice, or with
// space in between, is read as well as one in which all look alike.
func TestDecode_PropertiesInAnyOrder(t *testing.T) {
	slots := NewSlots([]string{"a", "b", "c"})
	body := `{"results":[
		{"id":1,"properties":{"a":"1a","b":"1b","c":"1c"}},
		{"id":2,"properties":{"c":"2c","a":"2a"}},
		{"id":3,"properties":{"a" : "3a", "x":1,"b":"3b","c":null}},
		{"id":4,"properties":{"b":"4b","x":1,"a":"4a","c":"4c"}},
		{"id":5,"properties":{"\u0061":"5a","bb":"no","b":"5b","b":"5B"}},
		{"id":6,"properties":{}},
		{"id":7,"properties":{"a":"7a","b":"7b","c":"7c","x":2}}]}`
	p, err := decodePage([]byte(body), slots, 7, false)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range p.records {
		got = append(got, string(r.Values[0])+","+string(r.Values[1])+","+string(r.Values[2]))
	}
	const want = "1a,1b,1c 2a,,2c 3a,3b, 4a,4b,4c 5a,5B, ,, 7a,7b,7c"
	if strings.Join(got, " ") != want {
		t.Errorf("read %q, want %q", strings.Join(got, " "), want)
	}
}

// bigPage is 100 records of 300 properties, a third of them null.
func bigPage() ([]byte, *Slots) {
	names := make([]string, 300)
	for i := range names {
		names[i] = "hs_property_number_" + strconv.Itoa(i)
	}
	var b strings.Builder
	b.WriteString(`{"results":[`)
	for r := range 100 {
		if r > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":"%d","properties":{`, 26256445664+r)
		for i, name := range names {
			if i > 0 {
				b.WriteByte(',')
			}
			switch i % 3 {
			case 0:
				fmt.Fprintf(&b, `"%s":null`, name)
			case 1:
				fmt.Fprintf(&b, `"%s":"2023-10-26T17:55:48.301Z"`, name)
			default:
				fmt.Fprintf(&b, `"%s":"some text of ordinary length, number %d"`, name, r*i)
			}
		}
		b.WriteString(`},"createdAt":"2023-10-26T17:55:48.301Z","updatedAt":"2024-12-24T17:31:54.727Z","archived":false}`)
	}
	b.WriteString(`],"paging":{"next":{"after":"26256445764"}}}`)
	return []byte(b.String()), NewSlots(names)
}

func BenchmarkDecodePage(b *testing.B) {
	body, slots := bigPage()
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if p, err := decodePage(body, slots, 100, false); err != nil || len(p.records) != 100 {
			b.Fatal(err)
		}
	}
}
