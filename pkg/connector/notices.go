package connector

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/sink"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

const (
	// noticeLook is the time between two looks at what there is to tell, and calmLook
	// while nothing is under way: of what the streams tell, they tell at once.
	noticeLook, calmLook = 2 * time.Second, lookInterval
	// noticesWaiting is how many notices may wait for the brokers; the oldest go
	// first.
	noticesWaiting = 1000
	// noticesRead is how many of the topic's latest notices a new owner reads.
	noticesRead = 2000
	// noticePatience is how long the brokers may take over one step, and
	// lastNotice how long they may when the process ends.
	noticePatience = 10 * time.Second
	lastNotice     = time.Second
)

// notices writes the topic of the notifications. It works beside everything else:
// what the brokers refuse it, or answer late, concerns it alone.
//
// The topic is its memory. A new owner reads from it what the one before it has
// told: what has begun and not ended, it ends. So a notice that is due when a
// process dies is told by the next one.
type notices struct {
	setup   *Setup
	health  *health
	warned  *sink.Warned
	counted *prometheus.CounterVec

	mu    sync.Mutex
	came  []stream.Notice // told by others since the last look
	swept map[string]bool // of the run: what had been swept before it began
	ended error           // why the process ends
	// unfinished is of the run; nil: what is unfinished has been compared with what
	// was told
	unfinished func() (offsets []string, dropped string, known bool)
	wake       chan struct{}

	// What follows belongs to run.
	topic   *sink.Notifications // nil: not open
	queue   []stream.Notice
	told    *told
	known   bool      // told has what is in the topic
	changes changes   // of problems
	role    string    // as last told
	retry   time.Time // when the brokers are tried again
	wait    time.Duration
	refused string // what the brokers refuse, as last logged
}

func newNotices(setup *Setup, h *health, warned *sink.Warned) *notices {
	n := &notices{
		setup: setup, health: h, warned: warned, wake: make(chan struct{}, 1), told: newTold(),
		changes: changes{came: map[string]time.Time{}, went: map[string]time.Time{}},
		counted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hubspot_cdc_notifications_total",
			Help: "Notifications, by result: ok, failed (written again), dropped (too many waited for the brokers).",
		}, []string{"result"}),
	}
	for _, result := range []string{"ok", "failed", "dropped"} {
		n.counted.WithLabelValues(result)
	}
	setup.Metrics.MustRegister(n.counted)
	return n
}

// tell takes a notice from a run, and never waits.
func (n *notices) tell(notice stream.Notice) {
	notice = n.complete(notice)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.came = append(n.came, notice); len(n.came) > noticesWaiting {
		n.came = n.came[1:]
		n.counted.WithLabelValues("dropped").Inc()
	}
	n.hasten()
}

// hasten has run look at once.
func (n *notices) hasten() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// begin notes what had been swept before a run began. unfinished lists the signals
// whose snapshots are not done, once the run knows them.
func (n *notices) begin(swept map[string]bool, unfinished func() (offsets []string, dropped string, known bool)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.swept, n.unfinished = swept, unfinished
	n.hasten()
}

// end notes why the process ends, nil if it was told to. run is called to end next.
func (n *notices) end(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ended = err
}

// sayEnd tells of what only an operator can help with.
func (n *notices) sayEnd() {
	n.mu.Lock()
	err := n.ended
	n.mu.Unlock()
	if err != nil {
		n.sayProblem(ofProblem(n.setup.problem(err, time.Now())), stream.NoticeRaised, stream.NoticeHeld)
	}
}

// take returns what was told since the last look.
func (n *notices) take() (came []stream.Notice, swept map[string]bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	came, n.came = n.came, nil
	return came, n.swept
}

// complete adds what every notice has.
func (n *notices) complete(notice stream.Notice) stream.Notice {
	if notice.ID == "" {
		notice.ID = newID()
	}
	if notice.Timestamp == 0 {
		notice.Timestamp = time.Now().UnixMilli()
	}
	if notice.Data == nil {
		notice.Data = map[string]string{}
	}
	notice.Data[stream.DataConnector] = n.setup.Config.Kafka.TopicPrefix
	return notice
}

// newID makes a random UUID.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// run looks and writes until ctx ends, and then writes what waits if the brokers
// answer within lastNotice.
func (n *notices) run(ctx context.Context) {
	timer := time.NewTimer(noticeLook)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-n.wake:
		case <-n.health.status.News():
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastNotice)
			defer cancel()
			n.retry = time.Time{}
			n.look(last)
			n.sayEnd()
			n.send(last)
			n.close()
			return
		}
		n.look(ctx)
		n.send(ctx)
		timer.Reset(n.next())
	}
}

// next is the time to the next look.
func (n *notices) next() time.Duration {
	c := &n.changes
	if c.young() || !n.known || len(n.queue)+len(n.told.open)+len(c.came)+len(c.went) > 0 {
		return noticeLook
	}
	return stream.UntilBeat(calmLook)
}

