package schema

import (
	"fmt"
	"path"
	"strings"
)

// Glob is an object.property pattern: the part before the first dot is
// compared with the object's name, the rest with the property's. A star stands
// for any run of letters.
type Glob struct{ object, property string }

// CompileGlob checks a pattern.
func CompileGlob(text string) (Glob, error) {
	object, property, ok := strings.Cut(text, ".")
	if !ok {
		return Glob{}, fmt.Errorf("%q has no dot; write object.property, such as contacts.hs_* or *.days_since*", text)
	}
	for _, part := range []string{object, property} {
		if _, err := path.Match(part, ""); err != nil || part == "" {
			return Glob{}, fmt.Errorf("%q is not a pattern of the form object.property", text)
		}
	}
	return Glob{object, property}, nil
}

// Globs are patterns of which one has to match.
type Globs []Glob

// CompileGlobs checks several patterns.
func CompileGlobs(texts []string) (Globs, error) {
	var globs Globs
	for _, text := range texts {
		glob, err := CompileGlob(text)
		if err != nil {
			return nil, err
		}
		globs = append(globs, glob)
	}
	return globs, nil
}

// Match says whether a property of an object matches.
func (g Globs) Match(object, property string) bool {
	for _, p := range g {
		o, _ := path.Match(p.object, object)
		q, _ := path.Match(p.property, property)
		if o && q {
			return true
		}
	}
	return false
}
