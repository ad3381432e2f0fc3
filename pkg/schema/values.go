package schema

import (
	"bytes"
	"math"
	"strconv"
	"time"
)

// Every value comes as text, whatever the type of its property (docs/hubspot.md
// section 10). The functions below make typed values of it where its meaning
// is certain, and report what became of it.

// outcome is what became of a value's text. Unless it is whole, the text travels
// in unparsed.
type outcome uint8

const (
	whole outcome = iota // the typed value says all that the text says
	part                 // the typed value stands, but the text says more
	none                 // the text is not a value of the type: the field is null
)

// parseDouble reads a number: decimal digits with an optional sign, point and
// exponent, of any length. It takes no hexadecimal, no digits of other scripts,
// no groups ("1,000" is a thousand to some and one to others), no NaN, no
// infinity, and nothing beyond the largest double.
//
// The text says more than the double if it is an integer that the double does not
// hold. It also does if it has more than 17 significant digits (without zeros at
// either end, which change nothing), unless those are the double's own expansion:
// HubSpot writes the results of its own calculations so. A fraction of up to 17
// digits is no finer than doubles are written, and stands for the nearest double
// (docs/contract.md section 5), except close to zero, where doubles have fewer
// digits or none.
func parseDouble(text []byte) (float64, outcome) {
	text = trim(text)
	if v, ok := shortDecimal(text); ok {
		return v, whole
	}
	d, ok := scanDecimal(text)
	if !ok {
		return 0, none
	}
	v, err := strconv.ParseFloat(string(text), 64)
	if err != nil { // out of range: the grammar has been checked
		return 0, none
	}
	const (
		maxExact       = 1 << 53 // up to here, a double holds every integer
		smallestNormal = 0x1p-1022
		doubleDigits   = 17
	)
	switch abs := math.Abs(v); {
	case d.digits == 0: // zero
		return v, whole
	case d.isInteger() && abs <= maxExact:
		// 2^53+1 is read as 2^53.
		if abs < maxExact || d.equals(v) {
			return v, whole
		}
	case !d.isInteger() && d.digits <= doubleDigits && abs >= smallestNormal:
		return v, whole
	case d.equals(v):
		return v, whole
	}
	return v, part
}

// shortDecimal reads a number of at most 15 characters without an exponent, as almost
// all are. It has too few digits for a double to lose any.
func shortDecimal(text []byte) (v float64, ok bool) {
	const most = 15
	if len(text) > most {
		return 0, false
	}
	for _, c := range text {
		if c != '-' && c != '.' && (c < '0' || c > '9') {
			return 0, false
		}
	}
	v, err := strconv.ParseFloat(string(text), 64)
	return v, err == nil
}

// parseBoolean reads true, false, yes and no, in upper or lower case.
func parseBoolean(text []byte) (v bool, _ outcome) {
	text = trim(text)
	switch {
	case equalFold(text, "true"), equalFold(text, "yes"):
		return true, whole
	case equalFold(text, "false"), equalFold(text, "no"):
		return false, whole
	}
	return false, none
}

// parseDate reads a date as days since 1970-01-01: YYYY-MM-DD, or a point in time
// (as parseTimestamp reads it) at midnight in UTC, which is how HubSpot keeps
// dates. At any other time it is not certain which day was meant: depending on
// the time zone, it may be the day before or after.
func parseDate(text []byte) (days int32, _ outcome) {
	ms, o := parseTimestamp(text)
	if o != whole || ms%msPerDay != 0 {
		return 0, none
	}
	return int32(ms / msPerDay), whole
}

// parseTimestamp reads a point in time as milliseconds since 1970: ISO 8601 with
// or without seconds, fraction and offset (without one it is UTC, as HubSpot
// keeps times), a plain date (its midnight in UTC), or epoch milliseconds, which
// may be written as a float, as in 1.7092512E12. A text that is finer than a
// millisecond says more than the value.
//
// Consumers can read the years 1 to 9999 (docs/kafka.md J1). 24:00 and leap
// seconds may not mean the same to everybody, so they are not read.
func parseTimestamp(text []byte) (ms int64, _ outcome) {
	text = trim(text)
	ms, finer, ok := scanISO(text)
	if !ok {
		var d decimal
		if d, ok = scanDecimal(text); ok {
			ms, ok = d.int64()
		}
	}
	switch {
	case !ok || !inYears(ms):
		return 0, none
	case finer:
		return ms, part
	}
	return ms, whole
}

