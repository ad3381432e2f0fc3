//go:build consumers

package consumers

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/test/services"
)

// flinkJob is the job of docs/consumers/flink.sql. It writes its results into two
// topics; the latest record of each key counts.
type flinkJob struct {
	*services.Process
	stages, pairs string // topics

	mu     sync.Mutex
	latest map[string]map[string]string // topic → key → value
	writes map[string]int
}

func (*flinkJob) name() string { return "the Flink job" }

func startFlink(t *testing.T, k *services.Services, prefix string) *flinkJob {
	t.Helper()
	j := &flinkJob{
		stages: prefix + ".report.stages", pairs: prefix + ".report.contact_companies",
		latest: map[string]map[string]string{}, writes: map[string]int{},
	}
	for _, topic := range []string{j.stages, j.pairs} {
		compact := "compact"
		if _, err := k.Admin.CreateTopic(t.Context(), 2, 1, map[string]*string{"cleanup.policy": &compact}, topic); err != nil {
			t.Fatal(err)
		}
		j.latest[topic] = map[string]string{}
	}
	sql := configured(t, "flink.sql", map[string]string{
		"'localhost:9092'": "'" + k.Brokers + "'", "'http://localhost:8081/apis/ccompat/v7'": "'" + k.Registry + "'",
		"'hubspot.": "'" + prefix + ".", "'report.": "'" + prefix + ".report.",
	})
	var versions []string
	if of, connector, ok := strings.Cut(*flink, ","); ok {
		versions = []string{"-Dflink.version=" + of, "-Dflink.kafka.version=" + connector}
	}
	jars := classpath(t, "flink", versions...)
	j.Process = services.Run(t, j.name(), exec.Command("java", "-Xmx768m", "-XX:+UseSerialGC",
		"--add-opens=java.base/java.util=ALL-UNNAMED", "--add-opens=java.base/java.lang=ALL-UNNAMED",
		"--add-opens=java.base/java.time=ALL-UNNAMED",
		"-Dlog4j2.configurationFile=log4j2.properties", "-cp", jars, "flink/RunSql.java", sql))
	j.Says(t, startup, "job started")
	j.follow(t, k)
	return j
}

// follow reads what the job writes, until the test ends.
func (j *flinkJob) follow(t *testing.T, k *services.Services) {
	t.Helper()
	cl := testkit.Client(t, k.Options(kgo.ConsumeTopics(j.stages, j.pairs), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() { // ends with the cleanup
		defer close(done)
		for ctx.Err() == nil {
			cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
				j.mu.Lock()
				defer j.mu.Unlock()
				j.writes[r.Topic]++
				if r.Value == nil {
					delete(j.latest[r.Topic], string(r.Key))
				} else {
					j.latest[r.Topic][string(r.Key)] = string(r.Value)
				}
			})
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

type stage struct {
	Stage      string `json:"lifecyclestage"`
	Contacts   int    `json:"contacts"`
	WithPoints int    `json:"with_points"`
}

type contactCompany struct {
	Link      string  `json:"link"`
	ContactID string  `json:"contact_id"`
	Email     *string `json:"email"`
	CompanyID string  `json:"company_id"`
	Company   *string `json:"company"`
	Label     *string `json:"label"`
}

// optional is nil for a text that HubSpot does not have, or has cleared.
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// stages counts the portal's contacts by lifecycle stage.
func (w *truth) stages() map[string]any {
	counts := map[string]stage{}
	for _, c := range w.contacts {
		name := c.Properties["lifecyclestage"]
		if name == "" {
			name = "(none)"
		}
		s := counts[name]
		s.Stage = name
		s.Contacts++
		if c.Properties[addedProperty] != "" {
			s.WithPoints++
		}
		counts[name] = s
	}
	all := map[string]any{}
	for name, s := range counts {
		all[name] = s
	}
	return all
}

// contactCompanies is the portal's join of contacts and companies.
func (w *truth) contactCompanies() map[string]any {
	all := map[string]any{}
	for key, l := range w.links {
		from, to := fmt.Sprint(l.From), fmt.Sprint(l.To)
		all[key] = contactCompany{
			Link: key, ContactID: from, Email: optional(w.contacts[from].Properties["email"]),
			CompanyID: to, Company: optional(w.companies[to].Properties["name"]), Label: optional(l.Label),
		}
	}
	return all
}

func (j *flinkJob) differs(t *testing.T, w *truth) error {
	t.Helper()
	j.Lives(t)
	j.mu.Lock()
	defer j.mu.Unlock()
	stages, err := rowsOf(j.latest[j.stages], func(s stage) string { return s.Stage })
	if err == nil {
		err = compare("stages", stages, w.stages())
	}
	if err != nil {
		return err
	}
	pairs, err := rowsOf(j.latest[j.pairs], func(c contactCompany) string { return c.Link })
	if err != nil {
		return err
	}
	return compare("contact_companies", pairs, w.contactCompanies())
}

func (j *flinkJob) report(t *testing.T) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, topic := range []string{j.stages, j.pairs} {
		t.Logf("Flink: %s: %d rows after %d writes", topic, len(j.latest[topic]), j.writes[topic])
	}
	for _, row := range j.latest[j.stages] {
		t.Logf("Flink: %s", row)
	}
}

// rowsOf decodes the rows of a topic.
func rowsOf[T any](latest map[string]string, key func(T) string) (map[string]any, error) {
	all := map[string]any{}
	for _, text := range latest {
		var row T
		if err := json.Unmarshal([]byte(text), &row); err != nil {
			return nil, fmt.Errorf("%w in %s", err, text)
		}
		all[key(row)] = row
	}
	return all, nil
}
