package testkit

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// A Command is a line of shell in a block of code on a page, and the lines that the
// page shows below it.
type Command struct {
	At    int // its line on the page, from 1
	Text  string
	Shown []string
}

// Commands are those in a page's blocks of code. In a block that is marked sh each
// line is one. In a block without a mark a line that begins with "$ " is one, and the
// lines up to the next are its output. A line that ends with a backslash goes on.
func Commands(page string) (commands []Command) {
	for _, b := range codeOf(page) {
		output := false // what comes first may be the output of anything
		for i, line := range b.lines {
			text, typed := strings.CutPrefix(line, "$ ")
			switch {
			case b.mark == "sh" && (line == "" || strings.HasPrefix(line, "#")):
			case b.mark == "sh", b.mark == "" && typed:
				commands = append(commands, Command{At: b.at[i], Text: text})
				output = b.mark == ""
			case output && line != "":
				last := &commands[len(commands)-1]
				last.Shown = append(last.Shown, line)
			}
		}
	}
	return commands
}

// Inline are the parts of a page's sentences and tables that are set as code.
func Inline(page string) (spans []Command) {
	code := false
	for n, line := range strings.Split(page, "\n") {
		if fence.MatchString(line) {
			code = !code
		} else if !code {
			for _, text := range Spans(line) {
				spans = append(spans, Command{At: n + 1, Text: text})
			}
		}
	}
	return spans
}

// CodeLines are the lines of a page's blocks of code.
func CodeLines(page string) (lines []string) {
	for _, b := range codeOf(page) {
		lines = append(lines, b.lines...)
	}
	return lines
}

type code struct {
	mark  string
	lines []string
	at    []int // where each begins on the page
}

var fence = regexp.MustCompile("^( *)```([a-z]*)$")

func codeOf(page string) (blocks []code) {
	var open *code
	indent, goesOn := "", false
	for n, line := range strings.Split(page, "\n") {
		match := fence.FindStringSubmatch(line)
		switch {
		case match != nil && open == nil:
			open, indent = &code{mark: match[2]}, match[1]
		case match != nil:
			blocks, open = append(blocks, *open), nil
		case open != nil:
			line = strings.TrimPrefix(line, indent)
			text, more := strings.CutSuffix(line, `\`)
			if goesOn {
				open.lines[len(open.lines)-1] += strings.TrimLeft(text, " ")
			} else {
				open.lines, open.at = append(open.lines, text), append(open.at, n+1)
			}
			goesOn = more
		}
	}
	return blocks
}

// Spans are the parts of a line that are set as code.
func Spans(line string) (spans []string) {
	for i, part := range strings.Split(line, "`") {
		if i%2 == 1 {
			spans = append(spans, part)
		}
	}
	return spans
}

// JSONShape is what two values of one kind share: their members, the types of these,
// and the text of the members that are named exactly.
func JSONShape(v any, exactly ...string) string { return shapeOf("", v, exactly) }

func shapeOf(name string, v any, exactly []string) string {
	if m, ok := v.(map[string]any); ok && m != nil {
		var parts []string
		for _, member := range slices.Sorted(maps.Keys(m)) {
			parts = append(parts, member+":"+shapeOf(member, m[member], exactly))
		}
		return "{" + strings.Join(parts, " ") + "}"
	}
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // it was decoded
	}
	if slices.Contains(exactly, name) {
		return string(text)
	}
	switch text[0] {
	case '"':
		return "text"
	case '[':
		return "list"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	}
	return "number"
}

var (
	moments = regexp.MustCompile(`\d{4}-\d\d-\d\d(T[\d:.]+Z)?`)
	figures = regexp.MustCompile(`\d+`)
	gaps    = regexp.MustCompile(` +`)

	// eventLine is one of connector tail: op, topic, key, time, contents, what found it.
	eventLine = regexp.MustCompile(`^([crud-]) (\S+) +\S+ +(\S+) .*  (\[[^]]*\])$`)
)

// LineShape is what two lines of output of one kind share. Of JSON, also between tabs,
// it is its shape. Of an event as connector tail shows it, all but key and contents.
// Of other text, everything but times, figures and the width of gaps.
func LineShape(line string, exactly ...string) string {
	parts := strings.Split(line, "\t")
	for i, part := range parts {
		var v map[string]any
		if json.Unmarshal([]byte(part), &v) == nil {
			parts[i] = JSONShape(v, exactly...)
			continue
		}
		if match := eventLine.FindStringSubmatch(part); match != nil {
			part = fmt.Sprintf("%s %s KEY %s … %s", match[1], match[2], match[3], match[4])
		}
		part = moments.ReplaceAllString(part, "TIME")
		part = figures.ReplaceAllString(part, "N")
		parts[i] = strings.TrimRight(gaps.ReplaceAllString(part, " "), " ")
	}
	return strings.Join(parts, "\t")
}
