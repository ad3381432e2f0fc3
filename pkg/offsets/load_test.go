package offsets

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

const portal = 4242

// kafka is a broker in the test's bubble, with the two topics.
type kafka struct {
	testing.TB
	*testkit.Broker
	log testkit.Log
}

// inKafka runs a test in a bubble of its own.
func inKafka(t *testing.T, f func(t *testing.T, k *kafka)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		k := &kafka{TB: t, Broker: testkit.NewBroker(t, kfake.BrokerConfigs(map[string]string{"transaction.max.timeout.ms": "3600000"}))}
		compact := "compact"
		if _, err := k.Admin().CreateTopics(t.Context(), 1, 1, map[string]*string{"cleanup.policy": &compact},
			CursorTopic("hubspot"), StateTopic("hubspot")); err != nil {
			t.Fatal(err)
		}
		f(t, k)
	})
}

func (k *kafka) load() (*Loaded, error) {
	return Load(k.Context(), Source{Opts: k.Options(), Prefix: "hubspot", Portal: portal, Logger: k.log.Logger(k.Output())})
}

func (k *kafka) mustLoad() *Loaded {
	k.Helper()
	l, err := k.load()
	if err != nil {
		k.Fatal(err)
	}
	return l
}

// begin writes records in a transaction with a producer of its own. It returns
// that producer, with the transaction still open.
func (k *kafka) begin(id string, records ...*kgo.Record) *kgo.Client {
	k.Helper()
	cl := k.Client(kgo.TransactionalID(id), kgo.TransactionTimeout(time.Hour))
	if err := cl.BeginTransaction(); err != nil {
		k.Fatal(err)
	}
	for _, r := range records {
		// A copy: the client keeps its bubble's context in a record.
		if err := cl.ProduceSync(k.Context(), &kgo.Record{Topic: r.Topic, Key: r.Key, Value: r.Value, Timestamp: r.Timestamp}).FirstErr(); err != nil {
			k.Fatal(err)
		}
	}
	return cl
}

func (k *kafka) end(cl *kgo.Client, how kgo.TransactionEndTry) {
	k.Helper()
	if err := cl.EndTransaction(k.Context(), how); err != nil {
		k.Fatal(err)
	}
}

func (k *kafka) write(records ...*kgo.Record) {
	k.Helper()
	k.end(k.begin("writer", records...), kgo.TryCommit)
}

func cursor(key, value string) *kgo.Record {
	r := &kgo.Record{Topic: CursorTopic("hubspot"), Key: []byte(key)}
	if value != "" {
		r.Value = []byte(value)
	}
	return r
}

func state(key, value []byte) *kgo.Record {
	return &kgo.Record{Topic: StateTopic("hubspot"), Key: key, Value: value}
}

func row(id hubspot.ID, r cdc.Row) *kgo.Record {
	return state(RowKey("contacts", id), AppendRow(nil, r))
}

func birth(id string) []*kgo.Record {
	return []*kgo.Record{
		cursor(Key{Portal: portal, Stream: BirthStream}.String(), string(Birth{id}.Bytes())),
		state(BirthKey(), BirthBytes(id, portal)),
	}
}

var (
	leading = Key{Portal: portal, Object: "contacts", Stream: LeadingStream}
	place1  = `{"at":"1999-11-24T13:00:00.000Z","v":1}`
	place2  = `{"at":"1999-11-24T14:00:00.000Z","v":1}`
)

func TestLoad_EmptyTopicsAreAFirstStart(t *testing.T) {
	inKafka(t, func(t *testing.T, k *kafka) {
		l := k.mustLoad()
		if !l.Fresh || l.Birth != "" || l.Seq != 0 || len(l.Cursors) != 0 || len(l.Rows) != 0 {
			t.Errorf("loaded %+v, want a fresh start", l)
		}
	})
}

