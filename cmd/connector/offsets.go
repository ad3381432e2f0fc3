package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/fleet"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/sink"
)

const offsetsHelp = `All need KAFKA_BROKERS (and KAFKA_TOPIC_PREFIX, KAFKA_TLS_*, KAFKA_SASL_*, KAFKA_OAUTH_*, AWS_* if the connector has
them).

get prints, and set reads, the form of Kafka Connect (KIP-875):

	{"offsets":[
	{"partition":{"portal":4242,"object":"contacts","stream":"leading"},"offset":{"at":"2026-11-24T13:00:00.000Z","v":1}}
	]}

"offset":null forgets a cursor. set and reset write one transaction, after the checks that the
next start will make, and refuse (exit code 3) while an instance runs or stands by.
What the next run does:

	leading, trailing-…   moved back: searches again from there, and publishes only what is new.
	                      moved forward: leaves what changed in between to the longer tiers and the reconcile.
	                      forgotten: starts now, and runs the type's backfill again.
	backfill, reconcile   moved or forgotten: reads the records again, from there or all of them.
	archive               moved or forgotten: reads the archived list from there, or all of it.
	associations          moved or forgotten: reads the pair's links from there, or all of them.
	reference             forgotten: reads the list again.
	refill                forgotten: does not read the properties' holders again.
	journal               moved back: reads the files from there again. Forgotten: begins at the latest file.
	paused                changed: pauses what it names. Forgotten: resumes everything.
	signals               moved back: carries out signals again, from there. Forgotten: all that are in the topic.
	reset                 all of this at once.

Only signals that are carried out again publish anything twice: the topic <prefix>.state
remembers what is published, apart from the cursors. To publish records again, send a
snapshot signal.
`

// offsetsCommand is connector offsets.
func offsetsCommand() *cobra.Command {
	var portal int64
	var yes bool
	do := func(c *cobra.Command, args []string) error {
		tool, err := newCursorTool(portal, c.ErrOrStderr())
		if err != nil {
			return err
		}
		switch c.Name() {
		case "get":
			return tool.get(c.Context(), c.OutOrStdout(), c.ErrOrStderr())
		case "set":
			body, err := readBody(c.Context(), args, c.InOrStdin())
			if err != nil {
				return err
			}
			return tool.set(c.Context(), body, c.ErrOrStderr())
		}
		return tool.reset(c.Context(), yes, c.ErrOrStderr())
	}
	get := &cobra.Command{Use: "get", Short: "print all cursors", Args: cobra.NoArgs, RunE: do}
	get.Flags().Bool("json", true, "print JSON, which is the only form")
	set := &cobra.Command{Use: "set [FILE]", Short: "change the ones that FILE or standard input names", Long: offsetsHelp, Args: cobra.MaximumNArgs(1), RunE: do}
	reset := &cobra.Command{Use: "reset --yes", Short: "forget all of them", Long: offsetsHelp, Args: cobra.NoArgs, RunE: do}
	reset.Flags().BoolVar(&yes, "yes", false, "really forget all cursors")
	c := &cobra.Command{Use: "offsets", Short: "show the cursors, which say how far each stream has read; move them, forget them", Long: offsetsHelp}
	c.PersistentFlags().Int64Var(&portal, "portal", 0, "the portal with this `ID`, if the topic holds the cursors of several")
	c.AddCommand(get, set, reset)
	return c
}

func newCursorTool(portal int64, stderr io.Writer) (*cursorTool, error) {
	s, err := load("KAFKA_", "AWS_", "LOG_")
	if err != nil {
		return nil, err
	}
	k := &s.connector.Kafka
	kafka, err := k.Options()
	if err != nil {
		return nil, err
	}
	log := s.log.logger(stderr)
	return &cursorTool{prefix: k.TopicPrefix, kafka: append(kafka, sink.ClientLog(log)), portal: portal, log: log, brokers: *k}, nil
}

func readBody(ctx context.Context, files []string, stdin io.Reader) (body []byte, err error) {
	if len(files) == 0 || files[0] == "-" {
		read := make(chan struct{})
		go func() { // nothing but the end of the process ends a read
			defer close(read)
			body, err = io.ReadAll(stdin)
		}()
		select {
		case <-read:
			return body, err
		case <-ctx.Done():
			return nil, errors.New("connector offsets set: interrupted; no cursor is changed")
		}
	}
	if body, err = os.ReadFile(files[0]); err != nil {
		return nil, misused("%v", err)
	}
	return body, nil
}