// look puts what is new into the queue.
func (n *notices) look(ctx context.Context) {
	is := n.health.now()
	s, standby := is.sink, is.role == roleStandby
	n.sayRole(s != nil, standby)
	if s != n.changes.run {
		n.changes.run, n.changes.since = s, time.Now()
	}
	if s != nil && !n.known {
		n.known = n.recall(ctx)
	}
	n.lookAtProblems(s != nil, standby)
	if s == nil || !n.known {
		return
	}
	came, swept := n.take()
	n.lookAtSweeps(swept)
	for _, notice := range came {
		if n.told.note(notice) {
			n.add(notice)
		}
	}
	n.lookAtSnapshots()
}

// sayRole tells of a new role. Between two runs of an owner there is none.
func (n *notices) sayRole(owner, standby bool) {
	role := ""
	switch {
	case owner:
		role = stream.NoticeOwner
	case standby:
		role = stream.NoticeStandby
	}
	if role == "" || role == n.role {
		return
	}
	if n.role = role; role == stream.NoticeStandby {
		n.known = false
		n.told.leave()
	}
	host, _ := os.Hostname()
	n.add(n.complete(stream.Notice{Aggregate: stream.NoticeInstance, Type: role, Data: map[string]string{
		"host": host, "pid": fmt.Sprint(os.Getpid()), "version": n.setup.Version,
	}}))
}

// recall reads what earlier owners have told. It reports whether there is nothing
// more to learn from the topic.
func (n *notices) recall(ctx context.Context) bool {
	if !n.open(ctx) {
		return n.refused != "" // there is no topic to learn from
	}
	limited, cancel := context.WithTimeout(ctx, noticePatience)
	defer cancel()
	records, err := n.topic.Latest(limited, noticesRead)
	if err != nil {
		n.failed(err)
		return n.refused != ""
	}
	var all []stream.Notice
	for _, r := range records {
		var notice stream.Notice
		if json.Unmarshal(r.Value, &notice) == nil {
			all = append(all, notice)
		}
	}
	n.told.recall(all)
	return true
}

func (n *notices) add(notice stream.Notice) {
	if n.queue = append(n.queue, notice); len(n.queue) > noticesWaiting {
		n.queue = n.queue[1:]
		n.counted.WithLabelValues("dropped").Inc()
	}
}

// send writes the queue.
func (n *notices) send(ctx context.Context) {
	if len(n.queue) == 0 || !n.open(ctx) {
		return
	}
	records := make([]sink.Record, len(n.queue))
	for i, notice := range n.queue {
		key, _ := json.Marshal(map[string]string{"id": notice.ID}) // as Debezium's
		value, _ := json.Marshal(notice)
		records[i] = sink.Record{Key: key, Value: value}
	}
	limited, cancel := context.WithTimeout(ctx, noticePatience)
	defer cancel()
	if err := n.topic.Write(limited, records...); err != nil {
		n.counted.WithLabelValues("failed").Add(float64(len(records)))
		n.failed(err)
		return
	}
	n.counted.WithLabelValues("ok").Add(float64(len(records)))
	n.queue, n.wait = nil, 0
	if n.refused != "" {
		n.refused = ""
		n.setup.Log.Info("notifications are written again")
	}
}

// open opens the topic, unless the brokers failed a short time ago. It creates the
// topic once this instance has a role: before, the registry may not have answered.
func (n *notices) open(ctx context.Context) bool {
	if n.topic != nil {
		return true
	}
	if time.Now().Before(n.retry) {
		return false
	}
	limited, cancel := context.WithTimeout(ctx, noticePatience)
	defer cancel()
	cfg := n.setup.SinkConfig()
	cfg.Warned = n.warned
	topic, err := sink.OpenNotifications(limited, cfg, n.role != "")
	if err != nil {
		n.failed(err)
		return false
	}
	n.topic = topic
	return true
}

// failed closes the client after an error, to begin again later. What the brokers
// refuse is logged; that they are away, others log.
func (n *notices) failed(err error) {
	n.close()
	n.wait = min(max(2*n.wait, time.Second), time.Minute)
	var missing *sink.MissingTopicError
	var refusal *offsets.Refusal
	if n.role != "" && (errors.As(err, &missing) || errors.As(err, &refusal) || answeredByKafka(err) && !kerr.IsRetriable(err)) {
		n.wait = time.Minute
		if n.refused == "" {
			n.setup.Log.Warn("notifications cannot be written; everything else continues, and the connector tries again", "err", err)
		}
		n.refused = err.Error()
	}
	n.retry = time.Now().Add(n.wait)
}

func (n *notices) close() {
	if n.topic != nil {
		n.topic.Close()
		n.topic = nil
	}
}
