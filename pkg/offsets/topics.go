package offsets

import (
	"strings"

	"github.com/hubspot-cdc/connector/pkg/cdc"
)

// The names of all topics of a prefix. Consumers and operators rely on them.

// CursorTopic is the topic of the cursors.
func CursorTopic(prefix string) string { return prefix + ".offsets" }

// StateTopic is the topic of what is published.
func StateTopic(prefix string) string { return prefix + ".state" }

// SignalsTopic is the topic in which an operator asks for snapshots.
func SignalsTopic(prefix string) string { return prefix + ".signals" }

// NotificationsTopic is the topic in which the connector tells what happens to it.
func NotificationsTopic(prefix string) string { return prefix + ".notifications" }

// FrontierTopic is the topic that says how far each data topic is complete.
func FrontierTopic(prefix string) string { return prefix + ".frontiers" }

// ObjectTopic is the topic of an object type's records.
func ObjectTopic(prefix, object string) string { return prefix + "." + object }

// PairTopic is the topic of a pair's links.
func PairTopic(prefix string, pair cdc.Pair) string {
	return prefix + ".associations." + pair.From + "." + pair.To
}

// ReferenceTopic is the topic of a reference list's entries, such as the owners.
func ReferenceTopic(prefix, list string) string { return prefix + "." + list }

// TopicOf is the topic of an object, a pair or a reference list, by its name in
// cursors.
func TopicOf(prefix, object string) string {
	if from, to, pair := strings.Cut(object, ":"); pair {
		return PairTopic(prefix, cdc.Pair{From: from, To: to})
	}
	return ObjectTopic(prefix, object)
}

// Signal is a record of the signals topic, as an operator wrote it.
type Signal struct {
	Offset     int64
	Key, Value []byte
}
