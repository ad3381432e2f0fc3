package main

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/hubspot-cdc/connector/pkg/schema"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// shortestKey keeps the digests of short values (a phone number, a date of
// birth) from being undone by trying keys. In bytes.
const shortestKey = 16

// patterns are the variables that hold object.property globs.
func (h *hubspotConfig) patterns() map[string][]string {
	return map[string][]string{
		"HUBSPOT_PROPERTIES_INCLUDE": h.Include, "HUBSPOT_PROPERTIES_EXCLUDE": h.Exclude,
		"HUBSPOT_PROPERTIES_HASH": h.Hash, "HUBSPOT_VOLATILE": h.Volatile,
	}
}

// validateSelection checks what chooses among the properties.
func (h *hubspotConfig) validateSelection(bad func(format string, args ...any)) {
	for name, texts := range h.patterns() {
		for _, text := range texts {
			if _, err := schema.CompileGlob(text); err != nil {
				bad("%s: %v", name, err)
			}
		}
	}
	switch n := len(h.HashKey.Reveal()); {
	case n == 0 && len(h.Hash) > 0:
		bad("HUBSPOT_HASH_KEY: is required with HUBSPOT_PROPERTIES_HASH (make one with: openssl rand -hex 32)")
	case n > 0 && n < shortestKey:
		bad("HUBSPOT_HASH_KEY: has %d bytes, the least is %d (make one with: openssl rand -hex 32)", n, shortestKey)
	}
}

// selection is the operator's choice among the properties.
func (h *hubspotConfig) selection() (*schema.Selection, error) {
	sel := &schema.Selection{Key: h.HashKey}
	for _, list := range []struct {
		globs *schema.Globs
		texts []string
	}{{&sel.Include, h.Include}, {&sel.Exclude, h.Exclude}, {&sel.Hash, h.Hash}} {
		var err error
		if *list.globs, err = schema.CompileGlobs(list.texts); err != nil {
			return nil, err
		}
	}
	return sel, nil
}

// saySelection says, once in the life of the process, what of the selection
// has no effect: a slip of the pen would publish what was meant to be left out.
func (c *connector) saySelection(log *slog.Logger, found []stream.Found) {
	var says []string
	for name, texts := range c.cfg.HubSpot.patterns() {
		if name == "HUBSPOT_VOLATILE" { // its default is for portals of every kind
			continue
		}
		for _, text := range texts {
			glob, err := schema.CompileGlob(text)
			if err == nil && !matches(glob, found) {
				says = append(says, fmt.Sprintf("%s: %s", name, text))
			}
		}
	}
	slices.Sort(says)
	text := strings.Join(says, "; ")
	if text != "" && text != c.saidSelection {
		log.Warn("patterns that match no property of this portal; look for slips of the pen, the object part is the name in the topic", "patterns", text)
	}
	c.saidSelection = text
}

// sayVolatile says which properties keep their old values in the topic although
// they are published no more, or in another way: they are no part of a record's
// content, so that nothing shows which records still have them there. Where the
// id is left out too, every record is published again anyway.
func (c *connector) sayVolatile(o *stream.Object, diff *schema.Diff) {
	var names []string
	for _, name := range slices.Concat(diff.Excluded, diff.Treated, diff.Removed) {
		if !counts(o.Type.Name, name, c.volatile) {
			names = append(names, name)
		}
	}
	if len(names) > 0 && !slices.Contains(diff.Excluded, "hs_object_id") {
		slices.Sort(names)
		o.Log.Warn("old values of these properties stay in the topic until their record changes, because a change of them is none (HUBSPOT_VOLATILE); "+
			"a snapshot signal for this object type replaces them at once", "properties", strings.Join(names, ","))
	}
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
	for _, list := range stream.Lists() {
		for _, field := range schema.ListFields(list) {
			if globs.Match(list, field) {
				return true
			}
		}
	}
	return false
}
