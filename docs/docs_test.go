// Package docs_test holds what is written here, and every comment that cites
// it, to what stands in a clone of the repository.
package docs_test

import (
	"bytes"
	"errors"
	"fmt"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// TestWhatIsCitedIsThere: each page, section, anchor and rule that a comment, a
// script, a configuration or a page cites exists.
func TestWhatIsCitedIsThere(t *testing.T) {
	r := repository{root: "..", pages: map[string]*page{}}
	citations := 0
	err := filepath.WalkDir(r.root, func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			switch d.Name() {
			case ".git", "node_modules", "target", ".venv": // what examples build
				return filepath.SkipDir
			}
			return nil
		case !d.Type().IsRegular() || d.Name() == "go.sum":
			return nil
		}
		text, err := os.ReadFile(file)
		if err != nil || !utf8.Valid(text) {
			return err
		}
		name, err := filepath.Rel(r.root, file)
		if err != nil {
			return err
		}
		if path.Ext(name) == ".go" {
			text = onlyComments(text)
		}
		for _, c := range cited(string(text)) {
			citations++
			wrong, err := r.wrong(filepath.ToSlash(name), c)
			if err != nil {
				return err
			}
			if wrong != "" {
				t.Errorf("%s:%d: %s", filepath.ToSlash(name), 1+bytes.Count(text[:c.at], []byte("\n")), wrong)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if citations < 100 {
		t.Errorf("only %d citations were found in the whole repository: the search for them is broken", citations)
	}
}

// TestWrongCitationsAreFound shows that the test above can fail.
func TestWrongCitationsAreFound(t *testing.T) {
	r := repository{root: "..", pages: map[string]*page{}}
	for _, c := range []struct {
		in, text string
		want     string // part of what is said; "" = nothing is wrong
	}{
		{"pkg/x/x.go", "as docs/contract.md section 4 says", ""},
		{"pkg/x/x.go", "(docs/contract.md\n// section 5)", ""},
		{"pkg/x/x.go", "docs/contract.md sections 4 and 5", ""},
		{"pkg/x/x.go", "docs/contract.md sections 4 and 50", "section 50"},
		{"pkg/x/x.go", "docs/contract.md section 77", "section 77"},
		{"pkg/x/x.go", "docs/contract.md\n\t// section 77", "section 77"},
		{"pkg/x/x.go", "docs/kafka.md C2, C3", ""},
		{"pkg/x/x.go", "(docs/kafka.md F)", ""},
		{"pkg/x/x.go", "docs/kafka.md F and H)", ""},
		{"pkg/x/x.go", "docs/kafka.md C9", "section C9"},
		{"pkg/x/x.go", "docs/kafka.md F and Z.", "section Z"},
		{"pkg/x/x.go", "see docs/kafka.md A broker has more", ""},
		{"pkg/x/x.go", "docs/nowhere.md", "docs/nowhere.md"},
		{"pkg/x/x.go", "contract.md section 4", "contract.md"},
		{"pkg/x/x.go", "HUBSPOT.md section 5", "HUBSPOT.md"},
		{"pkg/x/x.go", "HUBSPOT\n// section 5", "HUBSPOT"},
		{"pkg/x/x.go", "KAFKA.md C2", "KAFKA.md"},
		{"pkg/x/x.go", "CONSUMERS.md", "CONSUMERS.md"},
		{"pkg/x/x.go", "(DESIGN section 4)", "DESIGN"},
		{"pkg/x/x.go", "(DESIGN\n// R4)", "DESIGN"},
		{".golangci.yml", "# (STYLE, R1)", "STYLE"},
		{"pkg/x/x.go", "HUBSPOT_RATE_10S and KAFKA_BROKERS", ""},
		{"pkg/x/x.go", "(R9), R10's", ""},
		{"pkg/x/x.go", "(R99)", "R99"},
		{"pkg/x/x.go", "https://github.com/a/b/blob/master/GONE.md", ""},
		{"docs/kafka.md", "[the contract](contract.md) section 4", ""},
		{"docs/kafka.md", "[the contract](contract.md) section 44", "section 44"},
		{"docs/kafka.md", "[it](contract.md#4-topics)", ""},
		{"docs/kafka.md", "[it](contract.md#no-such-heading)", "no-such-heading"},
		{"docs/kafka.md", "[it](#c-transactions)", ""},
		{"docs/kafka.md", "[it](#c-transaction)", "c-transaction"},
		{"docs/kafka.md", "[it](consumers/flink.sql) [them](consumers)", ""},
		{"docs/kafka.md", "[it](consumers/flink.txt)", "flink.txt"},
		{"README.md", "[it](https://example.com/a#b)", ""},
	} {
		var said []string
		for _, found := range cited(c.text) {
			wrong, err := r.wrong(c.in, found)
			if err != nil {
				t.Fatal(err)
			}
			if wrong != "" {
				said = append(said, wrong)
			}
		}
		got := strings.Join(said, "; ")
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%q in %s: said %q, want %q", c.text, c.in, got, c.want)
		}
	}
}

// citation is one place in a text that cites something. One of the fields
// beside at is set; section goes with page.
type citation struct {
	at      int
	gone    string // a page that was never in the repository
	page    string // a page by name
	section string // of page: "4", "C2"
	link    string // target of a Markdown link
	rule    string // "R9"
}

var (
	address  = regexp.MustCompile(`https?://[^\s)>\]]+`)
	gone     = regexp.MustCompile(`\b(?:(?:DESIGN|STYLE)(?:\.md)?|(?:HUBSPOT|KAFKA|CONSUMERS)(?:\.md|(?:\s|//|#)+sections?))\b`)
	named    = regexp.MustCompile(`[\w./-]*[\w-]\.md\b`)
	between  = regexp.MustCompile(`^\)?(?:\s|//|#)+`)
	sections = regexp.MustCompile(`^sections?(?:\s|//|#)+(\d+)`)
	more     = regexp.MustCompile(`^(?:,|(?:\s|//|#)+and|(?:\s|//|#)+to)(?:\s|//|#)+(\d+)\b`)
	letter   = regexp.MustCompile(`^([A-Z]\d*)\b`)
	letters  = regexp.MustCompile(`^(?:,|(?:\s|//|#)+and)(?:\s|//|#)+([A-Z]\d*)\b`)
	linked   = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	rules    = regexp.MustCompile(`\bR\d+\b`)
)

// cited finds the citations in a text. Line ends and the signs of comments
// count as spaces, so that a citation may be broken over two lines.
func cited(text string) []citation {
	text = address.ReplaceAllStringFunc(text, func(s string) string { return strings.Repeat(" ", len(s)) })
	var out []citation
	for _, m := range gone.FindAllStringIndex(text, -1) {
		out = append(out, citation{at: m[0], gone: text[m[0]:m[1]]})
	}
	for _, m := range named.FindAllStringIndex(text, -1) {
		c := citation{at: m[0], page: text[m[0]:m[1]]}
		if gone.MatchString(c.page) {
			continue
		}
		out = append(out, c)
		for _, c.section = range sectionsAfter(text[m[1]:]) {
			out = append(out, c)
		}
	}
	for _, m := range linked.FindAllStringSubmatchIndex(text, -1) {
		out = append(out, citation{at: m[2], link: text[m[2]:m[3]]})
	}
	for _, m := range rules.FindAllStringIndex(text, -1) {
		out = append(out, citation{at: m[0], rule: text[m[0]:m[1]]})
	}
	return out
}

// sectionsAfter gives the sections that follow the name of a page: "section 4",
// "sections 4 and 5", "C2", "F and H". A single letter that a word follows
// begins a sentence.
func sectionsAfter(text string) (out []string) {
	space := between.FindString(text)
	if space == "" {
		return nil
	}
	text = text[len(space):]
	first, next := sections, more
	if letter.MatchString(text) {
		first, next = letter, letters
	}
	for m := first.FindStringSubmatch(text); m != nil; m = next.FindStringSubmatch(text) {
		text = text[len(m[0]):]
		if len(m[1]) == 1 && unicode.IsLetter(rune(m[1][0])) && !ends(text) {
			break
		}
		out = append(out, m[1])
	}
	return out
}

// ends says whether what stands behind a letter lets it be a section's name.
func ends(text string) bool {
	return text == "" || strings.ContainsRune("),.;:", rune(text[0])) || letters.MatchString(text)
}

// onlyComments blanks what is no comment, and keeps the lines.
func onlyComments(source []byte) []byte {
	out := bytes.Repeat([]byte(" "), len(source))
	for i, c := range source {
		if c == '\n' {
			out[i] = c
		}
	}
	var s scanner.Scanner
	file := token.NewFileSet().AddFile("", -1, len(source))
	s.Init(file, source, nil, scanner.ScanComments)
	for {
		pos, tok, text := s.Scan()
		if tok == token.EOF {
			return out
		}
		if tok == token.COMMENT {
			copy(out[file.Offset(pos):], text)
		}
	}
}

// repository is a clone. Its pages are read once.
type repository struct {
	root  string
	pages map[string]*page
}

type page struct {
	sections, anchors, rules map[string]bool
}

// wrong says what is wrong with a citation in a file; "" if nothing is.
func (r repository) wrong(in string, c citation) (string, error) {
	switch {
	case c.gone != "":
		return fmt.Sprintf("%q is not in the repository", c.gone), nil
	case c.rule != "":
		p, err := r.page("docs/contract.md")
		if err == nil && !p.rules[c.rule] {
			return c.rule + " is no rule of docs/contract.md", nil
		}
		return "", err
	case c.link != "":
		target, anchor, _ := strings.Cut(c.link, "#")
		if strings.Contains(target, ":") { // another site's
			return "", nil
		}
		file := in
		if target != "" {
			file = path.Join(path.Dir(in), target)
		}
		if !r.there(file) {
			return file + " is not in the repository", nil
		}
		if anchor == "" {
			return "", nil
		}
		p, err := r.page(file)
		if err == nil && !p.anchors[anchor] {
			return file + " has no heading #" + anchor, nil
		}
		return "", err
	}
	for _, file := range []string{c.page, path.Join(path.Dir(in), c.page)} {
		if !r.there(file) {
			continue
		}
		p, err := r.page(file)
		if err == nil && c.section != "" && !p.sections[c.section] {
			return file + " has no section " + c.section, nil
		}
		return "", err
	}
	return c.page + " is not in the repository", nil
}

func (r repository) there(file string) bool {
	_, err := os.Stat(filepath.Join(r.root, filepath.FromSlash(file)))
	return !errors.Is(err, fs.ErrNotExist)
}

var (
	heading   = regexp.MustCompile(`(?m)^#+ (.+)$`)
	numbered  = regexp.MustCompile(`^(\d+|[A-Z]\d*)(?:\.|\s)`)
	ruleItems = regexp.MustCompile(`(?m)^- \*\*(R\d+) `)
)

// page reads the headings and rules of a page.
func (r repository) page(file string) (*page, error) {
	if p := r.pages[file]; p != nil {
		return p, nil
	}
	text, err := os.ReadFile(filepath.Join(r.root, filepath.FromSlash(file)))
	if err != nil {
		return nil, err
	}
	p := &page{sections: map[string]bool{}, anchors: map[string]bool{}, rules: map[string]bool{}}
	for _, m := range heading.FindAllSubmatch(text, -1) {
		title := string(m[1])
		p.anchors[anchorOf(title)] = true
		if n := numbered.FindStringSubmatch(title); n != nil {
			p.sections[n[1]] = true
		}
	}
	for _, m := range ruleItems.FindAllSubmatch(text, -1) {
		p.rules[string(m[1])] = true
	}
	r.pages[file] = p
	return p, nil
}

// anchorOf is the anchor that GitHub gives a heading.
func anchorOf(title string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, title)
}

// TestOnlyCommentsAreLookedAt, on the lines on which they stand.
func TestOnlyCommentsAreLookedAt(t *testing.T) {
	source := "package x\n\nvar a = \"GONE.md\" // é R1\n/* R2\n R3 */\n"
	got := string(onlyComments([]byte(source)))
	if want := "\n\n                  // é R1\n/* R2\n R3 */\n"; strings.TrimLeft(got, " ") != want || len(got) != len(source) {
		t.Errorf("got %q, want %q", got, want)
	}
}
