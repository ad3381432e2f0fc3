package schema

import (
	"fmt"
	"path"
	"strings"
)

// Glob is an object.property pattern. The part before the first dot is matched
// against the object's name, the rest against the property's. The syntax is
// path.Match's: a star stands for any run of characters.
type Glob struct{ object, property string }

// CompileGlob parses a pattern.
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

// Globs are patterns, of which one has to match.
type Globs []Glob

// CompileGlobs parses several patterns, and returns the first error.
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

// Match reports whether any pattern matches a property of an object.
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
