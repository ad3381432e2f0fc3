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
// transactions of the events, so a restart goes on where the last run stopped.
type Republish struct {
	Place offsets.Republish

	of      collection
	status  *Status
	metrics *Metrics
	log     *slog.Logger
}

// NewObjectRepublish makes the stream of an object type. prefix is that of the
// topics.
func NewObjectRepublish(o *Object, prefix string, at offsets.Republish) *Republish {
	return &Republish{at, newObjectCollection(o, prefix), o.Status, o.Metrics, o.Log}
}

// NewPairRepublish makes the stream of a pair.
func NewPairRepublish(p *Pair, prefix string, at offsets.Republish) *Republish {
	return &Republish{at, &pairCollection{p, prefix}, p.From.Status, p.From.Metrics, p.Log}
}

// NewReferenceRepublish makes the stream of a reference list.
func NewReferenceRepublish(c ReferenceCollection, shared *Reference, at offsets.Republish) *Republish {
	c.whole = true
	return &Republish{at, &c, shared.Status, shared.Metrics, shared.Log.With("object", c.name())}
}

// Run returns once everything is published again.
func (r *Republish) Run(ctx context.Context) error {
	return superviseAs(ctx, subject{r.of.name(), r.status, r.log}, offsets.RepublishStream, func() time.Duration { return 0 }, r.pass)
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
	if c, sweeps := r.of.(pausable); sweeps { // nothing is verified of a topic that began again (R17)
		c.readAgain()
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
	if !next.Swept || len(next.Left) > 0 {
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
