package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/fleet"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/sink"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// signalCommand is connector signal.
func signalCommand() *cobra.Command {
	var id, data string
	var collections []string
	c := &cobra.Command{
		Use: "signal TYPE", Short: "ask the running connector for something: a snapshot, a pause, a line in its log",
		Args: cobra.MaximumNArgs(1), ValidArgs: stream.SignalTypes(),
		Example: `  connector signal pause --collections contacts,contacts:companies
  connector signal resume
  connector signal log --data '{"message":"the weekly load begins"}'`,
		Long: `TYPE is one of ` + strings.Join(stream.SignalTypes(), ", ") + `.

It writes into the topic <prefix>.signals under the key that the connector listens to, and needs
KAFKA_BROKERS and whatever else the connector needs to reach them.
`,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return miscalled("a type is needed: one of %s", strings.Join(stream.SignalTypes(), ", "))
			}
			members := map[string]any{}
			if data != "" {
				if err := json.Unmarshal([]byte(data), &members); err != nil || members == nil {
					return misused("--data: %q is not a JSON object", data)
				}
			}
			if len(collections) > 0 {
				members["data-collections"] = collections
			}
			return sendSignal(c, id, args[0], members)
		},
	}
	c.Flags().StringVar(&id, "id", "", "the signal's `ID` in the log and in notifications (default: made up)")
	c.Flags().StringVar(&data, "data", "", "the signal's data, a `JSON` object")
	listFlag(c, "collections", "object types, pairs such as contacts:companies, or their topics: `NAMES` with commas between them", &collections)
	return c
}

// snapshotCommand is connector snapshot.
func snapshotCommand() *cobra.Command {
	var id string
	var ids []string
	c := &cobra.Command{
		Use: "snapshot NAME ...", Short: "ask the running connector to publish records again, as op r",
		Example: `  connector snapshot contacts --ids 107,144
  connector snapshot contacts deals contacts:companies`,
		Long: `NAME is an object type, a pair such as contacts:companies, a list such as owners, the topic of one of
these, or ".*" for everything.

It sends the signal execute-snapshot (see connector signal -h). Live changes go on beside it.
`,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return miscalled("the name of an object type, a pair or a list is needed")
			}
			if len(ids) > 0 && len(args) != 1 {
				return misused("--ids needs one name, because ids are those of one type")
			}
			members := map[string]any{"data-collections": args, "type": "incremental"}
			if len(ids) > 0 {
				members["additional-conditions"] = []map[string]string{{"data-collection": args[0], "filter": strings.Join(ids, ",")}}
			}
			return sendSignal(c, id, "execute-snapshot", members)
		},
	}
	c.Flags().StringVar(&id, "id", "", "the signal's `ID` in the log and in notifications (default: made up)")
	listFlag(c, "ids", "only these records, of one type; of a pair, by the ids of its first type: `IDS` with commas between them", &ids)
	return c
}

// listFlag is a flag whose value is a list. A template that expands to nothing must not
// choose everything.
func listFlag(c *cobra.Command, name, help string, into *[]string) {
	c.Flags().Func(name, help, func(text string) error {
		for one := range strings.SplitSeq(text, ",") {
			if one = strings.TrimSpace(one); one == "" {
				return errors.New("it has an empty member; for everything, leave the flag out")
			}
			*into = append(*into, one)
		}
		return nil
	})
}

// sendSignal sends a signal to the connector that the environment names.
func sendSignal(c *cobra.Command, id, kind string, data map[string]any) error {
	if id == "" {
		id = kind + "-" + time.Now().UTC().Format("20060102T150405.000Z")
	}
	body := map[string]any{"id": id, "type": kind}
	if len(data) > 0 {
		body["data"] = data
	}
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	if err := stream.CheckSignal(text); err != nil {
		return misused("the connector would pass over this signal: %v\n%s", err, text)
	}
	settings, err := load("KAFKA_", "AWS_", "LOG_")
	if err != nil {
		return err
	}
	k := &settings.connector.Kafka
	kafka, err := k.Options()
	if err != nil {
		return err
	}
	return (&signaller{k.TopicPrefix, kafka, *k}).send(c.Context(), c.OutOrStdout(), c.ErrOrStderr(), id, kind, text)
}

