//go:build consumers

package consumers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/schema"
	"github.com/hubspot-cdc/connector/test/services"
)

// example is a small consumer of docs/consumers/examples.
type example struct {
	name  string // its folder
	needs string // a command that succeeds where its tools are
	// Commands as the README there has them; $TOPIC is the topic.
	build, run string
}

// The first one also waits until the connector has published everything.
var examples = []example{
	{"go", "go version", "go build -o table .", "./table --until-end $TOPIC"},
	{
		"python", "python3 -c 'import ensurepip, venv'",
		"python3 -m venv .venv && .venv/bin/pip install -q -r requirements.txt",
		".venv/bin/python table.py $TOPIC --until-end",
	},
	{
		"node", `npm --version && node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)'`,
		"npm ci --silent", "node table.js $TOPIC --until-end",
	},
	{
		"java", "javac --version && mvn --version",
		"mvn -q -B compile", "java -cp 'target/classes:target/lib/*' Table $TOPIC --until-end",
	},
	{
		"rust", `make --version && cc --version && cargo --version | awk '{split($2, v, "."); exit v[1] == 1 && v[2] < 85}'`,
		"cargo build --release --locked", "cargo run --release --locked -q -- $TOPIC --until-end",
	},
}

// TestExamplesEqualThePortal: the consumers of docs/consumers/examples fold the
// topics of a portal's life, with a property added and deletes in the middle, and
// a transaction that was aborted, into what the portal has.
func TestExamplesEqualThePortal(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", *seed)
	copies := t.TempDir() // nothing is built inside the repository
	var ready []*built
	var skipped []string
	for _, e := range examples {
		t.Run("build "+e.name, func(t *testing.T) {
			b := &built{e, filepath.Join(copies, e.name)}
			if err := os.CopyFS(b.dir, os.DirFS(filepath.Join("..", "..", "docs", "consumers", "examples", e.name))); err != nil {
				t.Fatal(err)
			}
			if out, err := b.command(t, e.needs, time.Minute).CombinedOutput(); err != nil {
				skipped = append(skipped, e.name)
				t.Skipf("its tools are not here, or too old: %s: %v\n%s", e.needs, err, out)
			}
			began := time.Now()
			if out, err := b.command(t, e.build, 15*time.Minute).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", e.build, err, out)
			}
			t.Logf("%s: %v", e.build, time.Since(began).Round(time.Second))
			ready = append(ready, b)
		})
	}
	kafka := services.Start(t)
	life := newLife(t, *seed)
	prefix := fmt.Sprintf("examples-%d", time.Now().UnixMilli())
	connector := startConnector(t, kafka, life.url, prefix)
	contacts := offsets.ObjectTopic(prefix, "contacts")
	links := offsets.PairTopic(prefix, cdc.Pair{From: "contacts", To: "companies"})
	waitForTopic(t, kafka, contacts)
	waitForTopic(t, kafka, links)

	life.go_(t, "before the property", 100)
	version := latest(t, kafka, contacts+"-value")
	life.addProperty(t)
	services.Eventually(t, startup, "the registry has the next schema", func() error {
		if now := latest(t, kafka, contacts+"-value"); now == version {
			return fmt.Errorf("the latest version is still %d", now)
		}
		return nil
	})
	abort(t, kafka, contacts)
	abort(t, kafka, links)
	life.go_(t, "after the property", 100)
	life.report(t)

	truth := life.truth(t)
	for _, b := range ready {
		t.Run(b.name, func(t *testing.T) {
			began := time.Now()
			services.Eventually(t, catchUp, "the example in "+b.name+" equals the portal", func() error {
				rows, err := b.table(t, kafka, contacts)
				if err == nil {
					err = truth.compareExample(rows)
				}
				if err != nil {
					return err
				}
				pairs, err := b.table(t, kafka, links)
				if err != nil {
					return err
				}
				return compare("links", pairs, truth.exampleLinks())
			})
			t.Logf("%s: %d contacts, %d links, %v", b.name, len(truth.contacts), len(truth.links), time.Since(began).Round(100*time.Millisecond))
		})
	}
	connector.Terminate(t)
	t.Logf("%d of %d examples were run; SKIP: %v", len(ready), len(examples), skipped)
}

