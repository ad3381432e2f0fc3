package testkit_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/hubspot-cdc/connector/internal/testkit"
)

// TestRead_SeesWhatIsCommittedAlone: readers see nothing that was aborted, and
// everything before a marker. One waits for open transactions, the other does
// not.
func TestRead_SeesWhatIsCommittedAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := testkit.NewBroker(t)
		if _, err := b.Admin().CreateTopic(t.Context(), 2, 1, nil, "t"); err != nil {
			t.Fatal(err)
		}
		cl := b.Client(kgo.TransactionalID("writer"), kgo.TransactionTimeout(5*time.Minute), kgo.DefaultProduceTopic("t"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
		transaction := func(how kgo.TransactionEndTry, wait time.Duration, values ...string) {
			t.Helper()
			if err := cl.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			for i, value := range values {
				r := &kgo.Record{Key: fmt.Append(nil, i), Value: []byte(value), Partition: int32(i % 2)}
				if value == "" {
					r.Value = nil
				}
				if err := cl.ProduceSync(t.Context(), r).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
			time.AfterFunc(wait, func() {
				if err := cl.EndTransaction(t.Context(), how); err != nil {
					t.Error(err)
				}
			})
			time.Sleep(wait / 2)
			synctest.Wait()
		}
		if got := testkit.ReadCommitted(t, "t", b.Options()...); len(got) != 0 {
			t.Errorf("%d records of an empty topic", len(got))
		}
		transaction(kgo.TryCommit, 0, "a", "b", "c")
		transaction(kgo.TryAbort, 0, "lost", "lost", "lost")
		if got := testkit.Latest(testkit.ReadCommitted(t, "t", b.Options()...)); len(got) != 3 || got["0"] != "a" || got["1"] != "b" {
			t.Errorf("read %v", got)
		}
		began := time.Now()
		transaction(kgo.TryCommit, time.Minute, "d", "")
		if got := testkit.Latest(testkit.ReadCommitted(t, "t", b.Options()...)); len(got) != 3 || got["0"] != "a" {
			t.Errorf("read %v while the next transaction is open", got)
		}
		if got := testkit.Latest(testkit.ReadSettled(t, "t", b.Options()...)); len(got) != 2 || got["0"] != "d" || got["2"] != "c" {
			t.Errorf("read %v", got)
		}
		if took := time.Since(began); took < time.Minute {
			t.Errorf("the reader waited %v for the open transaction", took)
		}
		synctest.Wait() // its writer still waits for the answer
	})
}

// TestReadCommitted_WaitsForATopicThatABrokerDoesNotKnowYet.
func TestReadCommitted_WaitsForATopicThatABrokerDoesNotKnowYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := testkit.NewBroker(t)
		time.AfterFunc(time.Second, func() {
			if _, err := b.Admin().CreateTopic(t.Context(), 1, 1, nil, "late"); err != nil {
				t.Error(err)
			}
		})
		if got := testkit.ReadCommitted(t, "late", b.Options()...); len(got) != 0 {
			t.Errorf("%d records of an empty topic", len(got))
		}
	})
}

// TestBroker_ReplacedIsEmpty, and clients find the new one.
func TestBroker_ReplacedIsEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := testkit.NewBroker(t)
		for range 2 {
			topics, err := b.Admin().ListTopics(t.Context())
			if err != nil || len(topics) != 0 {
				t.Errorf("topics %v, %v", topics.Names(), err)
			}
			if _, err := b.Admin().CreateTopic(t.Context(), -1, 1, nil, "t"); err != nil {
				t.Fatal(err)
			}
			b.Produce(&kgo.Record{Topic: "t", Partition: 2, Value: []byte("v")})
			if got := testkit.ReadCommitted(t, "t", b.Options()...); len(got) != 1 || got[0].Partition != 2 {
				t.Errorf("read %v", got)
			}
			b.Replace()
		}
	})
}

