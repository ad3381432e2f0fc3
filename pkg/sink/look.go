package sink

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// look is a topic as the brokers show it now.
type look struct {
	name         string
	id           string // see offsets.TopicID
	starts, ends []int64
	denied       bool // this user may not see it, so nothing else is known
}

// empty is the look of a topic that this run has just created; nil: it has not.
func (t *TopicFinding) empty() *look {
	if !t.fresh {
		return nil
	}
	return &look{name: t.Name, id: t.id, starts: make([]int64, t.Partitions), ends: make([]int64, t.Partitions)}
}

// topicIDs asks for the ids of topics by name; with no names, of all that this
// user may see. A topic that is not there is left out; denied are those that this user
// may not see.
func (s *setup) topicIDs(ctx context.Context, names []string) (ids map[string]string, denied []string, err error) {
	// Not through kadm, which may answer from the client's cache.
	req := kmsg.NewPtrMetadataRequest()
	if names != nil {
		req.Topics = []kmsg.MetadataRequestTopic{}
	}
	for _, name := range names {
		asked := kmsg.NewMetadataRequestTopic()
		asked.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, asked)
	}
	req.AllowAutoTopicCreation = false
	resp, err := req.RequestWith(ctx, s.cl)
	if err != nil {
		return nil, nil, fmt.Errorf("list topics: %w", err)
	}
	ids = map[string]string{}
	for _, t := range resp.Topics {
		switch err := kerr.ErrorForCode(t.ErrorCode); {
		case err == nil && t.Topic != nil:
			ids[*t.Topic] = offsets.TopicID(t.TopicID)
		case errors.Is(err, kerr.TopicAuthorizationFailed):
			denied = append(denied, deref(t.Topic))
		case names != nil && !errors.Is(err, kerr.UnknownTopicOrPartition):
			return nil, nil, fmt.Errorf("describe topic %s: %w", deref(t.Topic), err)
		}
	}
	return ids, denied, nil
}

// looks shows topics of these names; one that is not there is left out.
func (s *setup) looks(ctx context.Context, names []string) (map[string]*look, error) {
	if len(names) == 0 {
		return nil, nil
	}
	ids, denied, err := s.topicIDs(ctx, names)
	if err != nil {
		return nil, err
	}
	out := map[string]*look{}
	var there []string
	for name, id := range ids {
		out[name] = &look{name: name, id: id}
		there = append(there, name)
	}
	for _, name := range denied {
		out[name] = &look{name: name, denied: true}
	}
	if len(there) == 0 {
		return out, nil
	}
	slices.Sort(there)
	starts, err := s.adm.ListStartOffsets(ctx, there...)
	if err != nil {
		return nil, fmt.Errorf("list start offsets: %w", err)
	}
	ends, err := s.adm.ListEndOffsets(ctx, there...)
	if err != nil {
		return nil, fmt.Errorf("list end offsets: %w", err)
	}
	for _, name := range there {
		l := out[name]
		if l.starts, err = byPartition(name, starts); err != nil {
			return nil, fmt.Errorf("list start offsets of %s: %w", name, err)
		}
		if l.ends, err = byPartition(name, ends); err != nil {
			return nil, fmt.Errorf("list end offsets of %s: %w", name, err)
		}
	}
	return out, nil
}

// byPartition gives the offsets of a topic's partitions, which are numbered from 0.
func byPartition(name string, listed kadm.ListedOffsets) ([]int64, error) {
	out := make([]int64, len(listed[name]))
	if len(out) == 0 {
		return nil, errors.New("the answer has no partition")
	}
	for p := range out {
		o, ok := listed.Lookup(name, int32(p))
		if !ok {
			return nil, fmt.Errorf("the answer lacks partition %d", p)
		}
		if o.Err != nil {
			return nil, o.Err
		}
		out[p] = o.Offset
	}
	return out, nil
}

// loss is how a topic differs from the one that was written.
type loss struct {
	what  string
	front bool // records are missing at the beginning, perhaps because of compaction alone
}

// compare compares a topic with what the state says of it; nil if all is there.
// now is nil if the topic is gone.
func (s *setup) compare(ctx context.Context, now *look, was offsets.Identity, ours offsets.Ends) (*loss, error) {
	switch {
	case now == nil:
		return &loss{what: "it is gone"}, nil
	case now.denied: // its topic waits alone, and is compared when it may be seen
		return nil, nil
	case was.ID != "" && now.id != "" && was.ID != now.id:
		return &loss{what: fmt.Sprintf("it was created again: its id is %s and was %s", now.id, was.ID)}, nil
	case ours.Cut:
		return &loss{what: "a transaction found it shorter than it was left"}, nil
	}
	for p, end := range ours.After {
		if p >= len(now.ends) {
			break // another number of partitions is refused elsewhere
		}
		if now.ends[p] < end {
			return &loss{what: fmt.Sprintf("it was cut: partition %d ends at offset %d, and was written up to offset %d", p, now.ends[p], end)}, nil
		}
	}
	for p, start := range was.Starts {
		if p >= len(now.starts) || now.starts[p] <= start || ours.At(p) <= start {
			continue
		}
		configs, err := s.configs(ctx, []string{now.name})
		if err = cmp.Or(err, configs[now.name].err); err != nil && !refused(err) {
			return nil, fmt.Errorf("describe topic %s: %w", now.name, err)
		}
		// Retention deletes from the front on purpose.
		if configs[now.name].values[needed] != "compact" {
			return nil, nil
		}
		return &loss{fmt.Sprintf("records were deleted from it: partition %d begins at offset %d, and began at offset %d", p, now.starts[p], start), true}, nil
	}
	return nil, nil
}
