package sink

import (
	"fmt"
	"log/slog"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TopicFinding is a topic as it was found or, if it was missing, as it would be
// created.
type TopicFinding struct {
	Name       string
	There      bool  // it existed before
	Partitions int32 // -1: the brokers' default
	Configs    map[string]string
	Operations []kmsg.ACLOperation // what this user may do; nil: the brokers did not say
	Subjects   []SubjectFinding
	Warnings   []Warning
}

// SubjectFinding is a subject of the registry.
type SubjectFinding struct {
	Name string
	ID   int // 0: the schema is not registered yet
}

// Warning does not stop a run, but an operator should know of it.
type Warning struct {
	Text    string
	Setting slog.Attr // of the topic, if the warning is about one; else zero
}

// String returns the text, followed by the setting.
func (w Warning) String() string {
	if w.Setting.Key == "" {
		return w.Text
	}
	return fmt.Sprintf("%s (%s)", w.Text, w.Setting)
}

func (t *TopicFinding) warn(text string, setting slog.Attr) {
	t.Warnings = append(t.Warnings, Warning{text, setting})
}

// Denied reports whether the brokers said that this user may not do op.
func (t *TopicFinding) Denied(op kmsg.ACLOperation) bool {
	return t.Operations != nil && !slices.Contains(t.Operations, op)
}

// batchLimit is the size of the topic's largest record batch, in bytes.
func (t *TopicFinding) batchLimit() int {
	if limit, err := strconv.Atoi(t.Configs["max.message.bytes"]); err == nil {
		return min(limit, largestBatch)
	}
	return largestBatch
}
