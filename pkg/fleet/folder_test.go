package fleet_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/hubspot-cdc/connector/pkg/fleet"
)

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func problems(f fleet.File) (out []string) {
	for _, p := range f.Problems {
		out = append(out, f.Where(p))
	}
	return out
}

// TestRead_AFilePerPortal: what is wrong with one is said with file and line, and is
// nobody else's.
func TestRead_AFilePerPortal(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"acme.env":                       "# the first\n\n HUBSPOT_ACCESS_TOKEN_FILE = /run/acme \nHUBSPOT_OBJECTS=contacts,deals\nEVENT_BEFORE=\n",
		"b-2.env":                        "pat-na1-secret\nHUBSPOT_OBJECTS=a\nHUBSPOT_OBJECTS=b\nTOKEN=a=b\r\n1X=2\nZERO=\x00\nc2VjcmV0==\n",
		"Upper.env":                      "",
		"-dash.env":                      "",
		".hidden.env":                    "HUBSPOT_OBJECTS=a",
		".env":                           "HUBSPOT_OBJECTS=a",
		"README.md":                      "text",
		"windows.env":                    "\ufeffHUBSPOT_OBJECTS=contacts\r\n",
		strings.Repeat("a", 64) + ".env": "",
	})
	if err := os.Mkdir(filepath.Join(dir, "folder.env"), 0o700); err != nil {
		t.Fatal(err)
	}
	files, err := fleet.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	of := map[string]fleet.File{}
	var names []string
	for _, f := range files {
		names, of[f.Name] = append(names, f.Name), f
	}
	if want := []string{"-dash", "Upper", strings.Repeat("a", 64), "acme", "b-2", "folder", "windows"}; !slices.Equal(names, want) {
		t.Errorf("files of %v, want %v", names, want)
	}
	if f, want := of["acme"], []fleet.Line{{5, "EVENT_BEFORE", ""}, {3, "HUBSPOT_ACCESS_TOKEN_FILE", "/run/acme"}, {4, "HUBSPOT_OBJECTS", "contacts,deals"}}; !slices.Equal(f.Lines, want) || len(f.Problems) > 0 {
		t.Errorf("acme: %v %v", f.Lines, problems(f))
	}
	if f, want := of["b-2"], []string{
		"b-2.env:1: is not of the form VARIABLE=value", "b-2.env:3: HUBSPOT_OBJECTS: line 2 sets it too",
		"b-2.env:5: is not of the form VARIABLE=value", "b-2.env:6: ZERO: has a character that does not show; write the value by hand",
		"b-2.env:7: is not of the form VARIABLE=value",
	}; !slices.Equal(problems(f), want) {
		t.Errorf("b-2: %q", problems(f))
	}
	if f, want := of["windows"], []fleet.Line{{1, "HUBSPOT_OBJECTS", "contacts"}}; !slices.Equal(f.Lines, want) || len(f.Problems) > 0 {
		t.Errorf("windows: %v %v", f.Lines, problems(f))
	}
	for _, name := range []string{"-dash", "Upper", strings.Repeat("a", 64)} {
		if got := problems(of[name]); len(got) != 1 || !strings.Contains(got[0], "is no name of a portal") {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := problems(of["folder"]); len(got) != 1 || !strings.HasSuffix(got[0], "folder.env is no regular file") {
		t.Errorf("a folder: %q", got)
	}
	f := of["b-2"]
	f.Problems = nil
	f.Blame("HUBSPOT_OBJECTS", "HUBSPOT_OBJECTS: no")
	f.Blame("KAFKA_BROKERS", "KAFKA_BROKERS: is not set")
	if got, want := problems(f), []string{"b-2.env:2: HUBSPOT_OBJECTS: no", "b-2.env: KAFKA_BROKERS: is not set"}; !slices.Equal(got, want) {
		t.Errorf("blamed: %q", got)
	}
	if _, err := fleet.Read(filepath.Join(dir, "nowhere")); err == nil {
		t.Error("a folder that is not there has no error")
	}
}

// TestRead_WhatAShellWouldLeaveOutIsNotPartOfAValue: a pattern with it matches no
// property, and what it was meant to leave out would be published.
func TestRead_WhatAShellWouldLeaveOutIsNotPartOfAValue(t *testing.T) {
	dir := t.TempDir()
	const exclude = "HUBSPOT_PROPERTIES_EXCLUDE"
	for value, want := range map[string]string{
		`contacts.ssn,contacts.phone`: "", `*.p#hone`: "", `#contacts.ssn`: "", `"`: "", `contacts."ssn`: "",
		`"contacts.ssn,contacts.phone"`: "is in quotes", `'contacts.ssn'`: "is in quotes", `"contacts.ssn","contacts.phone"`: "is in quotes", `""`: "is in quotes", "“contacts.ssn”": "is in quotes",
		"contacts.ssn\u200b": "has a character that does not show", "contacts.ssn\rHUBSPOT_OBJECTS=contacts": "has a character that does not show", "contacts.ssn,\u00a0contacts.phone,\tcontacts.größe": "",
		`contacts.ssn # personal`: "a comment behind a value", "contacts.ssn\t#personal": "a comment behind a value", ` # nothing`: "a comment behind a value", `"contacts.ssn" # personal`: "a comment behind a value",
	} {
		write(t, dir, map[string]string{"acme.env": exclude + "=" + value + "\n"})
		files, err := fleet.Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(problems(files[0]), "; ")
		if want == "" && got != "" || want != "" && !strings.HasPrefix(got, "acme.env:1: "+exclude+": "+want) {
			t.Errorf("%s: %q, want %q", value, got, want)
		}
		if strings.Contains(got, "contacts") {
			t.Errorf("%s: a value shows, which may be a secret: %s", value, got)
		}
	}
}

// TestRead_WhatIsNoFileIsItsPortalsProblem: the others are read.
func TestRead_WhatIsNoFileIsItsPortalsProblem(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"acme.env": "HUBSPOT_OBJECTS=contacts", "large.env": strings.Repeat("#\n", 1<<20), "name=\n.env": ""})
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.env"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"loop": "loop.env", "gone": "nowhere", "device": os.DevNull} {
		if err := os.Symlink(to, filepath.Join(dir, name+".env")); err != nil {
			t.Fatal(err)
		}
	}
	files, err := fleet.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"acme": "", "large": "large.env has 2097152 bytes, and may have 1048576", "pipe": "pipe.env is no regular file", "device": "device.env is no regular file",
		"loop": "too many levels of symbolic links", "gone": "no such file or directory", "name=\n": "is no name of a portal",
	} {
		i := slices.IndexFunc(files, func(f fleet.File) bool { return f.Name == name })
		if i < 0 {
			t.Errorf("%q is not there", name)
			continue
		}
		if unread := files[i].Unread != nil; unread != (name == "loop") {
			t.Errorf("%q: the file system gave it: %v", name, !unread)
		}
		if got := strings.Join(problems(files[i]), "; "); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
}

// TestRead_AMountedConfigMap: its files are links through a hidden folder, which
// Kubernetes swaps whole.
func TestRead_AMountedConfigMap(t *testing.T) {
	dir := t.TempDir()
	for _, version := range []string{"..one", "..two"} {
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, version), map[string]string{"acme.env": "HUBSPOT_OBJECTS=" + version})
	}
	link := func(to, from string) {
		t.Helper()
		if err := os.Symlink(to, filepath.Join(dir, from)); err != nil {
			t.Fatal(err)
		}
	}
	link("..one", "..data")
	link(filepath.Join("..data", "acme.env"), "acme.env")
	for _, version := range []string{"..one", "..two"} {
		files, err := fleet.Read(dir)
		if err != nil || len(files) != 1 || len(files[0].Lines) != 1 || files[0].Lines[0].Value != version {
			t.Fatalf("%v %v, want %s", files, err, version)
		}
		link("..two", "..next")
		if err := os.Rename(filepath.Join(dir, "..next"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
}
