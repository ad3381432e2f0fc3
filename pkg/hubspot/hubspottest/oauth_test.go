package hubspottest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func refresh(t testing.TB, p *Portal, token string) (reply, tokenJSON) {
	t.Helper()
	form := url.Values{"grant_type": {"refresh_token"}, "client_id": {"id"}, "client_secret": {"secret"}, "refresh_token": {token}}
	r, _ := http.NewRequestWithContext(t.Context(), "POST", "https://api.hubapi.com/oauth/2026-03/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer := send(t, p.Client(), r)
	var tokens tokenJSON
	if answer.status == 200 {
		if err := json.Unmarshal(answer.body, &tokens); err != nil {
			t.Fatal(err)
		}
	}
	return answer, tokens
}

func TestOAuthTokensLastThirtyMinutesAndRefreshTokensRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{OAuth: &OAuthApp{"id", "secret", "first"}})
		do(t, p, "GET", contactsPath, "").want(t, 401) // only issued tokens are accepted
		_, tokens := refresh(t, p, "first")
		if tokens.ExpiresIn != 1800 || len(tokens.AccessToken) < 300 || tokens.RefreshToken == "first" {
			t.Fatalf("got %+v", tokens)
		}
		get := func(token string) reply {
			r, _ := http.NewRequestWithContext(t.Context(), "GET", "https://api.hubapi.com"+contactsPath, nil)
			r.Header.Set("Authorization", "Bearer "+token)
			return send(t, p.Client(), r)
		}
		r := get(tokens.AccessToken).want(t, 200)
		// An OAuth app has 110 calls per ten seconds and no daily limit.
		if got := r.header.Get("X-HubSpot-RateLimit-Max"); got != "110" {
			t.Errorf("got Max %s, want 110", got)
		}
		if got := r.header.Get("X-HubSpot-RateLimit-Daily"); got != "" {
			t.Errorf("got a daily limit of %s", got)
		}
		time.Sleep(30*time.Minute - time.Second)
		get(tokens.AccessToken).want(t, 200)
		time.Sleep(time.Second)
		get(tokens.AccessToken).want(t, 401).says(t, "EXPIRED_AUTHENTICATION")

		// The first token works until its successor is used, because an answer
		// may get lost.
		_, lost := refresh(t, p, "first")
		_, second := refresh(t, p, "first")
		if answer, _ := refresh(t, p, lost.RefreshToken); answer.status != 400 {
			t.Errorf("a token that was replaced unused: got %d, want 400", answer.status)
		}
		refresh(t, p, second.RefreshToken)
		answer, _ := refresh(t, p, "first")
		answer.want(t, 400).says(t, "BAD_REFRESH_TOKEN")
		get(second.AccessToken).want(t, 200)
	})
}
