package connector_test

import (
	"testing"
	"time"

	depl "github.com/hubspot-cdc/connector/internal/world"
	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// world is the deployment on which these tests check the promises.
type world struct{ *depl.World }

func inWorld(t *testing.T, opt hubspottest.Options, settings []string, f func(w *world)) {
	t.Helper()
	depl.In(t, opt, settings, func(w *depl.World) { f(&world{w}) })
}

// process is one start of the connector.
type process struct {
	*depl.Process
	w *world
}

func (w *world) start() *process       { return &process{w.Start(), w} }
func (w *world) startBeside() *process { return &process{w.StartBeside(), w} }

func (p *process) ready() connector.Readiness {
	p.w.T.Helper()
	return p.Ready()
}

type event = depl.Event

func long(t *testing.T) {
	t.Helper()
	depl.Long(t)
}

// shorter is how much of something a test does: with -short the second.
func shorter[N int | time.Duration](whole, short N) N {
	if testing.Short() {
		return short
	}
	return whole
}

func idText(id uint64) string { return depl.IDText(id) }
