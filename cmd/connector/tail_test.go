package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// tailed is what connector tail prints in the world within some seconds.
func (w *world) tailed(f consumer) (string, error) {
	w.T.Helper()
	f.kafka, f.registry = w.Kafka.Options(), w.RegistryClient()
	var out bytes.Buffer
	f.prefix, f.tail, f.look = "hubspot", newTail(&out, false), time.Second
	ctx, cancel := context.WithTimeout(w.T.Context(), 10*time.Second)
	defer cancel()
	err := f.follow(ctx)
	return out.String(), err
}

// printed reads what tail --json prints.
func printed(t *testing.T, text string) []record {
	t.Helper()
	var out []record
	for line := range strings.Lines(text) {
		var r record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		out = append(out, r)
	}
	return out
}

// TestTail_DecodesEveryTopic: events with their values as Avro has them,
// tombstones, links, cursors and what the state remembers, in either key format.
func TestTail_DecodesEveryTopic(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"string", "avro"} {
		t.Run(format, func(t *testing.T) {
			env := []string{"HUBSPOT_OBJECTS=contacts,companies", "SYNC_ARCHIVE_INTERVAL=10s", "KAFKA_KEY_FORMAT=" + format}
			inWorld(t, hubspottest.Options{Seed: 41}, env, func(w *world) {
				ids := w.Portal.Seed("contacts", 3)
				firm := w.Portal.Seed("companies", 1)[0]
				w.Portal.Associate("contacts", ids[0], "companies", firm, "", 0)
				created := time.Now().UnixMilli()
				p := w.Start()
				w.SleepUntil(time.Minute, func() bool { return p.Backfilled("contacts") })
				w.Portal.Archive("contacts", ids[1])
				time.Sleep(3 * time.Minute)
				p.Stop()

				text, err := w.tailed(consumer{topics: topicNames("hubspot", []string{"contacts"}, nil), fromBeginning: true, json: true})
				if err != nil {
					t.Fatal(err)
				}
				records := printed(t, text)
				id := idText(ids[1])
				key := map[string]string{"string": `"` + id + `"`, "avro": `{"id":"` + id + `"}`}[format]
				var ops []string
				for _, r := range records {
					if r.Topic != "hubspot.contacts" || r.Timestamp < created {
						t.Errorf("record %+v", r)
					}
					if string(r.Key) != key {
						continue
					}
					var event struct {
						Op     string
						Before map[string]any
						After  map[string]any
					}
					if err := json.Unmarshal(r.Value, &event); err != nil {
						t.Fatal(err)
					}
					ops = append(ops, event.Op)
					if event.Op == "r" {
						if at, ok := event.After["createdAt"].(float64); !ok || int64(at) > created {
							t.Errorf("createdAt %v", event.After["createdAt"])
						}
						if event.After["properties"].(map[string]any)["firstname"] == nil {
							t.Errorf("no firstname in %s", r.Value)
						}
					}
				}
				if want := []string{"r", "d", ""}; len(records) != 5 || !slices.Equal(ops, want) {
					t.Errorf("%d records, ops of the archived one %q, want %q\n%s", len(records), ops, want, text)
				}

				for topic, want := range map[string]string{
					"offsets": `"key":{"portal":4242,"object":"contacts","stream":"backfill"},"value":{"ranges"`,
					"state":   fmt.Sprintf(`"key":{"id":"%s","kind":"record","object":"contacts"},"value":{"live":false,"reason":"archived"`, id),
					"associations.contacts.companies": map[string]string{
						"string": fmt.Sprintf(`"key":"%d:%d:HUBSPOT_DEFINED:`, ids[0], firm),
						"avro":   fmt.Sprintf(`"key":{"fromObjectId":"%d","toObjectId":"%d","category":"HUBSPOT_DEFINED","typeId":`, ids[0], firm),
					}[format],
				} {
					for _, asJSON := range []bool{true, false} {
						text, err := w.tailed(consumer{topics: topicNames("hubspot", []string{topic}, nil), fromBeginning: true, json: asJSON})
						if err != nil || text == "" || asJSON && !strings.Contains(text, want) {
							t.Errorf("%s: %v, not %s in\n%s", topic, err, want, text)
						}
						if asJSON {
							printed(t, text)
						}
					}
				}
			})
		})
	}
}

