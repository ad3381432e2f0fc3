package offsets

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Key names the stream whose place a cursor is.
type Key struct {
	Portal int64  `json:"portal"`
	Object string `json:"object,omitempty"` // "" for a cursor of the whole portal
	Stream string `json:"stream"`
}

// Names of the streams that keep a cursor. They stand in keys, in source.stream,
// in metrics, in /readyz and in the log.
const (
	LeadingStream      = "leading"
	TrailingPrefix     = "trailing-" // + the lag as the configuration writes it: trailing-5m
	BackfillStream     = "backfill"
	ReconcileStream    = "reconcile"
	ArchiveStream      = "archive"
	AssociationsStream = "associations"
	ReferenceStream    = "reference"
	RefillStream       = "refill"
	SignalsStream      = "signals"
	PausedStream       = "paused" // what signals have paused
	JournalStream      = "journal"
	RepublishStream    = "republish"
	StuckStream        = "stuck"
	BirthStream        = "birth" // not a stream: the portal's birth id
)

// isTier reports whether a stream is one of the tiers.
func isTier(stream string) bool {
	return stream == LeadingStream || len(stream) > len(TrailingPrefix) && strings.HasPrefix(stream, TrailingPrefix)
}

// Bytes is the one spelling that the connector itself writes.
func (k Key) Bytes() []byte {
	b, err := json.Marshal(k)
	if err != nil {
		panic(err) // a number and two strings
	}
	return b
}

func (k Key) String() string { return string(k.Bytes()) }

// ParseKey reads a key in any spelling that means the same JSON. It refuses
// unknown members instead of guessing: a cursor under a misspelt key would
// silently belong to no stream.
func ParseKey(text []byte) (Key, error) {
	m, err := parseMembers(text)
	if err != nil {
		return Key{}, err
	}
	for name := range m {
		switch name {
		case "portal", "object", "stream":
		default:
			return Key{}, fmt.Errorf("a cursor's key has no member %q", name)
		}
	}
	var k Key
	if k.Portal, err = m.integer("portal"); err != nil {
		return Key{}, err
	}
	if k.Object, err = m.optionalText("object"); err != nil {
		return Key{}, err
	}
	if k.Stream, err = m.text("stream"); err != nil {
		return Key{}, err
	}
	return k, k.check()
}

// check finds keys that are well-formed but belong to no stream.
func (k Key) check() error {
	switch s := k.Stream; {
	case s == "":
		return errors.New(`"stream" is empty`)
	case s == BirthStream || s == SignalsStream || s == PausedStream || s == JournalStream:
		if k.Object != "" {
			return fmt.Errorf("stream %q belongs to the whole portal and takes no object", s)
		}
	case isTier(s), s == BackfillStream, s == ReconcileStream, s == ArchiveStream, s == AssociationsStream, s == ReferenceStream, s == RefillStream,
		s == RepublishStream, s == StuckStream:
		if k.Object == "" {
			return fmt.Errorf("stream %q needs an object", s)
		}
	}
	return nil
}
