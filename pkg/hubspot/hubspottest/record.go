package hubspottest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// answered returns the properties that an answer carries, sorted as HubSpot sorts
// them: the requested ones with a definition that the token may see, and always
// the id and the times of creation and modification. It silently ignores unknown
// names.
func (t *objectType) answered(p *Portal, asked []string) []string {
	names := append([]string{"hs_object_id", t.modified}, t.created...)
	if len(asked) == 0 {
		names = append(names, t.defaults...)
	}
	for _, name := range asked {
		if p.visible(t, name) != nil {
			names = append(names, name)
		}
	}
	names = slices.DeleteFunc(names, func(name string) bool { return t.defs[name] == nil })
	slices.Sort(names)
	return slices.Compact(names)
}

// Search and batch read return each record's address in HubSpot's UI; list does
// not.
const (
	withURL    = true
	withoutURL = false
)

// appendRecord writes a SimplePublicObject. It does so by hand, because list
// pages of every property are most of a portal's work.
func (p *Portal) appendRecord(b []byte, t *objectType, st *state, names []string, url bool) []byte {
	id := strconv.FormatUint(st.id, 10)
	b = append(b, `{"id":"`...)
	b = append(b, id...)
	b = append(b, `","properties":{`...)
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, name)
		b = append(b, ':')
		if text, ok := st.value(&t.standard, name); ok {
			b = appendString(b, text)
		} else {
			b = append(b, "null"...)
		}
	}
	b = append(b, `},"createdAt":"`...)
	b = append(b, isoTime(st.created)...)
	b = append(b, `","updatedAt":"`...)
	b = append(b, isoTime(st.updated)...)
	b = append(b, `","archived":`...)
	b = strconv.AppendBool(b, st.archived)
	if st.archived {
		b = append(b, `,"archivedAt":"`...)
		b = append(b, isoTime(st.archivedAt)...)
		b = append(b, '"')
	}
	if url {
		b = append(b, `,"url":"`...)
		b = fmt.Appendf(b, "https://app.hubspot.com/contacts/%d/record/%s/%s", p.opt.PortalID, t.typeID, id)
		b = append(b, '"')
	}
	return append(b, '}')
}

// appendString writes a JSON string; most need no escapes. Half of a surrogate pair,
// in three bytes as package hubspot reads it, becomes the escape that HubSpot sends.
func appendString(b []byte, text string) []byte {
	for i := range len(text) {
		if text[i] == 0xED && len(text) > i+2 && text[i+1] >= 0xA0 {
			half := 0xD000 | rune(text[i+1]&0x3F)<<6 | rune(text[i+2]&0x3F)
			b = append(b, encode(text[:i])...)
			b = fmt.Appendf(b[:len(b)-1], `\u%04x`, half)
			return append(b, appendString(nil, text[i+3:])[1:]...)
		}
	}
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return append(b, encode(text)...)
		}
	}
	b = append(b, '"')
	b = append(b, text...)
	return append(b, '"')
}

// encode writes JSON as HubSpot does, without escaping <, > and &.
func encode(v any) []byte {
	var s strings.Builder
	e := json.NewEncoder(&s)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(fmt.Sprintf("hubspottest: encode an answer: %v", err)) // only our own structs come here
	}
	return []byte(strings.TrimSuffix(s.String(), "\n"))
}