// TestTail_ADateIsADay: for people; as JSON it is what Avro has.
func TestTail_ADateIsADay(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 43}, []string{"HUBSPOT_OBJECTS=contacts"}, func(w *world) {
		w.Portal.AddProperty("contacts", hubspottest.Property{Name: "born_on", Type: "date"})
		w.Portal.AddProperty("contacts", hubspottest.Property{Name: "born_at", Type: "datetime"})
		w.Portal.Create("contacts", map[string]string{"born_on": "1996-02-29", "born_at": "1996-02-29T00:00:00Z"})
		p := w.Start()
		w.SleepUntil(time.Minute, func() bool { return p.Backfilled("contacts") })
		p.Stop()
		for asJSON, want := range map[bool][]string{
			false: {`born_on="1996-02-29" `, `born_at="1996-02-29T00:00:00Z"`}, true: {`"born_on":9555,`, `"born_at":825552000000`},
		} {
			text, err := w.tailed(consumer{topics: topicNames("hubspot", []string{"contacts"}, nil), fromBeginning: true, json: asJSON})
			for _, part := range want {
				if err != nil || !strings.Contains(strings.ReplaceAll(text, "}", "},")+" ", part) && !strings.Contains(text, strings.TrimSpace(part)) {
					t.Errorf("json %v: %v, not %s in\n%s", asJSON, err, part, text)
				}
			}
		}
	})
}

// TestTail_Filters: by key, op and number, and from now on, even in topics that
// come later.
func TestTail_Filters(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 42}, []string{"HUBSPOT_OBJECTS=contacts", "SYNC_ARCHIVE_INTERVAL=5s", "SYNC_LEADING_INTERVAL=1s", "KAFKA_KEY_FORMAT=avro"}, func(w *world) {
		ids := w.Portal.Seed("contacts", 5)
		type result struct {
			text string
			err  error
		}
		early := make(chan result)
		go func() {
			text, err := w.tailed(consumer{most: 2})
			early <- result{text, err}
		}()
		time.Sleep(time.Second)
		p := w.Start()
		if r := <-early; r.err != nil || strings.Count(r.text, "\n") != 2 {
			t.Errorf("topics that came later: %+v", r)
		}
		w.SleepUntil(time.Minute, func() bool { return p.Ready().Ready })
		w.Portal.Archive("contacts", ids[0])
		time.Sleep(time.Minute)
		all := consumer{fromBeginning: true}
		for name, c := range map[string]struct {
			change func(*consumer)
			want   int
		}{
			"all":           {func(*consumer) {}, 7},
			"op":            {func(f *consumer) { f.ops = []string{"d"} }, 2},
			"ops":           {func(f *consumer) { f.ops = []string{"d", "r"} }, 7},
			"key":           {func(f *consumer) { f.keys = []string{idText(ids[0])} }, 3},
			"key and op":    {func(f *consumer) { f.keys, f.ops = []string{idText(ids[0])}, []string{"r"} }, 1},
			"n":             {func(f *consumer) { f.most = 4 }, 4},
			"object":        {func(f *consumer) { f.topics = topicNames("hubspot", nil, []string{"contacts"}) }, 7},
			"whole name":    {func(f *consumer) { f.topics = topicNames("hubspot", []string{"hubspot.contacts"}, nil) }, 7},
			"from now on":   {func(f *consumer) { f.fromBeginning = false }, 0},
			"without those": {func(f *consumer) { f.eventsOnly = true }, 6},
		} {
			f := all
			c.change(&f)
			text, err := w.tailed(f)
			if n := strings.Count(text, "\n"); err != nil || n != c.want {
				t.Errorf("%s: %d records, want %d (%v)\n%s", name, n, c.want, err, text)
			}
		}
		_, err := w.tailed(consumer{topics: topicNames("hubspot", nil, []string{"contcats"})})
		if connector.ExitCode(err) != connector.ExitConfig || !strings.Contains(fmt.Sprint(err), "hubspot.contcats") || !strings.Contains(fmt.Sprint(err), "hubspot.contacts") {
			t.Errorf("a topic that does not exist: %v", err)
		}
		p.Stop()
	})
}

// TestTail_Usage: flags may follow topics, and wrong usage ends with 2.
func TestTail_Usage(t *testing.T) {
	run := func(args ...string) (int, string) {
		var out bytes.Buffer
		code := command(t.Context(), append([]string{"tail"}, args...), &out, &out)
		return code, out.String()
	}
	if code, text := run("contacts", "-h"); code != connector.ExitOK || !strings.Contains(text, "--from-beginning") {
		t.Errorf("exit %d\n%s", code, text)
	}
	t.Setenv("KAFKA_BROKERS", "")
	t.Setenv("SCHEMA_REGISTRY_URL", "")
	for _, args := range [][]string{{"--op", "x"}, {"--colour"}, {"-n", "many"}, {}, {"contacts"}} {
		if code, text := run(args...); code != connector.ExitConfig {
			t.Errorf("%v: exit %d\n%s", args, code, text)
		}
	}
	if _, text := run(); !strings.Contains(text, "KAFKA_BROKERS") || !strings.Contains(text, "SCHEMA_REGISTRY_URL") || strings.Contains(text, "HUBSPOT") {
		t.Errorf("it asks for\n%s", text)
	}
}

