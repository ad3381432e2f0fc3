package sink

import (
	"fmt"
	"log/slog"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TopicFinding is a topic as it was found or, if it was not there, as it was
// asked for.
type TopicFinding struct {
	Name       string
	There      bool  // before anybody created it
	Partitions int32 // -1: the brokers' default
	Configs    map[string]string
	Operations []kmsg.ACLOperation // what this user may do; nil: the brokers did not tell
	Subjects   []SubjectFinding
	Warnings   []Warning
}

// SubjectFinding is a subject of the registry.
type SubjectFinding struct {
	Name string
	ID   int // 0: the schema is yet to be registered
}

// Warning is what a run goes on with, and what an operator should know.
type Warning struct {
	Text    string
	Setting slog.Attr // the topic's, which it is about; zero: none
}

// String is the warning with the setting behind it.
func (w Warning) String() string {
	if w.Setting.Key == "" {
		return w.Text
	}
	return fmt.Sprintf("%s (%s)", w.Text, w.Setting)
}

func (t *TopicFinding) warn(text string, setting slog.Attr) {
	t.Warnings = append(t.Warnings, Warning{text, setting})
}

// Denied says that the brokers are known to deny this user the operation.
func (t *TopicFinding) Denied(op kmsg.ACLOperation) bool {
	return t.Operations != nil && !slices.Contains(t.Operations, op)
}

// batchLimit is the size in bytes of the topic's largest record batch.
func (t *TopicFinding) batchLimit() int {
	if limit, err := strconv.Atoi(t.Configs["max.message.bytes"]); err == nil {
		return min(limit, largestBatch)
	}
	return largestBatch
}
