package offsets

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// FrontierKey names the data topic that a record of the frontiers topic is about.
type FrontierKey struct {
	Portal int64  `json:"portal"`
	Topic  string `json:"topic"`
}

// Bytes is the one spelling that the connector writes.
func (k FrontierKey) Bytes() []byte {
	b, err := json.Marshal(k)
	if err != nil {
		panic(err) // a number and a string
	}
	return b
}

// ParseFrontierKey reads what Bytes wrote.
func ParseFrontierKey(text []byte) (k FrontierKey, err error) {
	m, err := parseMembers(text)
	if err != nil {
		return FrontierKey{}, err
	}
	if k.Portal, err = m.integer("portal"); err != nil {
		return FrontierKey{}, err
	}
	k.Topic, err = m.text("topic")
	return k, err
}

// Frontier says how far a data topic is complete (R17): what a read_committed
// consumer has whose positions are at or past Offsets. A time of 0 is null: nothing
// is claimed.
type Frontier struct {
	Leading  hubspot.Millis // every change up to then that HubSpot's search showed
	Complete hubspot.Millis // every change up to then, if search is never later than the longest lag
	Verified hubspot.Millis // everything that HubSpot had then
	Offsets  map[int32]int64
	Seq      int64 // the last source.seq of the portal up to there
	Live     int   // how many keys are live there
}

// Same reports whether two frontiers of a topic claim the same. Seq is the portal's,
// so it moves by itself.
func (f Frontier) Same(other Frontier) bool {
	return f.Leading == other.Leading && f.Complete == other.Complete && f.Verified == other.Verified &&
		f.Live == other.Live && maps.Equal(f.Offsets, other.Offsets)
}

// Claims reports whether the frontier says anything at all.
func (f Frontier) Claims() bool {
	for _, at := range f.Offsets {
		if at > 0 {
			return true
		}
	}
	return f.Leading != 0 || f.Complete != 0 || f.Verified != 0
}

// Bytes writes the record's value.
func (f Frontier) Bytes() []byte {
	places := make(map[string]int64, len(f.Offsets))
	for p, at := range f.Offsets {
		places[strconv.Itoa(int(p))] = at
	}
	return object("leading", f.Leading, "complete", f.Complete, "verified", f.Verified,
		"offsets", places, "seq", f.Seq, "live", f.Live)
}

// ParseFrontier reads what Bytes wrote.
func ParseFrontier(text []byte) (f Frontier, err error) {
	m, err := parseMembers(text)
	if err != nil {
		return Frontier{}, err
	}
	for name, into := range map[string]*hubspot.Millis{"leading": &f.Leading, "complete": &f.Complete, "verified": &f.Verified} {
		if *into, err = m.optionalMillis(name); err != nil {
			return Frontier{}, err
		}
	}
	var places map[string]int64
	if err = m.read("offsets", "offsets by partition", &places); err != nil {
		return Frontier{}, err
	}
	f.Offsets = make(map[int32]int64, len(places))
	for text, at := range places {
		p, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return Frontier{}, fmt.Errorf(`"offsets": %q is no partition`, text)
		}
		f.Offsets[int32(p)] = at
	}
	if f.Seq, err = m.integer("seq"); err != nil {
		return Frontier{}, err
	}
	live, err := m.integer("live")
	f.Live = int(live)
	return f, err
}

// frontierLog is the frontiers topic as it is read: the latest record of each topic
// of a portal. What cannot be understood is passed over: the topic serves consumers,
// and a new frontier replaces it.
type frontierLog struct {
	portal int64
	latest map[string]WrittenFrontier
}

// WrittenFrontier is a frontier, and when it was written.
type WrittenFrontier struct {
	Frontier
	At time.Time
}

func (l *frontierLog) add(r *kgo.Record) error {
	key, err := ParseFrontierKey(r.Key)
	if err != nil || key.Portal != l.portal {
		return nil
	}
	f, err := ParseFrontier(r.Value)
	if err != nil { // a tombstone too
		delete(l.latest, key.Topic)
		return nil
	}
	l.latest[key.Topic] = WrittenFrontier{f, r.Timestamp}
	return nil
}