func TestLoad_ReadsBackWhatWasCommitted(t *testing.T) {
	inKafka(t, func(t *testing.T, k *kafka) {
		live := cdc.Row{Version: 7, Hash: 8, Seq: 3, Live: true}
		k.write(append(birth("A"), cursor(leading.String(), place1), row(1, cdc.Row{Version: 1, Seq: 1, Live: true}), row(2, live))...)
		k.write(cursor(leading.String(), place2), row(1, cdc.Row{Version: 2, Seq: 9, Reason: cdc.Archived}),
			state(SetKey("contacts"), []byte(`{"v":1}`)),
			state(TopicKey("hubspot.contacts"), TopicMeta{Partitions: 3, KeyFormat: "string"}.Bytes()))
		k.write(row(3, live), cursor(`{"portal":4242,"stream":"later"}`, `true`))
		k.write(state(RowKey("contacts", 3), nil))
		l := k.mustLoad()
		if l.Fresh || l.Birth != "A" || l.Seq != 9 {
			t.Errorf("fresh %v, birth %q, seq %d", l.Fresh, l.Birth, l.Seq)
		}
		if got := string(l.Cursors[leading]); got != place2 || len(l.Cursors) != 2 || len(l.Odd) != 0 {
			t.Errorf("cursors %v, odd %v", l.Cursors, l.Odd)
		}
		rows := maps.Collect(l.Rows["contacts"].All())
		if len(rows) != 2 || rows[2] != live || rows[1] != (cdc.Row{Version: 2, Seq: 9, Reason: cdc.Archived}) {
			t.Errorf("rows %v", rows)
		}
		if string(l.Sets["contacts"]) != `{"v":1}` || l.Topics["hubspot.contacts"] != (TopicMeta{3, "string", 0, 1}) {
			t.Errorf("sets %v, topics %v", l.Sets, l.Topics)
		}
	})
}

// TestLoad_OnlyWhoReadsTakesATurn: not while it asks whether there is anything to read.
func TestLoad_OnlyWhoReadsTakesATurn(t *testing.T) {
	inKafka(t, func(t *testing.T, k *kafka) {
		var began, ended int
		var refused error
		load := func() (*Loaded, error) {
			return Load(k.Context(), Source{
				Opts: k.Options(), Asking: k.Client(), Prefix: "hubspot", Portal: portal, Logger: k.log.Logger(k.Output()),
				Turn: func(context.Context) (func(), error) { began++; return func() { ended++ }, refused },
			})
		}
		if l, err := load(); err != nil || !l.Fresh || began != 0 {
			t.Errorf("empty topics: %v, %d turns", err, began)
		}
		k.write(append(birth("A"), row(1, cdc.Row{Version: 1, Seq: 1, Live: true}))...)
		if l, err := load(); err != nil || l.Rows["contacts"].Len() != 1 || began != 1 || ended != 1 {
			t.Errorf("with records: %v, %d turns began and %d ended", err, began, ended)
		}
		refused = errors.New("no turn")
		if _, err := load(); !errors.Is(err, refused) {
			t.Errorf("without a turn: %v", err)
		}
	})
}

// docs/kafka.md C3: the log ends with a marker, often after aborted records, and
// compaction leaves gaps. Waiting for the last data record would never end.
func TestLoad_EndsBehindAbortedRecordsMarkersAndCompaction(t *testing.T) {
	inKafka(t, func(t *testing.T, k *kafka) {
		k.write(append(birth("A"), cursor(leading.String(), place1))...)
		for i := range 50 {
			k.write(row(hubspot.ID(i%5), cdc.Row{Version: 1, Seq: int64(i), Live: true}))
		}
		var lost []*kgo.Record
		for i := range 200 {
			lost = append(lost, row(hubspot.ID(i), cdc.Row{Version: 2, Seq: 1000, Live: true}))
		}
		k.end(k.begin("writer", append(lost, cursor(leading.String(), place2))...), kgo.TryAbort)
		for range 2 {
			began := time.Now()
			l := k.mustLoad()
			if l.Rows["contacts"].Len() != 5 || l.Seq != 49 || string(l.Cursors[leading]) != place1 {
				t.Errorf("%d rows, seq %d, cursor %s: aborted records were read", l.Rows["contacts"].Len(), l.Seq, l.Cursors[leading])
			}
			if took := time.Since(began); took > time.Second {
				t.Errorf("Load saw the end only after %v", took)
			}
			k.Compact()
		}
	})
}

// The last stable offset stays below committed records as long as anybody has a
// transaction open there.
func TestLoad_WaitsForAForeignTransactionAndSaysSo(t *testing.T) {
	inKafka(t, func(t *testing.T, k *kafka) {
		k.write(birth("A")...)
		other := k.begin("someone-else", cursor(leading.String(), place1))
		k.write(cursor(leading.String(), place2))
		time.AfterFunc(time.Minute, func() { k.end(other, kgo.TryAbort) })
		began := time.Now()
		l := k.mustLoad()
		if string(l.Cursors[leading]) != place2 {
			t.Errorf("cursor %s, want %s", l.Cursors[leading], place2)
		}
		if took := time.Since(began); took < time.Minute || took > 2*time.Minute {
			t.Errorf("took %v", took)
		}
		if !k.log.Has("has a transaction open since offset") {
			t.Errorf("the log does not say whose transaction Load waits for:\n%s", &k.log)
		}
	})
}