func TestDecoder_SaysWhatIsWrong(t *testing.T) {
	r := testkit.NewRegistry(t)
	written, err := r.Client().CreateSchema(t.Context(), "s", sr.Schema{Schema: `{"type":"record","name":"r","fields":[{"name":"n","type":"string"}]}`})
	if err != nil {
		t.Fatal(err)
	}
	body := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(written.ID)), 4, 'h', 'i')
	for range 2 { // the second time the schema is known
		if got := r.Decode(body); len(got) != 1 || got["n"] != "hi" {
			t.Errorf("decoded %v", got)
		}
	}
	for what, body := range map[string][]byte{
		"left over": append(body, 0), "no schema id": []byte("{}"), "fetch schema 77": {0, 0, 0, 0, 77, 0},
	} {
		if _, _, err := r.Try(body); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: got error %v", what, err)
		}
	}
}

// TestLines_CutAndMended: a cut line carries nothing, and connections that were
// open over a cut cable are broken.
func TestLines_CutAndMended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answering := func(status int) http.RoundTripper {
			return testkit.InProcess{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })}
		}
		line := testkit.NewLine(answering(204))
		ask := func() int {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://anything.test", nil)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := line.RoundTrip(r)
			if err != nil {
				return 0
			}
			defer answer.Body.Close()
			return answer.StatusCode
		}
		got := []int{ask()}
		line.Cut()
		got = append(got, ask())
		line.Mend()
		before := line.Turn(answering(404))
		got = append(got, ask())
		line.Turn(before)
		got = append(got, ask())
		if fmt.Sprint(got) != "[204 0 404 204]" || line.Requests.Load() != 4 {
			t.Errorf("%d requests, answers %v", line.Requests.Load(), got)
		}

		b := testkit.NewBroker(t)
		cable := testkit.NewCable(b.Network.DialContext)
		conn, err := cable.DialContext(t.Context(), "tcp", b.ListenAddrs()[0])
		if err != nil {
			t.Fatal(err)
		}
		cable.Cut()
		if _, err := conn.Write([]byte("x")); err == nil {
			t.Error("a connection outlived its cable")
		}
		if _, err := cable.DialContext(t.Context(), "tcp", b.ListenAddrs()[0]); err == nil {
			t.Error("a cable that is cut lets a connection through")
		}
		cable.Mend()
		if conn, err = cable.DialContext(t.Context(), "tcp", b.ListenAddrs()[0]); err != nil {
			t.Error(err)
		} else {
			_ = conn.Close()
		}
		if n := cable.Dials.Load(); n != 3 {
			t.Errorf("%d dials counted, want 3", n)
		}
	})
}

func TestLog_IsReadWhileItIsWritten(t *testing.T) {
	log, other := &testkit.Log{Level: slog.LevelDebug}, new(testkit.Log)
	logger := log.Logger(other)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 100 {
			logger.Debug("fine print")
			logger.Info("said")
		}
	}()
	for last := 0; last < 100; {
		n := log.Count("msg=said")
		if n < last {
			t.Fatalf("%d lines after %d", n, last)
		}
		last = n
	}
	<-done
	if !log.Has("fine print") || other.String() != log.String() {
		t.Errorf("logged\n%s\nand\n%s", log, other)
	}
	quiet := new(testkit.Log)
	quiet.Logger().Debug("fine print")
	if quiet.Has("fine print") {
		t.Error("fine print is in a log that starts with Info")
	}
	if tail := log.Tail(3); strings.Contains(tail, "fine print") || strings.Count(tail, "msg=said") != 2 {
		t.Errorf("the tail is\n%s", tail)
	}
}

// failing is a test that may fail.
type failing struct {
	testing.TB
	said string
}

func (f *failing) Helper() {}

func (f *failing) Fatalf(format string, args ...any) {
	f.said = fmt.Sprintf(format, args...)
	panic(f.said)
}

