package stream

import (
	"context"
	"fmt"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// leftOut are the records whose links a sweep did not learn, because HubSpot's answers have
// neither a result for them nor a listed error that says that they have none. HubSpot may
// count an error for each, but what it counts and does not list can be of any kind (R8). So
// nothing says that such a record has no links, and the sweep has not shown everything.
type leftOut struct {
	ids  []hubspot.ID // the first ones
	more int
}

// leftOutKept is how many of these records a sweep remembers: HubSpot may leave out
// nearly all of a type.
const leftOutKept = 1000

func (l *leftOut) add(ids []hubspot.ID) {
	room := min(len(ids), leftOutKept-len(l.ids))
	l.ids, l.more = append(l.ids, ids[:room]...), l.more+len(ids)-room
}

// say keeps the problem of a pair up to date whose sweep has ended. A record whose delete is
// published by now counts no more: HubSpot may have answered a merged one under another id.
func (l *leftOut) say(ctx context.Context, p *Pair) error {
	live, err := p.From.Lane.LiveAmong(ctx, l.ids)
	if err != nil {
		return err
	}
	if len(live)+l.more == 0 {
		p.From.Status.Clear(p.Name(), leftOutPart)
		return nil
	}
	p.From.Status.Problem(p.Name(), leftOutPart, &leftOutError{p.Name(), firstShown(live), len(live) + l.more})
	return nil
}

// leftOutError names some of the records that a sweep's answers left out.
type leftOutError struct {
	pair string
	ids  []hubspot.ID
	n    int
}

func (e *leftOutError) Error() string {
	text := fmt.Sprintf("HubSpot does not say whether %d records have associations of %s: its answers have neither a result nor a listed error for %s", e.n, e.pair, idList(e.ids))
	if len(e.ids) < e.n {
		text += " …"
	}
	return text + "; the last sweep has therefore verified nothing"
}