func TestLoad_GivesUpAfterFifteenMinutesAndNamesTheTool(t *testing.T) {
	inKafka(t, func(t *testing.T, k *kafka) {
		k.write(birth("A")...)
		k.begin("someone-else", cursor(leading.String(), place1))
		began := time.Now()
		_, err := k.load()
		if err == nil || !strings.Contains(err.Error(), "kafka-transactions") || !strings.Contains(err.Error(), "hubspot.offsets partition 0") {
			t.Errorf("err = %v", err)
		}
		var refusal *Refusal
		if errors.As(err, &refusal) {
			t.Error("an open transaction refuses the start for good")
		}
		if took := time.Since(began); took < 15*time.Minute || took > 16*time.Minute {
			t.Errorf("took %v", took)
		}
	})
}

func TestLoad_EndsWithItsContext(t *testing.T) {
	inKafka(t, func(t *testing.T, k *kafka) {
		k.begin("someone-else", cursor(leading.String(), place1))
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began := time.Now()
		_, err := Load(ctx, Source{Opts: k.Options(), Prefix: "hubspot", Portal: portal})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 6*time.Second {
			t.Errorf("err = %v after %v", err, time.Since(began))
		}
	})
}

// docs/contract.md section 4: Load refuses one topic without the other, and
// another portal's topics, and names the cure. It also refuses what it cannot
// understand, and names offset and key.
func TestLoad_Refuses(t *testing.T) {
	offsetsBirth, stateBirth := birth("A")[0], birth("A")[1]
	for name, c := range map[string]struct {
		records []*kgo.Record
		says    []string
	}{
		"offsets lost":     {[]*kgo.Record{stateBirth, row(1, cdc.Row{Seq: 1, Live: true})}, []string{"hubspot.state has a birth id and hubspot.offsets has none", "start over"}},
		"state lost":       {[]*kgo.Record{offsetsBirth, cursor(leading.String(), place1)}, []string{"hubspot.offsets has a birth id and hubspot.state has none"}},
		"births differ":    {[]*kgo.Record{offsetsBirth, birth("B")[1]}, []string{"birth ids differ", "A", "B"}},
		"cursors only":     {[]*kgo.Record{cursor(leading.String(), place1)}, []string{"no birth id"}},
		"rows only":        {[]*kgo.Record{row(1, cdc.Row{Seq: 1, Live: true})}, []string{"no birth id"}},
		"state's portal":   {append(birth("A"), state(BirthKey(), BirthBytes("A", 99))), []string{"portal 99", "portal 4242", "KAFKA_TOPIC_PREFIX"}},
		"cursor's portal":  {append(birth("A"), cursor(`{"portal":99,"object":"contacts","stream":"leading"}`, place1)), []string{"portal 99", "offset 1"}},
		"key not JSON":     {append(birth("A"), cursor(`contacts`, place1)), []string{"hubspot.offsets", "offset 1", "key contacts"}},
		"key misspelt":     {append(birth("A"), cursor(`{"portal":4242,"object":"contacts","straem":"leading"}`, place1)), []string{"offset 1", `"straem"`}},
		"value misspelt":   {append(birth("A"), cursor(leading.String(), `{"at":"yesterday"}`)), []string{"hubspot.offsets", "offset 1", leading.String(), "2026-11-24T13:00:00.123Z"}},
		"row not known":    {append(birth("A"), state(RowKey("contacts", 1), []byte{9, 9, 9, 9})), []string{"hubspot.state", "offset 1", "newer"}},
		"kind not known":   {append(birth("A"), state([]byte("Zebra"), []byte{1})), []string{"hubspot.state", "offset 1", "newer"}},
		"topic meta wrong": {append(birth("A"), state(TopicKey("hubspot.contacts"), []byte(`{"v":1}`))), []string{"hubspot.state"}},
	} {
		t.Run(name, func(t *testing.T) {
			inKafka(t, func(t *testing.T, k *kafka) {
				k.write(c.records...)
				_, err := k.load()
				var refusal *Refusal
				if !errors.As(err, &refusal) {
					t.Fatalf("err = %v, want a refusal", err)
				}
				if refusal.Cure == "" {
					t.Error("no cure")
				}
				for _, word := range c.says {
					if !strings.Contains(err.Error(), word) {
						t.Errorf("%q does not say %q", err, word)
					}
				}
			})
		})
	}
}

