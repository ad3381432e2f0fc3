package docs_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDesign_TheFileMapNamesEveryFile: whoever looks for the place of a thing
// finds each file of a package in design.md, and no file that is gone.
func TestDesign_TheFileMapNamesEveryFile(t *testing.T) {
	text, err := os.ReadFile("design.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text2, _ := strings.Cut(string(text), "## 2. File map")
	fileMap, _, _ := strings.Cut(text2, "\n## 3.")
	heading := regexp.MustCompile(`(?m)^\*\*([a-z/]+)\*\* – .*$`)
	at := heading.FindAllStringSubmatchIndex(fileMap, -1)
	mapped := 0
	for i, m := range at {
		folder, end := fileMap[m[2]:m[3]], len(fileMap)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		named := map[string]bool{}
		for line := range strings.Lines(fileMap[m[1]:end]) {
			cells := strings.Split(line, "|")
			if len(cells) < 3 {
				continue
			}
			for name := range strings.SplitSeq(cells[1], ",") {
				if name = strings.TrimSpace(name); strings.HasSuffix(name, ".go") {
					named[name] = true
				}
			}
		}
		if len(named) == 0 {
			continue // a folder that is described as a whole
		}
		mapped++
		files, err := filepath.Glob(filepath.Join("..", folder, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		there := map[string]bool{}
		for _, file := range files {
			if name := filepath.Base(file); !strings.HasSuffix(name, "_test.go") {
				there[name] = true
			}
		}
		for _, name := range slices.Sorted(maps.Keys(there)) {
			if !named[name] && name != "doc.go" {
				t.Errorf("design.md does not name %s/%s", folder, name)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(named)) {
			if !there[name] {
				t.Errorf("design.md names %s/%s, which does not exist", folder, name)
			}
		}
	}
	if mapped < 8 {
		t.Errorf("the map has %d packages, fewer than the program", mapped)
	}
}
