package schema

import (
	"encoding/json"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// said describes a value and its outcome: "5", "5 and more", "null".
func said(value string, o outcome) string {
	switch o {
	case whole:
		return value
	case part:
		return value + " and more"
	default:
		return "null"
	}
}

func saidDouble(text string) string {
	v, o := parseDouble([]byte(text))
	return said(strconv.FormatFloat(v, 'g', -1, 64), o)
}

func saidBoolean(text string) string {
	v, o := parseBoolean([]byte(text))
	return said(strconv.FormatBool(v), o)
}

func saidDate(text string) string {
	days, o := parseDate([]byte(text))
	return said(time.Unix(int64(days)*24*60*60, 0).UTC().Format(time.DateOnly), o)
}

func saidTimestamp(text string) string {
	ms, o := parseTimestamp([]byte(text))
	return said(time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z"), o)
}

type spoken struct{ text, want string }

func checkSpoken(t *testing.T, say func(string) string, table []spoken) {
	t.Helper()
	for _, tt := range table {
		if got := say(tt.text); got != tt.want {
			t.Errorf("%q is read as %s, want %s", tt.text, got, tt.want)
		}
	}
}

// docs/contract.md section 5: a value is recovered where its meaning is certain;
// else the field is null and the raw text travels. "and more" is a value whose
// text travels too.
func TestNumbers(t *testing.T) {
	checkSpoken(t, saidDouble, []spoken{
		{"43", "43"},
		{"-1.5", "-1.5"},
		{"0", "0"},
		{"-0", "-0"},
		{"0.0", "0"},
		{"+5", "5"},
		{".5", "0.5"},
		{"5.", "5"},
		{" 12 ", "12"},
		{"12\n", "12"},
		{"007", "7"},
		{"1e3", "1000"},
		{"1.743685150726E12", "1.743685150726e+12"},
		{"1743685150726", "1.743685150726e+12"},
		{"123456789012.34", "1.2345678901234e+11"},

		// Integers, which a double holds up to 2^53, and some above.
		{"9007199254740991", "9.007199254740991e+15"},
		{"9007199254740992", "9.007199254740992e+15"},
		{"9007199254740993", "9.007199254740992e+15 and more"},
		{"-9007199254740993", "-9.007199254740992e+15 and more"},
		{"9007199254740993.0", "9.007199254740992e+15 and more"},
		{"9007199254740994", "9.007199254740994e+15"},
		{"18446744073709551616", "1.8446744073709552e+19"}, // 2^64
		{"18446744073709551617", "1.8446744073709552e+19 and more"},
		{"10000000000000000000000", "1e+22"},
		{"1e22", "1e+22"},
		{"1e23", "1e+23 and more"}, // no double is 10^23
		{"100000000000000000000000", "1e+23 and more"},

		// Fractions of up to 17 digits, and of more.
		{"0.1", "0.1"},
		{"0.30000000000000004", "0.30000000000000004"},
		{"0.12345678901234567", "0.12345678901234566"},
		{"0.123456789012345678", "0.12345678901234568 and more"},
		{"0.1000000000000000055511151231257827021181583404541015625", "0.1"},
		{"0.200000000000000011102230246251565404236316680908203125", "0.2"},
		{"0.20000000000000001110223024625156540423631668090820312500", "0.2"},
		{"0.200000000000000011102230246251565404", "0.2 and more"},
		{"2.00000000000000011102230246251565404236316680908203125E-1", "0.2"},
		{"12.340000000000000000", "12.34"},                      // zeros say nothing about the value
		{"0.00000000000000000000000000000012345", "1.2345e-31"}, // nor do these
		{"4503599627370496.5", "4.503599627370496e+15"},         // 17 digits, however many doubles there are
		{"9007199254740992.25", "9.007199254740992e+15 and more"},

		// Close to zero, doubles have fewer digits.
		{"2.2250738585072014e-308", "2.2250738585072014e-308"},
		{"1.2345678901234567e-320", "1.2347e-320 and more"},
		{"5e-324", "5e-324 and more"},
		{"1e-400", "0 and more"},
		{"0e-400", "0"},
		{"0e99999999999999999999", "0"},

		// Not numbers, or it is not certain which.
		{"about twelve", "null"},
		{"", "null"},
		{" ", "null"},
		{"1e400", "null"},
		{"-1e400", "null"},
		{"1e99999999999999999999", "null"},
		{"NaN", "null"},
		{"nan", "null"},
		{"Infinity", "null"},
		{"-Infinity", "null"},
		{"inf", "null"},
		{"0x10", "null"},
		{"0x1p-2", "null"},
		{"0b1", "null"},
		{"1_000", "null"},
		{"1,000", "null"},
		{"1,5", "null"},
		{"1 000", "null"},
		{"1.000.000", "null"},
		{"１２", "null"},
		{"١٢", "null"},
		{"12%", "null"},
		{"$12", "null"},
		{"(12)", "null"},
		{"--5", "null"},
		{"+-5", "null"},
		{"5-", "null"},
		{"- 5", "null"},
		{"−5", "null"},
		{".", "null"},
		{"+", "null"},
		{"e5", "null"},
		{".e5", "null"},
		{"1e", "null"},
		{"1e+", "null"},
		{"1e1.5", "null"},
		{"12\x00", "null"},
		{"true", "null"},
		{"2024-03-01", "null"},
	})
}

func TestBooleans(t *testing.T) {
	checkSpoken(t, saidBoolean, []spoken{
		{"true", "true"},
		{"false", "false"},
		{"TRUE", "true"},
		{"False", "false"},
		{"Yes", "true"},
		{"No", "false"},
		{"yes", "true"},
		{"NO", "false"},
		{" true ", "true"},

		{"", "null"},
		{"1", "null"},
		{"0", "null"},
		{"y", "null"},
		{"n", "null"},
		{"t", "null"},
		{"on", "null"},
		{"ja", "null"},
		{"nope", "null"},
		{"yeſ", "null"}, // a long s, which Unicode folds to s
		{"true;false", "null"},
	})
}

func TestDates(t *testing.T) {
	checkSpoken(t, saidDate, []spoken{
		{"2024-03-01", "2024-03-01"},
		{"1969-12-31", "1969-12-31"},
		{"2024-02-29", "2024-02-29"},
		{"2000-02-29", "2000-02-29"},
		{"0001-01-01", "0001-01-01"},
		{"9999-12-31", "9999-12-31"},
		{" 2024-03-01 ", "2024-03-01"},
		{"2024-03-01T00:00:00Z", "2024-03-01"},
		{"2024-03-01T00:00:00.000Z", "2024-03-01"},
		{"2024-03-01T00:00:00", "2024-03-01"},
		{"2024-03-01T02:00:00+02:00", "2024-03-01"},
		{"1709251200000", "2024-03-01"},
		{"1709251200000.0", "2024-03-01"},
		{"1.7092512E12", "2024-03-01"},
		{"0", "1970-01-01"},
		{"-86400000", "1969-12-31"},
		{"-2208988800000", "1900-01-01"},
		{"-62135596800000", "0001-01-01"},
		{"253402214400000", "9999-12-31"},

		// Not midnight in UTC: which day was meant?
		{"2024-03-01T13:00:00Z", "null"},
		{"2024-03-01T00:00:00.001Z", "null"},
		{"2024-03-01T00:00:00.0000001Z", "null"},
		{"2024-03-01T00:00:00+02:00", "null"},
		{"1709251200001", "null"},
		{"1709251200000.5", "null"},
		{"-1", "null"},
		{"20240301", "null"},
		{"2024", "null"},

		{"", "null"},
		{"2023-02-29", "null"},
		{"1900-02-29", "null"},
		{"2024-02-30", "null"},
		{"2024-04-31", "null"},
		{"2024-00-01", "null"},
		{"2024-13-01", "null"},
		{"2024-01-00", "null"},
		{"0000-01-01", "null"},
		{"10000-01-01", "null"},
		{"-0001-01-01", "null"},
		{"-62135596800001", "null"},
		{"-62135683200000", "null"}, // the day before 0001-01-01
		{"253402300800000", "null"}, // 10000-01-01
		{"9999999999999999", "null"},
		{"99999999999999999999999", "null"},
		{"2024-3-1", "null"},
		{"24-03-01", "null"},
		{"01/03/2024", "null"},
		{"2024/03/01", "null"},
		{"March 1, 2024", "null"},
		{"2024-03", "null"},
		{"2024-03-01T", "null"},
		{"2024-03-01Z", "null"},
		{"2024-03-01x", "null"},
		{"２０２４-03-01", "null"},
		{"NaN", "null"},
		{"0x0", "null"},
	})
}

func TestTimestamps(t *testing.T) {
	checkSpoken(t, saidTimestamp, []spoken{
		{"2024-03-01T13:14:15Z", "2024-03-01T13:14:15.000Z"},
		{"2024-03-01T13:14:15.123Z", "2024-03-01T13:14:15.123Z"},
		{"2024-03-01T13:14:15.1Z", "2024-03-01T13:14:15.100Z"},
		{"2024-03-01T13:14:15.123000Z", "2024-03-01T13:14:15.123Z"},
		{"2024-03-01T13:14:15.123", "2024-03-01T13:14:15.123Z"},
		{"2024-03-01T13:14:15", "2024-03-01T13:14:15.000Z"},
		{"2024-03-01T13:14", "2024-03-01T13:14:00.000Z"},
		{"2024-03-01T13:14Z", "2024-03-01T13:14:00.000Z"},
		{"2024-03-01 13:14:15", "2024-03-01T13:14:15.000Z"},
		{"2024-03-01t13:14:15z", "2024-03-01T13:14:15.000Z"},
		{"2024-03-01T13:14:15+02:00", "2024-03-01T11:14:15.000Z"},
		{"2024-03-01T13:14:15.5-0530", "2024-03-01T18:44:15.500Z"},
		{"2024-03-01T13:14:15+02", "2024-03-01T11:14:15.000Z"},
		{"2024-03-01T00:30:00+01:00", "2024-02-29T23:30:00.000Z"},
		{"2024-03-01T13:14:15-00:00", "2024-03-01T13:14:15.000Z"},
		{"2024-02-29T23:59:59.999Z", "2024-02-29T23:59:59.999Z"},
		{"1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"},
		{"2024-03-01", "2024-03-01T00:00:00.000Z"},
		{"1709298855123", "2024-03-01T13:14:15.123Z"},
		{"1709298855123.0", "2024-03-01T13:14:15.123Z"},
		{"1.709298855123E12", "2024-03-01T13:14:15.123Z"},
		{"+1709298855123", "2024-03-01T13:14:15.123Z"},
		{"-1", "1969-12-31T23:59:59.999Z"},
		{"0", "1970-01-01T00:00:00.000Z"},
		{"-0", "1970-01-01T00:00:00.000Z"},
		{"0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"},
		{"9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"},
		{"253402300799999", "9999-12-31T23:59:59.999Z"},

		// Finer than a millisecond.
		{"2024-03-01T13:14:15.123456Z", "2024-03-01T13:14:15.123Z and more"},
		{"2024-03-01T13:14:15.9999999Z", "2024-03-01T13:14:15.999Z and more"},
		{"1969-12-31T23:59:59.9999Z", "1969-12-31T23:59:59.999Z and more"},

		{"", "null"},
		{"soon", "null"},
		{"1709298855123.5", "null"},
		{"2023-02-29T00:00:00Z", "null"},
		{"2024-03-01T24:00:00Z", "null"},
		{"2016-12-31T23:59:60Z", "null"},
		{"2024-03-01T13:60:00Z", "null"},
		{"2024-03-01T13:14:15.Z", "null"},
		{"2024-03-01T13:14:15,5Z", "null"},
		{"2024-03-01T13Z", "null"},
		{"2024-03-01T13:14:", "null"},
		{"2024-03-01T13:14:15+24:00", "null"},
		{"2024-03-01T13:14:15+02:60", "null"},
		{"2024-03-01T13:14:15+2", "null"},
		{"2024-03-01T13:14:15+02:", "null"},
		{"2024-03-01T13:14:15 CET", "null"},
		{"2024-03-01T13:14:15Zx", "null"},
		{"2024-03-01T1:14:15Z", "null"},
		{"20240301T131415Z", "null"},
		{"0000-12-31T23:59:59Z", "null"},
		{"0001-01-01T00:00:00+01:00", "null"}, // in UTC, the year before
		{"9999-12-31T23:59:59-01:00", "null"}, // in UTC, the year after
		{"253402300800000", "null"},
		{"-62135596800001", "null"},
		{"1e30", "null"},
		{"Infinity", "null"},
	})
}

func TestStrings(t *testing.T) {
	for _, tt := range []struct {
		text, want string
		clean      bool
	}{
		{"Grüße 🙂", "Grüße 🙂", true},
		{" as it is ", " as it is ", true},
		{"line\nline\t\x01", "line\nline\t\x01", true},
		{"\ufffd", "\ufffd", true},
		{"a\x00b", "a\ufffdb", false},
		{"\x00\x00", "\ufffd\ufffd", false},
		{"a\xff\xfeb", "a\ufffd\ufffdb", false},
		{"a\xed\xa0\x80\xed\xbf\xbfb", "a\ufffd\ufffdb", false}, // halves of surrogate pairs
		{"cut \xf0\x9f\x99", "cut \ufffd\ufffd\ufffd", false},
	} {
		if got := cleanString([]byte(tt.text)); got != tt.clean {
			t.Errorf("cleanString(%q) = %v, want %v", tt.text, got, tt.clean)
		}
		if got := string(appendCleaned(nil, []byte(tt.text))); got != tt.want {
			t.Errorf("appendCleaned(%q) = %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestRawTextsAreJSON(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{`a "quoted" \ text`, `"a \"quoted\" \\ text"`},
		{"a\x00b\n\x1f", `"a\u0000b\u000a\u001f"`},
		{"<b>&é🙂\u2028", "\"<b>&é🙂\u2028\""},
		{"\xff", "\"\ufffd\""},
		{"a\xed\xa0\xbd\xed\xb8\x80\xed", `"a\ud83d\ude00` + "\ufffd\""},
		{"\xed\x9f\xbf", "\"\ud7ff\""},
		{"", `""`},
	} {
		if got := string(appendJSON(nil, []byte(tt.text))); got != tt.want {
			t.Errorf("appendJSON(%q) = %s, want %s", tt.text, got, tt.want)
		}
	}
}

// numberForm is the grammar of a number, for the second implementation below.
var numberForm = regexp.MustCompile(`^[ \t\r\n]*([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?[ \t\r\n]*$`)

// naiveDouble is parseDouble by exact arithmetic. It knows only exponents that it
// can multiply out.
func naiveDouble(text string) (v float64, o outcome, known bool) {
	parts := numberForm.FindStringSubmatch(text)
	if parts == nil || parts[2]+parts[3] == "" {
		return 0, none, true
	}
	exponent := 0
	if parts[4] != "" {
		var err error
		if exponent, err = strconv.Atoi(parts[4]); err != nil || exponent > 2000 || exponent < -2000 {
			return 0, none, false
		}
	}
	exact, ok := new(big.Rat).SetString(strings.Trim(text, " \t\r\n"))
	if !ok {
		panic("not understood: " + text)
	}
	v, _ = exact.Float64()
	if v == 0 && parts[1] == "-" {
		v = math.Copysign(0, -1)
	}
	switch digits := strings.Trim(parts[2]+parts[3], "0"); {
	case math.IsInf(v, 0):
		return 0, none, true
	case new(big.Rat).SetFloat64(v).Cmp(exact) == 0:
		return v, whole, true
	case exact.IsInt(), len(digits) > 17, math.Abs(v) < 0x1p-1022:
		return v, part, true
	}
	return v, whole, true
}

func FuzzNumber(f *testing.F) {
	for _, text := range []string{
		"43", "0.1", "9007199254740993", "1e23", "1e-320", "-0", "+.5e1", "5.", "1e400", "0x10", "1_0", " 7\n",
		"0.1000000000000000055511151231257827021181583404541015625", "0.100000000000000005551115123125782702118158340454101562",
		"179769313486231570814527423731704356798070567525844996598917476803157260780028538760589558632766878171540458953514382464234321326889464182768467546703537516986049910576551282076245490090389328944075868508455133942304583236903222948165808559332123347747976",
		"00010.0100", "2.4703282292062327e-324", "1.7976931348623158e308", "1.7976931348623159e308",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, o := parseDouble([]byte(text))
		if math.IsNaN(v) || math.IsInf(v, 0) {
			t.Fatalf("%q is read as %v", text, v)
		}
		want, wantOutcome, known := naiveDouble(text)
		if !known {
			return
		}
		if math.Float64bits(v) != math.Float64bits(want) || o != wantOutcome {
			t.Fatalf("%q is read as %s, want %s", text, said(strconv.FormatFloat(v, 'g', -1, 64), o),
				said(strconv.FormatFloat(want, 'g', -1, 64), wantOutcome))
		}
		if o == whole && v != 0 && math.Abs(v) >= 0x1p-1022 {
			// Nothing is lost: with 17 digits, or with all of them, the same
			// number can be written.
			exact, _ := new(big.Rat).SetString(strings.Trim(text, " \t\r\n"))
			again, _ := new(big.Rat).SetString(strconv.FormatFloat(v, 'e', 16, 64))
			back, _ := again.Float64()
			if back != v {
				t.Fatalf("%q: %v is written as %v", text, v, back)
			}
			if d, _ := scanDecimal(trim([]byte(text))); d.digits <= 15 {
				short, _ := new(big.Rat).SetString(strconv.FormatFloat(v, 'e', max(d.digits-1, 0), 64))
				if short.Cmp(exact) != 0 {
					t.Fatalf("%q is written back as %s", text, short)
				}
			}
		}
	})
}

// isoForm is the grammar of a point in time, for the second implementation.
var isoForm = regexp.MustCompile(`^[ \t\r\n]*(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d)(?::(\d\d)(?:\.(\d+))?)?(?:([Zz])|([+-]\d\d)(?::?(\d\d))?)?)?[ \t\r\n]*$`)

// naiveTimestamp is parseTimestamp with package time and exact arithmetic.
func naiveTimestamp(text string) (ms int64, o outcome, known bool) {
	if parts := isoForm.FindStringSubmatch(text); parts != nil {
		plain := parts[1] + "T" + "00:00:00Z"
		if parts[2] != "" {
			second, offset := "00", "Z"
			if parts[3] != "" {
				second = parts[3]
			}
			if parts[4] != "" {
				second += "." + (parts[4] + "00000000000")[:9]
			}
			if parts[6] != "" {
				offset = parts[6] + ":" + (parts[7] + "00")[:2]
			}
			plain = parts[1] + "T" + parts[2] + ":" + second + offset
		}
		at, err := time.Parse(time.RFC3339Nano, plain)
		if err != nil {
			return 0, none, true
		}
		// Package time also reads offsets of 24 hours and of 60 minutes.
		if strings.HasSuffix(parts[6], "24") || strings.HasSuffix(plain, ":60") && parts[6] != "" {
			return 0, none, true
		}
		if y := at.UTC().Year(); y < 1 || y > 9999 {
			return 0, none, true
		}
		if len(parts[4]) > 3 && strings.Trim(parts[4][3:], "0") != "" {
			return at.UnixMilli(), part, true
		}
		return at.UnixMilli(), whole, true
	}
	_, numeric, known := naiveDouble(text)
	if !known || numeric == none {
		return 0, none, known
	}
	exact, _ := new(big.Rat).SetString(strings.Trim(text, " \t\r\n"))
	if !exact.IsInt() || !exact.Num().IsInt64() {
		return 0, none, true
	}
	ms = exact.Num().Int64()
	if y := time.UnixMilli(ms).UTC().Year(); y < 1 || y > 9999 {
		return 0, none, true
	}
	return ms, whole, true
}

func FuzzTimes(f *testing.F) {
	for _, text := range []string{
		"2024-03-01", "2024-03-01T13:14:15.123Z", "2024-03-01T13:14:15.123456+05:30", "2024-02-29t23:59z", "1709251200000",
		"1.7092512E12", "-1", "0001-01-01T00:00:00+00:01", "2024-03-01T00:00+24:00", "2024-03-01 10:00+0060", "9999-12-31 23:59:59-2359", "2023-02-29", "24:00",
		"2024-03-01T24:00:00Z", "2024-03-01T13:14:15+2", "253402300799999", "253402300799999.000", "1e-5",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ms, o := parseTimestamp([]byte(text))
		want, wantOutcome, known := naiveTimestamp(text)
		if !known {
			return
		}
		if o != wantOutcome || o != none && ms != want {
			t.Fatalf("%q is read as %d (%d), want %d (%d)", text, ms, o, want, wantOutcome)
		}
		days, do := parseDate([]byte(text))
		if midnight := wantOutcome == whole && want%msPerDay == 0; midnight != (do == whole) || do == part {
			t.Fatalf("%q as a date: outcome %d, but midnight is %v", text, do, midnight)
		}
		if do == whole && int64(days)*msPerDay != want {
			t.Fatalf("%q is read as day %d, want %d ms", text, days, want)
		}
	})
}

func FuzzString(f *testing.F) {
	for _, text := range []string{"", "a\x00b", "\xff\xfe", "🙂\"\\\n", "\ufffd", "\xed\xa0\x80"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		cleaned := string(appendCleaned(nil, []byte(text)))
		if cleanString([]byte(text)) != (cleaned == text) || !cleanString([]byte(cleaned)) {
			t.Fatalf("%q is cleaned to %q", text, cleaned)
		}
		var back string
		if err := json.Unmarshal(appendJSON(nil, []byte(text)), &back); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if utf8.ValidString(text) && back != text {
			t.Fatalf("%q is read back from JSON as %q", text, back)
		}
	})
}
