package hubspot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// Auth supplies the token that each request carries. AccessToken and OAuth make those
// of a portal, ClientCredentials makes those of an app.
type Auth interface {
	// bearer returns the token to send. stale is the token that HubSpot has
	// just refused, or nil; bearer then finds a newer one or returns stale.
	bearer(ctx context.Context, c *Client, stale *Secret) (*Secret, error)
}

// AccessToken is the token of a service key or a private app. The client calls
// read at the first request and after a 401 or a 530, so it picks up a token that
// changed in its file without a restart, if it is of the same account.
func AccessToken(read func() (Secret, error)) Auth {
	return &accessToken{read: read, turn: make(chan struct{}, 1)}
}

type accessToken struct {
	read  func() (Secret, error)
	turn  chan struct{} // one slot: whoever holds it reads
	token atomic.Pointer[Secret]
}

func (a *accessToken) bearer(ctx context.Context, c *Client, stale *Secret) (*Secret, error) {
	if token := a.token.Load(); token != nil && token != stale {
		return token, nil
	}
	select {
	case a.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-a.turn }()
	if token := a.token.Load(); token != nil && token != stale {
		return token, nil // read while this caller waited for its turn
	}
	fresh, err := readSecret(a.read)
	switch {
	case err != nil && stale != nil:
		// HubSpot's refusal is more telling than an unreadable file.
		return stale, nil
	case err != nil:
		return nil, &SecretError{"access token", err}
	case stale != nil && fresh == *stale:
		return stale, nil
	case stale != nil:
		if err := c.sameAccount(ctx, &fresh); err != nil {
			return nil, err
		}
		c.log.Info("HubSpot refused the access token; the one that its file has now takes its place")
	}
	a.token.Store(&fresh)
	return &fresh, nil
}

// SecretError says why a secret of ours cannot be used. It does not hold it.
type SecretError struct {
	Secret string // access token, client secret or refresh token
	Err    error
}

func (e *SecretError) Error() string { return fmt.Sprintf("read the %s: %v", e.Secret, e.Err) }
func (e *SecretError) Unwrap() error { return e.Err }

// readSecret trims the newline at the end of a file and rejects what a header
// cannot hold: net/http would fail on it at every attempt.
func readSecret(read func() (Secret, error)) (Secret, error) {
	s, err := read()
	if err != nil {
		return "", err
	}
	text := strings.TrimSpace(s.Reveal())
	if text == "" {
		return "", errors.New("it is empty")
	}
	for _, r := range text {
		if r <= ' ' || r > '~' {
			return "", errors.New("it is more than one word on one line, or holds characters that no token has")
		}
	}
	return Secret(text), nil
}

// OAuth is an installed app: access tokens that last half an hour, renewed with
// a refresh token. HubSpot may answer with a new refresh token; OAuth keeps the
// latest in memory, and reads the configured one again once HubSpot refuses it.
func OAuth(clientID string, clientSecret, refreshToken func() (Secret, error)) Auth {
	return &oauth{clientID: clientID, clientSecret: clientSecret, refreshToken: refreshToken, turn: make(chan struct{}, 1)}
}

// ClientCredentials is an app itself, without any portal: its tokens read the
// webhooks journal and no records (docs/hubspot.md section 6). They last half an
// hour.
func ClientCredentials(clientID string, clientSecret func() (Secret, error)) Auth {
	return &oauth{clientID: clientID, clientSecret: clientSecret, turn: make(chan struct{}, 1)}
}

// journalScopes are what an app's token needs for the journal.
var journalScopes = []string{
	"developer.webhooks_journal.read", "developer.webhooks_journal.subscriptions.read", "developer.webhooks_journal.subscriptions.write",
}

type oauth struct {
	clientID     string
	clientSecret func() (Secret, error)
	refreshToken func() (Secret, error) // nil: the app's own tokens
	turn         chan struct{}          // one slot: whoever holds it refreshes
	state        atomic.Pointer[oauthState]
}

type oauthState struct {
	token            *Secret
	configured       Secret  // the refresh token that was configured then
	rotated          *Secret // HubSpot's latest refresh token; nil: the configured one
	refresh, expires time.Time
}

