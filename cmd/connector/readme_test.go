package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hubspot-cdc/connector/internal/testkit"
)

// operationsPage is the page for operators; tests compare it with the code.
const operationsPage = "../../docs/operations.md"

// TestReadmeIsShort: a reader sees in a few minutes what this is. Everything else
// has its own page.
func TestReadmeIsShort(t *testing.T) {
	const longest = 160
	if n := strings.Count(page(t, "../../README.md"), "\n"); n > longest {
		t.Errorf("README.md has %d lines, more than %d: move the rest to docs", n, longest)
	}
}

// TestOperations_NameEveryMetric: the page explains the metrics that the code
// has, and no others.
func TestOperations_NameEveryMetric(t *testing.T) {
	metric := regexp.MustCompile(`^hubspot_cdc_[a-z_]+$`)
	want := map[string]bool{}
	for _, text := range texts(t) {
		if metric.MatchString(text) {
			want[text] = true
		}
	}
	got := map[string]bool{}
	for line := range strings.Lines(section(t, "Metrics")) {
		for _, span := range testkit.Spans(line) {
			if name, _, _ := strings.Cut(span, "{"); metric.MatchString(name) {
				got[name] = true
			}
		}
	}
	if g, w := slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)); len(w) == 0 || !slices.Equal(g, w) {
		t.Errorf("the page has the metrics\n%s\nthe code has\n%s", strings.Join(g, "\n"), strings.Join(w, "\n"))
	}
}

// TestOperations_QuoteMessagesOfTheCode: the runbook quotes messages exactly as
// they appear in the log, in /readyz or on the terminal.
func TestOperations_QuoteMessagesOfTheCode(t *testing.T) {
	all := strings.Join(texts(t), "\n")
	quoted := 0
	for line := range strings.Lines(section(t, "Runbook")) {
		cells := strings.Split(line, "|")
		if len(cells) < 3 || !strings.HasPrefix(strings.TrimSpace(cells[1]), "`") {
			continue
		}
		for _, message := range testkit.Spans(cells[1]) {
			quoted++
			for part := range strings.SplitSeq(message, "…") {
				if part = strings.TrimSpace(part); !strings.Contains(all, part) {
					t.Errorf("%s quotes %q, but nothing in the code says %q", operationsPage, message, part)
				}
			}
		}
	}
	if quoted < 30 {
		t.Errorf("only %d messages were found in the runbook", quoted)
	}
}

// page is a page's text.
func page(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// section is the text under a heading of the page for operators.
func section(t *testing.T, heading string) string {
	t.Helper()
	_, rest, ok := strings.Cut(page(t, operationsPage), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("%s has no section %q", operationsPage, heading)
	}
	text, _, _ := strings.Cut(rest, "\n## ")
	return text
}

// texts are all string constants of the program, with the parts of a sum joined.
func texts(t *testing.T) (out []string) {
	t.Helper()
	for _, root := range []string{"../../cmd", "../../pkg"} {
		err := filepath.WalkDir(root, func(name string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				e, ok := n.(ast.Expr)
				if !ok {
					return true
				}
				text, ok := literal(e)
				if ok {
					out = append(out, text)
				}
				return !ok
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// literal is the text of a string constant, or of a sum of them; ok is false for
// anything else.
func literal(e ast.Expr) (text string, ok bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, e.Kind == token.STRING && err == nil
	case *ast.BinaryExpr:
		left, leftOK := literal(e.X)
		right, rightOK := literal(e.Y)
		return left + right, e.Op == token.ADD && leftOK && rightOK
	}
	return "", false
}
