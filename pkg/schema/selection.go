package schema

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Selection says which properties are published, and which of them only as a
// hash. The zero value, and nil, is every property as it is.
type Selection struct {
	// Include, where there is one, is what may be published at all. Exclude
	// counts more.
	Include, Exclude Globs
	// Hash are the properties whose values are replaced by a digest, keyed
	// with Key.
	Hash Globs
	Key  hubspot.Secret
}

// takes says whether a property is published.
func (s *Selection) takes(object, property string) bool {
	switch {
	case s == nil:
		return true
	case s.Exclude.Match(object, property):
		return false
	}
	return len(s.Include) == 0 || s.Include.Match(object, property)
}

// hashed gives the digest of the key that a property's values are hashed with,
// "" if they are published as they are.
func (s *Selection) hashed(object, property string) string {
	if s == nil || !s.Hash.Match(object, property) {
		return ""
	}
	return s.keyDigest()
}

// keyDigest tells one key from another. It stands in the state topic, so it is
// cut to what finds no key: who tries keys would need the hashed values anyway
// to know that a guess is right, and those are longer.
func (s *Selection) keyDigest() string {
	mac := hmac.New(sha256.New, []byte(s.Key.Reveal()))
	mac.Write([]byte("hubspot-cdc: which key"))
	return hex.EncodeToString(mac.Sum(nil)[:8])
}
