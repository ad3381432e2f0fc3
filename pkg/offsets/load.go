package offsets

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/pkg/cdc"
)

// KeepDeleted is how long the rows of deleted records, links and entries are
// kept, so that a record that comes back is published as restored, and that its
// links know of its delete. After that nobody asks, and the tables would only
// grow.
const KeepDeleted = 90 * 24 * time.Hour

// garbageAbove is from how many rows and links on Load collects its garbage before it
// returns. Reading them leaves behind several times the memory that they take, which
// a process that is idle from then on would keep for minutes.
const garbageAbove = 100_000

// Source is where Load and ReadListing read.
type Source struct {
	Opts []kgo.Opt // how to reach the brokers; nothing about producing or consuming
	// Asking asks whether there is anything to read, before a client is made that reads
	// it. nil: that client asks.
	Asking *kgo.Client
	Prefix string
	Portal int64
	Logger *slog.Logger // nil = slog.Default()
	Absent []string     // those of the two topics that do not exist: they are not read
	// Frontiers says that the frontiers topic is there, and is read too.
	Frontiers bool
	// Turn waits until this process may read. The reader calls done when it has read.
	// nil: at once.
	Turn func(context.Context) (done func(), err error)
	// Held is told what holds the reading back while somebody's transaction is open in
	// one of the topics: after ten seconds, and again each minute. nil: only the log is.
	Held func(waits string)
}

// Loaded is all that the two topics hold.
type Loaded struct {
	Birth      string // "" when Fresh
	Fresh      bool   // both topics are empty: the first start
	Cursors    map[Key][]byte
	Odd        []OddKey                            // in the order of their offsets
	Rows       map[string]*cdc.Table               // by object, without Expired
	Sets       map[string][]byte                   // property sets by object, as they were stored
	Topics     map[string]TopicMeta                // by topic
	Seq        int64                               // every later event must have a higher one
	Links      map[cdc.Pair]*cdc.LinkTable         // without Expired
	References map[string]map[cdc.EntryKey]cdc.Row // without Expired
	Expired    [][]byte                            // keys to tombstone in the state topic: deleted more than KeepDeleted ago

	Identities map[string]Identity        // by topic; a state of an earlier version has none
	Ends       map[string]Ends            // by topic, likewise
	Schemas    []Schema                   // that were written with
	Frontiers  map[string]WrittenFrontier // by topic, as last written
}

// OddKey is a key in another spelling than the connector's. The first transaction
// tombstones it and writes the cursor (null if Cursors has none) under the usual
// spelling. Otherwise the older of the two would come back to life once the newer
// is moved under its own spelling.
type OddKey struct {
	Raw []byte
	Key Key
}

// Load reads both topics up to their ends and checks that they belong together. A
// *Refusal means that only an operator can help. Any other error ends the run,
// and the next run may try again.
func Load(ctx context.Context, src Source) (*Loaded, error) {
	if src.Logger == nil {
		src.Logger = slog.Default()
	}
	began := time.Now()
	cursors := &cursorLog{topic: CursorTopic(src.Prefix), latest: map[string]cursorRecord{}}
	state := newStateLog(StateTopic(src.Prefix), began.Add(-KeepDeleted))
	topics := map[string]func(*kgo.Record) error{cursors.topic: cursors.add, state.topic: state.add}
	for _, name := range src.Absent {
		delete(topics, name)
	}
	frontiers := frontierLog{src.Portal, map[string]WrittenFrontier{}}
	if src.Frontiers {
		topics[FrontierTopic(src.Prefix)] = frontiers.add
	}
	if len(topics) == 0 {
		return assemble(src.Portal, cursors, state)
	}
	if err := ReadToEnd(ctx, src, topics); err != nil {
		return nil, fmt.Errorf("load %s and %s: %w", cursors.topic, state.topic, err)
	}
	l, err := assemble(src.Portal, cursors, state)
	if err != nil {
		return nil, err
	}
	l.Frontiers = frontiers.latest
	rows := 0
	for _, table := range l.Rows {
		rows += table.Len()
	}
	links := 0
	for _, table := range l.Links {
		links += table.Len()
	}
	for _, table := range l.References {
		rows += len(table)
	}
	if rows+links > garbageAbove {
		debug.FreeOSMemory()
	}
	src.Logger.Info("state loaded", "portal", src.Portal, "rows", rows, "links", links, "cursors", len(l.Cursors),
		"expired", len(l.Expired), "seq", l.Seq, "took", time.Since(began).Round(time.Millisecond).String())
	return l, nil
}

