//go:build consumers

package consumers

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// compare lists the first few rows in which two tables differ.
func compare(table string, got, want map[string]any) error {
	var lines []string
	for key, w := range want {
		g, there := got[key]
		switch {
		case !there:
			lines = append(lines, fmt.Sprintf("%s is missing: %s", key, asJSON(w)))
		case asJSON(g) != asJSON(w):
			lines = append(lines, fmt.Sprintf("%s is %s, want %s", key, asJSON(g), asJSON(w)))
		}
	}
	for key, g := range got {
		if _, there := want[key]; !there {
			lines = append(lines, fmt.Sprintf("%s should not be there: %s", key, asJSON(g)))
		}
	}
	if len(lines) == 0 && len(want) > 0 {
		return nil
	}
	if len(want) == 0 {
		return fmt.Errorf("%s: nothing to compare with", table)
	}
	slices.Sort(lines)
	return fmt.Errorf("%s: %d rows, want %d; %d differ:\n%s", table, len(got), len(want), len(lines), strings.Join(lines[:min(5, len(lines))], "\n"))
}

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
