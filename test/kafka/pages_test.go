//go:build integration

package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/test/services"
)

const (
	root   = "../.."
	readme = "README.md"

	// longest is how long a command may take. It is generous: on a quiet machine each
	// takes some seconds.
	longest = 3 * time.Minute
)

// notRun are commands that the test does not run; "…" stands for the rest of one.
var notRun = []struct{ text, why string }{
	{"go test ./...", "it is a step of .ci/run, and this test is a part of that"},
	{"make", "its targets are the steps of .ci/run"},
	{".ci/run", "it runs this test"},
	{"docker compose up …", "where the tests run there is no Docker; test/compose runs what the files say"},
	{"docker build …", "there is no Docker; test/compose runs the build line of the Dockerfile"},
	{"docker push …", "there is no Docker"},
	{"docker run …", "there is no Docker"},
	{"docker exec …", "there is no Docker"},
	{"docker logs …", "there is no Docker"},
	{"kubectl …", "it needs a cluster"},
	{"helm …", "it needs a cluster; test/helm renders the chart"},
	{"go build -o /usr/local/bin/connector ./cmd/connector", "it installs the program"},
	{"install …", "it writes into /etc"},
	{"(set -a; . /etc/hubspot-cdc/env; …", "it reads what install has written into /etc"},
	{"systemctl …", "it is about a service of this machine"},
	{"journalctl …", "it is about a service of this machine"},
	{"vi cursors.json", "an editor waits for a person"},
	{"bin/connect-standalone.sh …", ".ci/consumers runs it"},
	{"bin/sql-client.sh …", ".ci/consumers runs the statements"},
	{"curl -I https://api.hubapi.com", "no test depends on HubSpot"},
	{`curl -H "Authorization: Bearer $TOKEN" …`, "no test depends on HubSpot"},
	{"kcat -b localhost:9092", "it is how a command begins"},
	{"kafka-configs --alter", "the text names the tool; connector check prints the command"},
	{"kafka-transactions --bootstrap-server $KAFKA_BROKERS abort …", "no transaction hangs"},
	{"kafka-topics --delete", "the text says what somebody may have done"},
}

// A treatment is what a command needs that does not simply run to its end with the
// settings of connector run.
type treatment struct {
	begins string

	before    func(*pages)                  // makes so what the text around it says
	meanwhile func(*pages, context.Context) // goes on until the context ends
	after     func(*pages)

	endless bool                       // it ends with Ctrl-C, which it gets when it has shown enough
	stays   bool                       // it runs on in the background
	beside  bool                       // the same, beside the connector
	code    int                        // its exit code
	bare    bool                       // there are no settings
	excerpt bool                       // the page shows some lines of many
	comes   bool                       // what the page shows comes with time: it is run until then
	shows   func(*pages, string) error // in place of the comparison with the page
}

var treatments = []treatment{
	{begins: "go run ./cmd/connector demo", endless: true, bare: true, shows: (*pages).showsEachOp},
	{begins: "./connector run", stays: true, after: (*pages).ready},
	{begins: "LOG_FORMAT=text HUBSPOT_RATE_SHARE=2 ", bare: true, code: 2},
	{begins: "connector fleet", beside: true, after: (*pages).allStream},
	{begins: "connector fleet check"},
	{begins: "connector fleet status"},
	{begins: "kcat -b $KAFKA_BROKERS -t hubspot.offsets -C", excerpt: true, comes: true},
	{begins: "timeout 20 kafka-console-consumer ", endless: true},
	{begins: "docker compose exec kafka /opt/kafka/bin/kafka-console-consumer.sh", endless: true},
	{begins: "connector offsets set ", before: (*pages).stop},
	{begins: "echo 'hubspot|", before: (*pages).start, after: (*pages).obeyed},
	{begins: "connector verify --object contacts", before: (*pages).fallBehind, code: 1},
	{begins: "kafka-topics --bootstrap-server $KAFKA_BROKERS --delete --topic <prefix>.offsets", after: (*pages).startOver},
	{begins: "connector tail contacts --from-beginning --op d", before: (*pages).archive, endless: true},
	{begins: "connector tail contacts:deals", meanwhile: (*pages).linkAndUnlink, endless: true},
}

