package sink

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
)

// differs is the key of the warning that a topic's settings fall short.
const differs = "differs"

// fallsShort notes which wanted settings a topic that is there falls short of, and
// the command that sets them, or that the cluster refuses them. The connector
// leaves such a topic as it is: somebody may have made it so. But a process that is
// killed while it creates a topic on a cluster that refuses some settings leaves
// the others unset too, and the next one cannot tell the two apart.
func (s *setup) fallsShort(ctx context.Context, t *TopicFinding, want map[string]string) {
	var short, set []string
	for _, key := range slices.Sorted(maps.Keys(want)) {
		got, told := t.Configs[key]
		if !told || !servesLess(key, got, want[key], t.Configs[needed]) {
			continue
		}
		if err := s.refuses(ctx, t.Name, key, want[key]); err != nil {
			t.Warnings = append(t.Warnings, settingRefused(key, want[key], err))
			continue
		}
		short = append(short, fmt.Sprintf("%s is %s and not %s", key, got, want[key]))
		set = append(set, key+"="+want[key])
	}
	if len(short) == 0 {
		return
	}
	t.Short = strings.Join(short, ", ")
	t.Command = fmt.Sprintf("%s --alter --entity-type topics --entity-name %s --add-config %s", s.tool("kafka-configs"), t.Name, strings.Join(set, ","))
	t.Warnings = append(t.Warnings, Warning{
		Text:    "a topic has other settings than the connector gives to a new one, and keeps them; connector check prints the command for each such topic",
		Setting: slog.String(differs, t.Short), Cluster: true,
	})
}

// refuses returns why the cluster would not let a topic have a setting; nil if it
// would, or does not tell.
func (s *setup) refuses(ctx context.Context, topic, key, value string) error {
	answers, err := s.adm.ValidateAlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: key, Value: &value}}, topic)
	if err != nil {
		return nil //nolint:nilerr // the cluster does not tell
	}
	if answer, err := answers.On(topic, nil); err == nil && refusesSettings(answer.Err) {
		return worded(answer.Err, answer.ErrMessage)
	}
	return nil
}

// servesLess reports whether a setting serves less well than the wanted one.
func servesLess(key, got, want, policy string) bool {
	has, err1 := strconv.ParseInt(got, 10, 64)
	asked, err2 := strconv.ParseInt(want, 10, 64)
	if err1 != nil || err2 != nil || has == asked {
		return false // cleanup.policy has its own rules
	}
	switch key {
	case "retention.ms": // Kafka ignores it where nothing is deleted
		return strings.Contains(policy, "delete") && has >= 0 && (asked < 0 || has < asked)
	case "segment.bytes", "segment.ms":
		return has > asked
	}
	return has < asked
}
