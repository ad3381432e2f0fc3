package verify

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// looks settles some keys, of which each look is told by a function of the time since
// the beginning, and says what was judged and when.
func looks(t *testing.T, wait time.Duration, at func(key int, since time.Duration) view) (judged map[int]time.Duration, given map[int]bool) {
	t.Helper()
	judged, given = map[int]time.Duration{}, map[int]bool{}
	synctest.Test(t, func(t *testing.T) {
		began, key := time.Now(), []int{0}
		err := settle(t.Context(), key, func(int) time.Duration { return wait }, func(context.Context) error { return nil },
			func(_ context.Context, keys []int) ([]view, error) {
				views := make([]view, len(keys))
				for i, k := range keys {
					views[i] = at(k, time.Since(began))
				}
				return views, nil
			}, func(v *view, ok bool) {
				if ok {
					judged[len(v.found)] = time.Since(began)
				} else {
					given[len(v.found)] = true
				}
			})
		if err != nil {
			t.Error(err)
		}
	})
	return judged, given
}

func differs(seen uint64) view { return view{seen: seen, found: []difference{{missing, "1"}}} }

func TestSettle_WhatDiffersMustStand(t *testing.T) {
	const wait = 10 * time.Minute
	stands, _ := looks(t, wait, func(int, time.Duration) view { return differs(1) })
	if at := stands[1]; at < wait || at > wait+time.Minute {
		t.Errorf("what stands counts after %v, want soon after %v", at, wait)
	}
	torn, _ := looks(t, wait, func(int, time.Duration) view { v := differs(1); v.enough = standFor; return v })
	if at := torn[1]; at == 0 || at > 10*time.Second {
		t.Errorf("what nothing under way explains counts after %v", at)
	}
	moved, _ := looks(t, wait, func(_ int, since time.Duration) view {
		if since < 5*time.Minute {
			return differs(1)
		}
		return differs(2)
	})
	if at := moved[1]; at < wait+5*time.Minute || at > wait+6*time.Minute {
		t.Errorf("what changed after five minutes counts after %v", at)
	}
	came, _ := looks(t, wait, func(_ int, since time.Duration) view {
		if since < 9*time.Minute {
			return differs(1)
		}
		return view{equal: 1}
	})
	if _, counts := came[1]; counts || came[0] == 0 {
		t.Errorf("what became equal counts: %v", came)
	}
}

// What stood soon is looked at once more when the others have stood too: it may have come
// meanwhile.
func TestSettle_WhatIsToldDiffersAtTheLastLook(t *testing.T) {
	const wait = 10 * time.Minute
	for _, c := range []struct {
		what          string
		back          bool
		equal, differ int
	}{{"it comes back meanwhile", true, 1, 1}, {"it stays away", false, 0, 2}} {
		equal, differ := 0, 0
		synctest.Test(t, func(t *testing.T) {
			began, refreshed := time.Now(), time.Time{}
			err := settle(t.Context(), []int{0, 1}, func(int) time.Duration { return wait },
				func(context.Context) error { refreshed = time.Now(); return nil },
				func(_ context.Context, keys []int) ([]view, error) {
					views := make([]view, len(keys))
					for i, k := range keys {
						views[i] = differs(1)
						if k == 0 { // nothing under way explains it
							views[i].enough = standFor
							if c.back && time.Since(began) > time.Minute {
								views[i] = view{equal: 1}
							}
						}
					}
					return views, nil
				}, func(v *view, judged bool) {
					switch {
					case !judged:
						t.Errorf("%s: a key is not judged", c.what)
					case len(v.found) > 0:
						differ++
						if late := time.Since(refreshed); late > time.Second {
							t.Errorf("%s: a key is said to differ %v after it was looked at", c.what, late)
						}
					default:
						equal++
					}
				})
			if err != nil {
				t.Error(err)
			}
		})
		if equal != c.equal || differ != c.differ {
			t.Errorf("%s: %d are equal and %d differ, want %d and %d", c.what, equal, differ, c.equal, c.differ)
		}
	}
}

func TestSettle_WhatGoesOnChangingIsNotJudged(t *testing.T) {
	n := uint64(0)
	judged, given := looks(t, time.Minute, func(int, time.Duration) view { n++; return differs(n) })
	if len(judged) > 0 || !given[1] {
		t.Errorf("judged %v, given up %v", judged, given)
	}
	judged, given = looks(t, time.Minute, func(int, time.Duration) view { return view{silent: true} })
	if len(judged) > 0 || !given[0] {
		t.Errorf("of what HubSpot says nothing about: judged %v, given up %v", judged, given)
	}
}

func TestIDSet_KeepsIDsInOrder(t *testing.T) {
	s := &idSet{}
	var want []hubspot.ID
	for i := range hubspot.ID(5000) { // several chunks, the second half first
		id := 1 + (i+2500)%5000*1_000_003
		s.add(id)
		want = append(want, id)
	}
	s.add(want[0]) // on two pages
	s.sort()
	slices.Sort(want)
	if got := slices.Collect(s.all()); !slices.Equal(got, want) || s.n != len(want) {
		t.Errorf("%d ids, want %d", s.n, len(want))
	}
}
