package sink

import (
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hubspot-cdc/connector/pkg/offsets"
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
	// fresh: this run has just created it, and it holds nothing yet.
	fresh bool
	id    string // see offsets.TopicID; "": the brokers did not say
	// Short says which wanted settings a topic that is there falls short of, and
	// Command sets them; "": none.
	Short, Command string
}

// AboutSettings reports whether the warning says what Short says.
func (w Warning) AboutSettings() bool { return w.Setting.Key == differs }

// SubjectFinding is a subject of the registry.
type SubjectFinding struct {
	Name string
	ID   int    // 0: the schema is not registered yet
	Text string // as it is registered under ID
}

// Warning does not stop a run, but an operator should know of it.
type Warning struct {
	Text    string
	Setting slog.Attr // of the topic, or the error by which it is unknown; zero if the warning is about something that happened
	Cluster bool      // it is true of the cluster, and the same for all of its topics
}

// String returns the text, followed by the setting.
func (w Warning) String() string {
	if w.Setting.Key == "" {
		return w.Text
	}
	return fmt.Sprintf("%s (%s)", w.Text, w.Setting)
}

func (t *TopicFinding) warn(text string, setting slog.Attr) {
	t.Warnings = append(t.Warnings, Warning{Text: text, Setting: setting})
}

// Denied reports whether the brokers said that this user may not do op.
func (t *TopicFinding) Denied(op kmsg.ACLOperation) bool {
	return t.Operations != nil && !slices.Contains(t.Operations, op)
}

// batchLimit is the size of the topic's largest record batch, in bytes. If it is
// unknown, Kafka's default is the safe guess: a batch that is too large would end
// every run.
func (t *TopicFinding) batchLimit() int {
	if limit, err := strconv.Atoi(t.Configs["max.message.bytes"]); err == nil {
		return min(limit, largestBatch)
	}
	return defaultBatch
}

// MissingTopicError says that a topic is missing and that the cluster does not
// let this user create it.
type MissingTopicError struct {
	Topic   string
	Command string // for somebody who may create it
	Err     error  // the broker's answer
}

func (e *MissingTopicError) Error() string {
	return fmt.Sprintf("%v; have it created: %s", e.Err, e.Command)
}

func (e *MissingTopicError) Unwrap() error { return e.Err }

// refusal is for a cluster that creates topics, but not with this cleanup.policy.
func (e *MissingTopicError) refusal(policy string) error {
	return &offsets.Refusal{
		What: fmt.Sprintf("the cluster refuses cleanup.policy=%s (%v)", policy, e.Err),
		Cure: "have the cluster's policy changed, or the topic created: " + e.Command,
	}
}

// UnseenTopicError says that the cluster has created a topic, and that the brokers do
// not know it.
type UnseenTopicError struct {
	Topic  string
	Waited time.Duration
}

func (e *UnseenTopicError) Error() string {
	return fmt.Sprintf("topic %s was created, and the brokers do not know it after %v", e.Topic, e.Waited.Round(time.Second))
}

// Warned remembers which warnings a process has logged, over all of its runs, and
// what it has learnt of topics. The zero value is ready to use.
type Warned struct {
	mu     sync.Mutex
	said   map[string]bool
	fronts map[string]bool // topics whose front moves without a loss: these brokers move it when they compact
}

// frontMoves notes that a topic's front has moved without a loss.
func (w *Warned) frontMoves(topic string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fronts == nil {
		w.fronts = map[string]bool{}
	}
	w.fronts[topic] = true
}

// frontMoved reports whether frontMoves has noted a topic.
func (w *Warned) frontMoved(topic string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.fronts[topic]
}

// first reports whether a topic's warning is to be logged: one about something
// that happened each time, one about a setting once. What the cluster refuses is
// logged for the first topic alone, and explains the setting of every topic that
// was created without it.
func (w *Warned) first(topic string, warning Warning) bool {
	key := warning.Setting.Key
	if key == "" {
		return true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.said == nil {
		w.said = map[string]bool{}
	}
	explained, text := topic+" "+key, topic+" "+warning.String()
	if warning.Cluster {
		text = key + " " + warning.Text
	} else if w.said[explained] {
		return false
	}
	was := w.said[text]
	w.said[text] = true
	w.said[explained] = w.said[explained] || warning.Cluster
	return !was
}
