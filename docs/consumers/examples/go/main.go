// Command table folds a topic of the connector into a table. README.md says how
// to run it.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
)

func main() {
	untilEnd := flag.Bool("until-end", false, "end at the end of the topic, and print the table")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("usage: table [--until-end] TOPIC")
	}
	if err := run(context.Background(), flag.Arg(0), *untilEnd); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, topic string, untilEnd bool) error {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(env("KAFKA_BROKERS", "localhost:9092"), ",")...),
		kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), // franz-go's default is read_uncommitted
		kgo.KeepControlRecords(),                     // a partition ends with one, a transaction's marker
	)
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	begins, err := admin.ListStartOffsets(ctx, topic)
	if err == nil {
		err = begins.Error()
	}
	if err != nil {
		return err
	}
	ends, err := admin.ListCommittedOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return err
	}
	reading := map[int32]int64{} // ends that are not reached yet
	ends.Each(func(o kadm.ListedOffset) {
		if begin, _ := begins.Lookup(topic, o.Partition); o.Offset > begin.Offset {
			reading[o.Partition] = o.Offset
		}
	})
	registry, err := sr.NewClient(sr.URLs(env("SCHEMA_REGISTRY_URL", "http://localhost:8081/apis/ccompat/v7")))
	if err != nil {
		return err
	}
	events := decoder{registry, map[int]*avro.Schema{}}
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)

	table := map[string]any{}
	for len(reading) > 0 || !untilEnd {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		for r := range fetches.RecordsAll() {
			if r.Offset+1 >= cmp.Or(reading[r.Partition], r.Offset+2) {
				delete(reading, r.Partition)
			}
			if r.Attrs.IsControl() {
				continue
			}
			key := string(r.Key)
			after, err := events.after(ctx, r.Value)
			if err != nil {
				return fmt.Errorf("partition %d, offset %d: %w", r.Partition, r.Offset, err)
			}
			if after == nil {
				delete(table, key)
			} else {
				table[key] = after
			}
			if !untilEnd {
				if err := out.Encode(line{key, after}); err != nil {
					return err
				}
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(table)) {
		if err := out.Encode(line{key, table[key]}); err != nil {
			return err
		}
	}
	return nil
}

type line struct {
	Key   string `json:"key"`
	After any    `json:"after"`
}

// decoder decodes each event with the schema that it was written with.
type decoder struct {
	registry *sr.Client
	schemas  map[int]*avro.Schema
}

// after is the record of an event, nil for a delete and for a tombstone, which
// deletes perhaps for the second time.
func (d *decoder) after(ctx context.Context, value []byte) (any, error) {
	if value == nil {
		return nil, nil
	}
	id, body, err := new(sr.ConfluentHeader).DecodeID(value)
	if err != nil {
		return nil, err
	}
	schema, ok := d.schemas[id]
	if !ok {
		text, err := d.registry.SchemaByID(ctx, id)
		if err != nil {
			return nil, err
		}
		if schema, err = avro.Parse(text.Schema, types...); err != nil {
			return nil, err
		}
		d.schemas[id] = schema
	}
	var event map[string]any
	if _, err := schema.Decode(body, &event); err != nil {
		return nil, err
	}
	switch op, ok := event["op"].(string); {
	case !ok:
		return nil, errors.New("an event without op")
	case op == "d":
		return nil, nil
	}
	return event["after"], nil
}

// types make dates and times text (ISO 8601, in UTC), which JSON can hold. Without
// them both are a time.Time.
var types = []avro.SchemaOpt{
	avro.NewCustomType("date", nil, func(days int32, _ *avro.SchemaNode) (string, error) {
		return time.Unix(int64(days)*86_400, 0).UTC().Format(time.DateOnly), nil
	}),
	avro.NewCustomType("timestamp-millis", nil, func(ms int64, _ *avro.SchemaNode) (string, error) {
		return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z"), nil
	}),
}

func env(name, otherwise string) string { return cmp.Or(os.Getenv(name), otherwise) }
