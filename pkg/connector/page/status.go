// Package page shows an operator how a connector is: as the JSON of GET /status, as
// the page of GET /, and as the text of connector status. It decides nothing and asks
// nobody: its caller fills in a Status.
package page

import (
	"time"

	"github.com/hubspot-cdc/connector/pkg/stream"
)

// Version is that of the JSON. Members may be added to it; one that goes or changes
// its meaning makes another version.
const Version = 1

// Status is how a connector is, as docs/operations.md says. What is not known is null.
type Status struct {
	V        int              `json:"v"`
	Time     time.Time        `json:"time"`
	Ready    bool             `json:"ready"` // as /readyz, which also asks the brokers
	Role     string           `json:"role"`  // starting, standby or owner
	Since    time.Time        `json:"since"` // of the role
	Prefix   string           `json:"-"`     // of the topics
	List     string           `json:"-"`     // the link to the page that lists this portal among others; "": none
	Portal   int64            `json:"portal,omitempty"`
	Version  string           `json:"version"`
	Started  time.Time        `json:"started"` // the process
	Behind   []Behind         `json:"behind"`
	Backfill *stream.Backfill `json:"backfill"` // of all object types together; null: none runs
	Objects  []Object         `json:"objects"`
	Snapshot *stream.Snapshot `json:"snapshot"` // the one that a signal asked for; null: none runs
	Budget   Budget           `json:"budget"`
	Commits  Commits          `json:"commits"`
	Problems []stream.Problem `json:"problems"`
}

// Behind is what is not up to date for one reason.
type Behind struct {
	Objects []string `json:"objects"`
	Streams []string `json:"streams"`
	Seconds *float64 `json:"seconds"` // the most; null: not known, or not yet read at all
	Why     string   `json:"why"`
	Action  string   `json:"action"` // "": wait
}

// Object is an object type, a pair of them, or a list.
type Object struct {
	Object   string            `json:"object"`
	Live     int               `json:"live"`
	Events   Events            `json:"events"`   // committed by this process
	Backfill string            `json:"backfill"` // running or done; "" between runs
	Passes   []stream.Progress `json:"passes"`   // over everything of it, under way
	Streams  []stream.Age      `json:"streams"`
}

// Events counts events by op.
type Events struct {
	Created int `json:"c"`
	Updated int `json:"u"`
	Deleted int `json:"d"`
	Read    int `json:"r"`
}

// Budget is what HubSpot's limits leave, and who uses it.
type Budget struct {
	Limits    []Limit        `json:"limits"`
	Streams   []Calls        `json:"streams"`   // calls of this process, the most first
	Throttled map[string]int `json:"throttled"` // 429 answers, by the limit that they named
}

// Limit is one of HubSpot's limits: search (a second), ten_seconds or day.
type Limit struct {
	Limit   string     `json:"limit"`
	Of      *float64   `json:"of"`
	Left    *float64   `json:"left"`
	Reserve *float64   `json:"reserve,omitempty"` // of the day, left to others
	Resets  *time.Time `json:"resets,omitempty"`  // of the day
}

// Calls is how many calls a stream has made.
type Calls struct {
	Stream string `json:"stream"`
	Calls  int    `json:"calls"`
}

// Commits are Kafka transactions of this process.
type Commits struct {
	OK      int      `json:"ok"`
	Failed  int      `json:"failed"`
	Seconds *float64 `json:"seconds"` // the mean of those that succeeded
}
