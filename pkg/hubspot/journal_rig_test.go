package hubspot

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// journalRig is HubSpot as an app and a portal see it: the journal takes the app's
// tokens, everything else the portal's, and the file host none.
type journalRig struct {
	*rig
	*Journal
	t testing.TB
	// on answers by method and path, "FILE" being the method of the file host.
	on map[string]func() (*http.Response, error)

	mu      sync.Mutex
	asked   []string // method and path, in order
	bodies  []string // of those with one
	expires []time.Time
	revoked int // tokens up to this one are refused
}

const (
	journalRoot = "/webhooks-journal/journal/2026-03"
	fileHost    = "files.example.com"
	tokenPath   = "/oauth/2026-03/token"
)

// Offsets of entries, the oldest first.
const (
	offset1 = "0198c0a1-0000-7000-8000-000000000001"
	offset2 = "0198c0a1-0001-7000-8000-000000000002"
	offset3 = "0198c0a1-0002-7000-8000-000000000003"
)

func newJournalRig(t testing.TB, on map[string]func() (*http.Response, error), change ...func(*Config)) *journalRig {
	t.Helper()
	j := &journalRig{t: t, on: on}
	j.rig = newRig(t, j.answer, change...)
	j.Journal = NewJournal(j.Client, ClientCredentials("app", func() (Secret, error) { return "secret-" + canary, nil }))
	return j
}

func (j *journalRig) answer(req *http.Request) (*http.Response, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	authorization := req.Header.Get("Authorization")
	name := req.Method + " " + req.URL.EscapedPath()
	body := bodyOf(j.t, req)
	switch {
	case req.URL.Host == fileHost:
		if name = strings.Replace(name, "GET", "FILE", 1); authorization != "" || body != "" {
			j.t.Errorf("%s with Authorization %q and body %q", name, authorization, body)
		}
	case req.URL.Path == tokenPath:
		j.asked = append(j.asked, "token")
		if on := j.on["token"]; on != nil {
			return on()
		}
		return j.token(authorization, body), nil
	case strings.HasPrefix(req.URL.Path, "/webhooks-journal/"):
		var n int
		if _, err := fmt.Sscanf(authorization, "Bearer app-"+canary+"-%d", &n); err != nil {
			j.t.Errorf("%s with Authorization %q", name, authorization)
		}
		if n <= j.revoked || time.Now().After(j.expires[n-1]) {
			j.asked = append(j.asked, "401")
			return respond(401, refusal("EXPIRED_AUTHENTICATION", "The OAuth token used to make this call expired 5 minutes ago")), nil
		}
	default:
		if authorization != "Bearer "+canary {
			j.t.Errorf("%s with Authorization %q", name, authorization)
		}
		return respond(200, accountBody), nil
	}
	if j.asked = append(j.asked, name); body != "" {
		j.bodies = append(j.bodies, body)
	}
	if j.on[name] == nil {
		j.t.Errorf("nobody expects %s", name)
		return respond(404, htmlPage), nil
	}
	return j.on[name]()
}

// token plays the token endpoint: a token lasts half an hour.
func (j *journalRig) token(authorization, body string) *http.Response {
	form, err := url.ParseQuery(body)
	want := url.Values{
		"grant_type": {"client_credentials"}, "client_id": {"app"}, "client_secret": {"secret-" + canary},
		"scope": {"developer.webhooks_journal.read developer.webhooks_journal.subscriptions.read developer.webhooks_journal.subscriptions.write"},
	}
	if err != nil || form.Encode() != want.Encode() || authorization != "" {
		j.t.Errorf("a token for %v with Authorization %q, want %v", form, authorization, want)
	}
	j.expires = append(j.expires, time.Now().Add(30*time.Minute))
	return respond(200, fmt.Sprintf(`{"token_type":"bearer","token_use":"client_credentials","access_token":"app-%s-%d","expires_in":1800}`, canary, len(j.expires)))
}

// count is how often a name was asked for.
func (j *journalRig) count(name string) (n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, asked := range j.asked {
		if asked == name {
			n++
		}
	}
	return n
}

// wantAsked checks what was asked for since the last check, the tokens aside.
func (j *journalRig) wantAsked(names ...string) {
	j.t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	got := slices.DeleteFunc(j.asked, func(name string) bool { return name == "token" })
	if !slices.Equal(got, names) {
		j.t.Errorf("asked for %q, want %q", got, names)
	}
	j.asked = nil
}

// inTurn answers with one step after the other, then with the last one.
func inTurn(steps ...func() (*http.Response, error)) func() (*http.Response, error) {
	return func() (*http.Response, error) {
		step := steps[0]
		if len(steps) > 1 {
			steps = steps[1:]
		}
		return step()
	}
}

// entryJSON is an entry whose address has a signature.
func entryJSON(offset, signature string, expires time.Time) string {
	return fmt.Sprintf(`{"url":"https://%s/%s?X-Signature=%s-%s","expiresAt":%q,"currentOffset":%q}`,
		fileHost, offset, canary, signature, expires.UTC().Format(time.RFC3339), offset)
}

func goodEntry(offset string) string { return entryJSON(offset, "1", time.Now().Add(time.Hour)) }

// fileJSON is a file with one event.
func fileJSON(offset string) string {
	return fmt.Sprintf(`{"offset":%q,"publishedAt":"2026-11-29T07:00:00.123Z","journalEvents":[{"type":"crmObject","portalId":4242,"occurredAt":"2026-11-29T06:59:59Z","action":"UPDATE","objectTypeId":"0-1","objectId":101,"propertyChanges":{"email":null}}]}`, offset)
}

// timeout ends what waits for an outage's end.
func timeout(t testing.TB, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d)
}