// signaller writes signals for the connector with a prefix.
type signaller struct {
	prefix  string
	kafka   []kgo.Opt
	brokers connector.Kafka // what was set for them; a diagnosis needs it
}

// signalPatience is how long the brokers may take.
const signalPatience = 30 * time.Second

// send writes a signal, and prints what it wrote and how to watch it. It fails only
// where it does not write.
func (s *signaller) send(ctx context.Context, stdout, stderr io.Writer, id, kind string, text []byte) error {
	ctx, cancel := context.WithTimeout(ctx, signalPatience)
	defer cancel()
	topic := offsets.SignalsTopic(s.prefix)
	reach := new(sink.Reach)
	offset, err := sink.SendSignal(ctx, append(slices.Clone(s.kafka), kgo.WithHooks(reach)), s.prefix, text)
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		return fmt.Errorf("the connector has not run with KAFKA_TOPIC_PREFIX=%s: %w", s.prefix, err)
	}
	if err != nil {
		return unanswered(&s.brokers, reach, err)
	}
	fmt.Fprintf(stdout, "sent to %s, offset %d, key %s:\n%s\n", topic, offset, s.prefix, text)
	if err := s.sayStrangers(ctx, stderr, text); err != nil {
		fmt.Fprintln(stderr, "the signal is sent; nobody has looked whether what it names has topics:", err)
	}
	hosts, err := connector.Instances(ctx, s.kafka, s.prefix)
	var holder string
	if err == nil && len(hosts) == 0 {
		holder, err = fleet.Holder(ctx, s.kafka, s.prefix, nil)
	}
	switch {
	case err != nil:
		fmt.Fprintln(stderr, "the signal is sent; nobody has looked whether an instance runs:", err)
	case len(hosts) == 0 && holder == "":
		fmt.Fprintln(stderr, "no instance runs: the next one obeys it when it starts")
	}
	fmt.Fprintf(stdout, "watch it:\n%s", watching(kind, id))
	return nil
}

// unanswered says why the brokers do not answer, and what to do; err where they do.
func unanswered(brokers *connector.Kafka, reach *sink.Reach, err error) error {
	_, latest := reach.Silent()
	if latest == nil {
		return err
	}
	d := brokers.Diagnose(latest)
	return fmt.Errorf("the command failed: Kafka does not answer: %s\n%s", d.Found, d.Cure)
}

// sayStrangers names what a signal asks about and what has no topic: the connector
// passes over it.
func (s *signaller) sayStrangers(ctx context.Context, stderr io.Writer, text []byte) error {
	var sent struct {
		Data struct {
			Collections []string `json:"data-collections"`
		}
	}
	if err := json.Unmarshal(text, &sent); err != nil {
		return err
	}
	cl, err := kgo.NewClient(s.kafka...)
	if err != nil {
		return err
	}
	defer cl.Close()
	topics, err := kadm.NewClient(cl).ListTopics(ctx)
	if err != nil {
		return fmt.Errorf("list the topics: %w", err)
	}
	for _, name := range sent.Data.Collections {
		topic := strings.ReplaceAll(name, `\.`, ".")
		if !strings.HasPrefix(topic, s.prefix+".") {
			topic = objectTopic(s.prefix, topic)
		}
		if name != ".*" && !topics.Has(topic) {
			fmt.Fprintf(stderr, "nothing was published of %q so far: there is no topic %s%s\n", name, topic, didYouMean(topic, topics.Names(), ""))
		}
	}
	return nil
}

// watching says where the answer to a signal shows.
func watching(kind, id string) string {
	lines := map[string]string{"log": "signal=" + id + ` in the connector's log`}
	switch kind {
	case "execute-snapshot", "stop-snapshot", "pause-snapshot", "resume-snapshot":
		lines["/readyz"] = "snapshot, and problems with stream paused"
		lines["connector tail notifications"] = "Incremental Snapshot"
	case "pause", "resume":
		lines["/readyz"] = "problems with stream paused"
		lines["connector tail notifications"] = "Problem RAISED and CLEARED"
	}
	var b strings.Builder
	for _, where := range slices.Sorted(maps.Keys(lines)) {
		fmt.Fprintf(&b, "  %-30s %s\n", where, lines[where])
	}
	return b.String()
}
