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

// takes says whether a property is published, and with which key its values are
// hashed: a digest of the key, "" if they are published as they are.
func (s *Selection) takes(object, property string) (taken bool, hashed string) {
	switch {
	case s == nil:
		return true, ""
	case s.Exclude.Match(object, property), len(s.Include) > 0 && !s.Include.Match(object, property):
		return false, ""
	case s.Hash.Match(object, property):
		return true, s.keyDigest()
	}
	return true, ""
}

// Reference applies the selection to an entry of a reference reference, by the reference's and
// the fields' names (owners.email). Include is about the properties of records
// and does not reach it; what is no text cannot be hashed, and is left out
// where it is to be.
func (s *Selection) Reference(reference string, values map[string]any) {
	if s == nil {
		return
	}
	for field, value := range values {
		text, isText := value.(string)
		switch {
		case s.Exclude.Match(reference, field) || !isText && s.Hash.Match(reference, field):
			delete(values, field)
		case text != "" && s.Hash.Match(reference, field):
			values[field] = s.digest(text)
		}
	}
}

func (s *Selection) digest(text string) string {
	mac := hmac.New(sha256.New, []byte(s.Key.Reveal()))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

// keyDigest tells one key from another. It stands in the state topic, so it is
// cut to what finds no key: who tries keys would need the hashed values anyway
// to know that a guess is right, and those are longer.
func (s *Selection) keyDigest() string {
	return s.digest("hubspot-cdc: which key")[:16]
}
