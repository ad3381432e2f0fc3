package cdc

import "github.com/hubspot-cdc/connector/pkg/hubspot"

// LinkPlace is where the sweep over a pair's links is (R14).
type LinkPlace struct {
	ID        hubspot.ID // the last from-id that is done
	Started   hubspot.Millis
	Completed hubspot.Millis
}

// UnderWay reports whether a sweep has begun and not ended.
func (p LinkPlace) UnderWay() bool { return p.Completed < p.Started }

// Begin is the place of a sweep that starts now.
func (p LinkPlace) Begin(now hubspot.Millis) LinkPlace {
	return LinkPlace{Started: max(now, p.Completed+1), Completed: p.Completed}
}

// Past is the place after these records. If they are fewer than a page may have,
// they are the last ones.
func (p LinkPlace) Past(ids []hubspot.ID, page int, now hubspot.Millis) LinkPlace {
	if len(ids) < page {
		return LinkPlace{Started: p.Started, Completed: max(now, p.Started)}
	}
	p.ID = ids[len(ids)-1]
	return p
}
