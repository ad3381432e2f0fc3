package sink

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/hubspot-cdc/connector/internal/testkit"
)

// TestShortSettings_AKillBetweenCreationAndSettings: on a cluster that refuses one
// setting, a process that dies before it has set the others leaves a topic with
// the cluster's defaults. The next one names what is missing, once, with a command
// that sets it; and it leaves the topic as it is.
func TestShortSettings_AKillBetweenCreationAndSettings(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		policy := &testkit.Policy{Settings: []string{"segment.bytes"}, NoAlter: true}
		w.Enforce(policy)
		w.mustOpen().Close() // nothing but the needed setting: as if it died after the creation
		policy.Off.Store(true)
		altered := policy.Alters.Load()
		var warned Warned
		for range 2 {
			w.mustOpen(func(c *Config) { c.Warned = &warned }).Close()
		}
		if policy.Alters.Load() != altered {
			t.Error("a topic was altered")
		}
		if n := w.log.Count("keeps them; connector check prints the command"); n != 1 {
			t.Errorf("logged %d times, want once", n)
		}
		look := func() *TopicFinding {
			p, err := NewProbe(w.config())
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			found, err := p.Internal(t.Context(), "hubspot.offsets")
			if err != nil {
				t.Fatal(err)
			}
			return found
		}
		found := look()
		const command = "kafka-configs --alter --entity-type topics --entity-name hubspot.offsets --add-config "
		if !strings.HasPrefix(found.Command, command) || !strings.Contains(found.Command, "segment.ms=600000") ||
			!strings.Contains(found.Short, "max.message.bytes is 1048588 and not 8388608") {
			t.Errorf("command %s\nshort %s", found.Command, found.Short)
		}
		_, list, _ := strings.Cut(found.Command, "--add-config ")
		var alter []kadm.AlterConfig
		for setting := range strings.SplitSeq(list, ",") {
			key, value, _ := strings.Cut(setting, "=")
			alter = append(alter, kadm.AlterConfig{Op: kadm.SetConfig, Name: key, Value: &value})
		}
		if _, err := w.Admin().AlterTopicConfigs(t.Context(), alter, "hubspot.offsets"); err != nil {
			t.Fatal(err)
		}
		if found = look(); found.Short != "" || found.Command != "" {
			t.Errorf("after the command: %+v", found)
		}
	})
}

// TestShortSettings_TheClusterRefusesThem: where a topic lacks what the cluster
// refuses, the next start says that, and not to set it.
func TestShortSettings_TheClusterRefusesThem(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		policy := &testkit.Policy{Settings: []string{"min.compaction.lag.ms", "segment.bytes"}}
		w.Enforce(policy)
		w.mustOpen().Close()
		altered := policy.Alters.Load()
		before := len(w.log.String())
		w.mustOpen().Close()
		p, err := NewProbe(w.config())
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		found, err := p.Internal(t.Context(), "hubspot.offsets")
		if err != nil {
			t.Fatal(err)
		}
		for where, text := range map[string]string{"log": w.log.String()[before:], "check": fmt.Sprint(found.Warnings)} {
			if !strings.Contains(text, "67108864 is refused") || !strings.Contains(text, policy.Message("segment.bytes")) || !strings.Contains(text, "starts take longer") {
				t.Errorf("%s: %s", where, text)
			}
			if strings.Contains(text, "segment.bytes is") || strings.Contains(text, "keeps them") {
				t.Errorf("%s says to set what the cluster refuses: %s", where, text)
			}
		}
		if found.Command != "" || policy.Alters.Load() != altered {
			t.Errorf("command %q, %d alters", found.Command, policy.Alters.Load()-altered)
		}
	})
}

// TestShortSettings_MoreIsNotLess: what serves better than asked, or does not
// matter, is the operator's choice.
func TestShortSettings_MoreIsNotLess(t *testing.T) {
	for _, c := range []struct {
		key, got, want, policy string
		less                   bool
	}{
		{"max.message.bytes", "1048588", "8388608", "compact", true},
		{"max.message.bytes", "16777216", "8388608", "compact", false},
		{"delete.retention.ms", "86400000", "604800000", "compact", true},
		{"delete.retention.ms", "6048000000", "604800000", "compact", false},
		{"segment.ms", "604800000", "600000", "compact", true},
		{"segment.ms", "60000", "600000", "compact", false},
		{"retention.ms", "604800000", "-1", "compact", false},
		{"retention.ms", "604800000", "-1", "compact,delete", true},
		{"retention.ms", "-1", "604800000", "delete", false},
		{"retention.ms", "1000", "604800000", "delete", true},
		{"cleanup.policy", "compact", "delete", "compact", false},
	} {
		if got := servesLess(c.key, c.got, c.want, c.policy); got != c.less {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
