package hubspot

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// request is one API call, however many attempts it takes.
type request struct {
	api        string // label in the metrics
	class      class
	account    bool    // an Account call: passes even on a spent day
	ungoverned bool    // counts against no limit
	anonymous  bool    // carries no token
	token      *Secret // instead of the client's; nil: that
	method     string
	path       string // escaped
	// address, unless nil, is the whole address of a file on another host, which may
	// be fetched without a token because the address is a secret itself. path then
	// names it in errors. What such a host says is not HubSpot's word: any 4xx but
	// 429 refuses the address, its Date is no clock, and Call.Tries is a limit
	// whatever others are answered.
	address     *Secret
	query       string // encoded
	body        []byte
	contentType string // application/json unless set
	mayBeEmpty  bool   // a 204 is an answer, of which read is not told
	// read takes the body of a 2xx answer. It returns an error if the body is
	// not the expected answer (truncated, or not HubSpot's); do then sends the
	// request again and calls read again. The error must not hold content of
	// the answer. The body is valid until it returns.
	read func(body []byte) error
}

// Reasons to reject an answer.
var (
	errNotTheJSON = errors.New("not the expected JSON")
	errNoResults  = errors.New("no results in the answer")
	errTooLarge   = errors.New("the answer is larger than the client accepts")
	errNotGzip    = errors.New("the answer cannot be decompressed")
)

// secondThought is how long to wait before sending a refused token again.
const secondThought = 2 * time.Second

// statusEdge is how the servers before HubSpot's answer where they cannot pass a request
// on, above all with a malformed token.
const statusEdge = 530

// attempt is the outcome of one attempt.
type attempt struct {
	sent     time.Time
	timeout  time.Duration
	received time.Time // when the header arrived
	status   int       // 0: no answer
	header   http.Header
	body     []byte
	err      error // from the transport, or from reading the body
}

// do sends a request, as often as it takes, until HubSpot answers it or refuses
// it for good, or ctx ends.
func (c *Client) do(ctx context.Context, call Call, r *request) (Answer, error) {
	made := time.Now()
	patienceOf(ctx).requests(1)
	defer patienceOf(ctx).requests(-1)
	t := &trouble{o: c.outages, api: r.api}
	answered, unanswered := false, false
	defer func() { t.leave(answered) }()
	c.outages.asked(r.api)
	defer func() { c.outages.left(r.api, unanswered) }()
	var (
		token, stale *Secret
		last, cure   string // the latest failure, for an error that says more than "canceled"
		let          *pass  // the governor's, of the latest attempt
		failures     int    // failures after which this request backed off by itself
		late         bool   // one of them was a time-out
		heard        uint64 // HubSpot's answers before the first of them
	)
	gaveUp := func() (Answer, error) {
		if last != "" {
			return Answer{}, &UnansweredError{fmt.Errorf("%s %s (latest: %s): %w", r.method, r.path, last, ctx.Err()), cure}
		}
		return Answer{}, fmt.Errorf("%s %s: %w", r.method, r.path, ctx.Err())
	}
	for {
		for {
			var err error
			if let, err = c.admit(ctx, call, r, made); err != nil {
				return gaveUp()
			}
			if r.anonymous || r.token != nil {
				token = r.token
				break
			}
			// Fetch the token after the wait, which may outlast it. If the
			// token had to be renewed first, ask for admission again:
			// otherwise all requests that waited for the token would be sent
			// at once.
			admitted := time.Now()
			if token, err = c.auth.bearer(ctx, c, nil); err != nil {
				return Answer{}, err
			}
			if time.Since(admitted) < 50*time.Millisecond {
				break
			}
		}
		if call.OnSend != nil {
			call.OnSend(c.Now())
		}
		c.outages.sent(r.api)
		if failures == 0 {
			heard = c.outages.answers()
		}
		timeout := attemptTimeout
		if call.Quick || late && failures < call.Tries {
			timeout = quickTimeout
		}
		room := bodies.Get().(*body)
		a := c.send(ctx, r, token, timeout, room)
		c.outages.returned(r.api)
		if let != nil {
			c.governor.answered(let, cmp.Or(a.received, time.Now()))
		}
		tally(ctx, a.sent)
		if !r.ungoverned {
			c.metrics.charge(ctx)
		}
		c.metrics.requests.WithLabelValues(r.api, a.label()).Inc()
		if ctx.Err() != nil {
			return gaveUp()
		}

		v := judge(r, a)
		room.free() // nothing below looks at the answer's text
		if v.hubspot {
			// HubSpot itself answered, whatever it said.
			c.outages.succeeded(r.api)
		}
		switch {
		case v.done:
			answered = true
			if !r.ungoverned {
				c.governor.observe(r.class, r.account, a.header, a.sent, let)
			}
			return Answer{Date: c.noteTime(r, a)}, nil

		case v.policy != "":
			if r.ungoverned { // it is a limit of its own, and no policy's
				last, cure = kindThrottled, "nothing: the connector waits and asks again"
				t.failed(last, "path", r.path, "correlation_id", v.correlation, "cure", cure)
				failures++
				if err := pause(ctx, max(backoff(failures), v.wait), nil, nil); err != nil {
					return gaveUp()
				}
				continue
			}
			c.metrics.throttled.WithLabelValues(v.policy).Inc()
			last, cure = kindThrottled+" "+v.policy, throttleCure(v.policy)
			t.failed(last, "path", r.path, "correlation_id", v.correlation, "cure", cure)
			c.governor.throttled(r.class, r.account, v.policy, v.wait, a.sent)

		case v.lasting != nil:
			if v.lasting.Status == http.StatusUnauthorized && !r.anonymous && r.token == nil && stale == nil {
				stale = token
				fresh, err := c.auth.bearer(ctx, c, stale)
				if err != nil {
					return Answer{}, err
				}
				if fresh == stale {
					// One 401 is no proof (docs/hubspot.md section 7): HubSpot's
					// edge servers are wrong for moments. Send the same token
					// again.
					last, cure = "401", c.cure(r.api, "401", "401")
					if err := pause(ctx, secondThought, nil, nil); err != nil {
						return gaveUp()
					}
				}
				continue
			}
			if !r.ungoverned {
				c.governor.observe(r.class, r.account, a.header, a.sent, let)
			}
			c.noteTime(r, a)
			answered = true
			return Answer{}, v.lasting

		default:
			last = redact(v.transient, token, r.address)
			allOpens, oneOpens := c.outages.failed(r.api)
			c.outages.heard(r.api, v.kind, last)
			cure = c.cure(r.api, v.kind, last)
			t.failed(v.kind, "path", r.path, "correlation_id", v.correlation, "err", last, "cure", cure)
			if e, ok := errors.AsType[net.Error](a.err); ok && e.Timeout() {
				late = true
			}
			failures++
			if file, ok := c.auth.(*accessToken); ok && !r.anonymous && r.token == nil && (a.status == http.StatusUnauthorized || a.status == statusEdge) {
				// It may be the token, and somebody may have corrected its file.
				if _, err := file.bearer(ctx, c, token); err != nil {
					return Answer{}, err
				}
			}
			if call.Tries == 1 || call.Tries > 0 && failures >= call.Tries && (r.address != nil || c.outages.answers() > heard) {
				unanswered = true
				return Answer{}, &Error{Method: r.method, Path: r.path, CorrelationID: v.correlation, trouble: last, garbled: v.garbled}
			}
			wait := backoff(failures)
			if v.wait > 0 {
				// HubSpot said how long to wait; another request's success
				// does not shorten it.
				wait, allOpens, oneOpens = max(wait, v.wait), nil, nil
			}
			if err := pause(ctx, wait, allOpens, oneOpens); err != nil {
				return gaveUp()
			}
		}
	}
}

