package verify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// Notes are the topics that a comparison has finished, in a file: a run that is
// interrupted goes on with the others.
type Notes struct {
	path string
	done map[string]*Topic
}

// note is a line of the file.
type note struct {
	Topic
	Object   string     `json:"object"`
	List     bool       `json:"list,omitempty"`
	Changing int        `json:"changing,omitempty"`
	All      [][]string `json:"all"` // the keys of each class, all of them
}

// OpenNotes reads the notes of a file, if there is one. A line that an interrupted run
// did not finish is removed.
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
	if whole < len(text) { // the next line must not go on with this one
		if err := os.Truncate(path, int64(whole)); err != nil {
			return nil, err
		}
	}
	for line := range bytes.Lines(text[:whole]) {
		var one note
		if err := json.Unmarshal(line, &one); err != nil || one.Topic.Topic == "" || len(one.All) != int(classes) {
			return nil, fmt.Errorf("%s does not hold the notes of a comparison", path)
		}
		t := &tally{
			topic: one.Topic.Topic, object: one.Object, list: one.List,
			hubspot: one.HubSpot, kafka: one.Kafka, equal: one.Equal, changing: one.Changing,
		}
		for c, keys := range one.All {
			for _, key := range keys {
				t.all = append(t.all, difference{class(c), key})
			}
		}
		n.done[t.topic] = t.report(0)
	}
	return n, nil
}

// add notes a finished topic.
func (n *Notes) add(t *Topic) error {
	one := note{Topic: *t, Object: t.object, List: t.list, Changing: t.changing, All: make([][]string, classes)}
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
