package main

import "time"

// frontier is a record of the frontiers topic: what a reader has whose positions are
// at or past its offsets.
type frontier struct {
	Complete, Verified *time.Time // nil: nothing is claimed
	Offsets            map[int32]int64
}

// claim is up to which time a reader of a topic has everything.
type claim struct {
	verified bool // deletes and calculated properties too
	at       time.Time
	ahead    []frontier      // not reached yet
	latest   map[int32]int64 // the offsets of the latest frontier
}

// add takes the next frontier of the topic. If one of its offsets is below that of the
// frontier before it, the topic began again, and all that was said of it before is dropped.
func (c *claim) add(f frontier) (again bool) {
	for partition, offset := range c.latest {
		again = again || f.Offsets[partition] < offset
	}
	if again {
		c.ahead, c.at = nil, time.Time{}
	}
	c.ahead, c.latest = append(c.ahead, f), f.Offsets
	return again
}

// reach takes the positions of the reader, those behind the last record of each
// partition, and reports whether it has more than before.
func (c *claim) reach(position map[int32]int64) (more bool) {
	for len(c.ahead) > 0 && reached(position, c.ahead[0].Offsets) {
		at := c.ahead[0].Complete
		if c.verified {
			at = c.ahead[0].Verified
		}
		if at != nil && at.After(c.at) {
			c.at, more = *at, true
		}
		c.ahead = c.ahead[1:]
	}
	return more
}

// reached reports whether positions are at or past those of a frontier.
func reached(position, offsets map[int32]int64) bool {
	for partition, offset := range offsets {
		if position[partition] < offset {
			return false
		}
	}
	return true
}
