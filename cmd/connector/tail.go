package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
)

// tail prints decoded events as a read_committed consumer sees them. It decodes
// with another Avro library than the one that encodes.
type tail struct {
	out     io.Writer
	colours bool
	schemas map[int]*avro.Schema

	mu     sync.Mutex
	counts map[string]int
}

func newTail(out io.Writer, colours bool) *tail {
	return &tail{out: out, colours: colours, schemas: map[int]*avro.Schema{}, counts: map[string]int{}}
}

// follow consumes every data topic of the prefix from its beginning until ctx
// ends, those too that come later.
func (t *tail) follow(ctx context.Context, cfg *config) error {
	opts, err := cfg.Kafka.options()
	if err != nil {
		return err
	}
	client, err := kgo.NewClient(append(opts,
		kgo.ConsumeRegex(), kgo.ConsumeTopics("^"+regexp.QuoteMeta(cfg.Kafka.TopicPrefix+".")),
		kgo.ConsumeExcludeTopics("^"+regexp.QuoteMeta(cfg.Kafka.TopicPrefix+".")+"(offsets|state)$"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.MetadataMinAge(time.Second), kgo.MetadataMaxAge(time.Second), // new topics are seen soon
	)...)
	if err != nil {
		return err
	}
	defer client.Close()
	registry, err := sr.NewClient(sr.URLs(cfg.Registry.URL))
	if err != nil {
		return err
	}
	for {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var failed error
		fetches.EachRecord(func(r *kgo.Record) {
			if failed == nil {
				failed = t.print(ctx, registry, r)
			}
		})
		if failed != nil {
			return failed
		}
	}
}

func (t *tail) print(ctx context.Context, registry *sr.Client, r *kgo.Record) error {
	if r.Value == nil {
		return nil // the tombstone after a delete
	}
	event, err := t.decode(ctx, registry, r.Value)
	if err != nil {
		return fmt.Errorf("decode %s[%d]@%d: %w", r.Topic, r.Partition, r.Offset, err)
	}
	op, _ := event["op"].(string)
	source, _ := event["source"].(map[string]any)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[op]++
	_, err = fmt.Fprintf(t.out, "%s %-38s %-10s %s  [%v%s]\n",
		t.colour(op), r.Topic, r.Key, brief(event), source["stream"], because(source))
	return err
}

// Write puts a line between the events.
func (t *tail) Write(line []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.out.Write(line)
}

// decode reads the Confluent wire format: a zero byte, the schema's id, the
// Avro body.
func (t *tail) decode(ctx context.Context, registry *sr.Client, value []byte) (map[string]any, error) {
	var header sr.ConfluentHeader
	id, body, err := header.DecodeID(value)
	if err != nil {
		return nil, err
	}
	schema := t.schemas[id]
	if schema == nil {
		text, err := registry.SchemaByID(ctx, id)
		if err != nil {
			return nil, err
		}
		if schema, err = avro.Parse(text.Schema); err != nil {
			return nil, err
		}
		t.schemas[id] = schema
	}
	var event map[string]any
	rest, err := schema.Decode(body, &event)
	if err == nil && len(rest) > 0 {
		err = errors.New("bytes are left after the event")
	}
	return event, err
}

var opColours = map[string]string{"c": "32", "u": "33", "d": "31", "r": "36"}

func (t *tail) colour(op string) string {
	if !t.colours {
		return op
	}
	return "\x1b[" + opColours[op] + "m" + op + "\x1b[0m"
}

// briefMost is how many properties of a record are printed.
const briefMost = 4

// brief is what a reader wants to see of an event on one line: some properties
// that are not HubSpot's own.
func brief(event map[string]any) string {
	after, _ := event["after"].(map[string]any)
	if after == nil {
		return "deleted"
	}
	if to, ok := after["toObjectId"].(string); ok {
		return fmt.Sprintf("%v %v -> %v %v %v", after["fromObjectType"], after["fromObjectId"], after["toObjectType"], to, label(after))
	}
	properties, _ := after["properties"].(map[string]any)
	var names []string
	for name, v := range properties {
		if v != nil && !strings.HasPrefix(name, "hs_") && !strings.HasSuffix(name, "date") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if len(names) > briefMost {
		names = names[:briefMost]
	}
	parts := make([]string, len(names))
	for i, name := range names {
		text, err := json.Marshal(properties[name])
		if err != nil {
			text = []byte("?")
		}
		parts[i] = name + "=" + string(text)
	}
	return strings.Join(parts, " ")
}

// label is what a link is called in HubSpot.
func label(link map[string]any) string {
	if text, ok := link["label"].(string); ok {
		return strconv.Quote(text)
	}
	return "(no label)"
}

func because(source map[string]any) string {
	reason, ok := source["reason"].(string)
	if !ok {
		return ""
	}
	if into, ok := source["mergedInto"].(string); ok {
		reason += " into " + into
	}
	return ", " + reason
}

// summary prints the counts of events by op.
func (t *tail) summary() {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, "\nevents: c=%d u=%d d=%d r=%d\n", t.counts["c"], t.counts["u"], t.counts["d"], t.counts["r"])
}
