package offsets

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// members are the members of a JSON object. People type cursors too, so reading
// is strict about what a member means and lenient about everything else: order,
// spaces, unknown members. encoding/json alone would take "AT" for "at", and a
// missing member for a zero.
type members map[string]json.RawMessage

// parseMembers reads one JSON object and checks its "v", which may be missing.
func parseMembers(text []byte) (members, error) {
	var m members
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("not a JSON object: %w", err)
	}
	if m == nil {
		return nil, errors.New("not a JSON object: null")
	}
	if m.has("v") {
		v, err := m.integer("v")
		if err != nil {
			return nil, err
		}
		if v != 1 {
			return nil, fmt.Errorf("\"v\" is %d, this version of the connector knows only 1", v)
		}
	}
	return m, nil
}

// has reports whether a member exists and is not null.
func (m members) has(name string) bool {
	raw, ok := m[name]
	return ok && !bytes.Equal(raw, []byte("null"))
}

// read decodes a member that must exist.
func (m members) read(name, kind string, into any) error {
	if !m.has(name) {
		return fmt.Errorf("%q is missing", name)
	}
	if err := json.Unmarshal(m[name], into); err != nil {
		return fmt.Errorf("%q is not %s", name, kind)
	}
	return nil
}

// text is a member that must be a string.
func (m members) text(name string) (s string, err error) {
	return s, m.read(name, "a string", &s)
}

// optionalText is "" for a member that is missing or null.
func (m members) optionalText(name string) (string, error) {
	if !m.has(name) {
		return "", nil
	}
	return m.text(name)
}

// integer is a member that must be a whole number; 4242.0 is one in JSON.
func (m members) integer(name string) (int64, error) {
	var n json.Number
	if err := m.read(name, "a number", &n); err != nil {
		return 0, err
	}
	if m[name][0] == '"' { // json.Number takes strings too
		return 0, fmt.Errorf("%q is not a number", name)
	}
	if i, err := strconv.ParseInt(n.String(), 10, 64); err == nil {
		return i, nil
	}
	f, err := strconv.ParseFloat(n.String(), 64)
	if err != nil || f != float64(int64(f)) || f > 1<<53 || f < -1<<53 {
		return 0, fmt.Errorf("%q is not a whole number", name)
	}
	return int64(f), nil
}

// flag is false for a member that is missing or null.
func (m members) flag(name string) (b bool, err error) {
	if !m.has(name) {
		return false, nil
	}
	return b, m.read(name, "true or false", &b)
}

// id is an object id in HubSpot's spelling; 0 when empty.
func (m members) id(name string) (hubspot.ID, error) {
	s, err := m.optionalText(name)
	if err != nil || s == "" {
		return 0, err
	}
	id, err := hubspot.ParseID(s)
	if err != nil {
		return 0, fmt.Errorf("%q: %w", name, err)
	}
	return id, nil
}

// millis is a point in time that must exist, in any time zone. Its fraction is
// optional, and anything finer than a millisecond is dropped.
func (m members) millis(name string) (hubspot.Millis, error) {
	s, err := m.text(name)
	if err != nil {
		return 0, err
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a time like 2026-11-24T13:00:00.123Z", name)
	}
	if t.Before(time.Unix(0, 0)) {
		return 0, fmt.Errorf("%q is before 1970", name)
	}
	return hubspot.MillisOf(t), nil
}

// optionalMillis is 0 for a member that is missing or null.
func (m members) optionalMillis(name string) (hubspot.Millis, error) {
	if !m.has(name) {
		return 0, nil
	}
	return m.millis(name)
}

// object writes one line of JSON: the members, each a name and a value, in the
// order of the call, then the version. It writes an unknown time as null.
func object(members ...any) []byte {
	b := []byte{'{'}
	for i := 0; i < len(members); i += 2 {
		v := members[i+1]
		switch is := v.(type) {
		case hubspot.ID:
			v = is.String()
		case hubspot.Millis:
			if v = is.String(); is == 0 {
				v = nil
			}
		}
		var out bytes.Buffer
		enc := json.NewEncoder(&out)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(v); err != nil {
			panic(err) // only strings, numbers, flags and lists of them come here
		}
		b = fmt.Appendf(b, "%q:%s,", members[i], bytes.TrimSpace(out.Bytes()))
	}
	return append(b, `"v":1}`...)
}