// PropertySets reads the property sets alone, by object: for whoever needs to know
// how records are published, and not which.
func PropertySets(ctx context.Context, src Source) (map[string][]byte, error) {
	state := newStateLog(StateTopic(src.Prefix), time.Time{})
	err := ReadToEnd(ctx, src, map[string]func(*kgo.Record) error{state.topic: func(r *kgo.Record) error {
		if len(r.Key) == 0 || r.Key[0] != kindSet && r.Key[0] != kindBirth {
			return nil
		}
		return state.add(r)
	}})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", state.topic, err)
	}
	if state.birth != "" && state.portal != src.Portal {
		return nil, otherPortal(state.topic, state.portal, src.Portal)
	}
	return state.sets, nil
}

// assemble combines the two topics.
func assemble(portal int64, cursors *cursorLog, state *stateLog) (*Loaded, error) {
	if state.birth != "" && state.portal != portal {
		return nil, otherPortal(state.topic, state.portal, portal)
	}
	l := &Loaded{
		Rows: state.rows, Sets: state.sets, Topics: state.topics, Links: state.links, References: state.lists,
		Seq: state.seq, Expired: state.dropExpired(),
		Identities: state.identities, Ends: state.ends, Schemas: state.schemas,
	}
	var err error
	if l.Cursors, l.Odd, err = cursors.resolve(portal); err != nil {
		return nil, err
	}
	birthKey := Key{Portal: portal, Stream: BirthStream}
	if value, ok := l.Cursors[birthKey]; ok {
		b, err := parseBirth(value)
		if err != nil {
			return nil, err // resolve has checked it
		}
		l.Birth = b.ID
		delete(l.Cursors, birthKey)
	}
	l.Fresh = l.Birth == "" && state.birth == "" && len(l.Cursors) == 0 && state.empty()
	if !l.Fresh {
		if err := checkBirth(cursors.topic, l.Birth, state.topic, state.birth); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// checkBirth checks that the cursors belong to this state: a cursor ahead of the
// state would silently lose changes for good.
func checkBirth(cursorTopic, cursorBirth, stateTopic, stateBirth string) error {
	var what string
	switch {
	case cursorBirth == "" && stateBirth == "":
		what = fmt.Sprintf("%s and %s have records but no birth id, so the connector did not begin them", cursorTopic, stateTopic)
	case cursorBirth == "":
		what = fmt.Sprintf("%s has a birth id and %s has none", stateTopic, cursorTopic)
	case stateBirth == "":
		what = fmt.Sprintf("%s has a birth id and %s has none", cursorTopic, stateTopic)
	case cursorBirth != stateBirth:
		what = fmt.Sprintf("the birth ids differ (%s: %s, %s: %s), so one of the topics is another installation's",
			cursorTopic, cursorBirth, stateTopic, stateBirth)
	default:
		return nil
	}
	return &Refusal{What: what, Cure: fmt.Sprintf("bring back the topic that is missing or was replaced, "+
		"or delete both %s and %s to start over (everything is published again)", cursorTopic, stateTopic)}
}

func otherPortal(topic string, theirs, ours int64) error {
	return &Refusal{
		What: fmt.Sprintf("%s belongs to portal %d and the token to portal %d", topic, theirs, ours),
		Cure: "use that portal's token, or another KAFKA_TOPIC_PREFIX for this portal (in a fleet: another name for its file)",
	}
}
