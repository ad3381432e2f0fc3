package hubspottest

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The scopes of an app's token for the journal.
const (
	scopeJournal           = "developer.webhooks_journal.read"
	scopeReadSubscriptions = "developer.webhooks_journal.subscriptions.read"
	scopeSubscribe         = "developer.webhooks_journal.subscriptions.write"
)

var journalScopes = []string{
	scopeJournal, scopeReadSubscriptions, scopeSubscribe,
	"developer.webhooks_journal.snapshots.read", "developer.webhooks_journal.snapshots.write",
}

// journalTokenLife is how long an app's token lasts.
const journalTokenLife = 30 * time.Minute

type journalToken struct {
	ends   time.Time
	scopes []string
}

// serveAppToken answers the client_credentials grant. Its tokens read the journal
// and nothing else, and have no refresh token.
func (p *Portal) serveAppToken(form url.Values) (int, []byte, *failure) {
	s := &p.opt.Journal
	switch {
	case s.App == nil || form.Get("client_id") != s.App.ClientID:
		return 0, nil, tokenRefused("BAD_CLIENT_ID", "missing or unknown client ID")
	case form.Get("client_secret") != s.App.ClientSecret || s.Refuse == RefuseToken:
		return 0, nil, tokenRefused("BAD_CLIENT_SECRET", "missing or invalid client secret")
	}
	has := s.OtherScopes
	if has == nil {
		has = journalScopes
	}
	scopes := strings.Fields(form.Get("scope"))
	for _, scope := range scopes {
		if !slices.Contains(has, scope) {
			return 0, nil, tokenRefused("BAD_SCOPE", "the scope "+scope+" could not be recognized")
		}
	}
	p.journal.issued++
	access := fmt.Sprintf("CA%06d%s", p.journal.issued, p.randomText(300))
	p.journal.access[access] = journalToken{p.Now().Add(journalTokenLife), scopes}
	return 200, encode(map[string]any{
		"token_type": "bearer", "token_use": "client_credentials", "access_token": access,
		"expires_in": int(journalTokenLife.Seconds()), "scopes": scopes,
	}), nil
}

// authorizeApp checks the token of a journal call: the portal's own tokens do not
// read it.
func (p *Portal) authorizeApp(c *call) *failure {
	text, _ := strings.CutPrefix(c.authorization, "Bearer ")
	token, issued := p.journal.access[text]
	need := scopeJournal
	if c.endpoint == EndpointSubscriptions {
		if need = scopeReadSubscriptions; c.method != "GET" {
			need = scopeSubscribe
		}
	}
	switch {
	case !issued || p.opt.Journal.Refuse == RefuseToken:
		return unauthorized("Authentication credentials not found. This API supports OAuth 2.0 authentication.", "INVALID_AUTHENTICATION")
	case !p.Now().Before(token.ends):
		return unauthorized(fmt.Sprintf("The OAuth token used to make this call expired %d minute(s) ago.", int(p.Now().Sub(token.ends).Minutes())), "EXPIRED_AUTHENTICATION")
	case p.opt.Journal.Refuse == RefuseScopes || !slices.Contains(token.scopes, need):
		return missingScopes([]string{need})
	case p.opt.Journal.NotInstalled && p.opt.Journal.NoReads:
		return notInstalled(p.opt.PortalID)
	}
	if status := p.opt.Journal.DownStatus; status != 0 {
		return &failure{status: status, message: "Service unavailable"}
	}
	return nil
}

// journalKinds are the subscriptions' types and the actions that each may have.
var journalKinds = map[string][]string{
	"OBJECT":                {"CREATE", "UPDATE", "DELETE", "MERGE", "RESTORE", "SNAPSHOT"},
	"ASSOCIATION":           {"ASSOCIATION_ADDED", "ASSOCIATION_REMOVED"},
	"GDPR_PRIVACY_DELETION": {"GDPR_DELETE"},
}

// serveSubscriptions answers the calls about subscriptions.
func (p *Portal) serveSubscriptions(c *call) (int, []byte, *failure) {
	j := &p.journal
	keep := func(f func(*subscription) bool) { j.subscriptions = slices.DeleteFunc(j.subscriptions, f) }
	id, err := strconv.ParseInt(c.id, 10, 64)
	i := slices.IndexFunc(j.subscriptions, func(s *subscription) bool { return s.ID == id })
	switch {
	case c.place == "portals" && err == nil:
		keep(func(s *subscription) bool { return s.PortalID == id })
		return 204, nil, nil
	case c.id == "" && c.method == "POST":
		return p.subscribe(c)
	case c.id == "":
		return 200, encode(map[string]any{"results": append([]*subscription{}, j.subscriptions...)}), nil
	case i < 0:
		return 0, nil, notFound("No subscription has the id " + c.id)
	case c.method == "DELETE":
		keep(func(s *subscription) bool { return s.ID == id })
		return 204, nil, nil
	}
	return 200, encode(j.subscriptions[i]), nil
}

func (p *Portal) subscribe(c *call) (int, []byte, *failure) {
	if !strings.HasPrefix(c.contentType, "application/json") {
		return 0, nil, &failure{status: 415, message: "HTTP 415 Unsupported Media Type"}
	}
	var s subscription
	if err := json.Unmarshal(c.body, &s); err != nil {
		return 0, nil, invalid("Invalid input JSON: %v", err)
	}
	actions, known := journalKinds[s.Kind]
	switch {
	case !known:
		return 0, nil, invalid("This portal has no subscriptions of type %q", s.Kind)
	case s.TypeID == "" || s.PortalID == 0 || len(s.Actions) == 0:
		return 0, nil, invalid("Some required fields were not set: [actions, objectTypeId, portalId]")
	case s.PortalID != p.opt.PortalID || p.opt.Journal.NotInstalled:
		return 0, nil, notInstalled(s.PortalID)
	}
	for _, action := range s.Actions {
		if !slices.Contains(actions, action) {
			return 0, nil, invalid("A subscription of type %s has no action %s", s.Kind, action)
		}
	}
	j := &p.journal
	s.AppID, s.UpdatedAt = 1, isoTime(p.now())
	i := slices.IndexFunc(j.subscriptions, func(o *subscription) bool {
		return o.Kind == s.Kind && o.PortalID == s.PortalID && o.TypeID == s.TypeID
	})
	switch {
	case i < 0:
		j.lastID++
		s.ID, s.CreatedAt = j.lastID, s.UpdatedAt
		j.subscriptions = append(j.subscriptions, &s)
	case p.opt.Journal.Conflict:
		return 0, nil, &failure{status: 409, category: "CONFLICT", message: fmt.Sprintf("The subscription %d exists already", j.subscriptions[i].ID)}
	default:
		s.ID, s.CreatedAt = j.subscriptions[i].ID, j.subscriptions[i].CreatedAt
		j.subscriptions[i] = &s
	}
	return 200, encode(&s), nil
}

func notInstalled(portal int64) *failure {
	return &failure{status: 403, category: "FORBIDDEN", message: fmt.Sprintf("The app is not installed in the account %d", portal)}
}
