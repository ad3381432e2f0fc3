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

// frontier is a record of the frontiers topic: what a reader has whose positions are
// at or past its offsets.
type frontier struct {
	Complete, Verified *time.Time // nil: nothing is claimed
	Offsets            map[int32]int64
}

func run(ctx context.Context, topic string, verified bool, until time.Time) error {
	prefix, _, _ := strings.Cut(topic, ".") // of the connector's topics
	frontiers := prefix + ".frontiers"
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(env("KAFKA_BROKERS", "localhost:9092"), ",")...),
		kgo.ConsumeTopics(topic, frontiers),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), // franz-go's default is read_uncommitted
	)
	if err != nil {
		return err
	}
	defer client.Close()
	var ahead []frontier          // about this topic, and not reached yet
	position := map[int32]int64{} // behind the last record of each partition
	for complete := (time.Time{}); complete.Before(until); {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		for r := range fetches.RecordsAll() {
			if r.Topic == topic {
				position[r.Partition] = r.Offset + 1 // a consumer does its work here: see table
				continue
			}
			var about struct{ Topic string }
			if err := json.Unmarshal(r.Key, &about); err != nil {
				return err
			}
			if about.Topic != topic || r.Value == nil { // nil: forgotten
				continue
			}
			var f frontier
			if err := json.Unmarshal(r.Value, &f); err != nil {
				return err
			}
			ahead = append(ahead, f)
		}
		before := complete
		for len(ahead) > 0 && reached(position, ahead[0].Offsets) {
			at := ahead[0].Complete
			if verified {
				at = ahead[0].Verified
			}
			if at != nil && at.After(complete) {
				complete = *at
			}
			ahead = ahead[1:]
		}
		if complete.After(before) {
			fmt.Printf("%s: complete as of %s\n", topic, complete.Format("2006-01-02T15:04:05.000Z"))
		}
	}
	return nil
}

// reached reports whether positions are at or past those of a frontier.
func reached(position, offsets map[int32]int64) bool {
	for partition, offset := range offsets {
		if position[partition] < offset {
			return false
		}
	}
	return true
}

func env(name, otherwise string) string { return cmp.Or(os.Getenv(name), otherwise) }
