package stream

import (
	"context"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// alonePatience is how long HubSpot may take to answer about one thing that its list
// lacks, but for what the question waits for HubSpot's limits.
const alonePatience = 20 * time.Second

// Shown is what HubSpot says when asked for one thing that its list lacks (R19).
type Shown uint8

// What HubSpot may say. A refusal, not found above all, is NotShown: it does not
// contradict the list.
const (
	NotShown Shown = iota
	IsShown
	NoAnswer // for alonePatience
)

// AskAlone asks for one thing that a list lacks. ask reports whether HubSpot shows
// it.
func AskAlone(ctx context.Context, ask func(context.Context) (bool, error)) (Shown, error) {
	asking, patience := hubspot.WithPatience(ctx, alonePatience, errNoAnswer)
	defer patience.Stop()
	shown, err := ask(asking)
	switch {
	case err == nil && shown:
		return IsShown, nil
	case err == nil:
		return NotShown, nil
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case hubspot.Unauthorized(err):
		return 0, err
	case asking.Err() != nil:
		return NoAnswer, nil
	}
	return NotShown, nil
}
