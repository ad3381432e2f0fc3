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
// it then. Keys that are no ids of HubSpot's cannot be asked for. It returns how many
// signals it has sent.
func (r *Report) Fix(ctx context.Context, setup *connector.Setup) (sent int, err error) {
	var signals []signal
	for i := range r.Topics {
		signals = append(signals, r.Topics[i].signals(time.Now().UTC())...)
	}
	prefix := setup.Config.Kafka.TopicPrefix
	for _, s := range signals {
		text, err := json.Marshal(s)
		if err != nil {
			return sent, err
		}
		if _, err := sink.SendSignal(ctx, setup.Kafka, prefix, text); err != nil {
			return sent, err
		}
		sent++
	}
	return sent, nil
}

// signals ask for what differs in a topic.
func (t *Topic) signals(now time.Time) (out []signal) {
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
			whole = whole || t.list
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
		return out
	}
	for chunk := range slices.Chunk(ids, idsPerSignal) {
		one(chunk)
	}
	return out
}
