package main

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
)

// unknownVariable looks like ours and is not: mistyped, or meant for another
// version.
type unknownVariable struct {
	name  string
	meant string // what is probably meant; "": no idea
}

func (u unknownVariable) String() string {
	if u.meant == "" {
		return u.name
	}
	return fmt.Sprintf("%s (did you mean %s?)", u.name, u.meant)
}

// ours are beginnings that belong to nobody else. Variables with others, such as
// KAFKA_ and HTTP_, may belong to Kafka's tools, a proxy, Kubernetes.
var ours = []string{"HUBSPOT_", "SYNC_", "EVENT_", "FLEET_"}

// unknown lists the variables that are not ours, although their names begin with
// one of ours, differ from a name of ours by two letters at most, or have a longer
// last word, whatever they begin with. Small letters count as capitals.
func unknown() []unknownVariable {
	known := names()
	var out []unknownVariable
	for _, text := range os.Environ() {
		name, _, _ := strings.Cut(text, "=")
		if slices.Contains(known, name) {
			continue
		}
		capitals := strings.ToUpper(name)
		mine := slices.ContainsFunc(ours, func(prefix string) bool { return strings.HasPrefix(capitals, prefix) })
		near := cmp.Or(nearest(capitals, known), shortened(capitals, known))
		if mine && near == "" {
			near = sameWords(capitals, known)
		}
		if mine || near != "" {
			out = append(out, unknownVariable{name, near})
		}
	}
	slices.SortFunc(out, func(a, b unknownVariable) int { return strings.Compare(a.name, b.name) })
	return out
}

// guess adds to each problem of a missing variable what seems to be it, mistyped.
// Here the name may begin in any way, because something is missing for certain.
func guess(problems []string) {
	known := names()
	for _, text := range os.Environ() {
		name, _, _ := strings.Cut(text, "=")
		if slices.Contains(known, name) {
			continue
		}
		capitals := strings.ToUpper(name)
		meant := cmp.Or(nearest(capitals, known), sameWords(capitals, known))
		for i, problem := range problems {
			missing, why, _ := strings.Cut(problem, ":")
			if strings.Contains(why, " required") && slices.Contains(strings.Split(missing, ", "), meant) {
				problems[i] += fmt.Sprintf("; %s is set: did you mean %s?", name, meant)
			}
		}
	}
}

// names are those of all variables.
func names() (all []string) {
	for v := range defaults().variables() {
		all = append(all, v.name)
	}
	return all
}

// nearest is the known name that differs by the fewest letters, two at most.
func nearest(name string, known []string) (best string) {
	const most = 2
	least := most + 1
	for _, k := range known {
		if d := distance(name, k); d < least {
			best, least = k, d
		}
	}
	return best
}

// didYouMean is the guess at a mistyped word, as the end of a message.
func didYouMean(word string, known []string, before string) string {
	const enough = 3 // letters of a beginning
	for _, k := range known {
		if len(word) >= enough && strings.HasPrefix(k, word) {
			return fmt.Sprintf("; did you mean %s%s?", before, k)
		}
	}
	if near := nearest(word, slices.DeleteFunc(slices.Clone(known), func(k string) bool { return len(k) < enough })); near != "" {
		return fmt.Sprintf("; did you mean %s%s?", before, near)
	}
	return ""
}

// shortened is the known name whose last word begins the last word of name: HTTP_ADDR
// of HTTP_ADDRESS.
func shortened(name string, known []string) string {
	for _, k := range known {
		if more, ok := strings.CutPrefix(name, k); ok && more != "" && !strings.Contains(more, "_") {
			return k
		}
	}
	return ""
}

// sameWords is the first known name that has every word of name, in any order.
func sameWords(name string, known []string) string {
	words := strings.Split(name, "_")
	for _, k := range known {
		has := strings.Split(k, "_")
		if !slices.ContainsFunc(words, func(word string) bool { return !slices.Contains(has, word) }) {
			return k
		}
	}
	return ""
}

// distance is how many letters must be added, removed, changed or swapped with
// their neighbour to make a of b (the optimal string alignment distance).
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			rows[i][j] = min(change, rows[i-1][j]+1, rows[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
