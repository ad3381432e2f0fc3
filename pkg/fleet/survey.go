package fleet

import (
	"context"
	"slices"
	"strings"
	"time"
)

// surveyInterval is how often an instance looks at the whole fleet by itself.
const surveyInterval = time.Minute

// survey looks whether an instance has each portal of the folder, until ctx ends. Where
// the instances do not see the same files, a portal may have none, and every instance is
// well. A portal counts as unowned if it is at two surveys.
func (f *Fleet) survey(ctx context.Context) {
	ticker := time.NewTicker(surveyInterval)
	defer ticker.Stop()
	var said []string
	before := map[string]bool{} // unowned at the last survey
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		s := f.whole(ctx)
		if ctx.Err() != nil {
			return
		}
		var unowned []string
		now := map[string]bool{}
		for _, p := range s.Portals {
			// Of what nobody knows now, the last word counts. Once is not enough: Kafka
			// does not tell who has what while the group shares it out.
			known := slices.Contains(said, p.Name)
			now[p.Name] = p.State == StateUnowned || p.State == StateUnknown && (known || before[p.Name])
			if now[p.Name] && (known || p.State == StateUnowned && before[p.Name]) {
				unowned = append(unowned, p.Name)
			}
		}
		before = now
		f.unowned.Store(int64(len(unowned)))
		switch {
		case slices.Equal(unowned, said):
		case len(unowned) == 0:
			f.cfg.Log.Info("every portal has an instance again")
		default:
			f.cfg.Log.Warn("some portals have no instance; give all instances the same files in FLEET_DIR",
				"portals", len(unowned), "first", strings.Join(unowned[:min(len(unowned), unownedShown)], ","))
		}
		said = unowned
	}
}

// unownedShown is how many portals a log line names.
const unownedShown = 20
