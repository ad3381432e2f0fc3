package schema

import (
	"bytes"
	"unicode/utf8"
)

// cleanString reports whether text can be written as it is: valid UTF-8, as Avro
// demands, without U+0000, which PostgreSQL refuses.
func cleanString(text []byte) bool {
	return bytes.IndexByte(text, 0) < 0 && utf8.Valid(text)
}

// appendCleaned appends text with U+FFFD for each U+0000, each half of a surrogate
// pair and each other byte that is not UTF-8.
func appendCleaned(dst, text []byte) []byte {
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if r == 0 {
			r = utf8.RuneError
		}
		if _, half := surrogate(text); half {
			size = 3
		}
		dst = utf8.AppendRune(dst, r)
		text = text[size:]
	}
	return dst
}

// surrogate reads half of a surrogate pair, in the three bytes in which package
// hubspot gives it.
func surrogate(text []byte) (r rune, ok bool) {
	if len(text) < 3 || text[0] != 0xED || text[1] < 0xA0 || text[1] > 0xBF || text[2] < 0x80 || text[2] > 0xBF {
		return 0, false
	}
	return 0xD000 | rune(text[1]&0x3F)<<6 | rune(text[2]&0x3F), true
}

// appendJSON appends text as a JSON string. Half of a surrogate pair stays the escape
// that it was. Another byte that is not UTF-8 does not exist in JSON and becomes
// U+FFFD.
func appendJSON(dst, text []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hex[r>>4], hex[r&0xF])
		case r == utf8.RuneError && size == 1:
			half, ok := surrogate(text)
			if !ok {
				dst = utf8.AppendRune(dst, r)
				break
			}
			dst, size = append(dst, '\\', 'u', hex[half>>12], hex[half>>8&0xF], hex[half>>4&0xF], hex[half&0xF]), 3
		default:
			dst = utf8.AppendRune(dst, r)
		}
		text = text[size:]
	}
	return append(dst, '"')
}
