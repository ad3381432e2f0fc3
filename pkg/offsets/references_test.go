package offsets

import (
	"bytes"
	"maps"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/pkg/cdc"
)

func TestEntryRowKey_IsReadBack(t *testing.T) {
	for _, k := range []cdc.EntryKey{cdc.NewEntryKey("7"), cdc.NewEntryKey("deals", "default"), cdc.NewEntryKey("p1_car", "a:b", "c")} {
		if list, got, err := parseEntryRowKey(EntryRowKey("pipelines", k)); err != nil || list != "pipelines" || got != k {
			t.Errorf("%q reads back as %q %q, %v", k, list, got, err)
		}
	}
	if got := string(EntryRowKey("pipelines", cdc.NewEntryKey("deals", "default"))); got != "Epipelines\x00deals\x00default" {
		t.Errorf("written as %q", got)
	}
	for _, key := range []string{"E", "Eowners", "Eowners\x00", "E\x007"} {
		if list, k, err := parseEntryRowKey([]byte(key)); err == nil {
			t.Errorf("%q is taken for %q %q", key, list, k)
		}
	}
}

// TestLoad_TheLatestRowOfEachEntryCounts, and Load drops old deletes
// (docs/contract.md section 4).
func TestLoad_TheLatestRowOfEachEntryCounts(t *testing.T) {
	inKafka(t, func(t *testing.T, k *kafka) {
		k.write(birth("A")...)
		now := time.Now()
		old := now.Add(-KeepDeleted - time.Hour)
		put := func(id string, r cdc.Row, when time.Time) *kgo.Record {
			rec := state(EntryRowKey("owners", cdc.NewEntryKey(id)), AppendRow(nil, r))
			rec.Timestamp = when
			return rec
		}
		live := func(seq int64) cdc.Row { return cdc.Row{Version: 5, Hash: 7, Live: true, Seq: seq} }
		dead := func(seq int64) cdc.Row { return cdc.Row{Reason: cdc.Removed, Seq: seq} }
		k.write(
			put("1", live(1), old), put("1", live(2), now),
			put("2", dead(3), old), // expired
			put("3", dead(4), now),
			put("4", dead(5), old), put("4", live(6), now), // came back
			put("5", live(7), now), state(EntryRowKey("owners", "5"), nil), // forgotten
			put("6", dead(9), old), // the last event of all
		)
		l := k.mustLoad()
		want := map[cdc.EntryKey]cdc.Row{"1": live(2), "3": dead(4), "4": live(6), "6": dead(9)}
		if !maps.Equal(l.References["owners"], want) || l.Seq != 9 {
			t.Errorf("owners %v, want %v; seq %d", l.References["owners"], want, l.Seq)
		}
		if len(l.Expired) != 1 || !bytes.Equal(l.Expired[0], EntryRowKey("owners", "2")) {
			t.Errorf("expired %q", l.Expired)
		}
	})
}
