package hubspottest

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Endpoint names a HubSpot API that the portal serves.
type Endpoint string

// The endpoints. EndpointUnknown is everything else, which is a 404.
const (
	EndpointList       Endpoint = "list"
	EndpointGet        Endpoint = "get"
	EndpointSearch     Endpoint = "search"
	EndpointBatchRead  Endpoint = "batch_read"
	EndpointProperties Endpoint = "properties"
	EndpointProperty   Endpoint = "property"
	EndpointSchemas    Endpoint = "schemas"
	EndpointSchema     Endpoint = "schema"
	EndpointAccount    Endpoint = "account"
	EndpointDailyUsage Endpoint = "daily_usage"
	EndpointLinks      Endpoint = "association_read" // batch read of associations
	EndpointLabels     Endpoint = "association_labels"
	EndpointOwners     Endpoint = "owners"
	EndpointOwner      Endpoint = "owner"
	EndpointPipelines  Endpoint = "pipelines"
	EndpointPipeline   Endpoint = "pipeline"
	EndpointToken      Endpoint = "token"
	EndpointUnknown    Endpoint = "unknown"

	EndpointJournalLatest   Endpoint = "journal_latest"
	EndpointJournalEarliest Endpoint = "journal_earliest"
	EndpointJournalNext     Endpoint = "journal_next"
	EndpointJournalBatch    Endpoint = "journal_batch" // of latest, earliest and next
	EndpointJournalRead     Endpoint = "journal_read"  // batch read by offset
	EndpointJournalFile     Endpoint = "journal_file"  // the address of a file
	EndpointSubscriptions   Endpoint = "journal_subscriptions"
)

// journal reports whether an endpoint belongs to the webhooks journal: its calls
// need an app's token and are exempt from the daily and the ten-second limit.
func (e Endpoint) journal() bool { return strings.HasPrefix(string(e), "journal_") }

// Request is a request as hooks see it.
type Request struct {
	Endpoint Endpoint
	Object   string // as the path names it; "" if it names none
	To       string // the other type of associations
	Path     string
	Query    url.Values
	Body     []byte
}

// maxAddress is the length in bytes above which the portal refuses an address.
// HubSpot's limit is not documented (docs/hubspot.md section 2).
const maxAddress = 16 << 10

// call is a request on its way through the portal.
type call struct {
	endpoint      Endpoint
	method        string
	object, id    string
	to            string // the other type of associations
	place, count  string // in the journal: latest, earliest or next, and how many
	served        string // scheme and host, if the portal listens on a socket
	path          string
	query         url.Values
	authorization string
	contentType   string
	body          []byte
	oauth         bool
	forget        bool     // FaultForget
	omit          float64  // FaultOmit
	records       []uint64 // what it asks about, or what its page has
	lost          Loss     // FaultShort
	shortStages   bool
	hidden        []string // keys that it took out of the answer
}

// answer is what goes back. Its sender, ServeHTTP or RoundTrip, plays the
// faults of the connection.
type answer struct {
	status int
	header http.Header
	body   []byte
	reset  bool
	cut    bool
	large  bool
}

