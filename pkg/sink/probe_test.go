package sink

import (
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestProbe_ChangesNothing: a Probe creates no topic and registers no schema,
// and the producer of a run that has a transaction open meanwhile can commit it.
func TestProbe_ChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ctx := t.Context()
		cl, err := kgo.NewClient(append(w.opts, kgo.TransactionalID(TransactionalID("hubspot", portal)))...)
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
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
		p, err := Look(cfg)
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