const msPerDay = 24 * 60 * 60 * 1000

var (
	firstMs = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	endMs   = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
)

// inYears reports whether ms lies in the years 1 to 9999.
func inYears(ms int64) bool { return firstMs <= ms && ms < endMs }

// decimal is a number as written: integer × 10^exponent, where integer is the
// digits of first and second, without zeros at the front of first and at the end
// of second.
type decimal struct {
	negative      bool
	first, second []byte // before and after the point
	digits        int    // significant ones; 0 for zero
	exponent      int    // within ±maxExponent
}

// maxExponent is far more than a double can have, and too small to overflow when
// lengths of texts are added.
const maxExponent = 1 << 40

// scanDecimal reads [+-] digits [. digits] [e [+-] digits], with a digit on
// at least one side of the point.
func scanDecimal(text []byte) (d decimal, ok bool) {
	if len(text) > 0 && (text[0] == '+' || text[0] == '-') {
		d.negative = text[0] == '-'
		text = text[1:]
	}
	d.first, text = scanDigits(text)
	if len(text) > 0 && text[0] == '.' {
		d.second, text = scanDigits(text[1:])
	}
	if len(d.first)+len(d.second) == 0 {
		return d, false
	}
	if len(text) > 0 && (text[0] == 'e' || text[0] == 'E') {
		text = text[1:]
		negative := false
		if len(text) > 0 && (text[0] == '+' || text[0] == '-') {
			negative = text[0] == '-'
			text = text[1:]
		}
		var digits []byte
		if digits, text = scanDigits(text); len(digits) == 0 {
			return d, false
		}
		for _, c := range digits {
			d.exponent = min(d.exponent*10+int(c-'0'), maxExponent)
		}
		if negative {
			d.exponent = -d.exponent
		}
	}
	if len(text) > 0 {
		return d, false
	}

	d.second = bytes.TrimRight(d.second, "0")
	d.exponent -= len(d.second)
	if len(d.second) == 0 {
		n := len(d.first)
		d.first = bytes.TrimRight(d.first, "0")
		d.exponent += n - len(d.first)
	}
	d.first = bytes.TrimLeft(d.first, "0")
	if len(d.first) == 0 {
		d.second = bytes.TrimLeft(d.second, "0")
	}
	d.digits = len(d.first) + len(d.second)
	return d, true
}

func scanDigits(text []byte) (digits, rest []byte) {
	n := 0
	for n < len(text) && '0' <= text[n] && text[n] <= '9' {
		n++
	}
	return text[:n], text[n:]
}

// isInteger relies on the last digit not being a zero.
func (d *decimal) isInteger() bool { return d.digits == 0 || d.exponent >= 0 }

// int64 returns d as an integer, if it is one.
func (d *decimal) int64() (n int64, ok bool) {
	const maxDigits = 18 // always fit
	if d.digits == 0 {
		return 0, true
	}
	if d.exponent < 0 || d.digits+d.exponent > maxDigits {
		return 0, false
	}
	for _, part := range [2][]byte{d.first, d.second} {
		for _, c := range part {
			n = n*10 + int64(c-'0')
		}
	}
	for range d.exponent {
		n *= 10
	}
	if d.negative {
		n = -n
	}
	return n, true
}

// equals reports whether v, which is finite, is exactly d. A double has no more than n
// decimals if 2^n times it is an integer, because the power of two below it ends
// there; written with as many, it is written exactly.
func (d *decimal) equals(v float64) bool {
	decimals := max(0, -d.exponent)
	const most = 1074 // that a double has
	if decimals > most {
		return false
	}
	if scaled := math.Ldexp(v, decimals); scaled != math.Trunc(scaled) {
		return false
	}
	var buf [128]byte
	exact, ok := scanDecimal(strconv.AppendFloat(buf[:0], v, 'f', decimals, 64))
	if !ok || exact.negative != d.negative || exact.digits != d.digits || exact.exponent != d.exponent {
		return false
	}
	for i := range d.digits {
		if d.digit(i) != exact.digit(i) {
			return false
		}
	}
	return true
}