// noteTime takes HubSpot's time from an answer.
func (c *Client) noteTime(r *request, a attempt) Millis {
	if r.address != nil {
		return 0
	}
	return c.clock.note(a.header, a.sent, a.received)
}

// admit waits until the outage gates and the limits let the request make an
// attempt. An ungoverned request gets no pass.
func (c *Client) admit(ctx context.Context, call Call, r *request, made time.Time) (let *pass, err error) {
	for {
		s, err := c.outages.enter(ctx, r.api)
		if err != nil {
			return nil, err
		}
		if !r.ungoverned {
			patienceOf(ctx).requests(-1)
			let, err = c.governor.acquire(ctx, r.class, call.Priority, r.account, made)
			patienceOf(ctx).requests(1)
			if err != nil {
				return nil, err
			}
		}
		if c.outages.holds(s, r.api) {
			return let, nil
		}
	}
}

// send makes one attempt. The answer's body is in room.
func (c *Client) send(ctx context.Context, r *request, token *Secret, timeout time.Duration, room *body) attempt {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	a := attempt{sent: time.Now(), timeout: timeout}
	address := c.base.String() + r.path
	if r.address != nil {
		address = r.address.Reveal()
	}
	if r.query != "" {
		address += "?" + r.query
	}
	var question io.Reader
	if r.body != nil {
		question = bytes.NewReader(r.body)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, address, question)
	if err != nil {
		a.err = err
		return a
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Accept-Encoding", "gzip")
	req.Header.Set("User-Agent", userAgent)
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
		if r.contentType != "" {
			req.Header.Set("Content-Type", r.contentType)
		}
	}
	if !r.anonymous {
		req.Header.Set("Authorization", "Bearer "+token.Reveal())
	}
	res, err := c.http.Do(req)
	if err != nil {
		// Drop the address: it is long or a secret, and the error gives the path already.
		if inner, ok := errors.AsType[*url.Error](err); ok {
			err = inner.Err
		}
		a.err = err
		return a
	}
	defer func() { _ = res.Body.Close() }()
	a.received, a.status, a.header = time.Now(), res.StatusCode, res.Header
	a.body, a.err = room.read(res)
	return a
}

func (a attempt) label() string {
	if a.status == 0 {
		return "error"
	}
	return strconv.Itoa(a.status)
}

// redact removes the secrets of a request from a transport's error text, and cuts the
// text to 300 bytes. No transport that we know writes the token; one may write a
// redirect's address, which may repeat the query.
func redact(text string, token, address *Secret) string {
	if token != nil {
		text = strings.ReplaceAll(text, token.Reveal(), redacted)
	}
	if address != nil {
		text = strings.ReplaceAll(text, address.Reveal(), redacted)
		if _, query, _ := strings.Cut(address.Reveal(), "?"); query != "" {
			text = strings.ReplaceAll(text, query, redacted)
		}
	}
	if len(text) > 300 {
		text = text[:300] + "…"
	}
	return text
}
