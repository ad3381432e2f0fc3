package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// Republish publishes everything of an object type, a pair or a reference list
// again, because its topic has lost what was published (R20). It is a snapshot like
// that of a signal, with a cursor of its own: the cursor is there from the moment
// at which the loss was found until all of it is made good. It moves in the
// transactions of the events, so a restart goes on where the last run stopped. After
// that it says which sweep is owed: only one that began later shows what the topic has
// now (R17).
type Republish struct {
	Place offsets.Republish

	of      collection
	client  *hubspot.Client
	asked   bool // this run has asked for the sweep
	status  *Status
	metrics *Metrics
	log     *slog.Logger
}

// NewObjectRepublish makes the stream of an object type. prefix is that of the
// topics.
func NewObjectRepublish(o *Object, prefix string, at offsets.Republish) *Republish {
	return &Republish{Place: at, of: newObjectCollection(o, prefix), client: o.Client, status: o.Status, metrics: o.Metrics, log: o.Log}
}

// NewPairRepublish makes the stream of a pair.
func NewPairRepublish(p *Pair, prefix string, at offsets.Republish) *Republish {
	return &Republish{Place: at, of: &pairCollection{p, prefix}, client: p.From.Client, status: p.From.Status, metrics: p.From.Metrics, log: p.Log}
}

// NewReferenceRepublish makes the stream of a reference list.
func NewReferenceRepublish(c ReferenceCollection, shared *Reference, at offsets.Republish) *Republish {
	c.whole = true
	return &Republish{Place: at, of: &c, client: shared.Client, status: shared.Status, metrics: shared.Metrics, log: shared.Log.With("object", c.name())}
}

// Run returns once everything is published again and the sweep that follows has shown
// everything.
func (r *Republish) Run(ctx context.Context) error {
	of := subject{r.of.name(), r.status, r.log}
	if r.Place.Owed == 0 {
		if err := superviseAs(ctx, of, offsets.RepublishStream, func() time.Duration { return 0 }, r.pass); err != nil {
			return err
		}
	}
	c, sweeps := r.of.(pausable)
	if !sweeps {
		return nil
	}
	return superviseAs(ctx, of, offsets.RepublishStream, func() time.Duration { return payInterval }, func(ctx context.Context) error {
		return r.payOff(ctx, c)
	})
}

// payOff asks for the sweep that is owed, once in a run and until it has begun. When it
// has shown everything the cursor goes.
func (r *Republish) payOff(ctx context.Context, c pausable) error {
	begun, all := c.readSince(r.Place.Owed)
	if !all {
		if !begun || !r.asked {
			c.readAgain()
			r.asked = true
		}
		return nil
	}
	nothing, err := c.page(ctx, place{}, []hubspot.ID{}) // moves the cursor
	if err = r.publish(ctx, nothing, offsets.Republish{Swept: true}, err); err != nil {
		return err
	}
	return errFinished
}

func (r *Republish) pass(ctx context.Context) error {
	name := r.of.name()
	r.status.Problem(name, offsets.RepublishStream, &republishError{r.of.topic()})
	r.log.Info("publishing everything again", "topic", r.of.topic(), "stream", offsets.RepublishStream, "cursor", string(r.Place.Bytes()), "of", r.of.live())
	defer r.metrics.snapshot(name)()
	r.Place.After = ""
	for !r.Place.Swept {
		page, err := r.of.page(ctx, place{r.Place.After, r.Place.ID}, nil)
		left := append(slices.Clone(r.Place.Left), page.left...)
		if err = r.publish(ctx, page, offsets.Republish{After: page.after, ID: page.last, Left: left, Swept: page.end}, err); err != nil {
			return err
		}
	}
	// What HubSpot fails to answer (R18) is asked for until it does.
	for wait := leftAgain; len(r.Place.Left) > 0; wait = min(2*wait, leftSeldom) {
		if err := sleep(ctx, wait); err != nil {
			return err
		}
		asked := r.Place.Left[:min(len(r.Place.Left), hubspot.MaxBatch)]
		page, err := r.of.page(ctx, place{}, asked)
		left := slices.Concat(r.Place.Left[len(asked):], page.left)
		slices.Sort(left)
		if err = r.publish(ctx, page, offsets.Republish{Left: left, Swept: true}, err); err != nil {
			return err
		}
	}
	r.log.Info("everything is published again", "topic", r.of.topic(), "stream", offsets.RepublishStream, "records", r.Place.Records)
	return errFinished
}

// The waits between two questions about what HubSpot does not answer.
const (
	leftAgain  = time.Minute
	leftSeldom = time.Hour
)

// publish commits a page and the place after it. err is that of reading it.
func (r *Republish) publish(ctx context.Context, page snapshotPage, next offsets.Republish, err error) error {
	name := r.of.name()
	next.Records = r.Place.Records + int64(page.records)
	cursor := cdc.Cursor{Object: name, Stream: offsets.RepublishStream}
	left := !next.Swept || len(next.Left) > 0
	if _, sweeps := r.of.(pausable); sweeps && !left && r.Place.Owed == 0 {
		next.Owed, left = r.client.Now(), true
	}
	if left {
		cursor.Value = next.Bytes()
	}
	if err == nil {
		err = page.publish(ctx, offsets.RepublishStream, cursor)
	}
	if err != nil {
		return fmt.Errorf("publish %s again: %w", name, err)
	}
	r.Place = next
	return nil
}

// republishError says that a topic has lost what was published.
type republishError struct{ topic string }

func (e *republishError) Error() string {
	return fmt.Sprintf("topic %s has lost what was published: it was created again, cut, or emptied by kafka-delete-records; everything of it is published again", e.topic)
}

func isRepublish(err error) bool {
	var e *republishError
	return errors.As(err, &e)
}
