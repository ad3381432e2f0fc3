package hubspottest

import (
	"fmt"
	"net/url"
	"strings"
	"time"
)

// OAuthApp is an app installed in the portal.
type OAuthApp struct{ ClientID, ClientSecret, RefreshToken string }

// accessTokenLife is how long an access token of HubSpot lasts.
const accessTokenLife = 30 * time.Minute

type oauthState struct {
	app     *OAuthApp
	refresh map[string]bool      // accepted refresh tokens
	access  map[string]time.Time // access token → when it expires
	issued  int
}

func (o *oauthState) init(app *OAuthApp) {
	o.app = app
	o.access = make(map[string]time.Time)
	if app != nil {
		o.refresh = map[string]bool{app.RefreshToken: true}
	}
}

// RefreshTokens returns the refresh tokens that the portal accepts now.
func (p *Portal) RefreshTokens() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var tokens []string
	for token := range p.oauth.refresh {
		tokens = append(tokens, token)
	}
	return tokens
}

// serveToken answers POST /oauth/{ver}/token. Each answer carries a new refresh
// token. The old one keeps working until the new one is used, so that a lost
// answer does not cost the app its installation.
func (p *Portal) serveToken(c *call) (int, []byte, *failure) {
	form, err := url.ParseQuery(string(c.body))
	if err != nil || !strings.HasPrefix(c.contentType, "application/x-www-form-urlencoded") {
		return 0, nil, tokenRefused("BAD_REQUEST", "the body is not a form")
	}
	if form.Get("grant_type") == "client_credentials" {
		return p.serveAppToken(form)
	}
	app := p.oauth.app
	switch {
	case form.Get("grant_type") != "refresh_token":
		return 0, nil, tokenRefused("BAD_GRANT_TYPE", "this portal knows the grants refresh_token and client_credentials only")
	case app == nil || form.Get("client_id") != app.ClientID:
		return 0, nil, tokenRefused("BAD_CLIENT_ID", "missing or unknown client ID")
	case form.Get("client_secret") != app.ClientSecret:
		return 0, nil, tokenRefused("BAD_CLIENT_SECRET", "missing or invalid client secret")
	case !p.oauth.refresh[form.Get("refresh_token")]:
		return 0, nil, tokenRefused("BAD_REFRESH_TOKEN", "missing or invalid refresh token")
	}
	p.oauth.issued++
	// Real tokens are long: HubSpot says to allow for 300 characters and more.
	access := fmt.Sprintf("CN%06d%s", p.oauth.issued, p.randomText(300))
	refresh := fmt.Sprintf("na1-%06d-%s", p.oauth.issued, p.randomText(40))
	p.oauth.refresh = map[string]bool{form.Get("refresh_token"): true, refresh: true}
	p.oauth.access[access] = p.Now().Add(accessTokenLife)
	return 200, encode(tokenJSON{
		TokenType: "bearer", TokenUse: "access_token", AccessToken: access, RefreshToken: refresh,
		ExpiresIn: int(accessTokenLife.Seconds()), HubID: p.opt.PortalID, UserID: 1, Scopes: []string{"oauth"},
	}), nil
}

type tokenJSON struct {
	TokenType    string   `json:"token_type"`
	TokenUse     string   `json:"token_use"`
	AccessToken  string   `json:"access_token"`
	RefreshToken string   `json:"refresh_token"`
	ExpiresIn    int      `json:"expires_in"`
	HubID        int64    `json:"hub_id"`
	UserID       int      `json:"user_id"`
	Scopes       []string `json:"scopes"`
}

func tokenRefused(category, message string) *failure {
	return &failure{status: 400, category: category, message: message}
}

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

func (p *Portal) randomText(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[p.chaos.IntN(len(letters))]
	}
	return string(b)
}

// authorize checks the bearer token and notes whether it is an OAuth token.
func (p *Portal) authorize(c *call) *failure {
	if c.endpoint == EndpointToken {
		return nil
	}
	if c.endpoint.journal() {
		return p.authorizeApp(c)
	}
	token, ok := strings.CutPrefix(c.authorization, "Bearer ")
	if _, ofApp := p.journal.access[token]; ofApp || !ok || token == "" {
		return unauthorized("Authentication credentials not found. This API supports OAuth 2.0 authentication.", "INVALID_AUTHENTICATION")
	}
	if end, issued := p.oauth.access[token]; issued {
		c.oauth = true
		if late := p.Now().Sub(end); late >= 0 {
			return unauthorized(fmt.Sprintf("The OAuth token used to make this call expired %d minute(s) ago.", int(late.Minutes())), "EXPIRED_AUTHENTICATION")
		}
		return nil
	}
	if p.tokens == nil && p.oauth.app == nil || p.tokens[token] {
		return nil
	}
	return unauthorized("Authentication credentials not found. This API supports OAuth 2.0 authentication.", "INVALID_AUTHENTICATION")
}
