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
// well.
func (f *Fleet) survey(ctx context.Context) {
	ticker := time.NewTicker(surveyInterval)
	defer ticker.Stop()
	var said []string
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
		for _, p := range s.Portals {
			if p.State == StateUnowned {
				unowned = append(unowned, p.Name)
			}
		}
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
