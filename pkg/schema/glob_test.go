package schema

import "testing"

func TestGlobs(t *testing.T) {
	var globs Globs
	for _, text := range []string{"*.hs_time_in_*", "contacts.days_since*", "p4242_car.a.b"} {
		g, err := CompileGlob(text)
		if err != nil {
			t.Fatal(err)
		}
		globs = append(globs, g)
	}
	for _, c := range []struct {
		object, property string
		want             bool
	}{
		{"deals", "hs_time_in_stage", true},
		{"deals", "my_hs_time_in_stage", false},
		{"contacts", "days_since_call", true},
		{"companies", "days_since_call", false},
		{"p4242_car", "a.b", true},
		{"p4242_car", "a_b", false},
	} {
		if got := globs.Match(c.object, c.property); got != c.want {
			t.Errorf("%s.%s: %v", c.object, c.property, got)
		}
	}
	for _, bad := range []string{"days_since", ".x", "x.", "a.[", ""} {
		if _, err := CompileGlob(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
