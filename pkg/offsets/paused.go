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
	// Owed are object types and pairs that were resumed, and when: everything of them is
	// yet to be read once more by a sweep that begins then or later.
	Owed map[string]hubspot.Millis
}

// Bytes writes the cursor.
func (p Paused) Bytes() []byte {
	members := []any{"offset", p.Offset, "objects", texts(p.Objects), "snapshots", p.Snapshots}
	if len(p.Owed) > 0 {
		members = append(members, "owed", texts(p.Owed))
	}
	return object(members...)
}

func texts(times map[string]hubspot.Millis) map[string]string {
	out := map[string]string{}
	for name, at := range times {
		out[name] = at.String()
	}
	return out
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
	if p.Objects, err = m.times("objects"); err != nil {
		return Paused{}, err
	}
	if p.Owed, err = m.times("owed"); err != nil {
		return Paused{}, err
	}
	p.Snapshots, err = m.optionalMillis("snapshots")
	return p, err
}

// times is a member that has a time for each name, and may be missing.
func (m members) times(name string) (map[string]hubspot.Millis, error) {
	out := map[string]hubspot.Millis{}
	if !m.has(name) {
		return out, nil
	}
	var of members
	err := json.Unmarshal(m[name], &of)
	if err != nil {
		return nil, fmt.Errorf("%q is not like {\"contacts\":%q}", name, time.Unix(0, 0).UTC().Format(time.RFC3339))
	}
	for key := range of {
		if out[key], err = of.millis(key); err != nil {
			return nil, fmt.Errorf("%q: %w", name, err)
		}
	}
	return out, nil
}
