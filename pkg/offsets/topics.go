package offsets

import "github.com/hubspot-cdc/connector/pkg/cdc"

// The names of all topics of a prefix. Consumers and operators rely on them.

// CursorTopic is the topic of the cursors.
func CursorTopic(prefix string) string { return prefix + ".offsets" }

// StateTopic is the topic of what is published.
func StateTopic(prefix string) string { return prefix + ".state" }

// SignalsTopic is the topic in which an operator asks for snapshots.
func SignalsTopic(prefix string) string { return prefix + ".signals" }

// NotificationsTopic is the topic in which the connector tells what happens to it.
func NotificationsTopic(prefix string) string { return prefix + ".notifications" }

// ObjectTopic is the topic of an object type's records.
func ObjectTopic(prefix, object string) string { return prefix + "." + object }

// PairTopic is the topic of a pair's links.
func PairTopic(prefix string, pair cdc.Pair) string {
	return prefix + ".associations." + pair.From + "." + pair.To
}

// ReferenceTopic is the topic of a reference list's entries, such as the owners.
func ReferenceTopic(prefix, list string) string { return prefix + "." + list }

// Signal is a record of the signals topic, as an operator wrote it.
type Signal struct {
	Offset     int64
	Key, Value []byte
}