// bearer refreshes the token after four fifths of its lifetime, or when HubSpot
// has refused it. One caller refreshes. The others continue with the old token
// while it is valid, and otherwise wait for the new one. The one who refreshes
// continues with it too, where HubSpot does not renew it at once.
func (a *oauth) bearer(ctx context.Context, c *Client, stale *Secret) (*Secret, error) {
	valid := func() *Secret {
		s := a.state.Load()
		if s == nil || s.token == stale || !time.Now().Before(s.expires) {
			return nil
		}
		return s.token
	}
	if token := valid(); token != nil {
		if time.Now().Before(a.state.Load().refresh) {
			return token, nil
		}
		select {
		case a.turn <- struct{}{}:
		default:
			return token, nil
		}
	} else {
		select {
		case a.turn <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	defer func() { <-a.turn }()
	if token := valid(); token != nil && time.Now().Before(a.state.Load().refresh) {
		return token, nil // renewed while this caller waited for its turn
	}
	if token := valid(); token != nil {
		early, cancel := context.WithTimeout(ctx, quickTimeout)
		defer cancel()
		state, err := a.renew(early, c, Call{Tries: 1})
		if err != nil {
			next := *a.state.Load()
			next.refresh = time.Now().Add(renewAgain)
			state = &next
		}
		a.state.Store(state)
		return state.token, ctx.Err()
	}
	state, err := a.renew(ctx, c, Call{})
	if err != nil {
		return nil, err
	}
	a.state.Store(state)
	return state.token, nil
}

// renewAgain is how long a token that is still valid is used before HubSpot is asked
// again for a new one that it did not give.
const renewAgain = time.Minute

// renew asks for a new token, with the form of RFC 6749, section 6 or 4.4, as the
// body.
func (a *oauth) renew(ctx context.Context, c *Client, call Call) (*oauthState, error) {
	secret, err := readSecret(a.clientSecret)
	if err != nil {
		return nil, &SecretError{"client secret", err}
	}
	next := &oauthState{}
	old := a.state.Load()
	if old != nil {
		next.configured, next.rotated = old.configured, old.rotated
	}
	form := url.Values{"client_id": {a.clientID}, "client_secret": {secret.Reveal()}}
	if a.refreshToken == nil {
		form.Set("grant_type", "client_credentials")
		form.Set("scope", strings.Join(journalScopes, " "))
		return next, next.ask(ctx, c, call, form)
	}
	form.Set("grant_type", "refresh_token")
	var refused error
	if next.rotated != nil {
		form.Set("refresh_token", next.rotated.Reveal())
		if refused = next.ask(ctx, c, call, form); !Unauthorized(refused) {
			return next, refused
		}
	}
	// An app that was installed again has another refresh token, which only its file
	// knows.
	configured, err := readSecret(a.refreshToken)
	switch {
	case refused != nil && (err != nil || configured == *next.rotated):
		return nil, refused
	case err != nil:
		return nil, &SecretError{"refresh token", err}
	}
	next.configured, next.rotated = configured, nil
	form.Set("refresh_token", configured.Reveal())
	if err := next.ask(ctx, c, call, form); err != nil {
		return nil, err
	}
	if old != nil && configured != old.configured {
		if err := c.sameAccount(ctx, next.token); err != nil {
			return nil, err
		}
	}
	return next, nil
}

// ask sends the form, and notes what HubSpot answers.
func (s *oauthState) ask(ctx context.Context, c *Client, call Call, form url.Values) error {
	began := time.Now()
	_, err := c.do(ctx, call, &request{
		api: "oauth", ungoverned: true, anonymous: true, method: http.MethodPost,
		path: "/oauth/" + c.version(oauthVersion) + "/token",
		body: []byte(form.Encode()), contentType: "application/x-www-form-urlencoded",
		read: func(body []byte) error {
			var answer struct {
				AccessToken  Secret `json:"access_token"`
				RefreshToken Secret `json:"refresh_token"`
				ExpiresIn    int64  `json:"expires_in"`
			}
			if json.Unmarshal(body, &answer) != nil {
				return errNotTheJSON
			}
			token, err := readSecret(func() (Secret, error) { return answer.AccessToken, nil })
			if err != nil || answer.ExpiresIn <= 0 {
				return errors.New("a token answer without access_token or expires_in")
			}
			s.token = &token
			if answer.RefreshToken != "" {
				s.rotated = &answer.RefreshToken
			}
			lasts := time.Duration(answer.ExpiresIn) * time.Second
			s.refresh, s.expires = began.Add(lasts*4/5), began.Add(lasts)
			return nil
		},
	})
	if e, ok := errors.AsType[*Error](err); ok && e.trouble == "" {
		e.refusedToken = true
	}
	if err != nil {
		return fmt.Errorf("renew the access token: %w", err)
	}
	return nil
}