// respond is the one way through the portal, for sockets and in process. It
// waits, makes the answer, waits again and returns the answer. A random part of
// the latency comes before the portal looks at its records and the rest after,
// so an answer can be out of date when it arrives. Date is the time of sending.
func (p *Portal) respond(ctx context.Context, r *http.Request, body []byte) (*answer, error) {
	c := route(r, body)
	seen := Request{Endpoint: c.endpoint, Object: c.object, To: c.to, Path: c.path, Query: c.query, Body: body}

	p.mu.Lock()
	p.stats.Calls[c.endpoint]++
	fault := p.pickFaults(c, false)
	latency := p.opt.Latency.draw(p.chaos)
	before := time.Duration(p.chaos.Float64() * float64(latency))
	p.mu.Unlock()

	if err := wait(ctx, before); err != nil {
		return nil, err
	}
	if p.opt.OnRequest != nil {
		p.opt.OnRequest(seen)
	}
	p.mu.Lock()
	a := p.look(c, r, fault)
	if late := p.pickFaults(c, true); a.status < 300 {
		late.slow, late.noDate = late.slow+fault.slow, late.noDate || fault.noDate
		late.shift += fault.shift
		a, fault = a.spoil(late, p.correlationID()), late
	}
	p.stats.Status[a.status]++
	p.noteHiding(c, a)
	if a.status < 300 {
		p.stats.Records[c.endpoint] += len(c.records)
	}
	p.mu.Unlock()
	if p.opt.OnAnswer != nil {
		p.opt.OnAnswer(seen)
	}
	if err := wait(ctx, latency-before+fault.slow); err != nil {
		return nil, err
	}

	if !fault.noDate {
		a.header.Set("Date", p.Now().Add(fault.shift).UTC().Format(http.TimeFormat))
	}
	a.header.Set("Content-Length", strconv.Itoa(a.length()))
	return a, nil
}

// length is how long the body says it is.
func (a *answer) length() int {
	if a.large {
		return 1 << 30
	}
	return len(a.body)
}

// spoil plays the faults that depend on the records of an answer.
func (a *answer) spoil(fault appliedFault, correlationID string) *answer {
	a.reset, a.cut, a.large = a.reset || fault.reset, a.cut || fault.cut, a.large || fault.large
	for _, f := range fault.odd {
		a.body = f.spoil(a.body)
	}
	for _, f := range fault.failed {
		a.status, a.body = http.StatusMultiStatus, f.replace(a.body, fault.listed)
	}
	switch {
	case fault.page != 0:
		return a.page(fault.page)
	case fault.fail != nil:
		a.status, a.body = fault.fail.status, fault.fail.body(correlationID)
	}
	return a
}

// look makes the answer from the portal's current state. Faults of edge servers
// come first and cost no budget. The portal makes and counts cut and reset
// answers, which are then lost.
func (p *Portal) look(c *call, r *http.Request, fault appliedFault) *answer {
	a := &answer{status: 200, header: make(http.Header), reset: fault.reset, cut: fault.cut, large: fault.large}
	switch {
	case len(r.URL.RequestURI()) > maxAddress:
		return a.page(http.StatusRequestURITooLong)
	case fault.page != 0:
		return a.page(fault.page)
	}
	correlationID := p.correlationID()
	if c.endpoint == EndpointJournalFile && fault.fail == nil {
		return p.fileAnswer(a, c)
	}
	a.header.Set("X-HubSpot-Correlation-Id", correlationID)
	a.header.Set("Content-Type", "application/json;charset=utf-8")

	fail := fault.fail
	if fail == nil {
		fail = p.authorize(c)
	}
	if fail == nil {
		if fail = p.admit(c, a.header); fail != nil {
			p.stats.Throttled[fail.policy]++
		}
	}
	if fail == nil {
		c.forget, c.omit = fault.forget, fault.omit
		c.lost, c.shortStages = fault.short.Lost, fault.short.Stages
		if a.status, a.body, fail = p.handle(c); fail == nil && c.lost != 0 {
			a.body = c.short(a.body)
		}
	}
	if fail != nil {
		a.status, a.body = fail.status, fail.body(correlationID)
		if fail.retryAfter > 0 {
			a.header.Set("Retry-After", strconv.Itoa(fail.retryAfterSeconds()))
		}
	}
	return a
}

// page turns the answer into one from a server in front of HubSpot: no JSON, no
// correlation id.
func (a *answer) page(status int) *answer {
	a.status = status
	a.header.Set("Content-Type", "text/html")
	a.body = fmt.Appendf(nil, "<html><head><title>%d %s</title></head><body><center><h1>%[1]d %[2]s</h1></center></body></html>", status, http.StatusText(status))
	return a
}

