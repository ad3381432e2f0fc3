//go:build integration

package kafka

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/test/services"
)

// TestR20_TheEndsAreAsExpected on a real broker too: after one transaction the
// next record follows its marker, so no transaction needs a second record about its
// ends, over restarts.
func TestR20_TheEndsAreAsExpected(t *testing.T) {
	p := newPlace(t)
	for run := range 2 {
		s, _ := p.open()
		for n := range 5 {
			if err := s.Commit(t.Context(), page(cdc.Read, n+1, hubspot.ID(100*run+10*n+1), hubspot.ID(100*run+10*n+2))); err != nil {
				t.Fatal(err)
			}
		}
		s.Close()
	}
	want, told := make([]int64, 16), 0
	for _, r := range p.committed(p.topic("contacts")) {
		want[r.Partition] = r.Offset + 1
	}
	for _, r := range p.committed(offsets.StateTopic(p.prefix)) {
		if string(r.Key) == string(offsets.EndsKey(p.topic("contacts"))) {
			told++
		}
	}
	_, l := p.load()
	ends := l.Ends[p.topic("contacts")]
	for partition, after := range want {
		if ends.At(partition) != after {
			t.Errorf("partition %d ends at %d, the state has %d", partition, after, ends.At(partition))
		}
	}
	if told != 11 { // one more when the topic was made
		t.Errorf("%d records about the ends of 10 transactions", told)
	}
}

// TestR20_WhatIsLostIsPublishedAgain: a topic that is deleted, deleted and made again
// while the connector runs, or emptied by kafka-delete-records.
func TestR20_WhatIsLostIsPublishedAgain(t *testing.T) {
	s := newPlace(t)
	portal := hubspottest.New(hubspottest.Options{
		Seed: 1, Types: []string{"contacts"}, Limits: hubspottest.Limits{SearchPerSecond: 1000, TenSecondly: 100_000, Daily: 10_000_000},
		Index: hubspottest.Index{Min: 20 * time.Millisecond, Max: 100 * time.Millisecond},
	})
	ids := portal.Seed("contacts", 250)
	server := httptest.NewServer(portal)
	defer server.Close()
	c := s.Build(t, server.URL, s.prefix, "HUBSPOT_OBJECTS=contacts", "SYNC_LEADING_INTERVAL=200ms")
	topic := s.topic("contacts")
	times := func() map[string]int { // events by live key
		n := map[string]int{}
		for _, r := range testkit.ReadSettled(t, topic, s.Options()...) {
			if r.Value != nil {
				n[string(r.Key)]++
			}
		}
		return n
	}
	whole := func(most int) {
		t.Helper()
		services.Eventually(t, 20*time.Second, "everything is published again", func() error {
			n := times()
			if len(n) != len(ids) {
				return fmt.Errorf("%d of %d keys", len(n), len(ids))
			}
			return nil
		})
		if found := slices.Max(slices.Collect(maps.Values(times()))); found > most {
			t.Errorf("a record has %d events, want at most %d", found, most)
		}
	}
	remove := func() {
		t.Helper()
		if _, err := s.Admin.DeleteTopic(t.Context(), topic); err != nil {
			t.Fatal(err)
		}
		services.Eventually(t, 10*time.Second, "the topic is gone", func() error {
			found, err := s.Admin.ListTopics(t.Context(), topic)
			if err == nil && found.Has(topic) && found[topic].Err == nil {
				err = errors.New("it is still there")
			}
			return err
		})
	}
	p := c.Start(t)
	p.Says(t, 20*time.Second, "backfill done")
	whole(1)
	p.Terminate(t)

	remove()
	p = c.Start(t)
	p.Says(t, 20*time.Second, "everything is published again")
	whole(1)

	remove() // and made again at once, as by an operator
	policy := "compact"
	services.Eventually(t, 10*time.Second, "the topic is made again", func() error {
		_, err := s.Admin.CreateTopic(t.Context(), 3, 1, map[string]*string{"cleanup.policy": &policy}, topic)
		return err
	})
	portal.Update("contacts", ids[0], map[string]string{"firstname": "Meanwhile"})
	p.Says(t, 20*time.Second, "was created again")
	whole(2)
	p.Terminate(t)

	fresh := kadm.NewClient(testkit.Client(t, s.Options()...)) // the other one remembers the first topic
	ends, err := fresh.ListEndOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	to := kadm.Offsets{}
	ends.Each(func(o kadm.ListedOffset) { to.AddOffset(topic, o.Partition, o.Offset/2, -1) })
	// Kafka deletes records only where the policy has delete in it.
	for _, policy := range []string{"compact,delete", "compact"} {
		if _, err := fresh.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Name: "cleanup.policy", Value: &policy}}, topic); err != nil {
			t.Fatal(err)
		}
		if policy == "compact" {
			break
		}
		services.Eventually(t, 10*time.Second, "records are deleted", func() error {
			answers, err := fresh.DeleteRecords(t.Context(), to)
			return cmp.Or(err, answers.Error())
		})
	}
	if n := len(times()); n == len(ids) {
		t.Fatal("nothing was deleted")
	}
	p = c.Start(t)
	p.Says(t, 20*time.Second, "records were deleted from it")
	whole(2)
	p.Terminate(t)
}

// TestR20_ARegistryThatTakesNoIDs is never asked to register what it has lost: it
// would hand out another id.
func TestR20_ARegistryThatTakesNoIDs(t *testing.T) {
	p := newPlace(t)
	s, _ := p.open()
	if err := s.Commit(t.Context(), page(cdc.Read, 1, 1)); err != nil {
		t.Fatal(err)
	}
	s.Close()
	subject := p.topic("contacts") + "-value"
	text := `{"type":"record","name":"Envelope","namespace":"lost","fields":[]}`
	lost := offsets.NewSchema(subject, 999_999, text)
	cl := testkit.Client(t, p.Options()...)
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: offsets.StateTopic(p.prefix), Key: lost.Key(), Value: lost.Bytes()}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	before, err := p.Schemas.SubjectVersions(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.fence().Load(t.Context())
	var refusal *offsets.Refusal
	if !errors.As(err, &refusal) || !strings.Contains(err.Error(), "lost the schemas [999999]") {
		t.Errorf("err = %v", err)
	}
	if after, err := p.Schemas.SubjectVersions(t.Context(), subject); err != nil || len(after) != len(before) {
		t.Errorf("versions %v, before %v, %v", after, before, err)
	}
}
