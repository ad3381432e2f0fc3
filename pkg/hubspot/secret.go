package hubspot

import (
	"fmt"
	"log/slog"
)

// redacted is what every way of printing a Secret shows.
const redacted = "[redacted]"

// Secret is a token, a client secret or a password. However it is printed, it
// shows nothing; Reveal is the one way to its text. Note that fmt cannot call
// methods on unexported fields: a struct that keeps a Secret in one holds it
// behind a pointer or a func.
type Secret string

// Reveal returns the text. It is called where the secret is sent.
func (s Secret) Reveal() string { return string(s) }

func (Secret) String() string { return redacted }

// GoString answers %#v.
func (Secret) GoString() string { return redacted }

// Format answers every verb of fmt, also %x and %q, which would not ask String.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue answers log/slog.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON answers encoding/json.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText answers every other encoder.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
