package hubspot

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The versions of HubSpot's dated APIs that this client uses. HubSpot supports
// each for 18 months (docs/hubspot.md section 8).
const (
	objectsVersion      = "2026-09"
	associationsVersion = "2026-09"
	propertiesVersion   = "2026-09"
	schemasVersion      = "2026-09"
	accountVersion      = "2026-09"
	ownersVersion       = "2026-09"
	pipelinesVersion    = "2026-09"
	oauthVersion        = "2026-03"
	journalVersion      = "2026-03"
)

const (
	defaultBaseURL = "https://api.hubapi.com"
	userAgent      = "hubspot-cdc-connector (+https://github.com/hubspot-cdc/connector)"

	// attemptTimeout limits one attempt, from the first byte sent to the last
	// byte read. The slowest answers (100 records with every property) take a
	// few seconds.
	attemptTimeout = 90 * time.Second
	// quickTimeout limits an attempt that need not succeed: whoever makes it asks in
	// smaller parts next (R18).
	quickTimeout = 8 * time.Second
	// maxAnswer limits an answer after decompression, in bytes.
	maxAnswer = 64 << 20
)

// Config is what a Client needs. BaseURL, APIVersion, Transport, Governor,
// Logger and Registerer may be left out.
type Config struct {
	BaseURL    string
	APIVersion string // replaces every API's own version
	Auth       Auth
	Transport  http.RoundTripper
	Governor   *Governor
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Client talks to one portal. It is safe for concurrent use.
type Client struct {
	base       *url.URL
	apiVersion string
	auth       Auth
	portal     atomic.Int64 // whose token it has; 0: nobody asked yet
	http       *http.Client
	governor   *Governor
	log        *slog.Logger
	metrics    *metrics
	clock      clock
	outages    *outages
	oddIDs     oddIDs
	// oddProperties is how many definitions Properties left out, by type and
	// sensitivity.
	oddProperties sync.Map
	// sortObjects records that this portal wants sort objects in a search (R2).
	sortObjects atomic.Bool
}

// Call says how urgent a request is. The client calls OnSend, which may be nil,
// right before it writes each attempt, with a lower bound of HubSpot's time.
// What the caller notes in OnSend is older than what the answer shows.
//
// Tries, unless zero, limits how often the request may fail; then the error
// satisfies Unanswered (R18). If it may fail more than once, the client also waits
// until HubSpot has answered others meanwhile: then it is the request that HubSpot
// cannot answer. Once an attempt has run out of time, the others up to Tries are
// quick. Those after them are not: it is HubSpot that is slow then.
//
// Quick requests have less time from the beginning.
type Call struct {
	Priority Priority
	OnSend   func(hubspotNow Millis)
	Tries    int
	Quick    bool
}

// Answer is the part that every answer has. Date is HubSpot's time when it
// wrote the answer, truncated to the second, or an earlier one if HubSpot sent no
// time that counts (R21).
type Answer struct{ Date Millis }

// New returns a client. It makes no request.
func New(cfg Config) (*Client, error) {
	base, err := url.Parse(cmp.Or(cfg.BaseURL, defaultBaseURL))
	if err != nil || base.Host == "" || (base.Scheme != "https" && base.Scheme != "http") || base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, errors.New("the base URL must look like " + defaultBaseURL)
	}
	if cfg.Auth == nil {
		return nil, errors.New("no access token and no OAuth app given")
	}
	c := &Client{
		base: base, apiVersion: cfg.APIVersion, auth: cfg.Auth,
		governor: cfg.Governor, log: cfg.Logger,
	}
	c.base.Path = strings.TrimRight(base.Path, "/")
	if c.governor == nil {
		c.governor = NewGovernor(Limits{DailyReserve: 0.2})
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.clock.log = c.log
	transport := cfg.Transport
	if transport == nil {
		transport = NewTransport()
	}
	c.http = &http.Client{Transport: transport, CheckRedirect: sameOrigin}
	c.outages = newOutages(c.log, "HubSpot")
	if c.metrics, err = newMetrics(cfg.Registerer, c.governor, &c.clock); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return c, nil
}

// CloseIdleConnections closes the connections that no request uses.
func (c *Client) CloseIdleConnections() { c.http.CloseIdleConnections() }

// Now returns a lower bound of HubSpot's time.
func (c *Client) Now() Millis { return c.clock.now() }

// Latest returns a time that HubSpot's clock has not passed, however it differs
// from ours.
func (c *Client) Latest() Millis { return c.clock.latest() }

// HoldClock makes HubSpot's time go on steadily, so that whoever waits by it waits as
// long as that takes. The channel is closed when HubSpot's answers show that the time
// was wrong (R21). The right one counts from ReleaseClock on.
func (c *Client) HoldClock() (wrong <-chan struct{}) { return c.clock.hold() }

// ReleaseClock ends HoldClock.
func (c *Client) ReleaseClock() { c.clock.release() }

// version returns the version to use for an API whose own version is given.
func (c *Client) version(own string) string { return cmp.Or(c.apiVersion, own) }

// APIVersion is the version of one HubSpot API that a client uses.
type APIVersion struct{ API, Version string }

// Versions lists the API versions that the client uses.
func (c *Client) Versions() []APIVersion {
	all := []APIVersion{
		{"objects", objectsVersion}, {"associations", associationsVersion}, {"properties", propertiesVersion},
		{"schemas", schemasVersion}, {"owners", ownersVersion}, {"pipelines", pipelinesVersion}, {"account", accountVersion},
		{"oauth", oauthVersion}, {"journal", journalVersion},
	}
	for i := range all {
		all[i].Version = c.version(all[i].Version)
	}
	return all
}

// NewTransport keeps enough connections for all streams of a portal, or for the hundreds
// of portals of a process that ask at the same moment where a host does not speak HTTP/2,
// and notices dead ones. The client decompresses answers itself, so that maxAnswer
// applies to the decompressed text. Clients may share one.
func NewTransport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second},
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 60 * time.Second,
		MaxIdleConnsPerHost:   512,
		IdleConnTimeout:       90 * time.Second,
		DisableCompression:    true,
	}
}

// sameOrigin follows a redirect only within the origin, where the token may go,
// and only if the method stays the same: a POST turned into a GET would ask for
// something else.
func sameOrigin(req *http.Request, via []*http.Request) error {
	first := via[0]
	if len(via) > 5 || req.URL.Scheme != first.URL.Scheme || req.URL.Host != first.URL.Host || req.Method != first.Method {
		return http.ErrUseLastResponse
	}
	return nil
}
