package connector

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/hubspot-cdc/connector/pkg/schema"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// patterns gives the object.property globs of each variable that holds some.
func (h *HubSpot) patterns() map[string][]string {
	return map[string][]string{
		"HUBSPOT_PROPERTIES_INCLUDE": h.Include, "HUBSPOT_PROPERTIES_EXCLUDE": h.Exclude,
		"HUBSPOT_PROPERTIES_HASH": h.Hash, "HUBSPOT_VOLATILE": h.Volatile,
	}
}

// names reports whether the operator names types, pairs or properties. Each word is
// checked against what the portal has.
func (h *HubSpot) names() bool {
	return len(h.Objects)+len(h.Associations)+len(h.Include)+len(h.Exclude)+len(h.Hash) > 0
}

// selection is the operator's choice among the properties.
func (h *HubSpot) selection() (*schema.Selection, error) {
	key, err := secret(h.HashKey, h.HashKeyFile)
	if err != nil {
		return nil, fmt.Errorf("HUBSPOT_HASH_KEY_FILE: %w", err)
	}
	sel := &schema.Selection{Key: key}
	for _, list := range []struct {
		globs *schema.Globs
		texts []string
	}{{&sel.Include, h.Include}, {&sel.Exclude, h.Exclude}, {&sel.Hash, h.Hash}} {
		if *list.globs, err = schema.CompileGlobs(list.texts); err != nil {
			return nil, err
		}
	}
	return sel, nil
}

// Unmatched lists the patterns of the selection that match no property of the
// types found and no field of a reference list, each as "VARIABLE: pattern". A
// mistyped pattern publishes what it was meant to leave out.
func (h *HubSpot) Unmatched(found []stream.Found) []string {
	var out []string
	for name, texts := range h.patterns() {
		if name == "HUBSPOT_VOLATILE" { // its default is for portals of every kind
			continue
		}
		for _, text := range texts {
			glob, err := schema.CompileGlob(text)
			if err == nil && !matches(glob, found) {
				out = append(out, fmt.Sprintf("%s: %s", name, text))
			}
		}
	}
	slices.Sort(out)
	return out
}

func matches(glob schema.Glob, found []stream.Found) bool {
	globs := schema.Globs{glob}
	for _, f := range found {
		for _, p := range f.Properties {
			if globs.Match(f.Type.Name, p.Name) {
				return true
			}
		}
	}
	for _, list := range stream.References() {
		for _, field := range schema.ReferenceFields(list) {
			if globs.Match(list, field) {
				return true
			}
		}
	}
	return false
}

// sayUnmatched warns of patterns that have no effect, unless an earlier run of
// this process has already done so.
func (c *Connector) sayUnmatched(log *slog.Logger, found []stream.Found) {
	text := strings.Join(c.setup.Config.HubSpot.Unmatched(found), "; ")
	if text != "" && text != c.unmatched {
		log.Warn("patterns that match no property of this portal; check the spelling; the object part is the name in the topic", "patterns", text)
	}
	c.unmatched = text
}
