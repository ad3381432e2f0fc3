package offsets

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// A read may stand still for so long. No transaction may stay open longer:
	// transaction.max.timeout.ms is 15 minutes unless the brokers allow more.
	readDeadline = 15 * time.Minute
	// A read that takes this long logs what it waits for, and again each minute.
	readPatience = 10 * time.Second
	readReport   = time.Minute
	// Two fetches are in memory at a time, and the state compresses well: a fetch of
	// the client's default size, 1 MiB, can take 40 MB in memory.
	fetchBytes = 256 << 10
)

// place is the next offset to read of a partition, and the one at which reading
// ends.
type place struct {
	next, target int64
}

type partition struct {
	topic string
	id    int32
}

// OpenTransactionError says that a read did not get to the end in time: somebody's
// transaction holds it back.
type OpenTransactionError struct {
	Since time.Time // when Source.Held was told first
	Waits string    // as Source.Held is told it
}

func (e *OpenTransactionError) Error() string {
	return fmt.Sprintf("not at the end after %v: %s; end the hanging transaction with kafka-transactions, in every partition that it is open in, those of the data topics first (docs/runbook.md#a-transaction-hangs-in-kafka)", readDeadline, e.Waits)
}

// ReadToEnd passes each committed record of the topics, from the start to the
// high watermark at the time of the call, to the topic's function; see
// [Reader.ToEnd].
func ReadToEnd(ctx context.Context, src Source, topics map[string]func(*kgo.Record) error) error {
	r, err := NewReader(src, topics)
	if err != nil {
		return err
	}
	defer r.Close()
	return r.ToEnd(ctx)
}

// Reader reads topics to their ends, again and again: each time it goes on where it
// ended before.
type Reader struct {
	src    Source
	cl     *kgo.Client // nil: there was nothing to read yet
	topics map[string]func(*kgo.Record) error
	next   map[partition]int64 // the next offset to read
}

// NewReader makes the reader of these topics, each with the function that takes its
// records. The function may keep a record's key and value, but not the record.
func NewReader(src Source, topics map[string]func(*kgo.Record) error) (*Reader, error) {
	r := &Reader{src: src, topics: topics, next: map[partition]int64{}}
	if src.Asking == nil {
		if err := r.connect(); err != nil {
			return nil, err
		}
		r.src.Asking = r.cl
	}
	return r, nil
}

// connect makes the client that reads, unless there is one.
func (r *Reader) connect() error {
	if r.cl != nil {
		return nil
	}
	cl, err := kgo.NewClient(append(append([]kgo.Opt{}, r.src.Opts...),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(),
		kgo.WithPools(&recordPool{}),
		kgo.FetchMaxPartitionBytes(fetchBytes),
	)...)
	if err != nil {
		return fmt.Errorf("kafka client: %w", err)
	}
	r.cl = cl
	return nil
}

// Close ends the reader.
func (r *Reader) Close() {
	if r.cl != nil {
		r.cl.Close()
	}
}

// ToEnd reads to the high watermark at the time of the call.
//
// The last stable offset will not do. Anybody's open transaction can hold that
// back, with committed records after it, and a read that ends there silently misses
// them. Reading to the high watermark waits for the transaction to end. The client
// keeps control records because the last record of a transactional log is a marker,
// often after aborted records: without markers the read would never see the end
// (docs/kafka.md C3).
func (r *Reader) ToEnd(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, readDeadline)
	places, consume, err := r.ends(limited)
	cancel()
	if err != nil {
		return err
	}
	if len(places) == 0 {
		return nil
	}
	if r.src.Turn != nil {
		done, err := r.src.Turn(ctx)
		if err != nil {
			return err
		}
		defer done()
	}
	if err := r.connect(); err != nil {
		return err
	}
	r.cl.AddConsumePartitions(consume)
	began, read := time.Now(), 0
	report, moved := began.Add(readPatience), began
	var failed error
	for len(places) > 0 {
		tick, stop := context.WithTimeout(ctx, readPatience)
		fetches := r.cl.PollFetches(tick)
		ticked := tick.Err() != nil
		stop()
		for _, e := range fetches.Errors() {
			if ticked && (errors.Is(e.Err, context.DeadlineExceeded) || errors.Is(e.Err, context.Canceled)) {
				continue
			}
			return fmt.Errorf("read %s partition %d: %w", e.Topic, e.Partition, e.Err)
		}
		fetches.EachPartition(func(f kgo.FetchTopicPartition) {
			if len(f.Records) == 0 || failed != nil {
				return
			}
			add := r.topics[f.Topic]
			for _, record := range f.Records {
				if record.Attrs.IsControl() {
					continue
				}
				if failed = add(record); failed != nil {
					return
				}
				read++
			}
			p := partition{f.Topic, f.Partition}
			r.next[p] = f.Records[len(f.Records)-1].Offset + 1
			if at := places[p]; at != nil {
				moved = time.Now()
				if at.next = r.next[p]; at.next >= at.target {
					delete(places, p)
				}
			}
			for _, record := range f.Records {
				record.Recycle()
			}
		})
		if failed != nil {
			return failed
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		overdue := time.Since(moved) > readDeadline
		if len(places) == 0 || !overdue && time.Now().Before(report) {
			continue
		}
		waits, open := waitingFor(ctx, r.cl, places)
		if overdue {
			return &OpenTransactionError{Since: began.Add(readPatience), Waits: waits}
		}
		if open && r.src.Held != nil {
			r.src.Held(waits)
		}
		report = time.Now().Add(readReport)
		r.src.Logger.Warn("reading the state is taking a long time", "portal", r.src.Portal, "records", read,
			"seconds", int(time.Since(began).Seconds()), "waiting", waits)
	}
	return nil
}

