package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// TestDemoPortal_IsAPortalInUse: with --portal, the simulated portal runs alone
// on the given address, is of the given account, answers any token, changes by itself, and ends with the
// signal.
func TestDemoPortal_IsAPortalInUse(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	code := make(chan int, 1)
	stdout, stderr := &lines{more: make(chan struct{}, 1)}, new(testkit.Log)
	go func() {
		code <- command(ctx, []string{"demo", "--portal", "127.0.0.1:0", "--account", "4343"}, stdout, stderr)
	}()
	select {
	case <-stdout.more:
	case <-ctx.Done():
	}
	addr := regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(stdout.String())
	if addr == "" {
		t.Fatalf("it does not say where it listens: %s%s", stdout, stderr)
	}
	if body, err := ask(ctx, http.MethodGet, "http://"+addr+"/account-info/2026-09/details", ""); err != nil || !strings.Contains(string(body), `"portalId":4343`) {
		t.Errorf("it is not of the account 4343: %v: %s", err, body)
	}

	var first, now string
	for first == "" || now == first {
		if ctx.Err() != nil {
			t.Fatalf("the portal does not change: %q, then %q", first, now)
		}
		body, err := lastChanged(ctx, addr)
		if err != nil {
			continue // 429: it has HubSpot's limits
		}
		if first == "" {
			first = body
		}
		now = body
	}
	cancel()
	if got := <-code; got != connector.ExitOK {
		t.Errorf("exit code %d, want 0: %s", got, stderr)
	}
}

// lastChanged reads the contact that changed last.
func lastChanged(ctx context.Context, addr string) (string, error) {
	const search = `{"after": "", "filterGroups": [], "sorts": [{"propertyName": "lastmodifieddate", "direction": "DESCENDING"}], "properties": ["lastmodifieddate"], "limit": 1}`
	body, err := ask(ctx, http.MethodPost, "http://"+addr+"/crm/objects/2026-09/contacts/search", search)
	if err != nil {
		return "", err
	}
	var page struct{ Results json.RawMessage }
	err = json.Unmarshal(body, &page)
	return string(page.Results), err
}

// ask makes one request as a connector would, and returns the body of the answer.
func ask(ctx context.Context, method, url, body string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer anything")
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", answer.StatusCode)
	}
	return io.ReadAll(answer.Body)
}

// TestDemoPortal_HasNothingOfTheRestOfTheDemo: with --portal, the flags for the
// embedded Kafka and the connector are refused, and so are a bad address and a bad account.
func TestDemoPortal_HasNothingOfTheRestOfTheDemo(t *testing.T) {
	for _, args := range [][]string{
		{"demo", "--portal", "127.0.0.1:0", "--log"},
		{"demo", "--portal", "127.0.0.1:0", "--data", t.TempDir()},
		{"demo", "--portal", "nowhere"},
		{"demo", "--portal", "127.0.0.1:0", "--account", "0"},
	} {
		var out bytes.Buffer
		if code := command(t.Context(), args, &out, &out); code != connector.ExitConfig {
			t.Errorf("%v: exit code %d, want %d: %s", args, code, connector.ExitConfig, out.String())
		}
	}
}

// TestDemo_DoesNotGoOnWithAnEarlierOne: the directory of a demo that has run is refused,
// with what to do; one that is empty, or is not there yet, is taken.
func TestDemo_DoesNotGoOnWithAnEarlierOne(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), "new")} {
		var out bytes.Buffer
		if code := command(ended, []string{"demo", "--data", dir}, &out, &out); code != connector.ExitOK {
			t.Errorf("exit code %d in an empty directory: %s", code, out.String())
		}
		out.Reset()
		code := command(ended, []string{"demo", "--data", dir}, &out, &out)
		if code != connector.ExitConfig || !strings.Contains(out.String(), "name another directory") {
			t.Errorf("exit code %d in the directory of an earlier demo: %s", code, out.String())
		}
	}
}

// demoLine is an event: op, topic, key, time, contents, what found it.
var demoLine = regexp.MustCompile(`^[crud] hubspot\.\S+ +\S+ +\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ .*  \[[a-z0-9-]+(, .+)?\]$`)

// lines tell that there are more of them.
type lines struct {
	testkit.Log
	more chan struct{} // one slot
}

