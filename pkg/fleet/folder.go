package fleet

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hubspot-cdc/connector/internal/regular"
)

// File is what the folder says of a portal: lines VARIABLE=value, over those of the
// process. Empty lines, and lines that begin with #, say nothing.
type File struct {
	Name     string // of the portal, and of the file without .env
	Lines    []Line // in order of the variables' names
	Problems []Problem
	Unread   error // why the file system does not give the file that it lists; it is among Problems too
}

// Line sets a variable. Its value is not expanded, and neither in quotes nor before a
// comment.
type Line struct {
	Number   int // from 1
	Variable string
	Value    string // without white space around it; "" counts as not set
}

// Problem is something that is wrong with a file. It keeps its portal from running, and
// no other.
type Problem struct {
	Line int // 0: it is not about one line
	Text string
}

// suffix is that of the portals' files; others are left alone.
const suffix = ".env"

// longestName keeps the name of a topic, which begins with prefix and name, below 249
// letters.
const longestName = 63

var (
	portalName   = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)
	variableName = regexp.MustCompile(`^[A-Z_][A-Z0-9_]*$`)
)

// Read reads the folder, in order of the portals' names. A mounted ConfigMap is one,
// whose files are links, beside hidden folders. Its error is about the folder; what is
// wrong with a file is among the file's problems.
func Read(dir string) ([]File, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []File
	for _, entry := range entries {
		name, portal := strings.CutSuffix(entry.Name(), suffix)
		if !portal || strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		f := File{Name: name}
		if len(name) > longestName || !portalName.MatchString(name) {
			f.problem(0, "%q is no name of a portal: small letters, digits and '-', at most %d, and no '-' at the beginning", name, longestName)
		}
		text, err := regular.Read(filepath.Join(dir, entry.Name()))
		if err != nil {
			f.problem(0, "%v", err)
		}
		if about := new(fs.PathError); errors.As(err, &about) && !errors.Is(err, fs.ErrNotExist) {
			f.Unread = err
		}
		f.parse(text)
		files = append(files, f)
	}
	return files, nil
}

func (f *File) parse(text []byte) {
	lines := bufio.NewScanner(bytes.NewReader(bytes.TrimPrefix(text, []byte("\ufeff"))))
	lines.Buffer(nil, len(text)+1)
	seen := map[string]int{}
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, text, assigns := strings.Cut(line, "=")
		name, value := strings.TrimSpace(name), strings.TrimSpace(text)
		switch before := seen[name]; {
		case !assigns || !variableName.MatchString(name): // perhaps it has a secret, so it is not shown
			f.problem(number, "is not of the form VARIABLE=value")
		case strings.ContainsFunc(value, hidden):
			f.problem(number, "%s: has a character that does not show; write the value by hand", name)
		case before != 0:
			f.problem(number, "%s: line %d sets it too", name, before)
		case quoted(value):
			f.problem(number, "%s: is in quotes, which would be part of the value; leave them out", name)
		case remarked.MatchString(text):
			f.problem(number, "%s: a comment behind a value would be part of it; give it a line of its own", name)
		default:
			seen[name] = number
			f.Lines = append(f.Lines, Line{number, name, value})
		}
	}
	slices.SortFunc(f.Lines, func(a, b Line) int { return cmp.Compare(a.Variable, b.Variable) })
}

// Files of this name are often written as for a shell. A pattern with a quote or a comment
// in it matches nothing, so what it was meant to leave out would be published.
var remarked = regexp.MustCompile(`\s#`)

func quoted(value string) bool {
	const quotes = "\"'“”‘’"
	first, n := utf8.DecodeRuneInString(value)
	last, _ := utf8.DecodeLastRuneInString(value[n:])
	return strings.ContainsRune(quotes, first) && strings.ContainsRune(quotes, last)
}

// hidden reports whether a character is one that comes with a text from a web page, or
// with the line ends of another system.
func hidden(r rune) bool { return !unicode.IsPrint(r) && !unicode.IsSpace(r) || r == '\r' }

func (f *File) problem(line int, format string, args ...any) {
	f.Problems = append(f.Problems, Problem{line, fmt.Sprintf(format, args...)})
}

// Blame adds a problem about a variable, at the line that sets it, if one does. Of a
// variable whose line is wrong, that is enough: it is not missing.
func (f *File) Blame(variable, text string) {
	i := slices.IndexFunc(f.Lines, func(l Line) bool { return l.Variable == variable })
	line := 0
	switch {
	case i >= 0:
		line = f.Lines[i].Number
	case slices.ContainsFunc(f.Problems, func(p Problem) bool { return p.Line > 0 && strings.HasPrefix(p.Text, variable+": ") }):
		return
	}
	f.Problems = append(f.Problems, Problem{line, text})
}

// Where is a problem's place and text, such as "acme.env:3: …".
func (f *File) Where(p Problem) string {
	if p.Line == 0 {
		return f.Name + suffix + ": " + p.Text
	}
	return fmt.Sprintf("%s%s:%d: %s", f.Name, suffix, p.Line, p.Text)
}
