package schema

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

var avroName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func TestMangle(t *testing.T) {
	for _, tt := range []struct{ name, want string }{
		{"email", "email"},
		{"hs_object_id", "hs_object_id"},
		{"Email", "Email"},
		{"a-b", "a_u002db"},
		{"a.b", "a_u002eb"},
		{"a b", "a_u0020b"},
		{"1st_call", "_u0031st_call"},
		{"call1", "call1"},
		{"größe", "gr_u00f6_u00dfe"},
		{"日本", "_u65e5_u672c"},
		{"🙂", "_ud83d_ude42"},
		{"a🙂b", "a_ud83d_ude42b"},
		{"_u0041", "_u005fu0041"},
		{"x_u00AB", "x_u005fu00AB"},
		{"_u004", "_u004"},
		{"_u00g1", "_u00g1"},
		{"_u_u0041", "_u_u005fu0041"},
		{"_U0041", "_U0041"},
		{"hs_user_id", "hs_user_id"},
		{"hs_ud83d_x", "hs_u005fud83d_x"},
		{"_uface", "_u005fuface"},
		{"\x00", "_u0000"},
		{"\uffff", "_uffff"},
		{"", "_ud800"},
		{"a\xffb", "a_udcffb"},
		{"\ufffd", "_ufffd"},
	} {
		got := Mangle(tt.name)
		if got != tt.want {
			t.Errorf("Mangle(%q) = %q, want %q", tt.name, got, tt.want)
		}
		if back, ok := unmangle(got); !ok || back != tt.name {
			t.Errorf("unmangle(%q) = %q, %v, want %q", got, back, ok, tt.name)
		}
	}
}

// A name that Mangle never writes is the mangled form of nothing: otherwise two
// Avro names would stand for one property.
func TestUnmangleRefusesOtherSpellings(t *testing.T) {
	for _, name := range []string{
		"_u0061",             // a needs no escape
		"a_u0031",            // nor does a digit after the first character
		"_u002D",             // upper-case digits
		"_ud83d",             // half a pair
		"_ud83d_u0041",       // half a pair and a letter
		"_ud83dx",            //
		"_udc41",             // a low surrogate that stands for no byte
		"_udce2_udc82_udcac", // bytes that are UTF-8
		"a-b",
		"1a",
		"é",
	} {
		if back, ok := unmangle(name); ok {
			t.Errorf("unmangle(%q) = %q, want a refusal", name, back)
		}
	}
}

func TestNamespace(t *testing.T) {
	for _, tt := range []struct{ topic, want string }{
		{"hubspot.contacts", "hubspot.contacts"},
		{"hubspot.p82918_car", "hubspot.p82918_car"},
		{"my-crm.eu.contacts", "my_u002dcrm.eu.contacts"},
		{"hubspot.0-410", "hubspot._u0030_u002d410"},
		{"hubspot.associations.contacts.companies", "hubspot.associations.contacts.companies"},
		{"contacts", "contacts"},
		{"a..b", "a._ud800.b"},
	} {
		if got := Namespace(tt.topic); got != tt.want {
			t.Errorf("Namespace(%q) = %q, want %q", tt.topic, got, tt.want)
		}
	}
}

func TestRetypedName(t *testing.T) {
	taken := map[string]bool{"amount__string": true, "amount__string_": true}
	isTaken := func(name string) bool { return taken[name] }
	for _, tt := range []struct{ property, hubspotType, want string }{
		{"size", "number", "size__number"},
		{"amount", "string", "amount__string__"},
		{"amount", "number", "amount__number"},
		{"1st", "date", "_u0031st__date"},
		{"x", "new-type", "x__new_u002dtype"},
	} {
		if got := retypedName(tt.property, tt.hubspotType, isTaken); got != tt.want {
			t.Errorf("retypedName(%q, %q) = %q, want %q", tt.property, tt.hubspotType, got, tt.want)
		}
	}
}

// docs/contract.md section 5: names that Avro does not allow are mangled
// reversibly and never collide.
func FuzzMangle(f *testing.F) {
	for _, name := range []string{
		"email", "1st", "a-b", "_u0041", "_u005fu0041", "_u_u005f", "🙂", "\xed\xa0\x80", "\xff_u12", "_ud83d_ude42", "",
		"__uABCD", "u0041", "_\u0075", "\x80\x81",
	} {
		f.Add(name, name+"_")
		f.Add(Mangle(name), name)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		ma, mb := Mangle(a), Mangle(b)
		if !avroName.MatchString(ma) {
			t.Fatalf("Mangle(%q) = %q, which is not an Avro name", a, ma)
		}
		if back, ok := unmangle(ma); !ok || back != a {
			t.Fatalf("unmangle(Mangle(%q) = %q) = %q, %v", a, ma, back, ok)
		}
		if (ma == mb) != (a == b) {
			t.Fatalf("Mangle(%q) = %q and Mangle(%q) = %q", a, ma, b, mb)
		}
		if avroName.MatchString(a) && !strings.Contains(a, "_u") && ma != a {
			t.Fatalf("Mangle(%q) = %q, but the name needs no escape", a, ma)
		}
		if back, ok := unmangle(a); ok && Mangle(back) != a {
			t.Fatalf("unmangle(%q) = %q, which is mangled as %q", a, back, Mangle(back))
		}
		na, nb := Namespace(a), Namespace(b)
		if (na == nb) != (a == b) {
			t.Fatalf("Namespace(%q) = %q and Namespace(%q) = %q", a, na, b, nb)
		}
	})
}

// unmangle undoes Mangle, as a consumer can. It returns the name from which
// Mangle makes avroName; false if there is none.
func unmangle(avroName string) (string, bool) {
	if avroName == emptyName {
		return "", true
	}
	var out []byte
	for i := 0; i < len(avroName); {
		if !startsWithEscape(avroName[i:]) {
			out = append(out, avroName[i])
			i++
			continue
		}
		r := escaped(avroName[i:])
		i += escapeLen
		switch {
		case 0xD800 <= r && r < 0xDC00 && startsWithEscape(avroName[i:]):
			out = utf8.AppendRune(out, 0x10000+(r-0xD800)<<10+(escaped(avroName[i:])-0xDC00))
			i += escapeLen
		case 0xDC80 <= r && r <= 0xDCFF:
			out = append(out, byte(r-0xDC00))
		default:
			out = utf8.AppendRune(out, r)
		}
	}
	// Whatever Mangle did not write (an escape that it would not use, a character
	// that Avro does not allow) comes out as another name.
	name := string(out)
	return name, Mangle(name) == avroName
}

// escaped returns the code of the escape with which s starts.
func escaped(s string) rune {
	code, _ := strconv.ParseUint(s[2:escapeLen], 16, 16) // startsWithEscape has checked the digits
	return rune(code)
}