// cursorTool reads and writes the cursors of a prefix.
type cursorTool struct {
	prefix string
	kafka  []kgo.Opt
	portal int64 // 0: the only one in the topic
	log    *slog.Logger

	brokers connector.Kafka // what was set for them; a diagnosis needs it
}

// cursorBody has KIP-875's form of cursors.
type cursorBody struct {
	Offsets []cursorPair `json:"offsets"`
}

type cursorPair struct {
	Partition json.RawMessage `json:"partition"`
	Offset    json.RawMessage `json:"offset"`
}

func (t *cursorTool) read(ctx context.Context, state bool) (*offsets.Listing, error) {
	reach := new(sink.Reach)
	l, err := offsets.ReadListing(ctx, offsets.Source{Opts: append(slices.Clone(t.kafka), kgo.WithHooks(reach)), Prefix: t.prefix, Logger: t.log}, state)
	switch {
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		err = fmt.Errorf("the connector has not run with KAFKA_TOPIC_PREFIX=%s: %w", t.prefix, err)
	case err != nil:
		err = unanswered(&t.brokers, reach, err)
	}
	return l, err
}

// get prints the cursors, one per line. It also prints those that nothing can
// parse, and reports them: they are often the reason for looking.
func (t *cursorTool) get(ctx context.Context, stdout, stderr io.Writer) error {
	l, err := t.read(ctx, false)
	if err != nil {
		return err
	}
	if t.portal != 0 && len(l.Portals) > 0 && !slices.Contains(l.Portals, t.portal) {
		return misused("%s holds cursors of the portals %v, and none of %d", offsets.CursorTopic(t.prefix), l.Portals, t.portal)
	}
	var out bytes.Buffer
	out.WriteString(`{"offsets":[`)
	first := true
	for _, e := range l.Entries {
		if t.portal != 0 && e.Key.Portal != t.portal && e.Key.Portal != 0 {
			continue
		}
		if e.Err != nil {
			fmt.Fprintf(stderr, "offset %d of %s, key %s: %v; the connector refuses to start with it\n",
				e.Offset, offsets.CursorTopic(t.prefix), e.Raw, e.Err)
		}
		partition := e.Raw
		if e.Key != (offsets.Key{}) {
			partition = e.Key.Bytes()
		}
		if !first {
			out.WriteByte(',')
		}
		first = false
		fmt.Fprintf(&out, "\n{\"partition\":%s,\"offset\":%s}", asJSON(partition), asJSON(e.Value))
	}
	out.WriteString("\n]}\n")
	_, err = stdout.Write(out.Bytes())
	return err
}

// asJSON gives a text that should be JSON as one line of it, or else as a JSON
// string.
func asJSON(text []byte) []byte {
	if line, err := offsets.OneLine(text); err == nil {
		return line
	}
	return asText(text)
}

// asText gives a text as a JSON string.
func asText(text []byte) []byte {
	quoted, err := json.Marshal(string(text))
	if err != nil {
		panic(err) // a string
	}
	return quoted
}

// set changes the cursors that a body names.
func (t *cursorTool) set(ctx context.Context, body []byte, stderr io.Writer) error {
	changes, err := parseChanges(body)
	if err != nil {
		return err
	}
	return t.edit(ctx, stderr, func(l *offsets.Listing, portal int64) ([]offsets.Edit, error) {
		edits, err := l.Set(portal, changes, time.Now())
		var refusal *offsets.Refusal
		if err != nil && !errors.As(err, &refusal) {
			err = &connector.ConfigError{Problems: strings.Split(err.Error(), "\n")}
		}
		return edits, err
	})
}

// reset forgets all cursors.
func (t *cursorTool) reset(ctx context.Context, yes bool, stderr io.Writer) error {
	if !yes {
		return misused("connector offsets reset forgets every cursor of %s, and the next run reads everything again; confirm with --yes", offsets.CursorTopic(t.prefix))
	}
	return t.edit(ctx, stderr, func(l *offsets.Listing, portal int64) ([]offsets.Edit, error) { return l.Reset(portal) })
}