func (p *Portal) handle(c *call) (int, []byte, *failure) {
	switch c.endpoint {
	case EndpointList:
		return p.serveList(c)
	case EndpointGet:
		return p.serveGet(c)
	case EndpointSearch, EndpointBatchRead, EndpointLinks:
		if !strings.HasPrefix(c.contentType, "application/json") {
			return 0, nil, &failure{status: 415, message: "HTTP 415 Unsupported Media Type"}
		}
		switch c.endpoint {
		case EndpointSearch:
			return p.serveSearch(c)
		case EndpointLinks:
			return p.serveLinks(c)
		}
		return p.serveBatchRead(c)
	case EndpointLabels:
		return p.serveLabels(c)
	case EndpointProperties:
		return p.serveProperties(c)
	case EndpointProperty:
		return p.serveProperty(c)
	case EndpointSchemas:
		return p.serveSchemas(c)
	case EndpointSchema:
		return p.serveSchema(c)
	case EndpointAccount:
		return p.serveAccount(c)
	case EndpointDailyUsage:
		return p.serveDailyUsage(c)
	case EndpointOwners:
		return p.serveOwners(c)
	case EndpointOwner:
		return p.serveOwner(c)
	case EndpointPipelines:
		return p.servePipelines(c)
	case EndpointPipeline:
		return p.servePipeline(c)
	case EndpointToken:
		return p.serveToken(c)
	case EndpointSubscriptions:
		return p.serveSubscriptions(c)
	case EndpointJournalLatest, EndpointJournalEarliest, EndpointJournalNext, EndpointJournalBatch, EndpointJournalRead:
		return p.serveJournal(c)
	}
	return 0, nil, notFound("resource not found")
}

var dated = regexp.MustCompile(`^(\d{4}-\d{2}(-beta)?|v[134])$`)

