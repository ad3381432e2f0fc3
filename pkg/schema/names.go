package schema

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// emptyName stands for the empty name, which Avro does not allow. Mangle writes a
// high surrogate without a low one for no other name.
const emptyName = "_ud800"

// Mangle returns the Avro name of a HubSpot name. Avro allows [A-Za-z0-9_],
// without a digit in front. Every other character becomes _uXXXX with its
// hexadecimal code, in two parts (a surrogate pair) above U+FFFF. Where the name
// itself contains what looks like such an escape, Mangle writes that underscore
// as _u005f. Names without any of this stay as they are, unlike with Debezium's
// avro_unicode, which escapes every underscore (docs/kafka.md A2).
//
// No two names have the same Avro name, even if one is not valid UTF-8: a stray
// byte becomes a low surrogate, U+DC00 plus the byte.
func Mangle(name string) string {
	if name == "" {
		return emptyName
	}
	out := make([]byte, 0, len(name)+16)
	for i := 0; i < len(name); {
		c := name[i]
		r, size := utf8.DecodeRuneInString(name[i:])
		switch {
		case c == '_' && startsWithEscape(name[i:]):
			out = appendEscape(out, '_')
		case c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' && i > 0:
			out = append(out, c)
		case r == utf8.RuneError && size == 1:
			out = appendEscape(out, 0xDC00+rune(c))
		case r > 0xFFFF:
			r -= 0x10000
			out = appendEscape(out, 0xD800+r>>10)
			out = appendEscape(out, 0xDC00+r&0x3FF)
		default:
			out = appendEscape(out, r)
		}
		i += size
	}
	return string(out)
}

const escapeLen = len("_uXXXX")

// startsWithEscape reports whether s begins with _u and four hexadecimal digits.
// Upper-case digits count, although Mangle writes lower-case ones: readers that
// undo the escapes may take both.
func startsWithEscape(s string) bool {
	if len(s) < escapeLen || s[0] != '_' || s[1] != 'u' {
		return false
	}
	for i := 2; i < escapeLen; i++ {
		c := s[i]
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F') {
			return false
		}
	}
	return true
}

func appendEscape(dst []byte, code rune) []byte { return fmt.Appendf(dst, "_u%04x", code) }

// Namespace returns the Avro namespace of a topic: each dotted part is mangled
// like the name of a property.
func Namespace(topic string) string {
	parts := strings.Split(topic, ".")
	for i, part := range parts {
		parts[i] = Mangle(part)
	}
	return strings.Join(parts, ".")
}

// retypedName names the field of a property whose first field has another type:
// <name>__<type>, with HubSpot's word for the type, as in amount__string.
func retypedName(property, hubspotType string, taken func(name string) bool) string {
	return untaken(Mangle(property+"__"+hubspotType), taken)
}

// untaken appends underscores to a name until it is free.
func untaken(name string, taken func(name string) bool) string {
	for taken(name) {
		name += "_"
	}
	return name
}