// TestPages_CommandsDoWhatThePagesShow: every command that a page has in a block
// of code, and every one for Kafka's tools, kcat or curl within its text, runs on a real
// broker, beside the connector and a simulated portal, and prints what the page shows,
// other times and figures excepted. What cannot be run is named above.
func TestPages_CommandsDoWhatThePagesShow(t *testing.T) {
	p := newPages(t)
	for _, name := range p.names() {
		p.open(name)
		for _, c := range p.commands(name) {
			if err := p.try(c); err != nil {
				t.Errorf("%s:%d: %s\n%v", name, c.At, c.Text, err)
			}
		}
	}
	for _, one := range notRun {
		if !p.met[one.text] {
			t.Errorf("no page has the command %q, which is not run because %s", one.text, one.why)
		}
	}
	for _, one := range treatments {
		if !p.met[one.begins] {
			t.Errorf("no page has the command %q", one.begins)
		}
	}
	if t.Failed() {
		return
	}
	// A page that is wrong is noticed.
	p.open("docs/operations.md")
	for _, c := range []testkit.Command{
		{Text: "kafka-topics --bootstrap-server $KAFKA_BROKERS --list-all"},
		{Text: "kafka-consumer-group --bootstrap-server $KAFKA_BROKERS --list"},
		{Text: "helmsman install"},
		{Text: "curl -s 127.0.0.1:8080/ready", Shown: []string{`{"ready":true,"role":"owner","snapshot":null,"problems":[]}`}},
		{Text: "curl -s 127.0.0.1:8080/readyz", Shown: []string{`{"ready":true,"role":"owner"}`}},
		{Text: "connector tail contacts -n 1 --from-start"},
		{Text: "connector version", Shown: []string{"connector v1.2.3", "commit 123"}},
	} {
		if err := p.try(c); err == nil {
			t.Errorf("nothing is wrong with %q and its output %q", c.Text, c.Shown)
		}
	}
}

// names are the pages, those first whose commands the others build on.
func (p *pages) names() (names []string) {
	p.Helper()
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && slices.Contains([]string{".git", "node_modules", "target", ".venv"}, d.Name()) {
			return cmp.Or(err, fs.SkipDir)
		}
		if filepath.Ext(file) == ".md" {
			name, err := filepath.Rel(root, file)
			names = append(names, filepath.ToSlash(name))
			return err
		}
		return nil
	})
	if err != nil {
		p.Fatal(err)
	}
	first := []string{readme, "docs/operations.md"}
	return slices.Compact(append(first, slices.DeleteFunc(names, func(name string) bool { return slices.Contains(first, name) })...))
}

// open begins with a page: what another one has assigned does not count there.
func (p *pages) open(name string) { p.page, p.said = name, nil }

// tool is a command for a tool that is not ours; those within a text for connector are
// held by cmd/connector.
var tool = regexp.MustCompile(`^(kafka-[a-z-]+(\.sh)?|kcat|curl) `)

func (p *pages) commands(name string) []testkit.Command {
	p.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		p.Fatal(err)
	}
	inText := slices.DeleteFunc(testkit.Inline(string(text)), func(c testkit.Command) bool { return !tool.MatchString(c.Text) })
	all := append(testkit.Commands(string(text)), inText...)
	slices.SortStableFunc(all, func(a, b testkit.Command) int { return a.At - b.At })
	return all
}

var (
	comment = regexp.MustCompile(` +#.*$`)
	// runs are the programs that the test starts. It does not try what somebody writes
	// for others on a page: that could change this machine.
	runs    = regexp.MustCompile(`^([A-Z_0-9]+=\S+ )*((\./)?connector|kafka-[a-z-]+|timeout \d+ kafka-[a-z-]+|kcat|curl|printf|echo|go build|go run) `)
	assigns = regexp.MustCompile(`^(export )?[A-Z_0-9]+=('[^']*'|\S*)$`)
)

// try does with a command what is to be done with it, and says what is wrong with it.
func (p *pages) try(c testkit.Command) error {
	var how treatment
	for _, one := range treatments {
		if strings.HasPrefix(c.Text, one.begins) {
			how, p.met[one.begins] = one, true
		}
	}
	plain := comment.ReplaceAllString(c.Text, "")
	for _, one := range notRun {
		begins, more := strings.CutSuffix(one.text, "…")
		if plain == begins || more && strings.HasPrefix(plain, begins) {
			p.met[one.text] = true
			return nil
		}
	}
	line := p.here.Replace(c.Text)
	if assigns.MatchString(plain) {
		p.said = append(p.said, line)
		return nil
	}
	if !runs.MatchString(line) {
		return errors.New("the test knows no such program: have it run, or name it in notRun with the reason")
	}
	if how.before != nil {
		how.before(p)
	}
	if strings.Contains(c.Text, "kcat ") {
		if _, err := exec.LookPath("kcat"); err != nil {
			p.Logf("not run: %v", err)
			return nil
		}
	}
	if how.meanwhile != nil {
		ctx, cancel := context.WithCancel(p.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			how.meanwhile(p, ctx)
		}()
		defer func() {
			cancel()
			<-ended
		}()
	}
	var err error
	switch {
	case how.stays:
		cmd := p.command(p.Context(), line, how)
		p.run = func() *services.Process { return services.Run(p, line, again(cmd)) }
		p.running = p.run()
	case how.beside:
		services.Run(p, line, p.command(p.Context(), line, how))
	case how.comes:
		services.Eventually(p, time.Minute, c.Text, func() error { return p.runs(c, line, how) })
	default:
		err = p.runs(c, line, how)
	}
	if err == nil && how.after != nil {
		how.after(p)
	}
	return err
}