func (d *decimal) digit(i int) byte {
	if i < len(d.first) {
		return d.first[i]
	}
	return d.second[i-len(d.first)]
}

// scanISO reads YYYY-MM-DD [T hh:mm [:ss [.f…]] [Z | ±hh[[:]mm]]]. As in RFC
// 3339, a space may stand for the T, and T and Z may be lower case. finer reports
// that it cut off digits below the millisecond that are not all zero.
func scanISO(text []byte) (ms int64, finer, ok bool) {
	s := scanner{text: text}
	year := s.number(4)
	s.skip('-')
	month := s.number(2)
	s.skip('-')
	day := s.number(2)
	date := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	if s.failed || month < 1 || month > 12 || date.Day() != day {
		return 0, false, false // there is no such day, so it became another one
	}
	ms = date.UnixMilli()
	if s.atEnd() {
		return ms, false, true
	}

	if !s.accept('T') && !s.accept('t') {
		s.skip(' ')
	}
	hour := s.number(2)
	s.skip(':')
	minute := s.number(2)
	second, milli := 0, 0
	if s.accept(':') {
		second = s.number(2)
		if s.accept('.') {
			milli, finer = s.fraction()
		}
	}
	offset := 0 // minutes
	if !s.atEnd() && !s.accept('Z') && !s.accept('z') {
		sign := 1
		if s.accept('-') {
			sign = -1
		} else {
			s.skip('+')
		}
		hours, minutes := s.number(2), 0
		if s.accept(':') || !s.atEnd() {
			minutes = s.number(2)
		}
		if hours > 23 || minutes > 59 {
			return 0, false, false
		}
		offset = sign * (hours*60 + minutes)
	}
	if s.failed || !s.atEnd() || hour > 23 || minute > 59 || second > 59 {
		return 0, false, false
	}
	ms += int64((hour*60+minute-offset)*60+second)*1000 + int64(milli)
	return ms, finer, true
}

// scanner reads a text from left to right. Once something is missing it has
// failed, and its results mean nothing.
type scanner struct {
	text   []byte
	failed bool
}

func (s *scanner) atEnd() bool { return len(s.text) == 0 }

// accept takes c if it is next.
func (s *scanner) accept(c byte) bool {
	if len(s.text) == 0 || s.text[0] != c {
		return false
	}
	s.text = s.text[1:]
	return true
}

// skip takes c, which must be next.
func (s *scanner) skip(c byte) {
	if !s.accept(c) {
		s.failed = true
	}
}

// number takes exactly n digits.
func (s *scanner) number(n int) int {
	if len(s.text) < n {
		s.failed = true
		return 0
	}
	v := 0
	for _, c := range s.text[:n] {
		if c < '0' || c > '9' {
			s.failed = true
			return 0
		}
		v = v*10 + int(c-'0')
	}
	s.text = s.text[n:]
	return v
}

// fraction takes the digits after a second's point: milliseconds, and whether
// anything but zeros follows those.
func (s *scanner) fraction() (milli int, finer bool) {
	digits, rest := scanDigits(s.text)
	s.text = rest
	if len(digits) == 0 {
		s.failed = true
	}
	for i := range 3 {
		milli *= 10
		if i < len(digits) {
			milli += int(digits[i] - '0')
		}
	}
	return milli, len(digits) > 3 && len(bytes.Trim(digits[3:], "0")) > 0
}

// trim removes white space at both ends, which never changes the meaning of a
// number, a boolean or a time.
func trim(text []byte) []byte {
	for len(text) > 0 && isSpace(text[0]) {
		text = text[1:]
	}
	for len(text) > 0 && isSpace(text[len(text)-1]) {
		text = text[:len(text)-1]
	}
	return text
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// equalFold compares text with small, which is lower-case ASCII. Letters of other
// scripts that Unicode folds to ASCII (the Kelvin sign to k) do not match.
func equalFold(text []byte, small string) bool {
	if len(text) != len(small) {
		return false
	}
	for i, c := range text {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != small[i] {
			return false
		}
	}
	return true
}
