package main

import (
	"bytes"
	"flag"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/hubspot-cdc/connector/pkg/connector"
)

// said runs the program with arguments.
func said(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = command(t.Context(), args, &out, &errs)
	return code, out.String(), errs.String()
}

// TestHelp_ExplainsEveryCommand: the list has each command, and each says how it
// is called, with its verbs and flags, whichever way it is asked.
func TestHelp_ExplainsEveryCommand(t *testing.T) {
	code, list, stderr := said(t, "help")
	if code != connector.ExitOK || stderr != "" {
		t.Errorf("connector help: exit code %d, %q", code, stderr)
	}
	for _, c := range subcommands() {
		if c.brief == "" || len(c.lines()) == 0 || !strings.Contains(list, "connector "+c.name+" ") || !strings.Contains(list, c.brief) {
			t.Errorf("connector help does not tell what %s does:\n%s", c.name, list)
		}
		_, want, _ := said(t, "help", c.name)
		for _, word := range c.words() {
			if c.name != "help" && !strings.Contains(want, word.text) || word.brief == "" {
				t.Errorf("connector help %s does not explain %s:\n%s", c.name, word.text, want)
			}
		}
		for _, args := range [][]string{{c.name, "-h"}, {c.name, "--help"}} {
			if code, stdout, stderr := said(t, args...); code != connector.ExitOK || stderr != "" || stdout != want {
				t.Errorf("connector %v: exit code %d, %q\n%s", args, code, stderr, stdout)
			}
		}
	}
}

// TestMisuse_GuessesWhatIsMeant: a call that makes no sense ends with 2, says on
// standard error what is wrong with a guess and how it is done right, and writes
// nothing to standard output.
func TestMisuse_GuessesWhatIsMeant(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string // each word of it
	}{
		{nil, "Usage:"},
		{[]string{"chekc"}, `"chekc" check?`},
		{[]string{"off"}, "offsets?"},
		{[]string{"fly"}, "connector help"},
		{[]string{"help", "chck"}, "check?"},
		{[]string{"check", "--jsno"}, "--jsno --json? usage:"},
		{[]string{"check", "--subscribe"}, "--journal usage:"},
		{[]string{"run", "contacts"}, "contacts usage:"},
		{[]string{"version", "--json"}, "--json usage:"},
		{[]string{"offsets"}, "get, set, reset usage:"},
		{[]string{"offsets", "ste"}, `"ste" set? usage:`},
		{[]string{"offsets", "get", "all"}, `"all" usage:`},
		{[]string{"tail", "--from-beginnin"}, "--from-beginning? usage:"},
		{[]string{"tail", "--op", "x"}, `"x" usage:`},
		{[]string{"tail", "--key"}, "argument: usage:"},
		{[]string{"completion", "tcsh"}, "bash zsh fish usage:"},
	} {
		code, stdout, stderr := said(t, c.args...)
		if code != connector.ExitConfig || stdout != "" {
			t.Errorf("connector %q: exit code %d, on standard output %q", c.args, code, stdout)
		}
		for want := range strings.FieldsSeq(c.want) {
			if !strings.Contains(stderr, want) {
				t.Errorf("connector %q does not say %q:\n%s", c.args, want, stderr)
			}
		}
	}
}

// TestVersion_TellsTheBuild: whichever way it is asked, in one form.
func TestVersion_TellsTheBuild(t *testing.T) {
	_, want, _ := said(t, "version")
	if !strings.HasPrefix(want, "connector "+version()+"\n") || !strings.Contains(want, runtime.Version()) {
		t.Errorf("connector version says\n%s", want)
	}
	if code, stdout, _ := said(t, "--version"); code != connector.ExitOK || stdout != want {
		t.Errorf("connector --version: exit code %d\n%s", code, stdout)
	}
	b := build{version: "v1.2.3", commit: "0123456789abcdef", time: "2026-11-29T09:00:00Z", modified: true}
	for _, part := range []string{"v1.2.3", "0123456789abcdef", "2026-11-29T09:00:00Z", "not committed"} {
		if !strings.Contains(b.String(), part) {
			t.Errorf("%q is not in %q", part, b)
		}
	}
}

// TestCompletion_KnowsEveryWord: each shell's script has every command, verb and
// flag, and bash completes with its own.
func TestCompletion_KnowsEveryWord(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		code, script, _ := said(t, "completion", shell)
		if code != connector.ExitOK {
			t.Fatalf("exit code %d", code)
		}
		for _, c := range subcommands() {
			words := []string{c.name}
			for _, v := range c.verbs {
				words = append(words, v.name)
			}
			c.flags.VisitAll(func(f *flag.Flag) { words = append(words, f.Name) })
			for _, w := range words {
				if !strings.Contains(script, w) {
					t.Errorf("%s: %q of %s is missing", shell, w, c.name)
				}
			}
		}
	}
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash here")
	}
	_, script, _ := said(t, "completion", "bash")
	for line, want := range map[string]string{
		"connector of": "offsets", "connector offsets re": "reset", "connector tail --from": "--from-beginning", "connector help ch": "check", "connector run x": "",
	} {
		words := strings.Fields(line)
		ask := script + `COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _connector; echo "${COMPREPLY[*]}"`
		out, err := exec.CommandContext(t.Context(), bash, append([]string{"-c", ask, "bash"}, words...)...).CombinedOutput()
		if got := strings.Fields(string(out)); err != nil || !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("%q is completed with %q, want %q (%v)", line, out, want, err)
		}
	}
}