func (l *lines) Write(p []byte) (int, error) {
	defer func() {
		select {
		case l.more <- struct{}{}:
		default:
		}
	}()
	return l.Log.Write(p)
}

// TestDemo_Teaches: the demo explains its lines, prints one event of each type's
// backfill and then how many more there are, and says at the end where everything was
// and what to do next.
func TestDemo_Teaches(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	stdout, stderr := &lines{more: make(chan struct{}, 1)}, new(testkit.Log)
	code := make(chan int, 1)
	go func() { code <- command(ctx, []string{"demo"}, stdout, stderr) }()
	more := regexp.MustCompile(`(?m)^\* connector: (\d+) more r in hubspot\.(contacts|companies|deals),`)
	told := map[string]int{}
	untold := func() bool { // a slow machine may tell a backfill in parts
		clear(told)
		for _, match := range more.FindAllStringSubmatch(stdout.String(), -1) {
			n, err := strconv.Atoi(match[1])
			if err != nil {
				t.Fatal(err)
			}
			told[match[2]] += n
		}
		return slices.ContainsFunc(demoObjects, func(object string) bool { return told[object] < demoRecords/2 })
	}
	for untold() && ctx.Err() == nil {
		select {
		case <-stdout.more:
		case <-ctx.Done():
		}
	}
	cancel()
	if got := <-code; got != connector.ExitOK || stderr.String() != "" {
		t.Errorf("exit code %d, %s", got, stderr.String())
	}
	text := stdout.String()
	for _, object := range demoObjects {
		line := regexp.MustCompile(`(?m)^r hubspot\.` + object + ` +\d+ +20\d\d-\d\d-\d\dT.* \[backfill\]$`)
		if n := len(line.FindAllString(text, -1)); n != 1 || told[object] > 2*demoRecords {
			t.Errorf("%d lines about the backfill of %s, and %d more are told, want one of about %d:\n%s", n, object, told[object], demoRecords, text)
		}
	}
	readme, _, _ := strings.Cut(page(t, "../../README.md"), "## With your own HubSpot")
	for where, lines := range map[string][]string{"README.md": testkit.CodeLines(readme), "operations.md": testkit.CodeLines(section(t, "Reading the topics")), "the demo": strings.Split(text, "\n")} {
		n := 0
		for _, line := range lines {
			if !regexp.MustCompile(`^[crud] hubspot\.`).MatchString(line) {
				continue
			}
			if n++; !demoLine.MatchString(line) {
				t.Errorf("%s has %q", where, line)
			}
		}
		if n < 2 {
			t.Errorf("%s has %d events", where, n)
		}
	}
	if !regexp.MustCompile(`its page is http://127\.0\.0\.1:\d+/\n`).MatchString(text) {
		t.Errorf("the demo does not name its page:\n%s", text)
	}
	_, brokers, _ := strings.Cut(text, "KAFKA_BROKERS=")
	brokers, _, _ = strings.Cut(brokers, " ")
	begin, end, ended := strings.Cut(text, "\nevents: c=")
	if !ended || !strings.Contains(begin, "r was there before the first start") || !strings.Contains(end, brokers) || !strings.Contains(end, "What next:") {
		t.Errorf("the demo does not explain itself:\n%s", text)
	}
}

// TestDemo_ItsUsersDoNotPullTheBrake: in an hour they neither purge nor unlink so much that
// a connector with default settings holds deletes back (R9, R19), which would look like a
// fault.
func TestDemo_ItsUsersDoNotPullTheBrake(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 7, Types: demoObjects, NoHistory: true}, nil, func(w *world) {
		for _, object := range demoObjects {
			w.Portal.Seed(object, demoRecords)
		}
		p := w.Start()
		ctx, cancel := context.WithTimeout(w.T.Context(), time.Hour)
		defer cancel()
		portal := make(chan struct{})
		go func() {
			defer close(portal)
			w.Portal.Live(ctx, demoRate, demoLife)
		}()
		began := time.Now()
		for ctx.Err() == nil {
			time.Sleep(time.Minute)
			if problems := p.Ready().Problems; len(problems) > 0 {
				t.Fatalf("after %s: %+v", time.Since(began), problems)
			}
		}
		<-portal
		p.Stop()
	})
}
