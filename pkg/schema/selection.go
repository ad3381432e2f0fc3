package schema

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Selection says which properties are published, and which of them only as a
// hash. The zero value and nil publish every property as it is.
type Selection struct {
	// Include, if there is any, is all that may be published. Exclude wins over
	// it.
	Include, Exclude Globs
	// Hash are the properties whose values are replaced by a digest under Key.
	Hash Globs
	Key  hubspot.Secret
}

// takes reports whether a property is published, and under which key its values
// are hashed: a digest of the key, "" if they are published as they are.
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

// Reference applies the selection to an entry of a reference list, by the names
// of the list and its fields (owners.email), and changes values. Include does not
// reach it: it is about the properties of records. A field to be hashed that is
// not a string is left out.
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

// keyDigest tells one key from another. The state topic holds it, so it is too
// short to find a key by: whoever tries keys still needs the hashed values to
// know that a guess is right, and those are longer.
func (s *Selection) keyDigest() string {
	return s.digest("hubspot-cdc: which key")[:16]
}
