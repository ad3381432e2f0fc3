// Package browser looks at the pages of a connector and of a fleet in a headless
// Chromium, as an operator does.
package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/hubspot-cdc/connector/pkg/connector/page"
	"github.com/hubspot-cdc/connector/pkg/fleet"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// longest is how long a browser may take for one test. It is generous: a page is
// there after some tenths of a second, and looks again after five.
const longest = 2 * time.Minute

// A shown is a page under test.
type shown interface{ HTML() ([]byte, error) }

// example is a status in which everything has a value.
func example(t testing.TB) *page.Status {
	t.Helper()
	text, err := os.ReadFile("../../pkg/connector/page/testdata/status.json")
	if err != nil {
		t.Fatal(err)
	}
	s := new(page.Status)
	if err := json.Unmarshal(text, s); err != nil {
		t.Fatal(err)
	}
	return s
}

// fortyTypes is the example with 40 types, and with so many pairs of them.
func fortyTypes(t testing.TB, pairs int) *page.Status {
	t.Helper()
	s := example(t)
	one := s.Objects[0]
	s.Objects = nil
	add := func(name string) {
		one.Object = name
		s.Objects = append(s.Objects, one)
	}
	for i := range 40 {
		add(fmt.Sprintf("p4242_type_%d", i))
	}
	for i := range pairs {
		add(fmt.Sprintf("p4242_type_%d:p4242_type_%d", i/40, i%40))
	}
	return s
}

// standby is a status of an instance that waits for its turn.
func standby(t testing.TB) *page.Status {
	t.Helper()
	s := example(t)
	return &page.Status{V: s.V, Time: s.Time, Since: s.Since, Started: s.Started, Ready: true, Role: "standby", Portal: s.Portal}
}

// hundredPortals is a fleet's status with each state, and a problem of each kind.
func hundredPortals(t testing.TB) *fleet.Status {
	t.Helper()
	s, behind := example(t), 1.5
	f := &fleet.Status{
		V: fleet.StatusVersion, Time: s.Time, Started: s.Started, Ready: true, Group: "hubspot.fleet", Partitions: 256, Member: "m",
		Instances: []fleet.Instance{{Address: "10.0.0.1:8080", Host: "/10.0.0.1", Self: true, Portals: 60}, {Address: "10.0.0.2:8080", Host: "/10.0.0.2", Portals: 40, Problem: "it does not answer"}},
		Problems:  []stream.Problem{s.Problems[0]},
	}
	states := []string{fleet.StateStreaming, fleet.StateLoading, fleet.StateFailing, fleet.StateStopped, fleet.StateUnowned, fleet.StateUnknown}
	for i := range 100 {
		p := fleet.Portal{Name: fmt.Sprintf("customer-%d", i), Partition: int32(i), Instance: "10.0.0.1:8080", State: states[i%len(states)], Since: s.Since, Portal: int64(4242 + i), Live: 31_000, Behind: &behind, Backfill: s.Backfill}
		if p.State == fleet.StateFailing {
			p.Problems = s.Problems
		}
		f.Portals = append(f.Portals, p)
	}
	return f
}

// everyPage has the pages by name.
func everyPage(t testing.TB) map[string]shown {
	t.Helper()
	return map[string]shown{"40 types": fortyTypes(t, 80), "standby": standby(t), "100 portals": hundredPortals(t)}
}

// A browser has one tab, and what its server and its console saw.
type browser struct {
	testing.TB
	context.Context

	url string

	mu      sync.Mutex
	shown   shown    // nil: the server is away
	asked   []string // by the browser, with addresses that are not the server's
	console []string
	looks   int // at the page
}

// open starts a browser, and a server with what it is to show. It skips the test where
// there is no Chromium, or where it does not start.
func open(t testing.TB, first shown) *browser {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path == "" {
			path, _ = exec.LookPath(name)
		}
	}
	if path == "" {
		t.Skip("there is no Chromium on the PATH (Debian: apt-get install chromium)")
	}
	b := &browser{TB: t, shown: first}
	server := httptest.NewServer(http.HandlerFunc(b.serve))
	t.Cleanup(server.Close)
	b.url = server.URL + "/"

	ctx, cancel := context.WithTimeout(t.Context(), longest)
	t.Cleanup(cancel)
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(path), chromedp.DisableGPU)
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium refuses root otherwise
	}
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b.Context = ctx
	if err := chromedp.Listen(ctx, b.listen); err != nil {
		t.Skipf("%s does not start: %v", path, err)
	}
	call(b, network.Enable, network.EnableParams{})
	call(b, log.Enable, cdp.Empty{})
	call(b, runtime.Enable, cdp.Empty{})
	return b
}

func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	if err := chromedp.Do(b, actions...); err != nil {
		b.Fatal(err)
	}
}

func call[P any](b *browser, command cdp.Command[P, cdp.Empty], params P) {
	b.Helper()
	if _, err := chromedp.Call(b, command, params); err != nil {
		b.Fatal(err)
	}
}

