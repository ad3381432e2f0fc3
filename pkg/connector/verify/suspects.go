package verify

import (
	"context"
	"slices"
	"time"
)

// class is how a key differs.
type class uint8

// A key is missing if HubSpot has it and the topic does not, extra the other way
// round, stale if the topic has an older version, and different if it has other
// content under the same version.
const (
	missing class = iota
	extra
	stale
	different
	classes
)

// difference is a key that differs.
type difference struct {
	class class
	key   string
}

// view is one look at a suspect, on both sides.
type view struct {
	silent bool   // HubSpot said nothing that counts
	seen   uint64 // a digest of both sides
	// enough is how long the difference must stand, where a change that is under way
	// explains it badly or not at all; 0: for as long as one may be.
	enough                time.Duration
	found                 []difference // none: both sides are equal
	hubspot, kafka, equal int          // how many keys each side has, and how many are equal
}

// suspect is a key that differed when it was last looked at.
type suspect[K any] struct {
	key   K
	since int64 // milliseconds: both sides have stood as they are since then; 0: not known
	seen  uint64
}

// settle looks at suspects again and again, until both sides of each have stood
// unchanged for as long as a change may be under way, or are equal. A key whose
// sides go on changing is not judged. result takes each key that is judged, and at
// the end those that are not.
//
// Some stand before others do. They are looked at once more after the others, with
// them: so what result is told to differ did so at the last look.
//
// What became equal shows how long a change takes now: what counts must have stood for
// three times that, if that is not too long.
//
// refresh reads the topic to its end; it comes before HubSpot is asked. So what a
// last look finds on HubSpot's side, and was there at a look that began a whole wait
// before, had that long to get into the topic.
func settle[K any](ctx context.Context, keys []K, patience func(left int) time.Duration,
	refresh func(context.Context) error, look func(context.Context, []K) ([]view, error),
	result func(v *view, judged bool),
) error {
	all := make([]suspect[K], len(keys))
	for i, key := range keys {
		all[i].key = key
	}
	var stood []suspect[K] // at looks before
	slowest := time.Duration(0)
	step := standFor
	pause := step
	for began := time.Now(); len(all) > 0; {
		if err := sleep(ctx, pause); err != nil {
			return err
		}
		wait := patience(len(all) + len(stood))
		now := time.Now()
		if err := refresh(ctx); err != nil {
			return err
		}
		last := now.Sub(began) > 4*wait+time.Minute
		wait = max(wait, min(3*slowest, 2*wait))
		left := all[:0]
		var stand []suspect[K] // at this look
		var found []view       // of them
		for chunk := range slices.Chunk(all, lookAtOnce) {
			ask := make([]K, len(chunk))
			for i := range chunk {
				ask[i] = chunk[i].key
			}
			views, err := look(ctx, ask)
			if err != nil {
				return err
			}
			for i, v := range views {
				s := chunk[i]
				same := !v.silent && s.since != 0 && s.seen == v.seen
				age := time.Duration(now.UnixMilli()-s.since) * time.Millisecond
				switch {
				case !v.silent && len(v.found) == 0:
					if s.since != 0 {
						slowest = max(slowest, age)
					}
					result(&v, true)
					continue
				case same && (age >= wait || v.enough > 0 && age >= v.enough):
					stand, found = append(stand, s), append(found, v)
					continue
				case last:
					result(&v, false)
					continue
				case !same && !v.silent:
					s.since, s.seen = time.Now().UnixMilli(), v.seen
				}
				left = append(left, s)
			}
		}
		all = left
		if step = min(2*step, longestStep); len(all) > many {
			step = max(step, wait/2) // each look costs many calls
		}
		pause = step
		switch {
		case len(all) > 0:
			stood = append(stood, stand...)
		case len(stood) > 0:
			all, stood, pause = append(stood, stand...), nil, 0
		default:
			for i := range found {
				result(&found[i], true)
			}
		}
	}
	return nil
}

// many suspects are looked at seldom.
const many = 2000

// lookAtOnce is how many suspects are looked at together.
const lookAtOnce = 1000

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
