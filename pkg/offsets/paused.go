package offsets

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Paused is what signals have paused, and which of the signals that take effect at
// once are obeyed.
type Paused struct {
	Offset    int64                     // after the last such signal
	Objects   map[string]hubspot.Millis // object types and pairs, since when
	Snapshots hubspot.Millis            // since when snapshots are paused; 0: they are not
}

// Bytes writes the cursor.
func (p Paused) Bytes() []byte {
	since := map[string]string{}
	for name, at := range p.Objects {
		since[name] = at.String()
	}
	return object("offset", p.Offset, "objects", since, "snapshots", p.Snapshots)
}

// ParsePaused reads what Bytes wrote or an operator typed.
func ParsePaused(text []byte) (p Paused, err error) {
	m, err := parseMembers(text)
	if err != nil {
		return Paused{}, err
	}
	if p.Offset, err = m.integer("offset"); err != nil {
		return Paused{}, err
	}
	if p.Offset < 0 {
		return Paused{}, fmt.Errorf(`"offset" is %d`, p.Offset)
	}
	p.Objects = map[string]hubspot.Millis{}
	if m.has("objects") {
		var since members
		if err := json.Unmarshal(m["objects"], &since); err != nil {
			return Paused{}, fmt.Errorf(`"objects" is not like {"contacts":%q}`, time.Unix(0, 0).UTC().Format(time.RFC3339))
		}
		for name := range since {
			if p.Objects[name], err = since.millis(name); err != nil {
				return Paused{}, fmt.Errorf(`"objects": %w`, err)
			}
		}
	}
	p.Snapshots, err = m.optionalMillis("snapshots")
	return p, err
}