func TestUntil_FailsAfterItsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		after := func(d time.Duration) func() bool { return func() bool { return time.Since(began) >= d } }
		if took := testkit.Until(t, time.Second, time.Minute, after(3500*time.Millisecond)); took != 4*time.Second {
			t.Errorf("took %v", took)
		}
		wrong := errors.New("not ready")
		for name, wait := range map[string]func(tb testing.TB){
			"not within 1m0s": func(tb testing.TB) { testkit.Until(tb, time.Second, time.Minute, after(time.Hour)) },
			"kafka: not within 1m0s: " + wrong.Error(): func(tb testing.TB) {
				testkit.Eventually(tb, time.Second, time.Minute, "kafka", func() error { return wrong })
			},
		} {
			f, start := &failing{TB: t}, time.Now()
			func() {
				defer func() { _ = recover() }()
				wait(f)
			}()
			if took := time.Since(start); f.said != name || took < time.Minute || took > time.Minute+time.Second {
				t.Errorf("said %q after %v, want %q", f.said, took, name)
			}
		}
		looks := 0
		testkit.Eventually(t, time.Second, time.Minute, "kafka", func() error {
			if looks++; looks < 60 {
				return wrong
			}
			return nil
		})
	})
}

// TestKarapace_AnswersAsItDid: the stand-in gives the answers that were seen.
func TestKarapace_AnswersAsItDid(t *testing.T) {
	r := testkit.NewRegistry(t)
	to := r.Karapace()
	ask := func(method, path, body string) string {
		t.Helper()
		req := httptest.NewRequest(method, path, strings.NewReader(body))
		req.Header.Set("Content-Type", "application/vnd.schemaregistry.v1+json")
		resp, err := to.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%d %s", resp.StatusCode, text)
	}
	const (
		first  = `{"schema":"{\"type\":\"record\",\"name\":\"A\",\"fields\":[{\"name\":\"x\",\"type\":\"int\"}]}"}`
		wider  = `{"schema":"{\"type\":\"record\",\"name\":\"A\",\"fields\":[{\"name\":\"x\",\"type\":\"long\"}]}"}`
		other  = `{"schema":"{\"type\":\"record\",\"name\":\"A\",\"fields\":[{\"name\":\"x\",\"type\":\"string\"}]}"}`
		reason = `reader union lacking writer type: RECORD`
	)
	for _, c := range []struct{ method, path, body, want string }{
		{"GET", "/subjects/s/versions/latest", "", `404 {"error_code":40401,"message":"Subject not found."}`},
		{"POST", "/compatibility/subjects/s/versions/latest", first, `404 {"error_code":40401,"message":"Subject 's' not found."}`},
		{"POST", "/subjects/s/versions", first, `200 {"id":1}`},
		{"GET", "/subjects/s/versions/2", "", `404 {"error_code":40402,"message":"Version not found."}`},
		{"GET", "/schemas/ids/1", "", `200 {"schema":"{\"fields\":[{\"name\":\"x\",\"type\":\"int\"}],\"name\":\"A\",\"type\":\"record\"}"}`},
		{"POST", "/compatibility/subjects/s/versions/latest", wider, `200 {"is_compatible":true}`},
		{"POST", "/compatibility/subjects/s/versions/latest", other, `200 {"is_compatible":false,"messages":["` + reason + `"]}`},
		{"POST", "/subjects/s/versions", other, `409 {"error_code":409,"message":"Incompatible schema, compatibility_mode=BACKWARD. Incompatibilities: ` + reason + `"}`},
	} {
		if got := ask(c.method, c.path, c.body); !strings.HasPrefix(got, c.want[:len(c.want)-1]) {
			t.Errorf("%s %s:\ngot  %s\nwant %s", c.method, c.path, got, c.want)
		}
	}
}

// A log counts what is there, however often it is asked and wherever a write ends.
func TestLog_CountsWhatIsThere(t *testing.T) {
	log := new(testkit.Log)
	for written, want := range []int{0, 0, 1, 1, 2, 3, 4} {
		if n := log.Count("abab"); n != want {
			t.Errorf("after %d writes it counts %d, not %d", written, n, want)
		}
		_, _ = log.Write([]byte([]string{"ab", "ab", "x", "abab", " abab-ab", "ab", ""}[written]))
	}
	if log.Has("ba-b") || !log.Has("b-a") {
		t.Errorf("%q", log)
	}
}