// command is a line in a shell of its own.
func (p *pages) command(ctx context.Context, line string, how treatment) *exec.Cmd {
	if how.endless || how.stays || how.beside {
		line = "exec " + line // so that it gets the signals
	}
	cmd := exec.CommandContext(ctx, "bash", "-o", "pipefail", "-c", strings.Join(append(slices.Clone(p.said), line), "\n"))
	cmd.Dir, cmd.Env = p.dir, p.settings
	if strings.HasPrefix(line, "go ") || strings.HasPrefix(line, "exec go ") {
		cmd.Dir = root
	}
	switch {
	case how.bare:
		cmd.Env = p.bare
	case p.page != readme:
		cmd.Env = append(slices.Clone(p.settings), "HUBSPOT_ACCESS_TOKEN=pat-test", "KAFKA_BROKERS="+p.Brokers, "SCHEMA_REGISTRY_URL="+p.Registry)
	}
	return cmd
}

func again(cmd *exec.Cmd) *exec.Cmd {
	return &exec.Cmd{Path: cmd.Path, Args: cmd.Args, Dir: cmd.Dir, Env: cmd.Env}
}

// runs runs a command until it ends, or until it has shown enough, and compares.
func (p *pages) runs(c testkit.Command, line string, how treatment) error {
	ctx, cancel := context.WithTimeout(p.Context(), longest)
	defer cancel()
	defer func(began time.Time) {
		p.Logf("%s:%d: %v: %s", p.page, c.At, time.Since(began).Round(time.Millisecond), c.Text)
	}(time.Now())
	cmd := p.command(ctx, line, how)
	stdout, stderr := new(testkit.Log), new(testkit.Log)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = stdout, stderr, time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	send := func(s syscall.Signal) error { return syscall.Kill(-cmd.Process.Pid, s) }
	cmd.Cancel = func() error { return send(syscall.SIGKILL) }
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() { _ = send(syscall.SIGKILL) }() // what it has left running, if anything
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = cmd.Wait() // the outcome is in cmd.ProcessState
	}()
	compare := func() error {
		text := stdout.String()
		if text == "" {
			text = stderr.String()
		}
		if how.shows != nil {
			return how.shows(p, text)
		}
		return p.compare(c.Shown, text, how)
	}
	wrong := func(format string, args ...any) error {
		lines := strings.SplitAfter(stdout.String()+stderr.String(), "\n")
		return fmt.Errorf(format+"\n%s", append(args, strings.Join(lines[:min(20, len(lines))], ""))...)
	}
	if how.endless {
		var err error
		for err = compare(); err != nil; err = compare() {
			select {
			case <-exited:
				if ctx.Err() == nil {
					return wrong("it ended by itself (%v): %w", cmd.ProcessState, err)
				}
				return wrong("in %v: %w", longest, err)
			case <-time.After(50 * time.Millisecond):
			}
		}
		if err := send(syscall.SIGINT); err != nil {
			return wrong("it ended by itself: %w", err)
		}
	}
	<-exited
	switch code := cmd.ProcessState.ExitCode(); {
	case ctx.Err() != nil:
		return wrong("it does not end within %v", longest)
	case how.endless:
		return nil
	case code != how.code:
		return wrong("exit code %d, want %d", code, how.code)
	}
	if err := compare(); err != nil {
		return wrong("%w", err)
	}
	return nil
}

// compare says what of the output the page does not show, or the other way round.
func (p *pages) compare(shown []string, text string, how treatment) error {
	shapes := func(lines []string) map[string]string {
		m := map[string]string{}
		for _, line := range lines {
			if strings.TrimSpace(line) != "" {
				m[testkit.LineShape(line, "object", "stream", "role")] = line
			}
		}
		return m
	}
	lines := strings.Split(p.there.Replace(text), "\n")
	if how.endless { // the last line may be under way
		lines = lines[:len(lines)-1]
	}
	page, real := shapes(shown), shapes(lines)
	var wrong []error
	for shape, line := range page {
		if _, there := real[shape]; !there {
			wrong = append(wrong, fmt.Errorf("the page shows\n  %s\nnothing that it printed is like that:\n  %s", line, shape))
		}
	}
	for shape, line := range real {
		if _, there := page[shape]; !there && len(page) > 0 && !how.endless && !how.excerpt {
			wrong = append(wrong, fmt.Errorf("it printed\n  %s\nnothing on the page is like that:\n  %s", line, shape))
		}
	}
	if how.endless && len(real) == 0 {
		wrong = append(wrong, errors.New("it printed nothing"))
	}
	return errors.Join(wrong...)
}