// edit reads and checks the cursors, and only then fences, reads them again and
// writes.
func (t *cursorTool) edit(ctx context.Context, stderr io.Writer, edit func(*offsets.Listing, int64) ([]offsets.Edit, error)) error {
	l, err := t.read(ctx, true)
	if err != nil {
		return err
	}
	portal, err := t.whose(l)
	if err != nil {
		return err
	}
	if _, err := edit(l, portal); err != nil {
		return err
	}
	if err := t.nobodyRuns(ctx); err != nil {
		return err
	}
	written := 0
	err = sink.EditCursors(ctx, sink.Config{Opts: t.kafka, Prefix: t.prefix, Portal: portal, Logger: t.log}, func() ([]offsets.Edit, error) {
		l, err := t.read(ctx, true)
		if err != nil {
			return nil, err
		}
		edits, err := edit(l, portal)
		written = len(edits)
		return edits, err
	})
	if err == nil {
		fmt.Fprintf(stderr, "records written to %s: %d\n", offsets.CursorTopic(t.prefix), written)
	}
	return err
}

// whose gives the portal whose cursors to change.
func (t *cursorTool) whose(l *offsets.Listing) (int64, error) {
	switch {
	case t.portal != 0:
		return t.portal, nil
	case len(l.Portals) == 1:
		return l.Portals[0], nil
	case len(l.Portals) == 0:
		return 0, &offsets.Refusal{
			To:   offsets.ChangeCursors,
			What: "topic " + offsets.CursorTopic(t.prefix) + " holds no cursor, so the connector has never run there",
			Cure: "check KAFKA_TOPIC_PREFIX; a first start needs no cursors",
		}
	}
	return 0, misused("%s holds cursors of the portals %v; choose one with --portal", offsets.CursorTopic(t.prefix), l.Portals)
}

// nobodyRuns refuses while an instance runs or stands by: the owner would
// continue from where it is, and a standby would take over.
func (t *cursorTool) nobodyRuns(ctx context.Context) error {
	hosts, err := connector.Instances(ctx, t.kafka, t.prefix)
	if err != nil {
		return err
	}
	if len(hosts) == 0 {
		return t.noFleetRuns(ctx)
	}
	return &offsets.Refusal{
		To:   offsets.ChangeCursors,
		What: fmt.Sprintf("cursors change only while no instance runs or stands by, and group %s has %d (%s)", connector.OwnerGroup(t.prefix), len(hosts), strings.Join(hosts, ", ")),
		Cure: fmt.Sprintf("stop every instance; the group forgets a killed one after %v", connector.SessionTimeout),
	}
}

// noFleetRuns refuses while an instance of a fleet has the portal.
func (t *cursorTool) noFleetRuns(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, statusPatience)
	defer cancel()
	holder, err := fleet.Holder(ctx, t.kafka, t.prefix, nil)
	if err != nil || holder == "" {
		return err
	}
	return &offsets.Refusal{
		To:   offsets.ChangeCursors,
		What: fmt.Sprintf("cursors change only while nobody runs the portal, and the fleet's instance %s has it", holder),
		Cure: "take the portal's file out of FLEET_DIR; its instance ends it within 30 seconds",
	}
}

// parseChanges reads KIP-875's form, and reports everything that is wrong with
// it.
func parseChanges(text []byte) ([]offsets.Change, error) {
	var body cursorBody
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&body)
	if err == nil && decoder.Decode(&json.RawMessage{}) != io.EOF {
		err = errors.New("there is something behind it")
	}
	if err == nil && len(body.Offsets) == 0 {
		err = errors.New(`"offsets" is empty`)
	}
	if err != nil {
		return nil, misused(`not of the form {"offsets":[{"partition":{…},"offset":{…}}]}, with commas between the cursors only: %v`, err)
	}
	var problems []string
	changes := make([]offsets.Change, 0, len(body.Offsets))
	for i, o := range body.Offsets {
		problem := func(err error) { problems = append(problems, fmt.Sprintf("offsets[%d]: %v", i, err)) }
		if o.Partition == nil || o.Offset == nil {
			problem(errors.New(`"partition" and "offset" are both needed; "offset":null forgets a cursor`))
			continue
		}
		key, err := offsets.ParseKey(o.Partition)
		if err != nil {
			problem(fmt.Errorf(`"partition": %w`, err))
			continue
		}
		c := offsets.Change{Key: key}
		if string(o.Offset) != "null" {
			if c.Value, err = offsets.OneLine(o.Offset); err != nil {
				problem(err)
				continue
			}
		}
		changes = append(changes, c)
	}
	if len(problems) > 0 {
		return nil, &connector.ConfigError{Problems: problems}
	}
	return changes, nil
}
