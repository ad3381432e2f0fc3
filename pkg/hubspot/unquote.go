package hubspot

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// unquote appends the text of a JSON string. Each byte that is not UTF-8
// becomes U+FFFD, as in encoding/json: Avro and JSON allow nothing but UTF-8. Half
// of a surrogate pair keeps its three bytes, which are no UTF-8 either, so that
// package schema can write it as HubSpot did.
func (d *decoder) unquote(dst []byte, raw []byte) ([]byte, error) {
	text := raw[1 : len(raw)-1]
	if bytes.IndexByte(text, '\\') >= 0 {
		if bytes.Contains(text, []byte(`\u`)) {
			// jx pairs surrogates differently; \u is rare enough for
			// encoding/json, which is slow but exact.
			var s string
			if err := json.Unmarshal(raw, &s); err != nil {
				return dst, err
			}
			if strings.ContainsRune(s, utf8.RuneError) {
				return appendWithHalves(dst, text), nil
			}
			return append(dst, s...), nil
		}
		start := len(dst)
		d.scratch.ResetBytes(raw)
		dst, err := d.scratch.StrAppend(dst)
		if err != nil || utf8.Valid(dst[start:]) {
			return dst, err
		}
		text = append([]byte(nil), dst[start:]...)
		return appendValid(dst[:start], text), nil
	}
	return appendValid(dst, text), nil
}

// appendWithHalves appends the text of a valid JSON string, halves of surrogate pairs
// included.
func appendWithHalves(dst, text []byte) []byte {
	for len(text) > 0 {
		if text[0] != '\\' {
			r, n := utf8.DecodeRune(text)
			dst, text = utf8.AppendRune(dst, r), text[n:]
			continue
		}
		if text[1] != 'u' {
			dst, text = append(dst, unescaped[text[1]]), text[2:]
			continue
		}
		r := hexRune(text[2:6])
		text = text[6:]
		if !utf16.IsSurrogate(r) {
			dst = utf8.AppendRune(dst, r)
			continue
		}
		if len(text) >= 6 && text[0] == '\\' && text[1] == 'u' {
			if pair := utf16.DecodeRune(r, hexRune(text[2:6])); pair != utf8.RuneError {
				dst, text = utf8.AppendRune(dst, pair), text[6:]
				continue
			}
		}
		dst = append(dst, 0xE0|byte(r>>12), 0x80|byte(r>>6&0x3F), 0x80|byte(r&0x3F))
	}
	return dst
}

var unescaped = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// hexRune reads four hexadecimal digits.
func hexRune(digits []byte) rune {
	n, err := strconv.ParseUint(string(digits), 16, 16)
	if err != nil {
		return utf8.RuneError // not in a valid JSON string
	}
	return rune(n)
}

func appendValid(dst, text []byte) []byte {
	if utf8.Valid(text) {
		return append(dst, text...)
	}
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		dst = utf8.AppendRune(dst, r)
		text = text[n:]
	}
	return dst
}
