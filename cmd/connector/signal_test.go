package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
)

// send sends a signal as the commands do.
func (w *world) send(kind, text string) (out, errs string, err error) {
	var stdout, stderr bytes.Buffer
	s := &signaller{prefix: "hubspot", kafka: w.Kafka.Options()}
	err = s.send(w.T.Context(), &stdout, &stderr, "ask-1", kind, []byte(text))
	return stdout.String(), stderr.String(), err
}

// TestSignal_IsObeyed: the connector obeys what the commands send, and the
// notifications that they name can be read with tail.
func TestSignal_IsObeyed(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 61}, []string{"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=none"}, func(w *world) {
		const text = `{"id":"ask-1","type":"execute-snapshot","data":{"data-collections":["contacts"]}}`
		if _, _, err := w.send("execute-snapshot", text); err == nil || !strings.Contains(err.Error(), "has not run with KAFKA_TOPIC_PREFIX=hubspot") {
			t.Errorf("a topic that does not exist: %v", err)
		}
		w.Ran(5)
		out, errs, err := w.send("execute-snapshot", text)
		if err != nil || !strings.Contains(out, "sent to hubspot.signals, offset 0, key hubspot:\n"+text+"\n") ||
			!strings.Contains(out, "connector tail notifications") || !strings.Contains(errs, "no instance runs") {
			t.Errorf("%v\n%s%s", err, out, errs)
		}
		if _, errs, err := w.send("execute-snapshot", strings.Replace(text, `["contacts"]`, `["kontacts","hubspot.contacts",".*","contacts:deals"]`, 1)); err != nil ||
			!strings.HasPrefix(errs, `nothing was published of "kontacts" so far: there is no topic hubspot.kontacts; did you mean hubspot.contacts?
nothing was published of "contacts:deals" so far: there is no topic hubspot.associations.contacts.deals
no instance runs`) {
			t.Errorf("%v\n%s", err, errs)
		}
		p := w.Start()
		w.SleepUntil(time.Minute, func() bool { return p.Log.Has("snapshot completed") })
		if _, errs, err := w.send("resume", `{"id":"ask-1","type":"resume"}`); err != nil || errs != "" {
			t.Errorf("%v %s", err, errs)
		}
		time.Sleep(time.Minute)
		p.Stop()
		text2, err := w.tailed(consumer{topics: topicNames("hubspot", []string{"notifications"}, nil), fromBeginning: true})
		if err != nil || !strings.Contains(text2, `"aggregate_type":"Incremental Snapshot","type":"COMPLETED"`) {
			t.Errorf("%v\n%s", err, text2)
		}
	})
}

// TestSignal_IsSentThoughNobodyLooks: once the signal is written the command succeeds,
// and names what it could not look at.
func TestSignal_IsSentThoughNobodyLooks(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 62}, []string{"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=none"}, func(w *world) {
		w.Ran(5)
		away := errors.New("the broker is away")
		w.Kafka.ControlKey(int16(kmsg.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
			w.Kafka.KeepControl()
			return nil, away, req.(*kmsg.MetadataRequest).Topics == nil
		})
		w.Kafka.ControlKey(int16(kmsg.FindCoordinator), func(kmsg.Request) (kmsg.Response, error, bool) {
			w.Kafka.KeepControl()
			return nil, away, true
		})
		out, errs, err := w.send("resume", `{"id":"ask-1","type":"resume","data":{"data-collections":["contacts"]}}`)
		if err != nil || !strings.Contains(out, "sent to hubspot.signals, offset 0") || !strings.Contains(out, "watch it:") {
			t.Errorf("%v\n%s", err, out)
		}
		for _, want := range []string{"nobody has looked whether what it names has topics: list the topics: ", "nobody has looked whether an instance runs: "} {
			if !strings.Contains(errs, "the signal is sent; "+want) {
				t.Errorf("%q is not in\n%s", want, errs)
			}
		}
	})
}

// TestSignal_SaysThatKafkaDoesNotAnswer, and what to do; connector offsets too.
func TestSignal_SaysThatKafkaDoesNotAnswer(t *testing.T) {
	t.Parallel()
	inWorld(t, hubspottest.Options{Seed: 63}, nil, func(w *world) {
		away := append(w.Kafka.Options(), kgo.Dialer(func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("connection refused")
		}))
		var out bytes.Buffer
		signal := (&signaller{prefix: "hubspot", kafka: away}).send(w.T.Context(), &out, &out, "ask-1", "resume", []byte(`{"id":"ask-1","type":"resume"}`))
		tool := w.cursorTool()
		tool.kafka = away
		for command, err := range map[string]error{"signal": signal, "offsets get": tool.get(w.T.Context(), &out, &out), "offsets reset": tool.reset(w.T.Context(), true, &out)} {
			if text := fmt.Sprint(err); connector.ExitCode(err) != connector.ExitFailed || !strings.Contains(text, "Kafka does not answer: it cannot be reached: ") || !strings.Contains(text, "\ncheck KAFKA_BROKERS") {
				t.Errorf("%s: %v", command, err)
			}
		}
		if out.Len() > 0 {
			t.Errorf("printed: %s", out.String())
		}
	})
}

// TestSignal_Usage: what the connector would pass over is not sent.
func TestSignal_Usage(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"signal"}, "a type is needed"},
		{[]string{"signal", "paus"}, `its type is "paus"`},
		{[]string{"signal", "pause"}, "data-collections names nothing"},
		{[]string{"signal", "log", "--data", "hello"}, "is not a JSON object"},
		{[]string{"signal", "log", "--data", "null"}, "is not a JSON object"},
		{[]string{"signal", "resume", "now"}, "at most 1 arg"},
		{[]string{"snapshot"}, "the name of an object type"},
		{[]string{"snapshot", "contacts", "deals", "--ids", "1"}, "--ids needs one name"},
		{[]string{"snapshot", "contacts", "--ids", "Ada"}, "not a list of ids"},
		{[]string{"snapshot", ".*", "--ids", "5"}, `nothing is published under ".*"`},
		{[]string{"snapshot", "contacts", ""}, `nothing is published under ""`},
		{[]string{"signal", "stop-snapshot", "--data", `{"data-collections":[""]}`}, `nothing is published under ""`},
		{[]string{"signal", "pause", "--collections", "owners"}, "lists are read as a whole and cannot be paused"},
		{[]string{"signal", "pause", "--collections", "contacts,hubspot.pipelines"}, "cannot be paused"},
		{[]string{"signal", "pause", "--collections", "contacts, deals"}, "KAFKA_BROKERS"},
		{[]string{"snapshot", "contacts", "--ids", "1,2"}, "KAFKA_BROKERS"},
	} {
		t.Setenv("KAFKA_BROKERS", "")
		var out bytes.Buffer
		if code := command(context.Background(), c.args, &out, &out); code != connector.ExitConfig || !strings.Contains(out.String(), c.want) {
			t.Errorf("%q: exit %d, want %q in\n%s", c.args, code, c.want, out.String())
		}
	}
}
