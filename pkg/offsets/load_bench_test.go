package offsets

import (
	"bufio"
	"bytes"
	"encoding/json"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// BenchmarkLoad is what a restart waits for, and the memory that it takes: rebuilding
// is the only recovery there is, and every start does it (docs/kafka.md C3). Each load
// has a process of its own; this one has the brokers.
func BenchmarkLoad(b *testing.B) {
	for _, size := range []struct {
		name        string
		rows, links int
	}{{"records=1M", 1_000_000, 0}, {"records=1M,links=5M", 1_000_000, 5}} {
		b.Run(size.name, func(b *testing.B) {
			cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, CursorTopic("hubspot"), StateTopic("hubspot")))
			if err != nil {
				b.Fatal(err)
			}
			defer cluster.Close()
			fill(b, cluster.ListenAddrs(), size.rows, size.links)
			var sum loadCost
			for b.Loop() {
				child := exec.Command(os.Args[0], "-test.run", "^TestLoad_ForTheBenchmark$", "-test.v")
				child.Env = append(os.Environ(), loadBrokers+"="+strings.Join(cluster.ListenAddrs(), ","))
				out, err := child.CombinedOutput()
				if err != nil {
					b.Fatalf("%v\n%s", err, out)
				}
				cost := costIn(b, out)
				if cost.Rows != size.rows || cost.Links != size.rows*size.links {
					b.Fatalf("it loaded %d rows and %d links", cost.Rows, cost.Links)
				}
				sum.Took += cost.Took
				sum.Processor += cost.Processor
				sum.Peak, sum.After, sum.Heap = max(sum.Peak, cost.Peak), max(sum.After, cost.After), max(sum.Heap, cost.Heap)
			}
			b.ReportMetric(float64(sum.Took.Milliseconds())/float64(b.N), "ms/load")
			b.ReportMetric(float64(sum.Processor.Milliseconds())/float64(b.N), "cpu-ms/load")
			b.ReportMetric(float64(sum.Peak)/1e3, "peak-MB")
			b.ReportMetric(float64(sum.After)/1e3, "MB")
			b.ReportMetric(float64(sum.Heap)/float64(size.rows*(1+size.links)), "B/row")
		})
	}
}

// fill writes a state as the connector does: a page of a hundred records or of a
// thousand sets of links in each transaction.
func fill(b *testing.B, brokers []string, rows, links int) {
	b.Helper()
	cl := testkit.Client(b, kgo.SeedBrokers(brokers...), kgo.TransactionalID("writer"), kgo.ProducerBatchCompression(kgo.Lz4Compression()))
	commit := func(records ...*kgo.Record) {
		if err := cl.BeginTransaction(); err != nil {
			b.Fatal(err)
		}
		if err := cl.ProduceSync(b.Context(), records...).FirstErr(); err != nil {
			b.Fatal(err)
		}
		if err := cl.EndTransaction(b.Context(), kgo.TryCommit); err != nil {
			b.Fatal(err)
		}
	}
	commit(birth("A")...)
	rng := rand.New(rand.NewPCG(1, 1))
	ids := make([]hubspot.ID, rows)
	var page []*kgo.Record
	seq := int64(0)
	for i := range ids {
		seq++
		ids[i] = hubspot.ID(20_000_000_000 + i*97)
		page = append(page, row(ids[i], cdc.Row{
			Version: hubspot.Millis(1_600_000_000_000 + rng.Int64N(180_000_000_000)), Hash: rng.Uint64(), Seq: seq, Live: true, Settled: true,
		}))
		if len(page) == 100 {
			commit(page...)
			page = page[:0]
		}
	}
	companies := rng.Perm(200_000)
	for i, id := range ids {
		if links == 0 {
			break
		}
		begin := rng.IntN(len(companies) - links)
		for _, to := range slices.Sorted(slices.Values(companies[begin : begin+links])) {
			seq++
			key := cdc.LinkKey{From: id, To: hubspot.ID(9_000_000_000 + to*103), Category: "HUBSPOT_DEFINED", TypeID: 279}
			page = append(page, state(LinkKey(cdc.Pair{From: "contacts", To: "companies"}, key), AppendLinkRow(nil, cdc.LinkRow{Live: true, Seq: seq})))
		}
		if i%hubspot.MaxLinks == hubspot.MaxLinks-1 {
			commit(page...)
			page = page[:0]
		}
	}
}

const loadBrokers = "LOAD_BROKERS"

// loadCost is what a load took; kilobytes and bytes.
type loadCost struct {
	Took, Processor   time.Duration
	Peak, After, Heap int
	Rows, Links       int
}

// TestLoad_ForTheBenchmark is the process that loads.
func TestLoad_ForTheBenchmark(t *testing.T) {
	brokers := os.Getenv(loadBrokers)
	if brokers == "" {
		t.Skip("BenchmarkLoad runs it")
	}
	before := heap()
	began := time.Now()
	l, err := Load(t.Context(), Source{
		Opts: []kgo.Opt{kgo.SeedBrokers(strings.Split(brokers, ",")...)}, Prefix: "hubspot", Portal: portal, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	cost := loadCost{Took: time.Since(began), Peak: status(t, "VmHWM:"), After: status(t, "VmRSS:"), Rows: l.Rows["contacts"].Len()}
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		t.Fatal(err)
	}
	cost.Processor = time.Duration(r.Utime.Nano() + r.Stime.Nano())
	for _, table := range l.Links {
		cost.Links += table.Len()
	}
	cost.Heap = int(heap() - before)
	runtime.KeepAlive(l)
	text, err := json.Marshal(cost)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = os.Stdout.Write(append(text, '\n')) // else the benchmark says so
}

func costIn(b *testing.B, out []byte) (cost loadCost) {
	b.Helper()
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "{") {
			if err := json.Unmarshal(lines.Bytes(), &cost); err != nil {
				b.Fatal(err)
			}
			return cost
		}
	}
	b.Fatalf("no cost in %s", out)
	return cost
}

// status is a line of /proc/self/status, in kilobytes.
func status(t *testing.T, name string) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip(err) // no Linux
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == name {
			n, err := strconv.Atoi(f[1])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("no %s", name)
	return 0
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
