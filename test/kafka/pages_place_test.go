//go:build integration

package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/test/services"
)

// pages is where their commands run.
type pages struct {
	*place
	portal   *hubspottest.Portal
	contacts []uint64
	deals    []uint64

	dir      string // has the program and what commands write
	addr     string // of the connector's HTTP
	bare     []string
	settings []string // without those that README.md exports
	here     *strings.Replacer
	there    *strings.Replacer

	page    string
	said    []string // what the page has assigned so far
	run     func() *services.Process
	running *services.Process
	fleet   string // address of the fleet's instance
	met     map[string]bool
}

func newPages(t *testing.T) *pages {
	t.Helper()
	runtime.LockOSThread() // what the test runs ends with the thread that started it
	if signal.Ignored(os.Interrupt) {
		// A shell's background job ignores Ctrl-C, and so would Java below it.
		interrupts := make(chan os.Signal, 1)
		signal.Notify(interrupts, os.Interrupt)
		t.Cleanup(func() { signal.Stop(interrupts) })
	}
	p := &pages{place: newPlace(t), dir: t.TempDir(), met: map[string]bool{}}
	if p.Bin == "" {
		t.Skip("kafka.sh did not start the broker, so the test does not know its tools")
	}
	p.Forget(t, p.prefix)
	p.portal = hubspottest.New(hubspottest.Options{
		Seed: 1, Types: []string{"contacts", "companies", "deals"}, NoHistory: true,
		Limits: hubspottest.Limits{SearchPerSecond: 1000, TenSecondly: 100_000, Daily: 10_000_000},
		Index:  hubspottest.Index{Min: 20 * time.Millisecond, Max: 100 * time.Millisecond},
	})
	p.contacts, p.deals = p.portal.Seed("contacts", 250), p.portal.Seed("deals", 100)
	p.portal.Seed("companies", 10)
	for n := range 4 {
		p.portal.AddOwner(hubspottest.Owner{Email: fmt.Sprintf("owner-%d@example.com", n)})
	}
	p.portal.Associate("contacts", p.contacts[0], "deals", p.deals[0], "", 0)
	server := httptest.NewServer(p.portal)
	t.Cleanup(server.Close)

	token := filepath.Join(p.dir, "token")
	for name, text := range map[string]string{token: "pat-test\n", filepath.Join(p.dir, ".curlrc"): "fail\n"} { // curl fails with what it asks
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ours := regexp.MustCompile(`^(HUBSPOT|KAFKA|SCHEMA_REGISTRY|SYNC|EVENT|HTTP|LOG|PATH)(_[A-Z_]+)?=`)
	p.bare = append(slices.DeleteFunc(os.Environ(), ours.MatchString), "CURL_HOME="+p.dir,
		"PATH="+strings.Join([]string{p.dir, p.Bin, os.Getenv("PATH")}, ":"))
	p.addr = fmt.Sprint("127.0.0.1:", services.FreePort(t))
	p.settings = slices.Concat(p.bare, []string{
		"HUBSPOT_BASE_URL=" + server.URL, "HUBSPOT_OBJECTS=contacts,companies,deals", "HUBSPOT_ASSOCIATIONS=contacts:deals",
		"HUBSPOT_RATE_10S=100000", "HUBSPOT_RATE_SEARCH=1000", "HUBSPOT_RATE_DAILY=10000000",
		"KAFKA_TOPIC_PREFIX=" + p.prefix, "KAFKA_PARTITIONS=3", "HTTP_ADDR=" + p.addr,
		"SYNC_LEADING_INTERVAL=200ms", "SYNC_ARCHIVE_INTERVAL=500ms", "SYNC_ASSOCIATIONS_INTERVAL=500ms", "FRONTIER_INTERVAL=1s",
	})
	p.fleet = fmt.Sprint("127.0.0.1:", services.FreePort(t))
	portals := filepath.Join(p.dir, "portals")
	if err := os.Mkdir(portals, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(portals, "acme.env"), []byte("HUBSPOT_ACCESS_TOKEN_FILE="+token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.here = strings.NewReplacer(
		"/etc/hubspot-cdc/portals", portals, "export HTTP_ADDR=:8080 ", "export HTTP_ADDR="+p.fleet+" ",
		"hubspot.", p.prefix+".", "'hubspot|", "'"+p.prefix+"|", "<prefix>", p.prefix, "--topic report.", "--topic "+p.prefix+".report.",
		"broker-1:9092,broker-2:9092", p.Brokers, "localhost:9092", p.Brokers, "https://registry.example.com", p.Registry,
		"107,144", fmt.Sprintf("%d,%d", p.contacts[0], p.contacts[1]), "--entity-name G ", "--entity-name "+p.prefix+" ",
		"127.0.0.1:8080", p.addr, "HOST:8080", p.addr, "SUBJECT", p.topic("contacts")+"-value", "/run/secrets/hubspot-token", token,
		"timeout 20 ", "timeout 170 ", // a busy machine may need twenty seconds to start Java
		"-o connector ", "-o "+filepath.Join(p.dir, "connector")+" ",
		"docker compose exec kafka /opt/kafka/bin/", "", "kafka-topics.sh", "kafka-topics", "kafka-console-consumer.sh", "kafka-console-consumer",
	)
	p.there = strings.NewReplacer(p.prefix+".", "hubspot.")
	return p
}

// showsEachOp: the demo comes to events of every kind that the page explains.
func (p *pages) showsEachOp(text string) error {
	for _, op := range []string{"r", "c", "u", "d"} {
		if !strings.Contains(text, "\n"+op+" hubspot.") {
			return fmt.Errorf("there is no event %s", op)
		}
	}
	return nil
}

// get is what the connector answers.
func (p *pages) get(ctx context.Context, path string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.addr+path, nil)
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return string(body), err
}

// ready waits until the connector has read everything once.
func (p *pages) ready() {
	p.Helper()
	services.Eventually(p, longest, "the connector is ready", func() error {
		p.running.Lives(p)
		text, err := p.get(p.Context(), "/readyz")
		if err == nil && (!strings.Contains(text, `"ready":true`) || strings.Count(text, `:"done"`) < 7) { // types, pair, lists
			err = fmt.Errorf("%s", text)
		}
		return err
	})
}

func (p *pages) start() {
	p.Helper()
	p.running = p.run()
	p.ready()
}

func (p *pages) stop() { p.running.Terminate(p) }

func (p *pages) obeyed() { p.running.Says(p, longest, "snapshot completed") }

// fallBehind: the connector misses a contact and a change of another one.
func (p *pages) fallBehind() {
	p.stop()
	p.portal.Seed("contacts", 1)
	p.portal.Update("contacts", p.contacts[1], map[string]string{"firstname": "Meanwhile"})
}

// startOver is what the page says to do besides.
func (p *pages) startOver() {
	p.Helper()
	state, cursors := offsets.StateTopic(p.prefix), offsets.CursorTopic(p.prefix)
	services.Eventually(p, longest, "the topics are gone", func() error {
		_, _ = p.Admin.DeleteTopics(p.Context(), state) // until it is not there
		found, err := p.Admin.ListTopics(p.Context())
		if err == nil && (found.Has(state) || found.Has(cursors)) {
			err = errors.New("they are still there")
		}
		return err
	})
	p.start()
}

// allStream waits until the fleet's portal has begun.
func (p *pages) allStream() {
	p.Helper()
	services.Eventually(p, longest, "the fleet streams", func() error {
		answer, err := http.Get("http://" + p.fleet + "/status")
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err == nil && !strings.Contains(string(body), `"state":"streaming"`) {
			err = fmt.Errorf("%s", body)
		}
		return err
	})
}

func (p *pages) archive() { p.portal.Archive("contacts", p.contacts[2]) }

// linkAndUnlink associates a contact with one deal after another, and removes each
// association when the connector has published it.
func (p *pages) linkAndUnlink(ctx context.Context) {
	for _, deal := range p.deals[1:] {
		p.portal.Associate("contacts", p.contacts[0], "deals", deal, "", 0)
		if !p.links(ctx, 2) {
			return
		}
		p.portal.Dissociate("contacts", p.contacts[0], "deals", deal, "", 0)
		if !p.links(ctx, 1) {
			return
		}
	}
}

// links waits until n associations are published as live; false if the context ends
// before that.
func (p *pages) links(ctx context.Context, n int) bool {
	for {
		text, _ := p.get(ctx, "/metrics")
		if strings.Contains(text, fmt.Sprintf("\nhubspot_cdc_live_records{object=\"contacts:deals\"} %d\n", n)) {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(200 * time.Millisecond):
		}
	}
}
