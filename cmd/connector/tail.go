package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/sink"
)

// tailCommand is connector tail.
func tailCommand() *cobra.Command {
	f := &consumer{look: time.Second}
	var limit time.Duration
	var objects []string
	c := &cobra.Command{
		Use: "tail [TOPIC ...]", Short: "print the records of the topics, decoded, as a read_committed consumer sees them",
		Long: `A topic may be named without the prefix: contacts, associations.contacts.companies, offsets,
signals, notifications, frontiers, state; contacts:companies names that of a pair. Without a name, it reads all topics with
events, also those that come later.

A line has the op (- is a tombstone, ! a record that cannot be decoded), the topic, the key, HubSpot's time of the change, some of the
properties or the two ends of an association, and in brackets what found it and why it is gone.

With --json, value null is a tombstone; error says why a record cannot be decoded; dates are days, times milliseconds since 1970.

It needs KAFKA_BROKERS and SCHEMA_REGISTRY_URL, and whatever else the connector needs to reach
both. Ctrl-C ends it.
`,
		RunE: func(c *cobra.Command, args []string) error {
			settings, err := load("KAFKA_", "AWS_", "SCHEMA_REGISTRY_", "LOG_")
			if err != nil {
				return err
			}
			if err := f.reach(&settings.connector); err != nil {
				return err
			}
			f.topics = topicNames(f.prefix, args, objects)
			f.tail = newTail(c.OutOrStdout(), colours(c.OutOrStdout()))
			ctx := c.Context()
			if limit > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, limit)
				defer cancel()
			}
			return f.follow(ctx)
		},
	}
	c.Flags().BoolVar(&f.fromBeginning, "from-beginning", false, "from the first record on (default: from now on)")
	listFlag(c, "object", "the topic of the object type `NAME`; contacts:companies names that of a pair", &objects)
	c.Flags().Func("op", "only events with these ops, such as `c,u,d,r`; d includes the tombstones", func(text string) error {
		for op := range strings.SplitSeq(text, ",") {
			if _, ok := opColours[op]; !ok {
				return fmt.Errorf("%q is none of c, u, d and r", op)
			}
			f.ops = append(f.ops, op)
		}
		return nil
	})
	c.Flags().StringArrayVar(&f.keys, "key", nil, "only records with the key `ID`")
	c.Flags().BoolVar(&f.json, "json", false, "one line of JSON per record: topic, partition, offset, key, value, timestamp")
	c.Flags().IntVarP(&f.most, "records", "n", 0, "end after `N` records")
	c.Flags().DurationVar(&limit, "for", 0, "end after this long, such as `10s`")
	return c
}

// reach prepares the way to the brokers and to the registry.
func (f *consumer) reach(cfg *connector.Config) (err error) {
	f.prefix, f.brokers = cfg.Kafka.TopicPrefix, cfg.Kafka
	if f.kafka, err = cfg.Kafka.Options(); err != nil {
		return err
	}
	f.registry, err = cfg.Registry.Client(version(), nil)
	return err
}

// topicNames gives the topics that are named directly, with or without the
// prefix, or by object types and pairs.
func topicNames(prefix string, topics, objects []string) []string {
	var names []string
	for _, name := range topics {
		switch {
		case strings.Contains(name, ":"):
			name = objectTopic(prefix, name)
		case !strings.HasPrefix(name, prefix+"."):
			name = prefix + "." + name
		}
		names = append(names, name)
	}
	for _, object := range objects {
		names = append(names, objectTopic(prefix, object))
	}
	return names
}

// objectTopic is the topic of an object type, or of a pair such as
// contacts:companies.
func objectTopic(prefix, object string) string {
	if from, to, pair := strings.Cut(object, ":"); pair {
		return offsets.PairTopic(prefix, cdc.Pair{From: from, To: to})
	}
	return offsets.ObjectTopic(prefix, object)
}

// consumer reads topics and prints their records.
type consumer struct {
	kafka         []kgo.Opt
	brokers       connector.Kafka // what was set for them; a diagnosis needs it
	registry      *sr.Client
	prefix        string
	topics        []string // none: all topics with events
	fromBeginning bool
	ops, keys     []string // none: all
	eventsOnly    bool     // no tombstones
	json          bool
	most          int                // records; 0: without end
	look          time.Duration      // how often it looks for new topics
	fold          func(*record) bool // unless nil: reports whether a record is told in another way
	tail          *tail
}