// built is an example that is ready to run, in a folder of its own.
type built struct {
	example
	dir string
}

// command runs a line of the README.
func (b *built) command(t *testing.T, line string, limit time.Duration, more ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "sh", "-c", line)
	cmd.Dir, cmd.Env = b.dir, append(os.Environ(), more...)
	if cache, err := os.UserCacheDir(); err == nil { // librdkafka takes minutes to compile
		cmd.Env = append(cmd.Env, "CARGO_TARGET_DIR="+filepath.Join(cache, "hubspot-cdc-test", "rust"))
	}
	return cmd
}

// table runs an example on a topic and reads the table that it prints, whose
// keys must be sorted.
func (b *built) table(t *testing.T, k *services.Services, topic string) (map[string]any, error) {
	t.Helper()
	out := services.Output(t, b.command(t, b.run, time.Minute, "TOPIC="+topic, "KAFKA_BROKERS="+k.Brokers, "SCHEMA_REGISTRY_URL="+k.Registry))
	rows, last := map[string]any{}, ""
	for line := range strings.Lines(out) {
		var row struct {
			Key   string
			After map[string]any
		}
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			return nil, fmt.Errorf("%w in %q", err, line)
		}
		if row.Key <= last {
			return nil, fmt.Errorf("key %q follows %q", row.Key, last)
		}
		last = row.Key
		rows[row.Key] = row.After
	}
	return rows, nil
}

// abort writes a record that looks right, and aborts its transaction.
func abort(t *testing.T, k *services.Services, topic string) {
	t.Helper()
	records := testkit.ReadCommitted(t, topic, k.Options()...)
	at := slices.IndexFunc(records, func(r *kgo.Record) bool { return r.Value != nil })
	if at < 0 {
		t.Fatalf("%s has no event yet", topic)
	}
	cl := testkit.Client(t, k.Options(kgo.TransactionalID("aborts-"+topic), kgo.ProducerBatchCompression(kgo.Lz4Compression()))...)
	defer cl.Close()
	err := cl.BeginTransaction()
	if err == nil {
		err = cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Key: []byte("aborted"), Value: records[at].Value}).FirstErr()
	}
	if err := errors.Join(err, cl.EndTransaction(t.Context(), kgo.TryAbort)); err != nil {
		t.Fatal(err)
	}
}

// compareExample compares every property of every contact with an example's
// table. A row that was written before a property existed does not have it.
func (w *truth) compareExample(table map[string]any) error {
	rows := map[string]map[string]any{}
	for key, after := range table {
		after := after.(map[string]any)
		properties, _ := after["properties"].(map[string]any)
		row := map[string]any{"updatedat": after["updatedAt"], "unparsed": after["unparsed"]}
		for name := range w.types {
			mangled := schema.Mangle(name)
			row["properties_"+strings.ToLower(mangled)] = properties[mangled]
		}
		rows[key] = row
		contact, ok := w.contacts[key]
		if !ok {
			continue // compareContacts says so
		}
		created, err := moment(after["createdAt"])
		if err != nil {
			return fmt.Errorf("contact %s: createdAt: %w", key, err)
		}
		if created != contact.CreatedAt || after["id"] != key || after["archived"] != false {
			return fmt.Errorf("contact %s: id %v, createdAt %v, archived %v; want createdAt %d", key, after["id"], after["createdAt"], after["archived"], contact.CreatedAt)
		}
	}
	return w.compareContacts(rows)
}

func (w *truth) exampleLinks() map[string]any {
	all := map[string]any{}
	for key, l := range w.links {
		all[key] = map[string]any{
			"fromObjectType": "contacts", "fromObjectId": fmt.Sprint(l.From), "toObjectType": "companies", "toObjectId": fmt.Sprint(l.To),
			"category": l.Category, "typeId": l.TypeID, "label": optional(l.Label),
		}
	}
	return all
}
