package sink

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/hubspot-cdc/connector/pkg/cdc"
)

// TestProbe_ChangesNothing: a Probe creates no topic and registers no schema, and
// a run that has a transaction open meanwhile can commit it.
func TestProbe_ChangesNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		cl := w.Client(kgo.TransactionalID(TransactionalID("hubspot", portal)))
		adm := kadm.NewClient(cl)
		if _, err := adm.CreateTopic(ctx, 1, 1, nil, "elsewhere"); err != nil {
			t.Fatal(err)
		}
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := cl.ProduceSync(ctx, &kgo.Record{Topic: "elsewhere", Value: []byte("x")}).FirstErr(); err != nil {
			t.Fatal(err)
		}

		cfg := w.config()
		p, err := NewProbe(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		for _, name := range []string{"hubspot.offsets", "hubspot.state"} {
			look, err := p.Internal(ctx, name)
			if err != nil || look.There || look.Partitions != 1 || look.Configs["cleanup.policy"] != "compact" {
				t.Errorf("%s: %+v, %v", name, look, err)
			}
		}
		if loaded, err := p.Load(ctx); err != nil || !loaded.Fresh {
			t.Errorf("load: %+v, %v", loaded, err)
		}
		look, err := p.Topic(ctx, "contacts", contactSet)
		if err != nil || look.There || len(look.Subjects) != 1 || look.Subjects[0].ID != 0 {
			t.Errorf("contacts: %+v, %v", look, err)
		}
		for _, a := range append(p.Producer(ctx), p.Group(ctx, "hubspot.owner")...) {
			if a.Err != nil {
				t.Errorf("%s %s %v: %v", a.Kind, a.Name, a.Operation, a.Err)
			}
		}

		if err := cl.EndTransaction(ctx, kgo.TryCommit); err != nil {
			t.Errorf("the transaction that was open: %v", err)
		}
		topics, err := adm.ListTopics(ctx)
		if err != nil || len(topics) != 1 {
			t.Errorf("topics: %v, %v, want the one that was there", topics.Names(), err)
		}
		if subjects, err := cfg.Registry.Subjects(ctx); err != nil || len(subjects) != 0 {
			t.Errorf("subjects: %v, %v", subjects, err)
		}
	})
}

// TestProbe_FindsWhatARunWarnsOf: a Probe returns the warnings that a run logs,
// with the same settings.
func TestProbe_FindsWhatARunWarnsOf(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.create("hubspot.offsets", 1, map[string]string{"cleanup.policy": "compact", "delete.retention.ms": "1000"})
		w.create(contacts, 2, map[string]string{"cleanup.policy": "delete"})
		r := w.start()
		r.mustCommit(batch(change(cdc.Read, 1, "a")))
		r.stop()
		logged := w.log.String()

		p, err := NewProbe(w.config())
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		cursors, err := p.Internal(t.Context(), "hubspot.offsets")
		if err != nil || !cursors.There {
			t.Fatalf("%+v, %v", cursors, err)
		}
		events, err := p.Topic(t.Context(), "contacts", contactSet)
		if err != nil || !events.There || events.Partitions != 2 || len(events.Subjects) != 1 || events.Subjects[0].ID == 0 {
			t.Errorf("%+v, %v", events, err)
		}
		for want, f := range map[string]*TopicFinding{
			"set it to seven days (delete.retention.ms=1000)":          cursors,
			"a new consumer will miss objects (cleanup.policy=delete)": events,
		} {
			f.Warnings = slices.DeleteFunc(f.Warnings, Warning.AboutSettings) // TestShortSettings_* are about those
			if len(f.Warnings) != 1 || !strings.HasSuffix(f.Warnings[0].String(), want) {
				t.Errorf("%s: %v, want %q", f.Name, f.Warnings, want)
				continue
			}
			said := fmt.Sprintf("level=WARN msg=%q portal=4242 topic=%s %s\n", f.Warnings[0].Text, f.Name, f.Warnings[0].Setting)
			if !strings.Contains(logged, said) {
				t.Errorf("the run did not log %q but\n%s", said, logged)
			}
		}
		if now := w.log.String(); now != logged {
			t.Errorf("a Probe logged:\n%s", now[len(logged):])
		}
	})
}

// TestTopicFinding_DeniedIsWhatTheBrokersTold: if the brokers say nothing,
// nothing counts as denied.
func TestTopicFinding_DeniedIsWhatTheBrokersTold(t *testing.T) {
	for name, c := range map[string]struct {
		bits int32
		want bool
	}{
		"not told":        {-1 << 31, false},
		"nothing allowed": {0, true},
		"read allowed":    {1 << kmsg.ACLOperationRead, true},
		"write allowed":   {1<<kmsg.ACLOperationRead | 1<<kmsg.ACLOperationWrite, false},
	} {
		f := &TopicFinding{Operations: operations(c.bits)}
		if got := f.Denied(kmsg.ACLOperationWrite); got != c.want {
			t.Errorf("%s: denied %v", name, got)
		}
	}
}

// TestR20_AProbeTellsWhatIsLost, and what a run would do about it; a schema that
// stands for something else refuses there too.
func TestR20_AProbeTellsWhatIsLost(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.start()
		r.mustCommit(batch(change(cdc.Read, 1, "a")))
		r.stop()
		probe := func() (*TopicFinding, error) {
			p, err := NewProbe(w.config())
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			if _, err := p.Load(t.Context()); err != nil {
				t.Fatal(err)
			}
			return p.Topic(t.Context(), "contacts", contactSet)
		}
		says := func(words string) {
			t.Helper()
			found, err := probe()
			if err != nil {
				t.Fatal(err)
			}
			text := fmt.Sprint(found.Warnings)
			if words == "" && len(found.Warnings) > 0 || !strings.Contains(text, words) {
				t.Errorf("it warns of %s, want %q", text, words)
			}
		}
		says("")
		if _, err := w.Admin().DeleteTopic(t.Context(), contacts); err != nil {
			t.Fatal(err)
		}
		w.create(contacts, 3, map[string]string{"cleanup.policy": "compact"})
		says("it was created again")
		w.registry.Reset()
		status, code := http.StatusUnprocessableEntity, 42204 // Confluent's: it knows modes, and not this one
		w.registry.Intercept(func(to http.ResponseWriter, r *http.Request) bool {
			mode := strings.HasPrefix(r.URL.Path, "/mode")
			if mode {
				to.WriteHeader(status)
				fmt.Fprintf(to, `{"error_code":%d,"message":"no"}`, code)
			}
			return mode
		})
		says("has lost a schema")
		for name, refused := range map[string]int{
			"Apicurio does nothing": http.StatusOK, "Karapace knows no modes": http.StatusMethodNotAllowed, "the user may not": http.StatusForbidden,
		} {
			status, code = refused, refused
			if _, err := probe(); err == nil || !strings.Contains(err.Error(), "has lost the schemas [1]") {
				t.Errorf("%s: %v", name, err)
			}
		}
		status = http.StatusServiceUnavailable
		says("has lost a schema")
		if _, _, err := w.registry.RegisterSchema("other", sr.Schema{Schema: `"string"`}); err != nil {
			t.Fatal(err)
		}
		_, err := probe()
		mustRefuse(t, err, "another schema under id 1")
	})
}
