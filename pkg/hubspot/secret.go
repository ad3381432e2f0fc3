package hubspot

import (
	"fmt"
	"log/slog"
)

// redacted is what a Secret prints as.
const redacted = "[redacted]"

// Secret is a token, a client secret or a password. Printing it in any way
// shows only a placeholder; Reveal is the one way to get its text. fmt cannot
// call methods on unexported fields, so a struct must keep a Secret in such a
// field behind a pointer or a func.
type Secret string

// Reveal returns the text. Call it only where the secret is sent.
func (s Secret) Reveal() string { return string(s) }

func (Secret) String() string { return redacted }

// GoString covers %#v.
func (Secret) GoString() string { return redacted }

// Format covers every fmt verb, including %x and %q, which would bypass String.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue covers log/slog.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON covers encoding/json.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText covers every other encoder.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
