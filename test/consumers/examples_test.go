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
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
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
	// Commands as the README there has them; $TOPIC is the topic. complete is the reader
	// that waits for $UNTIL; "": there is none.
	build, run, complete string
}

// The first one also waits until the connector has published everything.
var examples = []example{
	{"go", "go version", "go build -o table .", "./table --until-end $TOPIC", "go run ./complete --until $UNTIL $TOPIC"},
	{
		"python", "python3 -c 'import ensurepip, venv'",
		"python3 -m venv .venv && .venv/bin/pip install -q -r requirements.txt",
		".venv/bin/python table.py $TOPIC --until-end", ".venv/bin/python complete.py $TOPIC --until $UNTIL",
	},
	{
		"node", `npm --version && node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)'`,
		"npm ci --silent", "node table.js $TOPIC --until-end", "",
	},
	{
		"java", "javac --version && mvn --version",
		"mvn -q -B compile", "java -cp 'target/classes:target/lib/*' Table $TOPIC --until-end",
		"java -cp 'target/classes:target/lib/*' Complete $TOPIC --until $UNTIL",
	},
	{
		"rust", `make --version && cc --version && cargo --version | awk '{split($2, v, "."); exit v[1] == 1 && v[2] < 85}'`,
		"cargo build --release --locked", "cargo run --release --locked -q -- $TOPIC --until-end", "",
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
	ready, skipped := buildExamples(t)
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

// TestExamplesEndWhereRetentionTookEverything: a partition whose end is above 0 and that
// shows no record, because retention took all or because what came after was aborted,
// keeps no example from its end, and no reader from what a frontier claims.
func TestExamplesEndWhereRetentionTookEverything(t *testing.T) {
	ready, _ := buildExamples(t)
	kafka := services.Start(t)
	prefix := fmt.Sprintf("retention-%d", time.Now().UnixMilli())
	kafka.Forget(t, prefix)
	contacts, frontiers := offsets.ObjectTopic(prefix, "contacts"), offsets.FrontierTopic(prefix)
	const whole, aborted, partitions = 0, 2, 3 // in the one between there is nothing at all
	for topic, n := range map[string]int32{contacts: partitions, frontiers: 1} {
		if answer, err := kafka.Admin.CreateTopic(t.Context(), n, 1, nil, topic); err != nil {
			t.Fatalf("%v %v", answer, err)
		}
	}
	cl := testkit.Client(t, kafka.Options(kgo.TransactionalID(prefix), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	defer cl.Close()
	write := func(end kgo.TransactionEndTry, records ...*kgo.Record) {
		t.Helper()
		err := cl.BeginTransaction()
		if err == nil {
			err = cl.ProduceSync(t.Context(), records...).FirstErr()
		}
		if err := errors.Join(err, cl.EndTransaction(t.Context(), end)); err != nil {
			t.Fatal(err)
		}
	}
	var deletes []*kgo.Record
	front := kadm.Offsets{}
	for p := range int32(partitions) {
		deletes = append(deletes, &kgo.Record{Topic: contacts, Partition: p, Key: []byte("1")})
		if p != whole {
			front.AddOffset(contacts, p, 2, -1) // behind the record and its marker
		}
	}
	write(kgo.TryCommit, deletes...)
	if answer, err := kafka.Admin.DeleteRecords(t.Context(), front); err != nil || answer.Error() != nil {
		t.Fatalf("%v %v", answer, err)
	}
	write(kgo.TryAbort, &kgo.Record{Topic: contacts, Partition: aborted, Key: []byte("1")})
	const until = "2026-11-24T12:00:00Z"
	write(kgo.TryCommit, &kgo.Record{
		Topic: frontiers, Key: []byte(`{"portal":4242,"topic":"` + contacts + `"}`),
		Value: []byte(`{"complete":"` + until + `","verified":null,"offsets":{"0":1,"1":1,"2":1},"seq":3,"live":0,"v":1}`),
	})
	for _, b := range ready {
		t.Run(b.name, func(t *testing.T) {
			if rows, err := b.table(t, kafka, contacts); err != nil || len(rows) > 0 {
				t.Errorf("the table is %v, %v", rows, err)
			}
			if b.complete == "" {
				return
			}
			out := services.Output(t, b.command(t, b.complete, time.Minute, "TOPIC="+contacts, "UNTIL="+until, "KAFKA_BROKERS="+kafka.Brokers))
			if !strings.Contains(out, contacts+": complete as of 2026-11-24T12:00:00") {
				t.Errorf("the reader says %q", out)
			}
		})
	}
}

// buildExamples builds the examples whose tools are here, and names the others.
func buildExamples(t *testing.T) (ready []*built, skipped []string) {
	t.Helper()
	copies := t.TempDir() // nothing is built inside the repository
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
	return ready, skipped
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
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that what sh started ends too
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
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
