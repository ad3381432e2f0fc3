package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/sink"
)

// signal is what asks the connector to publish keys again, as HubSpot has them
// (docs/contract.md section 4).
type signal struct {
	ID   string     `json:"id"`
	Type string     `json:"type"`
	Data signalData `json:"data"`
}

type signalData struct {
	Collections []string          `json:"data-collections"`
	Type        string            `json:"type"`
	Conditions  []signalCondition `json:"additional-conditions,omitempty"`
}

type signalCondition struct {
	Collection string `json:"data-collection"`
	Filter     string `json:"filter"`
}

// idsPerSignal keeps a signal far below what a topic takes.
const idsPerSignal = 1000

// Fix asks the connector, by signals, to publish what differs again, as HubSpot has
// it then. It returns how many signals it has sent, and the keys that no signal can
// name, each after its topic: they are no ids of HubSpot's.
func (r *Report) Fix(ctx context.Context, setup *connector.Setup) (sent int, byHand []string, err error) {
	var signals []signal
	for i := range r.Topics {
		t := &r.Topics[i]
		ask, unnamed := t.signals(time.Now().UTC())
		signals = append(signals, ask...)
		for _, key := range unnamed {
			byHand = append(byHand, t.Topic+" "+key)
		}
	}
	prefix := setup.Config.Kafka.TopicPrefix
	for _, s := range signals {
		text, err := json.Marshal(s)
		if err != nil {
			return sent, byHand, err
		}
		if _, err := sink.SendSignal(ctx, setup.Kafka, prefix, text); err != nil {
			return sent, byHand, err
		}
		sent++
	}
	return sent, byHand, nil
}

// signals ask for what differs in a topic, without the keys that none can name.
func (t *Topic) signals(now time.Time) (out []signal, unnamed []string) {
	var ids []hubspot.ID
	whole := false
	for _, d := range t.all {
		parts := strings.Split(d.key, ":")
		text := parts[0] // of a link, the record whose links are read
		if t.list {
			text = parts[len(parts)-1]
		}
		id, err := hubspot.ParseID(text)
		if err != nil {
			if whole = whole || t.list; !t.list {
				unnamed = append(unnamed, d.key)
			}
			continue
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	one := func(ids []hubspot.ID) {
		s := signal{
			ID:   fmt.Sprintf("verify %s %s %d", t.object, now.Format(time.RFC3339), len(out)+1),
			Type: "execute-snapshot",
			Data: signalData{Collections: []string{t.object}, Type: "incremental"},
		}
		if len(ids) > 0 {
			texts := make([]string, len(ids))
			for i, id := range ids {
				texts[i] = id.String()
			}
			s.Data.Conditions = []signalCondition{{t.object, strings.Join(texts, ",")}}
		}
		out = append(out, s)
	}
	if whole { // ids that are words cannot be asked for one by one
		one(nil)
		return out, nil
	}
	for chunk := range slices.Chunk(ids, idsPerSignal) {
		one(chunk)
	}
	return out, unnamed
}