// route reads the method and the path. The older paths (/crm/v3/objects/…,
// /crm/v4/associations/…) lead to the same endpoints.
func route(r *http.Request, body []byte) *call {
	c := &call{
		endpoint:      EndpointUnknown,
		method:        r.Method,
		path:          r.URL.Path,
		query:         r.URL.Query(),
		authorization: r.Header.Get("Authorization"),
		contentType:   r.Header.Get("Content-Type"),
		body:          body,
	}
	part := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if len(part) >= 3 && part[0] == "crm" && (part[1] == "v3" || part[1] == "v4" && part[2] == "associations") {
		part[1], part[2] = part[2], part[1]
	}
	if len(part) >= 3 && part[0] == "crm" && part[1] == "schemas" {
		part = append([]string{"crm-object-schemas", part[2], "schemas"}, part[3:]...)
	}
	if r.RequestURI != "" { // a server's request
		c.served = "http://" + r.Host
	}
	if len(part) >= 2 && part[0] == "webhooks-journal" && part[1] == "journal-local" {
		part[1] = "journal"
	}
	// A pattern's words match themselves, {v} a version; {o}, {to} and {id}
	// match anything, as do {p}, a place in the journal, and {n}, a count.
	match := func(method, pattern string) bool {
		want := strings.Split(pattern, "/")
		if r.Method != method || len(want) != len(part) {
			return false
		}
		object, to, id, place, count := "", "", "", "", ""
		for i, w := range want {
			switch {
			case w == "{o}":
				object = part[i]
			case w == "{to}":
				to = part[i]
			case w == "{id}":
				id = part[i]
			case w == "{p}":
				if place = part[i]; place != "latest" && place != "earliest" {
					return false
				}
			case w == "{n}":
				count = part[i]
			case w == "next", w == "portals":
				if place = w; part[i] != w {
					return false
				}
			case w == "{v}":
				if !dated.MatchString(part[i]) {
					return false
				}
			case w != part[i]:
				return false
			}
		}
		c.object, c.to, c.id, c.place, c.count = object, to, id, place, count
		return true
	}
	switch {
	case match("POST", "crm/objects/{v}/{o}/search"):
		c.endpoint = EndpointSearch
	case match("POST", "crm/objects/{v}/{o}/batch/read"):
		c.endpoint = EndpointBatchRead
	case match("GET", "crm/objects/{v}/{o}"):
		c.endpoint = EndpointList
	case match("GET", "crm/objects/{v}/{o}/{id}"):
		c.endpoint = EndpointGet
	case match("POST", "crm/associations/{v}/{o}/{to}/batch/read"):
		c.endpoint = EndpointLinks
	case match("GET", "crm/associations/{v}/{o}/{to}/labels"):
		c.endpoint = EndpointLabels
	case match("GET", "crm/properties/{v}/{o}"):
		c.endpoint = EndpointProperties
	case match("GET", "crm/properties/{v}/{o}/{id}"):
		c.endpoint = EndpointProperty
	case match("GET", "crm-object-schemas/{v}/schemas"):
		c.endpoint = EndpointSchemas
	case match("GET", "crm-object-schemas/{v}/schemas/{o}"):
		c.endpoint = EndpointSchema
	case match("GET", "crm/owners/{v}"):
		c.endpoint = EndpointOwners
	case match("GET", "crm/owners/{v}/{id}"):
		c.endpoint = EndpointOwner
	case match("GET", "crm/pipelines/{v}/{o}/{id}"):
		c.endpoint = EndpointPipeline
	case match("GET", "crm/pipelines/{v}/{o}"):
		c.endpoint = EndpointPipelines
	case match("GET", "account-info/{v}/details"):
		c.endpoint = EndpointAccount
	case match("GET", "account-info/{v}/api-usage/daily/private-apps"):
		c.endpoint = EndpointDailyUsage
	case match("POST", "oauth/{v}/token"):
		c.endpoint = EndpointToken
	case match("GET", "webhooks-journal/journal/{v}/{p}"):
		if c.endpoint = EndpointJournalLatest; c.place == "earliest" {
			c.endpoint = EndpointJournalEarliest
		}
	case match("GET", "webhooks-journal/journal/{v}/offset/{id}/next"):
		c.endpoint = EndpointJournalNext
	case match("GET", "webhooks-journal/journal/{v}/batch/{p}/{n}"),
		match("GET", "webhooks-journal/journal/{v}/batch/{id}/next/{n}"):
		c.endpoint = EndpointJournalBatch
	case match("POST", "webhooks-journal/journal/{v}/batch/read"):
		c.endpoint = EndpointJournalRead
	case match("GET", "webhooks-journal/subscriptions/{v}"), match("POST", "webhooks-journal/subscriptions/{v}"),
		match("GET", "webhooks-journal/subscriptions/{v}/{id}"), match("DELETE", "webhooks-journal/subscriptions/{v}/{id}"),
		match("DELETE", "webhooks-journal/subscriptions/{v}/portals/{id}"):
		c.endpoint = EndpointSubscriptions
	case match("GET", "journal-files/{id}"):
		c.endpoint = EndpointJournalFile
	}
	return c
}

// names reads a parameter that may occur several times and hold several names,
// separated by commas.
func (c *call) names(parameter string) []string {
	var names []string
	for _, text := range c.query[parameter] {
		for name := range strings.SplitSeq(text, ",") {
			if name = strings.TrimSpace(name); name != "" {
				names = append(names, name)
			}
		}
	}
	return names
}

func (c *call) flag(parameter string) (bool, *failure) { return c.flagOr(parameter, false) }

func (c *call) flagOr(parameter string, absent bool) (bool, *failure) {
	switch text := c.query.Get(parameter); text {
	case "":
		return absent, nil
	case "true", "false":
		return text == "true", nil
	default:
		return false, invalid("%s must be true or false, not %q", parameter, text)
	}
}

func (p *Portal) correlationID() string {
	var b [16]byte
	for i := range b {
		b[i] = byte(p.chaos.UintN(256))
	}
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// wait sleeps for d, or until the context ends.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
