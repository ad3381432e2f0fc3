package hubspot

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestSecretNeverPrints(t *testing.T) {
	s := Secret(canary)
	var b strings.Builder
	for _, verb := range []string{"%s", "%v", "%+v", "%#v", "%q", "%x", "%X", "%d", "%10s"} {
		fmt.Fprintf(&b, verb+"\n", s)
		fmt.Fprintf(&b, verb+"\n", struct{ Token Secret }{s})
	}
	fmt.Fprintln(&b, s, s.String(), s.GoString(), []Secret{s}, map[string]Secret{"t": s}, &s)
	text, err := json.Marshal(map[string]any{"t": s, "in": struct{ Token *Secret }{&s}})
	if err != nil {
		t.Fatal(err)
	}
	b.Write(text)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("text", "token", s, "in", struct{ Token Secret }{s})
	slog.New(slog.NewJSONHandler(&log, nil)).Info("json", "token", s, "in", struct{ Token Secret }{s})
	b.Write(log.Bytes())
	if strings.Contains(b.String(), "canary") || strings.Contains(b.String(), fmt.Sprintf("%x", canary)) {
		t.Errorf("a Secret was printed:\n%s", &b)
	}
	if s.Reveal() != canary {
		t.Errorf("Reveal = %q, want the text", s.Reveal())
	}
}

// A client or a part of it, printed whole by mistake, shows no token either.
func TestSecretNeverPrints_WithinAClient(t *testing.T) {
	r := newRig(t, always(200, accountBody))
	if err := r.ask(t.Context()); err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%+v %#v %+v", r.Client, r.auth, r.auth); strings.Contains(text, canary) {
		t.Errorf("the token is in a printed client: %s", text)
	}
}
