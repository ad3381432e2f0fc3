package connector

import (
	"context"
	"slices"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/sink"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// republish returns where the stream continues that publishes everything of an
// object again (R20); nil if its topic has lost nothing.
func (r *run) republish(object string) *offsets.Republish {
	if r.out.MadeAgain(object) { // from the beginning, whatever an earlier loss has left to do
		return &offsets.Republish{}
	}
	if v := r.cursor(object, offsets.RepublishStream); v != nil {
		at, err := offsets.ParseRepublish(v)
		if err != nil {
			panic(err) // Load has checked it
		}
		return &at
	}
	return nil
}

// moveOwedBack moves back what lies ahead of HubSpot's time (R21) of the sweeps that follow
// a republish: no sweep begins after it, however often one is asked for. The frontiers
// follow the cursor, so it is committed before any stream begins.
func (r *run) moveOwedBack(ctx context.Context) error {
	for key, value := range r.loaded.Cursors {
		at, err := offsets.ParseRepublish(value)
		if key.Stream != offsets.RepublishStream || err != nil || !r.clock().Back(&at.Owed) {
			continue
		}
		r.sayAhead(key.Object, key.Stream)
		r.loaded.Cursors[key] = at.Bytes()
		cursor := cdc.Cursor{Object: key.Object, Stream: key.Stream, Value: at.Bytes()}
		if err := r.out.Commit(ctx, &cdc.Batch{Object: key.Object, Sync: true, Cursors: []cdc.Cursor{cursor}}); err != nil {
			return err
		}
	}
	return nil
}

// watchPublished looks again and again whether what is published is still there. A
// topic that has lost something ends the run, so that there is one way to settle
// it. A registry that has lost something stops only the topics concerned. One that
// was away may come back empty, so the look does not wait then.
func (r *run) watchPublished(ctx context.Context) error {
	ticker := time.NewTicker(r.timings.Verify)
	defer ticker.Stop()
	var shown []string
	for {
		select {
		case <-ticker.C:
		case <-r.registryBack:
		case <-ctx.Done():
			return ctx.Err()
		}
		limited, cancel := context.WithTimeout(ctx, verifyPatience)
		wrong, err := r.out.Verify(limited)
		cancel()
		if sink.Lost(err) || isRefusal(err) {
			return err
		}
		if err != nil {
			r.log.Debug("nobody tells whether what is published is still there; trying again", "err", err)
			continue
		}
		for _, object := range shown {
			if wrong[object] == nil {
				r.status.Clear(object, publishedPart)
				r.log.Info("the schema registry has the schemas of an object's events again", "object", object)
			}
		}
		shown = nil
		for object, why := range wrong {
			shown = append(shown, object)
			if r.status.Problem(object, publishedPart, why) {
				r.log.Error("nothing is written to a topic, because consumers could not read its events", "object", object, "err", why)
			}
		}
	}
}

// verifyPatience is how long a look may take: brokers that are away are found out
// elsewhere.
const verifyPatience = time.Minute

// publishedPart is the part of an object's work whose problems are about what is
// published already.
const publishedPart = "published"

// sayLeftAlone names what an earlier installation published and this one does not
// follow.
func (f *follower) sayLeftAlone() {
	for _, object := range f.shared.out.TakenOver() {
		o := f.types.byName[object]
		followed := o != nil && o.streams != nil || slices.ContainsFunc(f.references.collections(), func(c stream.ReferenceCollection) bool { return c.Lane.Reference() == object })
		for name, p := range f.pairs.byName {
			followed = followed || name.String() == object && p.streams != nil
		}
		if !followed {
			f.shared.log.Warn("a topic holds what an earlier installation published, and its object is not followed now; it is left alone", "object", object)
		}
	}
}
