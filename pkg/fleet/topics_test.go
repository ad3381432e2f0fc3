package fleet_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hubspot-cdc/connector/pkg/fleet"
	"github.com/hubspot-cdc/connector/pkg/sink"
)

// TestFleet_ADeletedSignalsTopicIsMadeAgain, while its portal's run goes on. The portals
// that read theirs with the same client do not notice.
func TestFleet_ADeletedSignalsTopicIsMadeAgain(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		const contacts = 3
		all := names(0, 3)
		w.add(contacts, all...)
		a := w.start()
		w.until(2*time.Minute, a.stream)
		time.Sleep(time.Minute)
		before := of(a.status())
		// A client that asked in vain without a pause would stop the clock.
		w.kafka.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
			w.kafka.KeepControl()
			w.kafka.SleepControl(func() { time.Sleep(5 * time.Millisecond) })
			return nil, nil, false
		})
		if _, err := w.kafka.Admin().DeleteTopics(w.Context(), prefix+"."+all[0]+".signals"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Second)
		for i, name := range all {
			value := fmt.Sprintf(`{"id":"%d","type":"execute-snapshot","data":{"data-collections":["contacts"]}}`, i)
			if _, err := sink.SendSignal(w.Context(), w.kafka.Options(), prefix+"."+name, []byte(value)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		for name, p := range of(a.status()) {
			if n := len(w.records(prefix + "." + name + ".contacts")); n != 2*contacts {
				t.Errorf("%s: %d events, want %d", name, n, 2*contacts)
			}
			if !p.Since.Equal(before[name].Since) || p.State != fleet.StateStreaming || len(p.Problems) > 0 {
				t.Errorf("%s was touched: %+v, before %+v", name, p, before[name])
			}
		}
		a.stop()
	})
}

// TestFleet_NobodyAsksForTheTopicsOfAPortalThatIsGone: the client that its portals share
// forgets them, so that who deletes them has peace.
func TestFleet_NobodyAsksForTheTopicsOfAPortalThatIsGone(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.add(3, "acme", "gone")
		a := w.start()
		w.until(2*time.Minute, a.stream)
		time.Sleep(time.Minute)
		w.remove("gone")
		time.Sleep(time.Minute)
		topics, err := w.kafka.Admin().ListTopics(w.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range topics.Names() {
			if strings.HasPrefix(name, prefix+".gone.") {
				if _, err := w.kafka.Admin().DeleteTopics(w.Context(), name); err != nil {
					t.Fatal(err)
				}
			}
		}
		var asked atomic.Int64
		w.kafka.ControlKey(int16(kmsg.Metadata), func(r kmsg.Request) (kmsg.Response, error, bool) {
			w.kafka.KeepControl()
			for _, topic := range r.(*kmsg.MetadataRequest).Topics {
				if topic.Topic != nil && strings.HasPrefix(*topic.Topic, prefix+".gone.") {
					asked.Add(1)
				}
			}
			return nil, nil, false
		})
		time.Sleep(10 * time.Minute)
		if n := asked.Load(); n > 0 {
			t.Errorf("%d requests in ten minutes", n)
		}
		w.mu.Lock()
		w.files["gone"] = "HUBSPOT_ACCESS_TOKEN=pat-gone" // its topics are made again
		w.mu.Unlock()
		w.until(time.Minute, a.stream)
		w.until(time.Minute, func() bool { return len(w.records(prefix+".gone.notifications")) > 0 })
		a.stop()
		w.check("acme", "gone")
	})
}
