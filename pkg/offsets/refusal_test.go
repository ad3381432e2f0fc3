package offsets

import (
	"strings"
	"testing"
	"time"
)

// TestRefusal_SaysWhatIsRefused: a start, or what an operator asked for.
func TestRefusal_SaysWhatIsRefused(t *testing.T) {
	_, set := (&Listing{topic: "hubspot.offsets"}).Set(4242, nil, time.Time{})
	for want, err := range map[string]error{
		"refusing to change cursors: topic hubspot.offsets has no birth id": set,
		"refusing to start: x.state belongs to portal 1":                    otherPortal("x.state", 1, 2),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q, want it to begin with %q", err, want)
		}
	}
}
