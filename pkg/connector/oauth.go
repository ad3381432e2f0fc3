package connector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// largestAnswer bounds what is read of an answer with credentials, in bytes.
const largestAnswer = 1 << 20

// oauthClient gets tokens with a client's own credentials (RFC 6749, section
// 4.4). Kafka and the registry have one each; HubSpot's OAuth is another grant
// and lives in its client.
type oauthClient struct {
	names       string // what its variables begin with, such as KAFKA_OAUTH
	url, id     string
	secret      func() (hubspot.Secret, error)
	scope       string
	credentials *http.Client
}

// tokens returns a function that returns a valid token.
func (o *oauthClient) tokens() func(context.Context) (hubspot.Secret, error) {
	return lease(o.token).get
}

func (o *oauthClient) token(ctx context.Context) (hubspot.Secret, time.Time, error) {
	secret, err := o.secret()
	if err != nil {
		return "", time.Time{}, err
	}
	token, expires, err := o.ask(ctx, secret, false)
	if refused, ok := errors.AsType[*CredentialError](err); ok && !refused.Passing {
		// Every server should take a header (RFC 6749, section 2.3.1). Some clients
		// are registered for the form alone.
		if token, expires, err := o.ask(ctx, secret, true); err == nil {
			return token, expires, nil
		}
	}
	return token, expires, err
}

// ask makes one request. The client's credentials are in its header or its form.
func (o *oauthClient) ask(ctx context.Context, secret hubspot.Secret, inForm bool) (token hubspot.Secret, expires time.Time, err error) {
	form := url.Values{"grant_type": {"client_credentials"}}
	if o.scope != "" {
		form.Set("scope", o.scope)
	}
	if inForm {
		form.Set("client_id", o.id)
		form.Set("client_secret", secret.Reveal())
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.url, strings.NewReader(form.Encode()))
	if err != nil {
		return "", expires, fmt.Errorf("%s_TOKEN_URL: %w", o.names, err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	if !inForm {
		req.SetBasicAuth(url.QueryEscape(o.id), url.QueryEscape(secret.Reveal()))
	}
	began := time.Now()
	resp, err := o.credentials.Do(req)
	if err != nil {
		return "", expires, unreachable(req, err, fmt.Sprintf("check %s_TOKEN_URL, whether the server is running, and the network between", o.names))
	}
	defer resp.Body.Close()
	var answer struct {
		Token     hubspot.Secret `json:"access_token"`
		ExpiresIn json.Number    `json:"expires_in"` // some servers write it as text
		Error     string         `json:"error"`
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, largestAnswer))
	if err != nil {
		return "", expires, unreachable(req, err, "check the network between")
	}
	malformed := json.Unmarshal(body, &answer)
	if resp.StatusCode != http.StatusOK {
		return "", expires, o.refused(req.URL.Host, resp.StatusCode, answer.Error)
	}
	if malformed != nil || answer.Token == "" {
		return "", expires, &CredentialError{
			Problem: fmt.Sprintf("the answer of %s holds no access_token", req.URL.Host),
			Cure:    fmt.Sprintf("check that %s_TOKEN_URL is the token endpoint of OAuth 2", o.names),
		}
	}
	if seconds, err := answer.ExpiresIn.Int64(); err == nil && seconds > 0 {
		expires = began.Add(time.Duration(seconds) * time.Second)
	}
	return answer.Token, expires, nil
}

// refused says what to do about an answer without a token. code is the error of
// RFC 6749, section 5.2.
func (o *oauthClient) refused(host string, status int, code string) error {
	e := &CredentialError{Problem: fmt.Sprintf("%s gives no token (%d)", host, status), Passing: passing(status)}
	switch code {
	case "invalid_client", "invalid_scope", "invalid_request", "invalid_grant", "unauthorized_client", "unsupported_grant_type":
		e.Problem = fmt.Sprintf("%s gives no token (%d, %s)", host, status, code)
	}
	switch {
	case e.Passing:
		e.Cure = "look at the log of that server"
	case code == "invalid_scope":
		e.Cure = fmt.Sprintf("check %s_SCOPE", o.names)
	case code == "unauthorized_client", code == "unsupported_grant_type":
		e.Cure = "allow this client the grant client_credentials"
	case status == http.StatusBadRequest, status == http.StatusUnauthorized, status == http.StatusForbidden:
		e.Cure = fmt.Sprintf("check %s_CLIENT_ID and %s_CLIENT_SECRET", o.names, o.names)
	default:
		e.Cure = fmt.Sprintf("check %s_TOKEN_URL", o.names)
	}
	return e
}

// cause leaves out the address of a failed request, which the caller names.
func cause(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// validateOAuth checks the variables of an oauthClient, and reports whether any
// is set.
func (p *problems) validateOAuth(names, address, id string, secret bool, scope string) (given bool) {
	if given = address != "" || id != "" || secret || scope != ""; !given {
		return false
	}
	switch {
	case address == "" || id == "" || !secret:
		p.add("%[1]s_TOKEN_URL, %[1]s_CLIENT_ID, %[1]s_CLIENT_SECRET: all three are required for OAuth", names)
	default:
		if err := checkURL(address); err != nil {
			p.add("%s_TOKEN_URL: %v", names, err)
		}
	}
	return true
}
