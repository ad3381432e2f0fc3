// Command complete reads a topic of the connector and says up to which time what it
// has read is complete. ../../README.md says how to run it.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	verified := flag.Bool("verified", false, "wait for what is verified: deletes and calculated properties too")
	until := flag.String("until", "", "end once everything up to this time is there, such as 2026-11-24T13:00:00Z")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("usage: complete [--verified] [--until TIME] TOPIC")
	}
	end := time.Unix(1<<40, 0)
	if *until != "" {
		var err error
		if end, err = time.Parse(time.RFC3339, *until); err != nil {
			log.Fatal(err)
		}
	}
	if err := run(context.Background(), flag.Arg(0), *verified, end); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, topic string, verified bool, until time.Time) error {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(env("KAFKA_BROKERS", "localhost:9092"), ",")...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), // franz-go's default is read_uncommitted
		kgo.KeepControlRecords(),                     // a partition ends with one, a transaction's marker
	)
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	topics, err := admin.ListTopics(ctx)
	if err != nil {
		return err
	}
	frontiers, err := frontiersOf(topic, topics.Has)
	if err != nil {
		return err
	}
	begins, err := admin.ListStartOffsets(ctx, topic)
	if err == nil {
		err = begins.Error()
	}
	if err != nil {
		return err
	}
	position := map[int32]int64{}                                               // behind the last record of each partition
	begins.Each(func(o kadm.ListedOffset) { position[o.Partition] = o.Offset }) // retention took what was before
	client.AddConsumeTopics(topic, frontiers)
	ends, err := admin.ListCommittedOffsets(ctx, frontiers)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return err
	}
	// Nothing is claimed before all frontiers of now are read: the first of them may be
	// about a topic of this name that was deleted.
	unread := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			unread[o.Partition] = o.Offset
		}
	})
	has := claim{verified: verified}
	for has.at.Before(until) {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		for r := range fetches.RecordsAll() {
			if r.Topic == topic {
				position[r.Partition] = r.Offset + 1 // a consumer does its work here: see table
				continue
			}
			f, err := about(topic, r)
			if err != nil {
				return err
			}
			if f != nil && has.add(*f) && len(unread) == 0 {
				return fmt.Errorf("%s began again: read it from its beginning", topic)
			}
			if r.Offset+1 >= cmp.Or(unread[r.Partition], r.Offset+2) {
				delete(unread, r.Partition)
			}
		}
		if len(unread) == 0 && has.reach(position) {
			fmt.Printf("%s: complete as of %s\n", topic, has.at.Format("2006-01-02T15:04:05.000Z"))
		}
	}
	return nil
}

// frontiersOf names the topic of the frontiers of a topic. It stands behind the prefix of
// the connector's topics, which may have dots: the longest one that has such a topic.
func frontiersOf(topic string, there func(topic string) bool) (string, error) {
	for at := strings.LastIndex(topic, "."); at >= 0; at = strings.LastIndex(topic[:at], ".") {
		if frontiers := topic[:at] + ".frontiers"; there(frontiers) {
			return frontiers, nil
		}
	}
	return "", fmt.Errorf("there are no frontiers beside the topic %s", topic)
}

// about returns the frontier that a record holds; nil: it is about another topic, or
// about none. One that is forgotten, a tombstone, claims nothing from the beginning on.
func about(topic string, r *kgo.Record) (*frontier, error) {
	if r.Attrs.IsControl() {
		return nil, nil
	}
	var key struct{ Topic string }
	if err := json.Unmarshal(r.Key, &key); err != nil || key.Topic != topic {
		return nil, err
	}
	f := new(frontier)
	if r.Value == nil {
		return f, nil
	}
	return f, json.Unmarshal(r.Value, f)
}

func env(name, otherwise string) string { return cmp.Or(os.Getenv(name), otherwise) }
