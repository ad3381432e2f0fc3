package sink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Reach is what the connections of all Kafka clients of a process show of the
// brokers: whether they answer and, if not, since when and what the latest
// attempt brought. Hook it into each client. The zero value is ready to use.
type Reach struct {
	mu       sync.Mutex
	since    time.Time // of the first attempt after the latest answer; zero: they answer
	answered time.Time // when the latest answer came
	latest   error
}

// Silent gives the time since when the brokers do not answer, and what the latest
// attempt brought; nil: it waits. The time is zero while they answer, or nobody
// asks.
func (r *Reach) Silent() (since time.Time, latest error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.since, r.latest
}

func (r *Reach) asked() {
	if r.since.IsZero() {
		r.since = time.Now()
	}
}

func (r *Reach) failed(at kgo.BrokerMetadata, err error) {
	if err == nil || errors.Is(err, kgo.ErrClientClosed) || errors.Is(err, context.Canceled) {
		return
	}
	r.asked()
	address := fmt.Sprintf("%s:%d", at.Host, at.Port)
	if r.latest = err; !strings.Contains(err.Error(), address) {
		r.latest = fmt.Errorf("%s: %w", address, err)
	}
}

// greeting reports whether a request only opens a connection: an answer to it
// does not show that the broker serves this user.
func greeting(key int16) bool {
	return key == kmsg.ApiVersions.Int16() || key == kmsg.SASLHandshake.Int16() || key == kmsg.SASLAuthenticate.Int16()
}

// OnBrokerConnect implements kgo.HookBrokerConnect.
func (r *Reach) OnBrokerConnect(meta kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed(meta, err); err == nil {
		r.latest = nil
	}
}

// OnBrokerWrite implements kgo.HookBrokerWrite. The answer to a request may be told
// before the request.
func (r *Reach) OnBrokerWrite(meta kgo.BrokerMetadata, _ int16, _ int, _, took time.Duration, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if began := time.Now().Add(-took); began.After(r.answered) {
		r.asked()
	}
	r.failed(meta, err)
}

// OnBrokerRead implements kgo.HookBrokerRead.
func (r *Reach) OnBrokerRead(meta kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil && !greeting(key) {
		r.since, r.answered, r.latest = time.Time{}, time.Now(), nil
		return
	}
	if !greeting(key) && errors.Is(err, io.EOF) {
		r.asked() // a broker that stops: what the next dial brings says more
		return
	}
	r.failed(meta, err)
}

var (
	_ kgo.HookBrokerConnect = (*Reach)(nil)
	_ kgo.HookBrokerWrite   = (*Reach)(nil)
	_ kgo.HookBrokerRead    = (*Reach)(nil)
)
