package verify

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/hubspot-cdc/connector/pkg/connector"
)

// Report is what a comparison found.
type Report struct {
	Equal  bool    `json:"equal"`
	Topics []Topic `json:"topics"`
	Left   []Left  `json:"left_out,omitempty"`
}

// Left is a topic that is not compared. Without an error, the settings leave it out, or
// there is nothing to compare.
type Left struct {
	Topic string
	Err   error
}

func (l Left) why() string {
	if l.Err == nil {
		return "HUBSPOT_OBJECTS or HUBSPOT_ASSOCIATIONS leaves it out, HubSpot does not have it any more, or nothing of it was published"
	}
	return connector.Plainly(l.Err)
}

// MarshalJSON implements json.Marshaler.
func (l Left) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Topic  string `json:"topic"`
		Reason string `json:"reason"`
		Failed bool   `json:"failed"` // the report is not equal because of it
	}{l.Topic, l.why(), l.Err != nil})
}

// Failed reports whether some topic could not be compared to the end. Then the report
// is not equal.
func (r *Report) Failed() bool {
	return slices.ContainsFunc(r.Left, func(l Left) bool { return l.Err != nil }) ||
		slices.ContainsFunc(r.Topics, func(t Topic) bool { return t.unanswered+t.hidden > 0 })
}

// Topic is what was found of one topic: how many keys HubSpot and the topic have, how
// many of them are equal, and the first keys that are not. What it says was so at At: the
// topics that are compared after it may take hours.
type Topic struct {
	Topic     string   `json:"topic"`
	HubSpot   int      `json:"hubspot"`
	Kafka     int      `json:"kafka"`
	Equal     int      `json:"equal"`
	Missing   []string `json:"missing"`   // HubSpot had them, the topic did not
	Extra     []string `json:"extra"`     // the topic had them, HubSpot did not
	Stale     []string `json:"stale"`     // the topic had an older version
	Different []string `json:"different"` // the topic had other content, and no older version
	// Properties are the names of the properties in which Different differ, by key.
	Properties map[string]Names `json:"properties,omitempty"`
	At         time.Time        `json:"at"`

	counts [classes]int
	unjudged
	all    []difference // for a repair
	object string       // as signals name it
	list   bool         // it is a reference list
	unread bool         // the connector has not yet read everything of it once
}

// unjudged counts keys of which nobody can say whether they differ.
type unjudged struct {
	changing   int // they changed from look to look
	unanswered int // they differed, and HubSpot does not answer about them any more: perhaps they are stuck in the connector too (R18)
	hidden     int // HubSpot does not show this token the part of a list that has them
	leftOut    int // the settings leave out their part of a list, or HubSpot does not have it any more
}

// shown is how many keys of each kind a report names.
const shown = 10

// Same reports whether nothing differs.
func (t *Topic) Same() bool { return t.counts == [classes]int{} }

// tally counts what becomes of the keys of a topic.
type tally struct {
	topic, object         string
	at                    time.Time // when it was compared; zero: now
	list                  bool
	hubspot, kafka, equal int
	all                   []difference
	unjudged
}

// take adds what was found of a key. judged is false if its sides went on changing, or
// HubSpot did not answer.
func (t *tally) take(v *view, judged bool) {
	t.hubspot += v.hubspot
	t.kafka += v.kafka
	t.equal += v.equal
	switch {
	case judged:
		t.all = append(t.all, v.found...)
	case v.silent:
		t.unanswered++
	default:
		t.changing++
	}
}

// report ends the count. equal are the keys that the sweep found so, and that no
// later look was needed for.
func (t *tally) report(equal int) *Topic {
	out := &Topic{
		Topic: t.topic, HubSpot: t.hubspot + equal, Kafka: t.kafka + equal, Equal: t.equal + equal,
		Missing: []string{}, Extra: []string{}, Stale: []string{}, Different: []string{}, At: t.at,
		unjudged: t.unjudged, all: t.all, object: t.object, list: t.list,
	}
	if out.At.IsZero() {
		out.At = time.Now().UTC().Truncate(time.Second)
	}
	slices.SortFunc(out.all, func(a, b difference) int { return byNumber(a.key, b.key) })
	for _, d := range out.all {
		list := [classes]*[]string{&out.Missing, &out.Extra, &out.Stale, &out.Different}[d.class]
		if out.counts[d.class]++; len(*list) < shown {
			*list = append(*list, d.key)
		}
	}
	return out
}

// byNumber compares keys part by part, as numbers where they are some.
func byNumber(a, b string) int {
	for {
		x, restA, moreA := strings.Cut(a, ":")
		y, restB, moreB := strings.Cut(b, ":")
		if c := cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(x, y)); c != 0 || !moreA || !moreB {
			return c
		}
		a, b = restA, restB
	}
}