func TestLoad_WhatIsTombstonedDoesNoHarm(t *testing.T) {
	inKafka(t, func(t *testing.T, k *kafka) {
		k.write(append(birth("A"), cursor(`nonsense`, `nonsense`), cursor(leading.String(), `nonsense`),
			cursor(`{"portal":99,"stream":"x"}`, `1`))...)
		k.write(cursor(`nonsense`, ""), cursor(leading.String(), ""), cursor(`{"portal":99,"stream":"x"}`, ""))
		for _, key := range []string{"hello", "Zebra", "Ohne", "Laura", "Emil", "Anna", "Lno pair\x00"} { // some begin as kinds do
			k.write(state([]byte(key), nil))
		}
		l := k.mustLoad()
		if len(l.Cursors) != 0 || len(l.Odd) != 0 {
			t.Errorf("cursors %v, odd %v", l.Cursors, l.Odd)
		}
	})
}

func TestLoad_LatestOffsetWinsAcrossSpellings(t *testing.T) {
	const spaced, turned = `{"portal": 4242, "object": "contacts", "stream": "leading"}`, `{"stream":"leading","object":"contacts","portal":4242}`
	for name, c := range map[string]struct {
		records []*kgo.Record
		want    string
		odd     []string
	}{
		"odd is newer":            {[]*kgo.Record{cursor(leading.String(), place1), cursor(spaced, place2)}, place2, []string{spaced}},
		"odd is older":            {[]*kgo.Record{cursor(spaced, place2), cursor(leading.String(), place1)}, place1, []string{spaced}},
		"odd is alone":            {[]*kgo.Record{cursor(turned, place1)}, place1, []string{turned}},
		"two odd ones":            {[]*kgo.Record{cursor(turned, place1), cursor(spaced, place2)}, place2, []string{spaced, turned}},
		"broken one is older":     {[]*kgo.Record{cursor(spaced, `nonsense`), cursor(leading.String(), place1)}, place1, []string{spaced}},
		"forgotten by odd key":    {[]*kgo.Record{cursor(leading.String(), place1), cursor(spaced, "")}, "", []string{spaced}},
		"forgotten by usual key":  {[]*kgo.Record{cursor(spaced, place1), cursor(leading.String(), "")}, "", []string{spaced}},
		"odd was forgotten first": {[]*kgo.Record{cursor(spaced, ""), cursor(leading.String(), place1)}, place1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			inKafka(t, func(t *testing.T, k *kafka) {
				k.write(birth("A")...)
				k.write(c.records...)
				l := k.mustLoad()
				if got := string(l.Cursors[leading]); got != c.want {
					t.Errorf("cursor %q, want %q", got, c.want)
				}
				var odd []string
				for _, o := range l.Odd {
					odd = append(odd, string(o.Raw))
					if o.Key != leading {
						t.Errorf("odd key %v", o.Key)
					}
				}
				if fmt.Sprint(odd) != fmt.Sprint(c.odd) {
					t.Errorf("odd %v, want %v", odd, c.odd)
				}
			})
		})
	}
}

func TestLoad_OldDeletesExpireButNoSequenceNumberIsGivenOutTwice(t *testing.T) {
	inKafka(t, func(t *testing.T, k *kafka) {
		k.write(birth("A")...)
		old := time.Now().Add(-KeepDeleted - time.Hour)
		aged := func(r *kgo.Record, when time.Time) *kgo.Record { r.Timestamp = when; return r }
		dead := func(seq int64) cdc.Row { return cdc.Row{Version: 1, Seq: seq, Reason: cdc.Archived} }
		k.write(
			aged(row(1, dead(1)), old),
			aged(row(2, dead(2)), old), row(2, cdc.Row{Version: 2, Seq: 5, Live: true}), // came back
			aged(row(3, cdc.Row{Version: 1, Seq: 3, Live: true}), old), // lives
			aged(row(4, dead(4)), time.Now().Add(-KeepDeleted+time.Hour)),
			aged(row(6, dead(6)), old), // the last event of all
		)
		l := k.mustLoad()
		if len(l.Expired) != 1 || !bytes.Equal(l.Expired[0], RowKey("contacts", 1)) {
			t.Errorf("expired %q, want contacts 1", l.Expired)
		}
		if _, there := l.Rows["contacts"].Get(1); there || l.Rows["contacts"].Len() != 4 || l.Seq != 6 {
			t.Errorf("rows %v, seq %d", l.Rows, l.Seq)
		}
		// The floor keeps the number once the row is gone.
		k.write(state(SeqKey(), SeqBytes(77)))
		l = k.mustLoad()
		if len(l.Expired) != 2 || l.Seq != 77 {
			t.Errorf("expired %q, seq %d, want two and 77", l.Expired, l.Seq)
		}
	})
}
