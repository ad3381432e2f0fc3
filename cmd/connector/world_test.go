package main

import (
	"testing"

	depl "github.com/hubspot-cdc/connector/internal/world"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// world is the deployment in which the tests run the commands.
type world struct{ *depl.World }

func inWorld(t *testing.T, opt hubspottest.Options, settings []string, f func(w *world)) {
	t.Helper()
	depl.In(t, opt, settings, func(w *depl.World) { f(&world{w}) })
}

const canary = depl.Canary

func idText(id uint64) string { return depl.IDText(id) }
