package verify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/hubspot-cdc/connector/pkg/connector"
)

// Notes are the topics that a comparison has finished, in a file: a run that is
// interrupted goes on with the others.
type Notes struct {
	path  string
	begun *begun // nil: the file has yet to be made
	done  map[string]*Topic
}

// begun is the first line of the file: what is compared, and since when.
type begun struct {
	Prefix string    `json:"prefix"`
	Portal int64     `json:"portal"`
	Begun  time.Time `json:"begun"`
}

// notesAge is how old notes may be. What was equal a day ago says little about now.
const notesAge = 24 * time.Hour

// note is a line of the file.
type note struct {
	Topic
	Object     string     `json:"object"`
	List       bool       `json:"list,omitempty"`
	Changing   int        `json:"changing,omitempty"`
	Unanswered int        `json:"unanswered,omitempty"`
	Hidden     int        `json:"hidden,omitempty"`
	LeftOut    int        `json:"left_out,omitempty"`
	All        [][]string `json:"all"` // the keys of each class, all of them
}

// OpenNotes reads the notes of a file, if there is one. It removes a line that an
// interrupted run did not finish, and changes no file that holds anything else.
func OpenNotes(path string) (*Notes, error) {
	n := &Notes{path: path, done: map[string]*Topic{}}
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return n, nil
	}
	if err != nil {
		return nil, err
	}
	whole := bytes.LastIndexByte(text, '\n') + 1
	if len(text) == 0 {
		return n, nil
	}
	if whole == 0 {
		return nil, fmt.Errorf("%s does not hold the notes of a comparison", path)
	}
	for line := range bytes.Lines(text[:whole]) {
		if n.begun == nil {
			if err := json.Unmarshal(line, &n.begun); err != nil || n.begun == nil || n.begun.Begun.IsZero() {
				return nil, fmt.Errorf("%s does not hold the notes of a comparison", path)
			}
			continue
		}
		var one note
		if err := json.Unmarshal(line, &one); err != nil || one.Topic.Topic == "" || len(one.All) != int(classes) {
			return nil, fmt.Errorf("%s does not hold the notes of a comparison", path)
		}
		t := &tally{
			topic: one.Topic.Topic, object: one.Object, list: one.List, at: one.At,
			hubspot: one.HubSpot, kafka: one.Kafka, equal: one.Equal,
			unjudged: unjudged{one.Changing, one.Unanswered, one.Hidden, one.LeftOut},
		}
		for c, keys := range one.All {
			for _, key := range keys {
				t.all = append(t.all, difference{class(c), key})
			}
		}
		done := t.report(0)
		done.Properties = one.Properties
		n.done[t.topic] = done
	}
	if whole < len(text) { // the next line must not go on with this one
		if err := os.Truncate(path, int64(whole)); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// of makes sure that the notes are those of a portal's topics, and makes the file if
// there is none yet.
func (n *Notes) of(prefix string, portal int64) error {
	if n.begun == nil {
		n.begun = &begun{prefix, portal, time.Now().UTC().Truncate(time.Second)}
		line, err := json.Marshal(n.begun)
		if err != nil {
			return err
		}
		return n.write(line)
	}
	why := ""
	switch b := n.begun; {
	case b.Prefix != prefix || b.Portal != portal:
		why = fmt.Sprintf("those of a comparison of portal %d and %s.*, not of portal %d and %s.*", b.Portal, b.Prefix, portal, prefix)
	case time.Since(b.Begun) > notesAge:
		why = "of " + b.Begun.Format(time.RFC3339) + ", too old to go on with"
	default:
		return nil
	}
	return &connector.ConfigError{Problems: []string{fmt.Sprintf("--resume: the notes in %s are %s; remove the file, or name another one", n.path, why)}}
}

// add notes a finished topic.
func (n *Notes) add(t *Topic) error {
	one := note{
		Topic: *t, Object: t.object, List: t.list, Changing: t.changing, Unanswered: t.unanswered, Hidden: t.hidden, LeftOut: t.leftOut, All: make([][]string, classes),
	}
	for c := range one.All {
		one.All[c] = []string{}
	}
	for _, d := range t.all {
		one.All[d.class] = append(one.All[d.class], d.key)
	}
	line, err := json.Marshal(one)
	if err != nil {
		return err
	}
	return n.write(line)
}

func (n *Notes) write(line []byte) error {
	f, err := os.OpenFile(n.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Close())
}

// end removes the file: everything is compared.
func (n *Notes) end() error {
	if err := os.Remove(n.path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
