package offsets

import (
	"encoding/json"
	"fmt"

	"github.com/hubspot-cdc/connector/pkg/cdc"
)

// ShowState describes a record of the state topic for people: what it is about,
// and what it remembers (nil for a tombstone). The names are not a format to rely
// on.
func ShowState(key, value []byte) (about, remembers map[string]any, err error) {
	if len(key) == 0 {
		return nil, nil, fmt.Errorf("a record without a key")
	}
	name, forgotten := string(key[1:]), value == nil
	switch key[0] {
	case kindRow:
		object, id, err := parseRowKey(key)
		if err != nil {
			return nil, nil, err
		}
		return showRow(map[string]any{"kind": "record", "object": string(object), "id": id.String()}, value)
	case kindEntry:
		list, entry, err := parseEntryRowKey(key)
		if err != nil {
			return nil, nil, err
		}
		return showRow(map[string]any{"kind": "entry", "list": list, "key": entry.String()}, value)
	case kindLink:
		pair, link, err := parseLinkKey(key)
		if err != nil {
			return nil, nil, err
		}
		about = map[string]any{
			"kind": "link", "pair": string(pair), "from": link.From.String(), "to": link.To.String(), "category": link.Category, "typeId": link.TypeID,
		}
		if forgotten {
			return about, nil, nil
		}
		row, err := parseLinkRow(value)
		return about, reasonOf(map[string]any{"live": row.Live, "seq": row.Seq}, row.Reason), err
	case kindBirth:
		about = map[string]any{"kind": "birth"}
		if forgotten {
			return about, nil, nil
		}
		id, portal, err := parseStateBirth(value)
		return about, map[string]any{"id": id, "portal": portal}, err
	case kindSet:
		about = map[string]any{"kind": "properties", "object": name}
		if forgotten {
			return about, nil, nil
		}
		err = json.Unmarshal(value, &remembers)
		return about, remembers, err
	case kindTopic:
		about = map[string]any{"kind": "topic", "topic": name}
		if forgotten {
			return about, nil, nil
		}
		meta, err := parseTopicMeta(value)
		return about, map[string]any{"partitions": meta.Partitions, "keyFormat": meta.KeyFormat, "keySchema": meta.KeySchema}, err
	case kindSeq:
		about = map[string]any{"kind": "seq"}
		if forgotten {
			return about, nil, nil
		}
		seq, err := parseSeq(value)
		return about, map[string]any{"seq": seq}, err
	case kindIdentity, kindEnds, kindSchema:
		return showPublished(key, value)
	}
	return nil, nil, fmt.Errorf("an unknown kind of record (%q)", key[0])
}

func showRow(about map[string]any, value []byte) (map[string]any, map[string]any, error) {
	if value == nil {
		return about, nil, nil
	}
	row, err := parseRow(value)
	return about, reasonOf(map[string]any{
		"live": row.Live, "version": row.Version.String(), "seq": row.Seq, "settled": row.Settled,
	}, row.Reason), err
}

func reasonOf(row map[string]any, reason cdc.Reason) map[string]any {
	if reason != 0 {
		row["reason"] = reason.String()
	}
	return row
}