// eval is the value of an expression in the page.
func eval[T any](b *browser, expression string) T {
	b.Helper()
	value, err := chromedp.Run(b, chromedp.Evaluate[T](expression))
	if err != nil {
		b.Fatal(err)
	}
	return value
}

// until waits for an expression to become true.
func (b *browser) until(expression string) {
	b.Helper()
	for !eval[bool](b, expression) {
		time.Sleep(100 * time.Millisecond)
	}
}

// painted waits for the first paint, and until everything is laid out: nobody reads or
// scrolls before that.
func (b *browser) painted() {
	b.Helper()
	b.until(`document.getElementById("live").className === ""`)
}

func (b *browser) show(s shown) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shown = s
}

func (b *browser) serve(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.URL.Path != "/" {
		http.NotFound(w, r)
		return
	}
	if b.shown == nil {
		panic(http.ErrAbortHandler) // as a process that has died
	}
	b.looks++
	body, err := b.shown.HTML()
	if err != nil {
		b.Error(err)
	}
	page.Headers(w.Header())
	if _, err := w.Write(body); err != nil {
		b.Log(err)
	}
}

func (b *browser) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if u := e.Request.URL; u != b.url && !strings.HasPrefix(u, "data:") {
			b.asked = append(b.asked, u)
		}
	case *log.EventEntryAdded:
		b.console = append(b.console, fmt.Sprintf("%s: %s", e.Entry.Level, e.Entry.Text))
	case *runtime.EventConsoleAPICalled:
		b.console = append(b.console, string(e.Type))
	case *runtime.EventExceptionThrown:
		b.console = append(b.console, e.ExceptionDetails.Text)
	}
}

// quiet fails the test if the browser asked for anything else, or complained.
func (b *browser) quiet() {
	b.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.asked) > 0 || len(b.console) > 0 {
		b.Errorf("it asked for %q; the console has %q", b.asked, b.console)
	}
}

func (b *browser) lookedAt() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.looks
}

// again waits until the browser has looked n times.
func (b *browser) again(n int) {
	b.Helper()
	for b.lookedAt() < n {
		if b.Err() != nil {
			b.Fatalf("it looked %d times, want %d", b.lookedAt(), n)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// TestPages_AskForNothingElse, put nothing on the console, and look again by
// themselves, with JavaScript and without.
func TestPages_AskForNothingElse(t *testing.T) {
	t.Parallel()
	for name, s := range everyPage(t) {
		for _, off := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/scripts off %v", name, off), func(t *testing.T) {
				t.Parallel()
				b := open(t, s)
				call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: off})
				b.do(chromedp.Navigate(b.url))
				b.again(2)
				b.quiet()
			})
		}
	}
}

// unreadable lists what stands out of the window, and each text whose contrast with
// what is behind it is below 4.5 (WCAG 2, AA).
const unreadable = `(() => {
	const found = [], root = document.documentElement;
	if (root.scrollWidth > root.clientWidth) { found.push("the page is " + root.scrollWidth + " wide, the window " + root.clientWidth); }
	const light = c => {
		const [r, g, b] = c.match(/[\d.]+/g).slice(0, 3).map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
		return .2126 * r + .7152 * g + .0722 * b;
	};
	const ground = e => {
		for (; e; e = e.parentElement) {
			const c = getComputedStyle(e).backgroundColor;
			if (!c.startsWith("rgba(0, 0, 0, 0")) { return c; }
		}
		return "rgb(255, 255, 255)";
	};
	for (const e of document.querySelectorAll("body *")) {
		const text = Array.from(e.childNodes).filter(n => n.nodeType === 3).map(n => n.textContent.trim()).join("");
		const box = e.getBoundingClientRect();
		if (!text || !e.checkVisibility() || box.right < 0 || ["SCRIPT", "PROGRESS"].includes(e.tagName)) { continue; }
		const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
		if ((a + .05) / (b + .05) < 4.5) { found.push(text + ": contrast " + ((a + .05) / (b + .05)).toFixed(2)); }
		if (box.right > root.clientWidth + 1) { found.push(text + ": ends at " + box.right); }
	}
	return found;
})()`

// TestPages_CanBeReadOnAnyScreen: at 360 and at 1,600 pixels, light and dark.
func TestPages_CanBeReadOnAnyScreen(t *testing.T) {
	t.Parallel()
	for name, s := range everyPage(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, grounds := open(t, s), map[string]bool{}
			b.do(chromedp.Navigate(b.url))
			b.painted()
			for _, width := range []int64{360, 1600} {
				for _, scheme := range []string{"light", "dark"} {
					b.do(chromedp.EmulateViewport(width, 800))
					call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
					for _, what := range eval[[]string](b, unreadable) {
						t.Errorf("%d pixels, %s: %s", width, scheme, what)
					}
					grounds[eval[string](b, `getComputedStyle(document.body).backgroundColor`)] = true
				}
			}
			if len(grounds) != 2 {
				t.Errorf("light and dark look the same: %v", grounds)
			}
		})
	}
}

