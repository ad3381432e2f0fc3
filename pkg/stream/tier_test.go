package stream

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// TestPace_ATimeThatIsYetToComeHidesNoChanges: one row has a modified time in the future.
// The changes of other records count, each once, so the type is asked as often as they say.
func TestPace_ATimeThatIsYetToComeHidesNoChanges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var rows []string
		row := func(id int, at time.Time) string {
			return fmt.Sprintf(`{"id":"%d","properties":{},"createdAt":"2000-01-01T00:00:00Z","updatedAt":%q,"archived":false}`, id, at.UTC().Format("2006-01-02T15:04:05.000Z"))
		}
		object, _ := answering(func(r *http.Request) (int, string) {
			all := `"results":[` + strings.Join(rows, ",") + `]`
			if strings.HasSuffix(r.URL.Path, "/search") {
				return 200, fmt.Sprintf(`{"total":%d,%s}`, len(rows), all)
			}
			return 200, `{"status":"COMPLETE",` + all + `}`
		}).contacts(t)
		tiers := NewTiers(object, []Lag{{Stream: offsets.LeadingStream}}, []cdc.Window{cdc.NewWindow(object.Client.Now())})
		var seen []int
		tiers[0].Seen = func(changes int) { seen = append(seen, changes) }
		walk := func() int {
			time.Sleep(time.Second)
			if err := tiers[0].walk(t.Context()); err != nil {
				t.Fatal(err)
			}
			return seen[len(seen)-1]
		}
		walk()
		rows = append(rows, row(1, time.Now().Add(24*time.Hour)))
		walk()
		time.Sleep(time.Minute)
		for id := 2; id < 5; id++ {
			rows = append(rows, row(id, time.Now()))
			if got := walk(); got != 1 {
				t.Errorf("record %d has changed: %d changes are found, want 1", id, got)
			}
			if got := walk(); got != 0 {
				t.Errorf("nothing has changed after record %d: %d changes are found", id, got)
			}
		}
	})
}
