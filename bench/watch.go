package main

import (
	"context"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// watcher is a read_committed consumer of everything that the connector publishes.
type watcher struct {
	cl     *kgo.Client
	prefix string
	keys   bool // remember each key
	done   chan struct{}

	mu     sync.Mutex
	topics map[string]*traffic
}

// traffic is what a topic has brought.
type traffic struct {
	first, last time.Time
	events      int                  // without tombstones
	times       map[string]int       // how many events each key has
	gone        map[string]time.Time // when the tombstone of a key came
}

// discovery is how often the consumer looks for new topics.
const discovery = 250 * time.Millisecond

func watch(brokers []string, prefix string, keys bool) (*watcher, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeRegex(), kgo.ConsumeTopics("^"+regexp.QuoteMeta(prefix)+`\.`),
		kgo.MetadataMinAge(discovery), kgo.MetadataMaxAge(discovery), kgo.FetchMaxWait(discovery))
	if err != nil {
		return nil, err
	}
	w := &watcher{cl: cl, prefix: prefix, keys: keys, done: make(chan struct{}), topics: map[string]*traffic{}}
	go w.run() // ends with close
	return w, nil
}

func (w *watcher) run() {
	defer close(w.done)
	for {
		fetches := w.cl.PollFetches(context.Background())
		if fetches.IsClientClosed() {
			return
		}
		now := time.Now()
		w.mu.Lock()
		fetches.EachRecord(func(r *kgo.Record) { w.note(now, r) })
		w.mu.Unlock()
	}
}

func (w *watcher) note(now time.Time, r *kgo.Record) {
	switch strings.TrimPrefix(r.Topic, w.prefix+".") {
	case "offsets", "state", "signals":
		return
	}
	t := w.topics[r.Topic]
	if t == nil {
		t = &traffic{first: now, times: map[string]int{}, gone: map[string]time.Time{}}
		w.topics[r.Topic] = t
	}
	t.last = now
	switch {
	case r.Value == nil:
		t.gone[string(r.Key)] = now
	default:
		t.events++
		if w.keys {
			t.times[string(r.Key)]++
		}
	}
}

// of looks at what a topic has brought.
func (w *watcher) of(topic string, f func(*traffic)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.topics[topic]
	if t == nil {
		t = &traffic{} // nothing yet
	}
	f(t)
}

// events is how many events have come, of all topics or of those named.
func (w *watcher) events(topics ...string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(topics) == 0 {
		for _, t := range w.topics {
			n += t.events
		}
	}
	for _, name := range topics {
		if t := w.topics[name]; t != nil {
			n += t.events
		}
	}
	return n
}

// distinct is how many keys of a topic have come.
func (w *watcher) distinct(topic string) (n int) {
	w.of(topic, func(t *traffic) { n = len(t.times) })
	return n
}

func (w *watcher) close() {
	w.cl.Close()
	<-w.done
}
