package main

import (
	"bytes"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hubspot-cdc/connector/pkg/connector"
)

// said runs the program with arguments.
func said(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = command(t.Context(), args, &out, &errs)
	return code, out.String(), errs.String()
}

// everyCommand calls f with the program, its commands and theirs, as they are for
// someone who runs them.
func everyCommand(f func(*cobra.Command)) {
	var below func(*cobra.Command)
	below = func(c *cobra.Command) {
		c.InitDefaultHelpFlag()
		c.InitDefaultVersionFlag()
		f(c)
		for _, one := range c.Commands() {
			below(one)
		}
	}
	below(commands(io.Discard, io.Discard))
}

// TestHelp_ExplainsEveryCommand: each command says what it does and how it is called,
// with its commands and flags, whichever way it is asked, and its parent lists it.
func TestHelp_ExplainsEveryCommand(t *testing.T) {
	n := 0
	everyCommand(func(c *cobra.Command) {
		n++
		path := strings.Fields(c.CommandPath())[1:]
		_, text, _ := said(t, append([]string{"help"}, path...)...)
		want := []string{c.CommandPath() + ": " + c.Short + "\n", c.Long}
		for _, one := range c.Commands() {
			want = append(want, "  "+one.Name()+" ", one.Short)
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			_, usage := pflag.UnquoteUsage(f)
			want = append(want, "--"+f.Name, usage)
		})
		for _, want := range want {
			if !strings.Contains(text, want) || want == "" && want != c.Long {
				t.Errorf("connector help %v does not say %q:\n%s", path, want, text)
			}
		}
		for _, flag := range []string{"-h", "--help"} {
			if code, stdout, stderr := said(t, append(path, flag)...); code != connector.ExitOK || stderr != "" || stdout != text {
				t.Errorf("%s %s: exit code %d, %q\n%s", c.CommandPath(), flag, code, stderr, stdout)
			}
		}
	})
	if n < 20 {
		t.Errorf("only %d commands were found", n)
	}
}

// TestMisuse_GuessesWhatIsMeant: a call that makes no sense ends with 2, says on
// standard error what is wrong, with a guess, and where the call is explained, and writes
// nothing to standard output.
func TestMisuse_GuessesWhatIsMeant(t *testing.T) {
	t.Setenv("LOG_FORMAT", "text")
	for _, c := range []struct {
		args []string
		want string // each word of it
	}{
		{nil, "Usage:"},
		{[]string{"chekc"}, `"chekc" check? help`},
		{[]string{"chekc", "--json"}, `"chekc" check? help`},
		{[]string{"--vrsion"}, "--vrsion --version? help"},
		{[]string{"--jsno", "check"}, "--jsno help"},
		{[]string{"offsets", "--yes", "reset"}, "--yes help offsets"},
		{[]string{"off"}, "offsets? help"},
		{[]string{"fly"}, `"fly" help`},
		{[]string{"help", "chck"}, "check? help"},
		{[]string{"help", "offsets", "ste"}, "set? help"},
		{[]string{"check", "--jsno"}, "--jsno --json? help check"},
		{[]string{"check", "-json"}, "-json --json? help check"},
		{[]string{"check", "--subscribe"}, "--journal help check"},
		{[]string{"run", "contacts"}, "contacts help run"},
		{[]string{"version", "--json"}, "--json help version"},
		{[]string{"offsets"}, "get set reset help offsets"},
		{[]string{"offsets", "ste"}, `"ste" set? help offsets`},
		{[]string{"offsets", "rest", "--yes"}, `"rest" reset? help offsets`},
		{[]string{"offsets", "get", "all"}, `"all" help offsets get`},
		{[]string{"tail", "--from-beginnin"}, "--from-beginning? help tail"},
		{[]string{"tail", "--op", "x"}, `"x" help tail`},
		{[]string{"tail", "--object", ""}, "--object empty member help tail"},
		{[]string{"verify", "--object", ""}, "--object empty member help verify"},
		{[]string{"verify", "--object", "contacts,"}, "--object empty member help verify"},
		{[]string{"snapshot", "contacts", "--ids", ""}, "--ids empty member help snapshot"},
		{[]string{"snapshot", "contacts", "--ids", " , "}, "--ids empty member help snapshot"},
		{[]string{"signal", "resume", "--collections", ""}, "--collections empty member help signal"},
		{[]string{"signal", "stop-snapshot", "--collections", "contacts,,deals"}, "--collections empty member help signal"},
		{[]string{"tail", "--key"}, "argument: help tail"},
		{[]string{"completion"}, "bash zsh fish help completion"},
		{[]string{"completion", "tcsh"}, `"tcsh" help completion`},
		{[]string{"completion", "bash", "now"}, `"now" help completion bash`},
	} {
		code, stdout, stderr := said(t, c.args...)
		if code != connector.ExitConfig || stdout != "" {
			t.Errorf("connector %q: exit code %d, on standard output %q", c.args, code, stdout)
		}
		words, help, _ := strings.Cut(c.want, " help")
		for want := range strings.FieldsSeq(words) {
			if !strings.Contains(stderr, want) || !strings.HasSuffix(stderr, "\nsee connector help"+help+"\n") {
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

// TestCompletion_KnowsEveryWord: each shell has a script, and what a script asks for is
// answered with every command, its commands and its flags.
func TestCompletion_KnowsEveryWord(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if code, script, _ := said(t, "completion", shell); code != connector.ExitOK || !strings.Contains(script, cobra.ShellCompRequestCmd) {
			t.Errorf("%s: exit code %d, %q", shell, code, script)
		}
	}
	// offers are the words that may follow.
	offers := func(args ...string) (words []string) {
		_, list, _ := said(t, append([]string{cobra.ShellCompRequestCmd}, args...)...)
		for line := range strings.Lines(list) {
			word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
			words = append(words, word)
		}
		return words
	}
	everyCommand(func(c *cobra.Command) {
		path := strings.Fields(c.CommandPath())[1:]
		got := offers(append(path, "")...)
		for _, one := range c.Commands() {
			if !slices.Contains(got, one.Name()) {
				t.Errorf("%s: %s is missing in %q", c.CommandPath(), one.Name(), got)
			}
		}
		got = offers(append(path, "--")...)
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if !slices.Contains(got, "--"+f.Name) {
				t.Errorf("%s: --%s is missing in %q", c.CommandPath(), f.Name, got)
			}
		})
	})
	for line, want := range map[string]string{
		"of": "offsets", "offsets re": "reset", "tail --from": "--from-beginning", "help ch": "check", "signal l": "log", "run x": "",
	} {
		if got := offers(strings.Fields(line)...); !slices.Equal(got[:len(got)-1], strings.Fields(want)) { // the last is for the script
			t.Errorf("connector %s is completed with %q, want %q", line, got, want)
		}
	}
}
