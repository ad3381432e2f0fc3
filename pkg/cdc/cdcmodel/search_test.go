package cdcmodel

import (
	"flag"
	"maps"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	histories = flag.Int("histories", 100_000, "how many random histories to play; -short plays a fiftieth of them")
	large     = flag.Bool("large", false, "play the larger of the small worlds too; this takes many minutes")
	seed      = flag.Uint64("seed", 0, "the seed of the random histories; 0 draws one")
)

// TestMain collects less often: a world is small and soon garbage, and every
// collection stops the finders that play in it.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	m.Run()
}

// bounded is n, or a fiftieth of it with -short.
func bounded(n int) int {
	if testing.Short() {
		return n / 50
	}
	return n
}

// found is a history that breaks a promise.
type found struct {
	number int
	broken string
	blocks []block
}

// search plays random histories, for one seed always the same. It returns the first
// that breaks a promise, by number, or nil. If a rule is switched off, that must be
// the cause: with the rule on, the same history keeps all promises. tally is what
// happened in all histories.
func search(seed uint64, n int, off without) (first *found, tally map[string]int) {
	var mu sync.Mutex
	tally = map[string]int{}
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for worker := range workers {
		wg.Go(func() {
			w := newWorld()
			w.without = off
			defer func() {
				mu.Lock()
				defer mu.Unlock()
				for what, n := range w.tally {
					tally[what] += n
				}
			}()
			var blocks []block
			for i := worker; i < n; i += workers {
				mu.Lock()
				over := first != nil && first.number < i
				mu.Unlock()
				if over {
					return
				}
				blocks = draw(rand.New(rand.NewPCG(seed, uint64(i))), blocks)
				broken := w.history(&choices{blocks: blocks})
				if broken != "" && off != (without{}) {
					w.without = without{}
					if w.history(&choices{blocks: blocks}) != "" {
						broken = ""
					}
					w.without = off
				}
				if broken != "" {
					mu.Lock()
					if first == nil || i < first.number {
						first = &found{i, broken, blocks}
					}
					mu.Unlock()
					return
				}
			}
		})
	}
	wg.Wait()
	return first, tally
}

// wanted must happen, or the search shows little.
var wanted = []string{
	"published: c", "published: r again", "published: c restored", "published: u",
	"published: d archived", "published: d merged", "published: d purged",
	"read again: stale", "read again: older", "confirmed again", "stuck", "joint walks",
	"published: link r", "published: link c", "published: link u",
	"published: link d removed", "published: link d archived", "published: link d merged", "published: link d purged",
	"links read again: paged", "links looked at again", "published: link r again",
	"killed", "killed before a commit", "killed after a commit",
	"journal: files", "journal: odd files", "journal: place lost", "journal: purges named", "journal: links named",
}

// rare must happen too, but not in the few histories of -short.
var rare = []string{"pages out of order", "unresolved", "links put aside", "published: link c restored", "links read again: stale"}

// tellStory plays a history again and writes down what happens.
func tellStory(blocks []block, off without) string {
	w := newWorld()
	w.without, w.told = off, true
	broken := w.history(&choices{blocks: blocks})
	return strings.Join(w.log, "\n") + "\nBROKEN: " + broken
}

// TestSearch_NoRandomHistoryBreaksAPromise (docs/contract.md section 2).
func TestSearch_NoRandomHistoryBreaksAPromise(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	began, n := time.Now(), bounded(*histories)
	t.Logf("-seed %d", *seed)
	f, tally := search(*seed, n, without{})
	if f == nil {
		for _, what := range slices.Sorted(maps.Keys(tally)) {
			t.Logf("%9d %s", tally[what], what)
		}
		want := wanted
		if !testing.Short() {
			want = slices.Concat(wanted, rare)
		}
		for _, what := range want {
			if tally[what] == 0 {
				t.Errorf("no history has %q", what)
			}
		}
		took := time.Since(began)
		t.Logf("%d histories in %v: %.0f a second; -seed %d", n, took.Round(time.Millisecond), float64(n)/took.Seconds(), *seed)
		return
	}
	t.Logf("history %d of -seed %d: %s", f.number, *seed, f.broken)
	small := shrink(f.blocks, without{})
	t.Fatalf("history %d of -seed %d: %s\nat its smallest:\n%s", f.number, *seed, f.broken, tellStory(small, without{}))
}

// shrink makes a history that breaks a promise smaller as long as it still breaks
// one.
func shrink(blocks []block, off without) []block {
	w := newWorld()
	w.without = off
	breaks := func(b []block) bool { return w.history(&choices{blocks: b}) != "" }
	cur := append([]block(nil), blocks...)
	for changed := true; changed; {
		changed = false
		for size := len(cur) / 2; size >= 1; size /= 2 {
			for at := len(cur) - size; at >= 1; at-- {
				if at+size > len(cur) {
					continue
				}
				less := append(append([]block(nil), cur[:at]...), cur[at+size:]...)
				if breaks(less) {
					cur, changed = less, true
				}
			}
		}
		for i := range cur {
			for j := range cur[i] {
				old := cur[i][j]
				for _, v := range []uint8{0, 1, old / 2} {
					if v >= old {
						continue
					}
					cur[i][j] = v
					if breaks(cur) {
						changed = true
						break
					}
					cur[i][j] = old
				}
			}
		}
	}
	return cur
}