// TestTail_ATopicThatIsDeletedComesBack: tail waits for it and prints what the
// connector publishes into the new one.
func TestTail_ATopicThatIsDeletedComesBack(t *testing.T) {
	t.Parallel()
	for name, topics := range map[string][]string{"named": {"hubspot.contacts"}, "all": nil} {
		inWorld(t, hubspottest.Options{Seed: 44}, []string{"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=none"}, func(w *world) {
			w.Portal.Seed("contacts", 3)
			p := w.Start()
			w.SleepUntil(time.Minute, func() bool { return p.Backfilled("contacts") })
			var out bytes.Buffer
			f := consumer{kafka: w.Kafka.Options(), registry: w.RegistryClient(), prefix: "hubspot", topics: topics, fromBeginning: true, tail: newTail(&out, false), look: time.Second}
			ctx, end := context.WithTimeout(w.T.Context(), 15*time.Minute)
			defer end()
			ended := make(chan error)
			go func() { ended <- f.follow(ctx) }()
			time.Sleep(time.Minute)
			if _, err := w.Kafka.Admin().DeleteTopics(ctx, "hubspot.contacts"); err != nil {
				t.Fatal(err)
			}
			if err := <-ended; err != nil {
				t.Errorf("%s: %v", name, err)
			}
			p.Stop()
			if n := strings.Count(out.String(), "r hubspot.contacts"); n != 6 {
				t.Errorf("%s: %d events, want each record twice:\n%s", name, n, out.String())
			}
		})
	}
}

// TestTail_SaysThatKafkaDoesNotAnswer, with and without a topic, and why; an interruption
// is no error.
func TestTail_SaysThatKafkaDoesNotAnswer(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 45}, nil, func(w *world) {
		for _, topics := range [][]string{nil, {"hubspot.contacts"}} {
			for _, limit := range []time.Duration{time.Hour, 5 * time.Second} { // --for
				f := consumer{topics: topics, look: time.Second, prefix: "hubspot", registry: w.RegistryClient(), kafka: append(w.Kafka.Options(), kgo.Dialer(func(context.Context, string, string) (net.Conn, error) {
					return nil, errors.New("connection refused")
				}))}
				ctx, cancel := context.WithTimeout(w.T.Context(), limit)
				began := time.Now()
				err := f.follow(ctx)
				if text := fmt.Sprint(err); connector.ExitCode(err) != connector.ExitFailed || !strings.Contains(text, "connection refused") || !strings.Contains(text, "check KAFKA_BROKERS") || time.Since(began) > 11*time.Second {
					t.Errorf("topics %q, for %s: after %s %v", topics, limit, time.Since(began), err)
				}
				cancel()
				if err := f.follow(ctx); limit == time.Hour && err != nil {
					t.Errorf("interrupted: %v", err)
				}
			}
		}
	})
}

// TestTail_GoesOnAfterARecordThatCannotBeDecoded: it says so of somebody else's records,
// with their place, and prints the next ones.
func TestTail_GoesOnAfterARecordThatCannotBeDecoded(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 46}, []string{"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=none"}, func(w *world) {
		w.Ran(3)
		ours := w.Records("hubspot.contacts")[0]
		for _, value := range []string{"\x00\x00\x00\x00\x63garbage", string(ours.Value[:len(ours.Value)/2])} {
			w.Produce("hubspot.contacts", "7", value)
		}
		w.Produce("hubspot.contacts", "8", string(ours.Value))
		all := consumer{topics: []string{"hubspot.contacts"}, fromBeginning: true}
		text, err := w.tailed(all)
		text = "\n" + text
		if err != nil || strings.Count(text, "\n") != 7 || strings.Count(text, "\n! hubspot.contacts") != 2 || !strings.Contains(text, ": the registry has no schema 99\n") || !strings.Contains(text, "\nr hubspot.contacts                       8 ") {
			t.Errorf("%v\n%s", err, text)
		}
		all.json = true
		text, err = w.tailed(all)
		n := 0
		for _, r := range printed(t, text) {
			if r.Error != "" && string(r.Key) == `"7"` && strings.Contains(r.Error, fmt.Sprintf("decode hubspot.contacts[%d]@%d: ", r.Partition, r.Offset)) && !r.tombstone() {
				n++
			}
		}
		if err != nil || n != 2 {
			t.Errorf("%d records are told as such: %v\n%s", n, err, text)
		}
		// A registry that is away is no fault of the records.
		f := consumer{topics: all.topics, fromBeginning: true, prefix: "hubspot", look: time.Second, kafka: w.Kafka.Options(), tail: newTail(io.Discard, false)}
		if f.registry, err = sr.NewClient(sr.URLs("http://registry.test"), sr.HTTPClient(&http.Client{Transport: http.NewFileTransport(http.Dir(t.TempDir()))})); err != nil {
			t.Fatal(err)
		}
		if err := f.follow(w.T.Context()); err == nil || !strings.Contains(err.Error(), "fetch schema") {
			t.Errorf("a registry that is away: %v", err)
		}
	})
}
