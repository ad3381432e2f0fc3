package check

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// count counts the records of each type, and reads a list page and the recycle
// bin as the streams do.
func (k *checker) count(ctx context.Context) {
	p := &k.portal
	p.records, p.ids, p.archived = map[string]int{}, map[string][]hubspot.ID{}, map[string]binSeen{}
	searches := float64(len(p.found)) / k.setup.Governor.Rates().Search
	k.limited(ctx, time.Duration(searches*float64(time.Second)), func(ctx context.Context) {
		var failed error
		var uncounted []string
		for _, f := range p.found {
			page, err := k.setup.HubSpot.Search(ctx, asking, hubspot.SearchQuery{Object: f.Type.Path, ModifiedProperty: f.Type.ModifiedProperty})
			if err != nil {
				if failed == nil { // of the others, too late, it says nothing
					failed = err
				}
				uncounted = append(uncounted, f.Type.Name)
				continue
			}
			p.records[f.Type.Name] = page.Total
			for _, row := range page.Rows {
				p.ids[f.Type.Name] = append(p.ids[f.Type.Name], row.ID)
			}
		}
		if failed != nil {
			k.add(Finding{Area: "hubspot", Check: "records", Subject: strings.Join(uncounted, ","), Status: Warn,
				Found: "not counted, so the plan has no backfill of theirs, and takes them for empty: " + connector.Plainly(failed), Todo: k.again(failed)})
		}
	})
	k.limited(ctx, k.turns(1+listedPages*len(p.found)), func(ctx context.Context) {
		for _, f := range p.found {
			p.archived[f.Type.Name] = k.bin(ctx, f.Type)
		}
		p.page = k.page(ctx)
	})
}

func (k *checker) bin(ctx context.Context, t hubspot.ObjectType) binSeen {
	var b binSeen
	after := ""
	for range listedPages {
		page, err := k.setup.HubSpot.List(ctx, asking, t.Path, nil, after, true, 0)
		if hubspot.ArchivedUnsupported(err) {
			return binSeen{none: true}
		}
		if err != nil {
			b.more = true
			return b
		}
		b.records += len(page.Records)
		if after = page.After; after == "" {
			return b
		}
	}
	b.more = true
	return b
}

// page measures how long a page of the backfill takes, for the type with the most
// records. It gives 0 if that is not known.
func (k *checker) page(ctx context.Context) time.Duration {
	var largest stream.Found
	for _, f := range k.portal.found {
		if k.portal.records[f.Type.Name] > k.portal.records[largest.Type.Name] {
			largest = f
		}
	}
	if largest.Type.Name == "" {
		return 0
	}
	slots, err := k.slots(&largest)
	if err != nil || !hubspot.ListFits(slots) {
		slots = nil
	}
	began := time.Now()
	if _, err := k.setup.HubSpot.List(ctx, asking, largest.Type.Path, slots, "", false, 0); err != nil {
		return 0
	}
	return time.Since(began)
}

// sample reads the links of some records of each pair: most pairs have none, and
// are then read only once a day.
func (k *checker) sample(ctx context.Context) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	atOnce := make(chan struct{}, 8)
	for _, e := range k.portal.ends {
		ids := k.portal.ids[e.From.Name]
		if len(ids) == 0 || k.sweptLinks(e) { // the state knows
			continue
		}
		inputs := make([]hubspot.LinkInput, len(ids))
		for i, id := range ids {
			inputs[i].ID = id
		}
		wg.Go(func() {
			atOnce <- struct{}{}
			defer func() { <-atOnce }()
			page, err := k.setup.HubSpot.Links(ctx, asking, e.From.Path, e.To.Path, inputs)
			linked := err != nil // assumed if it is not known
			for _, set := range page.Sets {
				linked = linked || len(set.Links) > 0
			}
			mu.Lock()
			defer mu.Unlock()
			k.portal.links[e] = linked
		})
	}
	wg.Wait()
}
