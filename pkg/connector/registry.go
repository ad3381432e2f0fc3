package connector

import (
	"fmt"
	"maps"
	"net/http"
	"strings"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// URLs are the addresses of the registry. The client tries them in this order
// for every request, and takes the first that answers.
func (r *Registry) URLs() []string {
	var out []string
	for address := range strings.SplitSeq(r.URL, ",") {
		if address = strings.TrimSpace(address); address != "" {
			out = append(out, address)
		}
	}
	return out
}

// Client makes a client of the schema registry. version is the program's, for the
// registry's log. transport carries the requests; nil: over the network.
func (r *Registry) Client(version string, transport http.RoundTripper) (*sr.Client, error) {
	return r.client(version, transport, nil)
}

// client has a transport of its own for the requests for tokens.
func (r *Registry) client(version string, transport, tokens http.RoundTripper) (*sr.Client, error) {
	opts := []sr.ClientOpt{sr.URLs(r.URLs()...), sr.UserAgent("hubspot-cdc/" + version)}
	switch {
	case r.Username != "":
		opts = append(opts, sr.PreReq(func(req *http.Request) error {
			password, err := credential("SCHEMA_REGISTRY_PASSWORD", r.Password, r.PasswordFile)
			if err == nil {
				req.SetBasicAuth(r.Username, password.Reveal())
			}
			return err
		}))
	case r.OAuthTokenURL != "":
		client := oauthClient{
			names: "SCHEMA_REGISTRY_OAUTH", url: r.OAuthTokenURL, id: r.OAuthClientID, scope: r.OAuthScope,
			secret: func() (hubspot.Secret, error) {
				return credential("SCHEMA_REGISTRY_OAUTH_CLIENT_SECRET", r.OAuthClientSecret, r.OAuthClientSecretFile)
			},
			credentials: credentialClient(tokens),
		}
		token := client.tokens()
		headers, err := r.headers()
		if err != nil {
			return nil, err
		}
		opts = append(opts, sr.PreReq(func(req *http.Request) error {
			maps.Copy(req.Header, headers)
			value, err := token(req.Context())
			return bear(req, value, err)
		}))
	case r.Token != "" || r.TokenFile != "":
		opts = append(opts, sr.PreReq(func(req *http.Request) error {
			value, err := credential("SCHEMA_REGISTRY_TOKEN", r.Token, r.TokenFile)
			return bear(req, value, err)
		}))
	}
	if transport != nil {
		opts = append(opts, sr.HTTPClient(&http.Client{Transport: transport}))
	} else if r.CAFile != "" || r.CertFile != "" {
		config, err := tlsConfig("SCHEMA_REGISTRY", r.CAFile, r.CertFile, r.KeyFile)
		if err != nil {
			return nil, err
		}
		opts = append(opts, sr.DialTLSConfig(config))
	}
	client, err := sr.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("SCHEMA_REGISTRY_URL: %w", err)
	}
	return client, nil
}

// headers are what Confluent Cloud calls extensions of a token. Its brokers get
// them by SASL, its registry as headers of HTTP.
func (r *Registry) headers() (http.Header, error) {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"
	out := http.Header{}
	for _, text := range r.OAuthExtensions {
		name, value, found := strings.Cut(text, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		unprintable := strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' })
		if !found || name == "" || value == "" || unprintable || strings.Trim(name, letters) != "" || strings.EqualFold(name, "authorization") {
			return nil, fmt.Errorf("SCHEMA_REGISTRY_OAUTH_EXTENSIONS: %q is not name=value, with letters, digits and - in the name, which is not Authorization", text)
		}
		out.Set(name, value)
	}
	return out, nil
}

func bear(req *http.Request, token hubspot.Secret, err error) error {
	if err == nil {
		req.Header.Set("Authorization", "Bearer "+token.Reveal())
	}
	return err
}

func (r *Registry) validate(p *problems) {
	password := p.given("SCHEMA_REGISTRY_PASSWORD", r.Password, r.PasswordFile)
	token := p.given("SCHEMA_REGISTRY_TOKEN", r.Token, r.TokenFile)
	oauthSecret := p.given("SCHEMA_REGISTRY_OAUTH_CLIENT_SECRET", r.OAuthClientSecret, r.OAuthClientSecretFile)
	oauth := p.validateOAuth("SCHEMA_REGISTRY_OAUTH", r.OAuthTokenURL, r.OAuthClientID, oauthSecret, r.OAuthScope)
	switch _, err := r.headers(); {
	case err != nil:
		p.add("%v", err)
	case len(r.OAuthExtensions) > 0 && !oauth:
		p.add("SCHEMA_REGISTRY_OAUTH_EXTENSIONS: needs SCHEMA_REGISTRY_OAUTH_TOKEN_URL")
	}
	ways := 0
	for _, given := range []bool{r.Username != "" || password, token, oauth} {
		if given {
			ways++
		}
	}
	switch {
	case ways > 1:
		p.add("SCHEMA_REGISTRY_USERNAME, SCHEMA_REGISTRY_TOKEN, SCHEMA_REGISTRY_OAUTH_TOKEN_URL: give a user, a token or OAuth, and only one of them")
	case ways == 0 && r.TokenFile != "":
		p.add("SCHEMA_REGISTRY_TOKEN: the file %s, which SCHEMA_REGISTRY_TOKEN_FILE names, is empty", r.TokenFile)
	case password && r.Username == "":
		p.add("SCHEMA_REGISTRY_USERNAME: is required with SCHEMA_REGISTRY_PASSWORD")
	}
	secure := false
	for _, address := range r.URLs() {
		secure = secure || strings.HasPrefix(address, "https://")
		if err := checkURL(address); err != nil {
			p.add("SCHEMA_REGISTRY_URL: %v", err)
		}
	}
	switch files := r.CAFile != "" || r.CertFile != "" || r.KeyFile != ""; {
	case len(r.URLs()) == 0:
		p.add("SCHEMA_REGISTRY_URL: is required")
	case files && !secure:
		p.add("SCHEMA_REGISTRY_URL: must begin with https:// for SCHEMA_REGISTRY_CA_FILE, _CERT_FILE and _KEY_FILE to be used")
	case files:
		if _, err := tlsConfig("SCHEMA_REGISTRY", r.CAFile, r.CertFile, r.KeyFile); err != nil {
			p.add("%v", err)
		}
	}
}