// follow prints records until ctx ends or it has printed enough.
func (f *consumer) follow(ctx context.Context) error {
	start := kgo.NewOffset().AtStart()
	if !f.fromBeginning {
		start = kgo.NewOffset().AfterMilli(time.Now().UnixMilli()) // and all of topics that come later
	}
	reach := new(sink.Reach)
	opts := append(slices.Clone(f.kafka), kgo.WithHooks(reach),
		kgo.ConsumeResetOffset(start),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.MetadataMinAge(f.look), kgo.MetadataMaxAge(f.look), // to see new topics soon
	)
	if len(f.topics) > 0 {
		opts = append(opts, kgo.ConsumeTopics(f.topics...))
	} else {
		opts = append(opts, kgo.ConsumeRegex(), kgo.ConsumeTopics("^"+regexp.QuoteMeta(f.prefix+".")),
			kgo.ConsumeExcludeTopics("^"+regexp.QuoteMeta(f.prefix+".")+"(offsets|state|signals|notifications|frontiers)$"))
	}
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := f.there(ctx, client, reach); err != nil {
		return err
	}
	printed := 0
	for {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil
		}
		for _, e := range fetches.Errors() {
			if errors.Is(e.Err, kerr.UnknownTopicID) { // it was deleted, and may come back
				client.PurgeTopicsFromConsuming(e.Topic)
				client.AddConsumeTopics(e.Topic)
				continue
			}
			return fmt.Errorf("read %s[%d]: %w", e.Topic, e.Partition, e.Err)
		}
		for it := fetches.RecordIter(); !it.Done(); {
			next := it.Next()
			r, err := f.tail.record(ctx, f.registry, f.prefix, next)
			if _, away := errors.AsType[*registryError](err); away {
				return ended(ctx, err)
			}
			if err != nil {
				r = undecodable(next, err)
			}
			if !f.wanted(r) {
				continue
			}
			if f.fold != nil && f.fold(r) {
				f.tail.count(r)
				continue
			}
			if err := f.tail.print(r, f.json); err != nil {
				return err
			}
			if printed++; printed == f.most {
				return nil
			}
		}
	}
}

// ended drops the error if the end was asked for.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// brokersPatience is how long the brokers may take for their first answer.
const brokersPatience = 10 * time.Second

// there checks that the brokers answer and that the named topics exist. The client tells
// nobody that it tries to connect over and over, and would wait forever for a misspelt
// name.
func (f *consumer) there(ctx context.Context, client *kgo.Client, reach *sink.Reach) error {
	short, cancel := context.WithTimeout(ctx, brokersPatience)
	defer cancel()
	details, err := kadm.NewClient(client).ListTopics(short)
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil
	}
	if err != nil {
		if _, latest := reach.Silent(); latest != nil && errors.Is(err, context.DeadlineExceeded) {
			err = latest
		}
		d := f.brokers.Diagnose(err)
		return fmt.Errorf("connector tail: Kafka does not answer: %s\n%s", d.Found, d.Cure)
	}
	var missing []string
	for _, name := range f.topics {
		if !details.Has(name) {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(details)), func(name string) bool { return !strings.HasPrefix(name, f.prefix+".") })
	return misused("connector tail: there is no topic %s%s; there are: %s", strings.Join(missing, ", "), didYouMean(missing[0], names, ""), strings.Join(names, ", "))
}

// wanted reports whether to print a record. A tombstone belongs to the delete
// before it.
func (f *consumer) wanted(r *record) bool {
	if f.eventsOnly && r.event == nil || len(f.keys) > 0 && !slices.Contains(f.keys, r.key) {
		return false
	}
	if len(f.ops) == 0 {
		return true
	}
	op := r.op()
	if r.tombstone() {
		op = "d"
	}
	return slices.Contains(f.ops, op)
}

// follow prints every event of the prefix, from the first, until ctx ends.
func (t *tail) follow(ctx context.Context, cfg *connector.Config, fold func(*record) bool) error {
	f := &consumer{fromBeginning: true, eventsOnly: true, tail: t, look: 100 * time.Millisecond, fold: fold}
	if err := f.reach(cfg); err != nil {
		return err
	}
	if err := f.follow(ctx); err != nil {
		return err
	}
	return ctx.Err()
}
