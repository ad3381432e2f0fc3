package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestRunbook_HasASectionForEveryProblem: each link from the code
// leads to a section, and each section is led to.
func TestRunbook_HasASectionForEveryProblem(t *testing.T) {
	text, err := os.ReadFile("runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]bool{} // by anchor: something leads there
	for _, m := range regexp.MustCompile(`(?m)^##(#?) (.+)$`).FindAllStringSubmatch(string(text), -1) {
		sections[anchorOf(m[2])] = m[1] == "" // a part of the page needs no link
	}
	link := regexp.MustCompile(`docs/runbook\.md#([\w-]+)`)
	for _, dir := range []string{"../pkg", "../deploy"} {
		err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(file, "_test.go") {
				return err
			}
			source, err := os.ReadFile(file)
			for _, m := range link.FindAllStringSubmatch(string(source), -1) {
				if _, there := sections[m[1]]; !there {
					t.Errorf("%s leads to #%s, which docs/runbook.md does not have", file, m[1])
				}
				sections[m[1]] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for anchor, led := range sections {
		if !led {
			t.Errorf("no problem and no alert leads to #%s", anchor)
		}
	}
}

// TestRunbook_QuotesEveryDiagnosis of Kafka and the registry.
func TestRunbook_QuotesEveryDiagnosis(t *testing.T) {
	text, err := os.ReadFile("runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), "../pkg/connector/diagnosis.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, decl := range file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok || f.Recv == nil || receiver(f) == "HubSpot" {
			continue
		}
		ast.Inspect(f, func(node ast.Node) bool {
			c, ok := node.(*ast.CompositeLit)
			if !ok || len(c.Elts) == 0 {
				return true
			}
			ast.Inspect(c.Elts[0], func(node ast.Node) bool {
				lit, ok := node.(*ast.BasicLit)
				if !ok || lit.Kind != token.STRING {
					return true
				}
				found, _ := strconv.Unquote(lit.Value)
				found, _, _ = strings.Cut(found, "%")
				n++
				if !strings.Contains(string(text), "`"+found) {
					t.Errorf("docs/runbook.md does not quote %q", found)
				}
				return true
			})
			return true
		})
	}
	if n < 20 {
		t.Errorf("only %d diagnoses were found", n)
	}
}

func receiver(f *ast.FuncDecl) string {
	if star, ok := f.Recv.List[0].Type.(*ast.StarExpr); ok {
		return star.X.(*ast.Ident).Name
	}
	return ""
}