// TestPages_CanBeUsedByKeyboard: the Tab key comes to every link in its order, and one
// sees where it is.
func TestPages_CanBeUsedByKeyboard(t *testing.T) {
	t.Parallel()
	for name, s := range everyPage(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := open(t, s)
			b.do(chromedp.Navigate(b.url))
			links := eval[int](b, `(window.links = Array.from(document.links)).length`)
			for i := range links {
				b.do(chromedp.KeyEvent("\t"))
				if seen := eval[string](b, `(() => {
					const e = document.activeElement, box = e.getBoundingClientRect();
					return links.indexOf(e) + " " + (getComputedStyle(e).outlineStyle === "solid" && parseFloat(getComputedStyle(e).outlineWidth) >= 2 && box.left >= 0 && box.right <= innerWidth && box.top >= 0 && box.bottom <= innerHeight);
				})()`); seen != fmt.Sprint(i, " true") {
					t.Fatalf("at the link %d and it can be seen: %s", i, seen)
				}
			}
			if links < 4 {
				t.Errorf("%d links", links)
			}
		})
	}
}

// TestPages_FollowTheStatus while one reads them: the focus stays where it is, and a
// connector that has died is named.
func TestPages_FollowTheStatus(t *testing.T) {
	t.Parallel()
	s := example(t)
	b := open(t, s)
	b.do(chromedp.Navigate(b.url))
	b.until(`document.title.startsWith("Running, with problems")`)
	b.do(chromedp.KeyEvent("\t\t"))
	at := eval[string](b, `document.activeElement.href`)
	if !strings.Contains(at, "runbook") {
		t.Errorf("the focus is at %q", at)
	}

	more := example(t)
	more.Objects[0].Live = 987_654
	b.show(more)
	b.until(`document.body.innerText.includes("987,654")`)
	if now := eval[string](b, `document.activeElement.href`); now != at {
		t.Errorf("the focus went from %q to %q", at, now)
	}
	b.quiet()

	b.show(nil)
	b.until(`!document.getElementById("lost").hidden`)
	if text := eval[string](b, `document.body.innerText`); !strings.Contains(text, "The connector does not answer") || !strings.Contains(text, "987,654") {
		t.Errorf("with the connector away the page says %s", text)
	}
	b.show(more)
	b.until(`document.getElementById("lost").hidden`)
}

// TestPages_SayThatTheConnectorHangs: it is stopped, or a network drops what it says.
func TestPages_SayThatTheConnectorHangs(t *testing.T) {
	t.Parallel()
	b := open(t, standby(t))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b.lookedAt() > 0 {
			<-r.Context().Done()
			return
		}
		b.serve(w, r)
	}))
	defer server.Close()
	b.do(chromedp.Navigate(server.URL + "/"))
	b.until(`!document.getElementById("lost").hidden`)
}

// TestPages_StayWhereTheyWereScrolledTo when they look again, wide and narrow: at first,
// rows further down are not laid out.
func TestPages_StayWhereTheyWereScrolledTo(t *testing.T) {
	t.Parallel()
	for _, width := range []int64{360, 1600} {
		b := open(t, fortyTypes(t, 80))
		b.do(chromedp.EmulateViewport(width, 800), chromedp.Navigate(b.url))
		const row = `0 + Math.round([...document.querySelectorAll("tbody tr")].find(r => r.textContent.includes("type_0:p4242_type_9")).getBoundingClientRect().top)`
		b.painted()
		b.until(`([...document.querySelectorAll("tbody tr")].find(r => r.textContent.includes("type_0:p4242_type_9")).scrollIntoView(), true)`)
		b.until(row + ` >= 0 && ` + row + ` < 800`)
		before := eval[int](b, row)
		b.again(b.lookedAt() + 2)
		if after := eval[int](b, row); after != before {
			t.Errorf("%d pixels: a row went from %d to %d", width, before, after)
		}
	}
}

// BenchmarkFirstPaint reports how long after a click a person sees something (the
// median), on screens of three widths: of a page with 40 types, without pairs and with 80 and 600, of a fleet's with
// 100 portals, and of a page with one word, which is what the browser and the machine
// take by themselves.
func BenchmarkFirstPaint(b *testing.B) {
	for name, s := range map[string]shown{
		"40 types": fortyTypes(b, 0), "40 types, 80 pairs": fortyTypes(b, 80), "40 types, 600 pairs": fortyTypes(b, 600),
		"100 portals": hundredPortals(b), "one word": word{},
	} {
		for _, width := range []int64{360, 800, 1600} {
			b.Run(fmt.Sprintf("%s, %d px", name, width), func(b *testing.B) {
				tab, all := open(b, s), []float64{}
				tab.do(chromedp.EmulateViewport(width, 800))
				for b.Loop() {
					tab.do(chromedp.Navigate(tab.url))
					tab.until(`performance.getEntriesByName("first-contentful-paint").length > 0`)
					all = append(all, eval[float64](tab, `performance.getEntriesByName("first-contentful-paint")[0].startTime`))
				}
				slices.Sort(all)
				b.ReportMetric(all[len(all)/2], "ms/paint")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

type word struct{}

func (word) HTML() ([]byte, error) {
	return []byte(`<!DOCTYPE html><title>word</title><link rel="icon" href="data:,"/>word`), nil
}
