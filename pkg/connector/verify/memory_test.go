package verify

import (
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// heap is what is in use after a collection.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// What a comparison keeps of a record and of a link, however many there are: the fold
// of the topic, and HubSpot's ids for the pairs.
func TestVerify_KeepsAtMost24BytesOfARecord(t *testing.T) {
	const (
		n     = 200_000
		most  = 24
		parts = 6 // a topic is read partition by partition
	)
	rng := rand.New(rand.NewPCG(1, 2))
	base := heap()
	f := newRecordFold(nil)
	for part := range parts {
		for i := part; i < n; i += parts {
			version := hubspot.Millis(1.6e12 + rng.Int64N(1e11)) // within three years
			f.table.Put(hubspot.ID(1e10+i*37), cdc.Row{Version: version, Hash: rng.Uint64(), Live: true})
		}
	}
	ids := &idSet{}
	for id := range f.table.LiveIn(cdc.Range{}) {
		ids.add(id)
	}
	records := float64(heap()-base) / n
	runtime.KeepAlive(f)
	runtime.KeepAlive(ids)

	base = heap()
	l := cdc.NewLinkTable()
	for part := range parts {
		for i := part; i < n; i += parts {
			key := cdc.LinkKey{From: hubspot.ID(1e10 + i*37), To: hubspot.ID(2e10 + rng.Int64N(n)*41), Category: "HUBSPOT_DEFINED", TypeID: 279}
			l.Put(key, cdc.LinkRow{Live: true})
		}
	}
	l.Live()
	links := float64(heap()-base) / n
	runtime.KeepAlive(l)
	t.Logf("%.1f bytes a record, %.1f bytes a link", records, links)
	if records > most || links > most {
		t.Errorf("%.1f bytes a record and %.1f a link, want at most %d", records, links, most)
	}
}
