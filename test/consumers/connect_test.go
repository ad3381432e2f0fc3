//go:build consumers

package consumers

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/schema"
	"github.com/hubspot-cdc/connector/test/services"
)

// worker is Kafka Connect with the connectors of docs/consumers, which write
// into PostgreSQL.
type worker struct {
	*services.Process
	database *postgres
	api      string
}

func (*worker) name() string { return "Kafka Connect with PostgreSQL" }

func startConnect(t *testing.T, k *services.Services, prefix string, db *postgres) *worker {
	t.Helper()
	w := &worker{database: db, api: fmt.Sprintf("http://127.0.0.1:%d", services.FreePort(t))}
	base, ok := strings.CutSuffix(k.Registry, "/apis/ccompat/v7")
	if !ok {
		t.Skipf("Apicurio's converter needs Apicurio, and the registry is %s", k.Registry)
	}
	files := []string{
		configured(t, "connect-worker.properties", map[string]string{
			"bootstrap.servers=localhost:9092": "bootstrap.servers=" + k.Brokers,
			"http://localhost:8081/":           base + "/",
			"http://localhost:8083":            w.api,
			"/var/lib/kafka-connect/offsets":   filepath.Join(t.TempDir(), "offsets"),
			// Here the plugins are on the classpath.
			"plugin.path=/usr/share/kafka-connect": "",
		}),
	}
	for _, file := range []string{"connect-contacts.properties", "connect-associations.properties"} {
		files = append(files, configured(t, file, map[string]string{
			"name=hubspot-": "name=" + prefix + "-", "topics=hubspot.": "topics=" + prefix + ".",
			"localhost:5432": "127.0.0.1:" + strconv.Itoa(db.port),
		}))
	}
	w.Process = services.Run(t, w.name(), exec.Command("java", append([]string{
		"-Xmx512m", "-XX:+UseSerialGC", "-Dlog4j2.configurationFile=log4j2.properties", "-cp", classpath(t, "connect"),
		"org.apache.kafka.connect.cli.ConnectStandalone",
	}, files...)...))
	services.Eventually(t, startup, "the connectors run", func() error {
		w.Lives(t)
		states, err := w.states()
		if err == nil && strings.Count(states, "RUNNING") < 4 { // two connectors, a task each
			err = fmt.Errorf("%s", states)
		}
		return err
	})
	return w
}

// states asks the worker for its connectors and their tasks.
func (w *worker) states() (string, error) {
	client := http.Client{Timeout: 5 * time.Second}
	answer, err := client.Get(w.api + "/connectors?expand=status")
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return string(body), err
}

func (w *worker) differs(t *testing.T, truth *truth) error {
	t.Helper()
	w.Lives(t)
	if states, err := w.states(); err != nil || strings.Contains(states, "FAILED") {
		t.Fatalf("a connector failed: %v %s", err, states)
	}
	contacts, err := w.database.rows(t, "contacts", "id")
	if err == nil {
		err = truth.compareContacts(contacts)
	}
	if err != nil {
		return err
	}
	rows, err := w.database.rows(t, "contact_companies", "link")
	if err != nil {
		return err
	}
	got, want := map[string]any{}, map[string]any{}
	for key, row := range rows {
		got[key] = row
	}
	for key, l := range truth.links {
		want[key] = map[string]any{
			"link": key, "fromobjecttype": "contacts", "fromobjectid": fmt.Sprint(l.From),
			"toobjecttype": "companies", "toobjectid": fmt.Sprint(l.To),
			"category": l.Category, "typeid": l.TypeID, "label": optional(l.Label),
		}
	}
	return compare("contact_companies", got, want)
}

// compareContacts compares every property of every contact with the table.
func (w *truth) compareContacts(rows map[string]map[string]any) error {
	got, want := map[string]any{}, map[string]any{}
	for id := range rows {
		got[id] = "a row"
	}
	for id := range w.contacts {
		want[id] = "a row"
	}
	if err := compare("contacts", got, want); err != nil {
		return err
	}
	for id, contact := range w.contacts {
		row := rows[id]
		unparsed := map[string]string{}
		if text, ok := row["unparsed"].(string); ok {
			if err := json.Unmarshal([]byte(text), &unparsed); err != nil {
				return fmt.Errorf("contact %s: %w in unparsed: %s", id, err, text)
			}
		}
		at, err := moment(row["updatedat"])
		if err != nil {
			return fmt.Errorf("contact %s: updatedat: %w", id, err)
		}
		if at != contact.UpdatedAt {
			return fmt.Errorf("contact %s: updatedat is %v, want %d", id, row["updatedat"], contact.UpdatedAt)
		}
		for name, typ := range w.types {
			column := "properties_" + strings.ToLower(schema.Mangle(name))
			value, there := row[column]
			if !there {
				return fmt.Errorf("table contacts has no column %s", column)
			}
			if err := holds(value, typ, contact.Properties[name], unparsed[name]); err != nil {
				return fmt.Errorf("contact %s: %s: %w", id, column, err)
			}
		}
	}
	return nil
}

// holds reports how a column differs from HubSpot: it should have the value or,
// if the text does not fit the type, null, with the text among the unparsed ones.
func holds(value any, typ, text, unparsed string) error {
	wrong := fmt.Errorf("%v (and %q unparsed), want %q, a %s", value, unparsed, text, typ)
	if value == nil {
		if text != unparsed {
			return wrong
		}
		return nil
	}
	same := false
	switch typ {
	case "number":
		n, err := strconv.ParseFloat(text, 64)
		same = err == nil && value == n
	case "bool":
		same = value == (text == "true") && (text == "true" || text == "false")
	case "date", "datetime":
		at, err := moment(value)
		want, err2 := moment(text)
		same = err == nil && err2 == nil && at == want
	default:
		same = value == text
	}
	if !same {
		return wrong
	}
	return nil
}

// moment parses a time as HubSpot or PostgreSQL writes it, in milliseconds.
func moment(value any) (int64, error) {
	text, ok := value.(string)
	if !ok {
		return 0, fmt.Errorf("%v is not a time", value)
	}
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil {
		return ms, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", time.DateOnly} { // each with or without a fraction
		if at, err := time.Parse(layout, text); err == nil {
			return at.UnixMilli(), nil
		}
	}
	return 0, fmt.Errorf("%q is not a time", text)
}

func (w *worker) report(t *testing.T) {
	t.Helper()
	t.Logf("PostgreSQL: contacts: %s rows, %s columns, %s with %s, %s with unparsed values",
		w.database.query(t, database, "SELECT count(*) FROM contacts"),
		w.database.query(t, database, "SELECT count(*) FROM information_schema.columns WHERE table_name = 'contacts'"),
		w.database.query(t, database, "SELECT count(*) FROM contacts WHERE properties_"+addedProperty+" IS NOT NULL"), addedProperty,
		w.database.query(t, database, "SELECT count(*) FROM contacts WHERE unparsed IS NOT NULL"))
	t.Logf("PostgreSQL: contact_companies: %s rows, %s with a label",
		w.database.query(t, database, "SELECT count(*) FROM contact_companies"),
		w.database.query(t, database, "SELECT count(*) FROM contact_companies WHERE label IS NOT NULL"))
}