// ends asks for the offsets at which each partition starts and ends. It returns those
// that are not read to their end, and of these what the client has yet to consume.
func (r *Reader) ends(ctx context.Context) (places map[partition]*place, consume map[string]map[int32]kgo.Offset, err error) {
	names := make([]string, 0, len(r.topics))
	for topic := range r.topics {
		names = append(names, topic)
	}
	adm := kadm.NewClient(r.src.Asking)
	start, err := adm.ListStartOffsets(ctx, names...)
	if err == nil {
		err = start.Error()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("list start offsets: %w", err)
	}
	end, err := adm.ListEndOffsets(ctx, names...)
	if err == nil {
		err = end.Error()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("list end offsets: %w", err)
	}
	places, consume = map[partition]*place{}, map[string]map[int32]kgo.Offset{}
	for _, topic := range names {
		if len(end[topic]) == 0 {
			return nil, nil, fmt.Errorf("list end offsets: no partition of %s in the answer", topic)
		}
		for id, target := range end[topic] {
			from, ok := start.Lookup(topic, id)
			if !ok {
				return nil, nil, fmt.Errorf("list start offsets: no partition %d of %s in the answer", id, topic)
			}
			p := partition{topic, id}
			next, begun := r.next[p]
			if max(next, from.Offset) >= target.Offset {
				continue
			}
			places[p] = &place{max(next, from.Offset), target.Offset}
			if begun {
				continue
			}
			r.next[p] = from.Offset
			if consume[topic] == nil {
				consume[topic] = map[int32]kgo.Offset{}
			}
			consume[topic][id] = kgo.NewOffset().At(from.Offset)
		}
	}
	return places, consume, nil
}

// waitingFor tells how far each partition is and, as far as the brokers know, whose
// open transaction holds it back.
func waitingFor(ctx context.Context, cl *kgo.Client, places map[partition]*place) (waits string, open bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	var set kadm.TopicsSet
	for p := range places {
		set.Add(p.topic, p.id)
	}
	producers, _ := kadm.NewClient(cl).DescribeProducers(ctx, set) // an old broker does not know: then without
	var all []string
	for p, at := range places {
		text := fmt.Sprintf("%s partition %d is read up to offset %d of %d", p.topic, p.id, at.next, at.target)
		for _, d := range producers[p.topic].Partitions[p.id].ActiveProducers {
			if d.CurrentTxnStartOffset >= 0 {
				open = true
				text += fmt.Sprintf(", producer id %d has a transaction open since offset %d", d.ProducerID, d.CurrentTxnStartOffset)
			}
		}
		all = append(all, text)
	}
	slices.Sort(all)
	return strings.Join(all, "; "), open
}

// recordPool lets the records of a batch stand where those of an earlier batch stood:
// a record takes several times the bytes of a row.
type recordPool struct{ pool sync.Pool }

func (p *recordPool) GetRecords(n int) []kgo.Record {
	if got, ok := p.pool.Get().(*[]kgo.Record); ok && cap(*got) >= n {
		return *got
	}
	return make([]kgo.Record, 0, n)
}

func (p *recordPool) PutRecords(records []kgo.Record) { p.pool.Put(&records) }
