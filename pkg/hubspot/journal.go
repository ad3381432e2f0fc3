package hubspot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// Journal reads the webhooks journal of an app: files of events that HubSpot keeps
// for three days, one after the other. It holds the events of every portal in which
// the app is installed (docs/hubspot.md section 6).
//
// Its requests carry the app's own token, and count against no limit of the portal.
// What fails here is no outage of the records' APIs: the journal waits alone.
type Journal struct {
	client *Client // the app's: the portal's has another token
	pace   *rate.Limiter
}

// journalPerSecond is how many requests a second the journal makes at most. HubSpot's
// older guide allows 100 reads and 50 questions about subscriptions.
const journalPerSecond = 40

// NewJournal reads an app's journal through the connections of c.
func NewJournal(c *Client, app Auth) *Journal {
	own := &Client{ // without a governor: none of its requests has limits
		base: c.base, apiVersion: c.apiVersion, auth: app, http: c.http,
		log: c.log, metrics: c.metrics, outages: newOutages(c.log, "HubSpot's journal"),
	}
	own.clock.log = c.log
	return &Journal{own, rate.NewLimiter(journalPerSecond, journalPerSecond)}
}

// JournalEntry is where a file of the journal is. Its address is a secret: whoever
// has it can read the file until it expires.
type JournalEntry struct {
	Offset  string
	Expires Millis  // NoTime if HubSpot does not say
	address *Secret // nil if HubSpot gave none
}

// Made is when HubSpot made the entry, if its offset is a UUIDv7, which holds the
// milliseconds in its first 48 bits.
func (e *JournalEntry) Made() (at Millis, ok bool) {
	text := strings.ReplaceAll(e.Offset, "-", "")
	if len(text) != 32 || text[12] != '7' {
		return 0, false
	}
	n, err := strconv.ParseUint(text[:12], 16, 64)
	return Millis(n), err == nil
}

// Latest is the newest entry, nil if there is none yet.
func (j *Journal) Latest(ctx context.Context, call Call) (*JournalEntry, error) {
	return j.entry(ctx, call, "/latest")
}

// Earliest is the oldest entry that HubSpot still has, nil if there is none.
func (j *Journal) Earliest(ctx context.Context, call Call) (*JournalEntry, error) {
	return j.entry(ctx, call, "/earliest")
}

// Next is the entry after an offset, nil if there is none yet. An error that
// satisfies PlaceLost says that HubSpot no longer has the offset.
func (j *Journal) Next(ctx context.Context, call Call, offset string) (*JournalEntry, error) {
	e, err := j.entry(ctx, call, "/offset/"+url.PathEscape(offset)+"/next")
	if is(err, func(e *Error) bool { return slices.Contains(lostStatuses, e.Status) }) {
		return nil, &placeLostError{err}
	}
	return e, err
}

// lostStatuses are HubSpot's answers to an offset that it does not have. It documents
// the 404. The offset is all that the question holds, so that a 400 or a 410 is about
// it too.
var lostStatuses = []int{http.StatusBadRequest, http.StatusNotFound, http.StatusGone}

// NextBatch gives up to count entries after an offset, 100 at most, the oldest first.
// It does not tell an offset that HubSpot no longer has from one without a next.
func (j *Journal) NextBatch(ctx context.Context, call Call, offset string, count int) ([]JournalEntry, error) {
	return j.entries(ctx, call, &request{method: http.MethodGet, path: "/batch/" + url.PathEscape(offset) + "/next/" + strconv.Itoa(count)})
}

// placeLostError says that HubSpot no longer has a place in the journal.
type placeLostError struct{ err error }

func (e *placeLostError) Error() string {
	return "HubSpot's journal no longer has this place: " + e.err.Error()
}
func (e *placeLostError) Unwrap() error { return e.err }

// PlaceLost reports that HubSpot no longer has the offset that Next was asked about:
// it is older than three days, or was never there.
func PlaceLost(err error) bool {
	_, lost := errors.AsType[*placeLostError](err)
	return lost
}

// journalPath is the address of the journal or the subscriptions.
func (j *Journal) journalPath(api string) string {
	return "/webhooks-journal/" + api + "/" + j.client.version(journalVersion)
}

// do makes a request of the journal's.
func (j *Journal) do(ctx context.Context, call Call, r *request) error {
	if err := j.pace.Wait(ctx); err != nil {
		return err
	}
	r.ungoverned = true
	_, err := j.client.do(ctx, call, r)
	return err
}

type entryAnswer struct {
	URL           Secret          `json:"url"`
	ExpiresAt     json.RawMessage `json:"expiresAt"`
	CurrentOffset string          `json:"currentOffset"`
}

// entry reports false for an answer without an offset. One without an address is an
// entry all the same: File asks for another address.
func (a *entryAnswer) entry() (JournalEntry, bool) {
	e := JournalEntry{Offset: a.CurrentOffset, Expires: journalTime(a.ExpiresAt)}
	if u, err := url.Parse(a.URL.Reveal()); err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http") {
		e.address = &a.URL
	}
	return e, e.Offset != ""
}

// entry asks for one entry. A 204 is none.
func (j *Journal) entry(ctx context.Context, call Call, path string) (found *JournalEntry, err error) {
	err = j.do(ctx, call, &request{
		api: "journal", method: http.MethodGet, path: j.journalPath("journal") + path, mayBeEmpty: true,
		read: func(body []byte) error {
			var a entryAnswer
			if json.Unmarshal(body, &a) != nil {
				return errNotTheJSON
			}
			e, ok := a.entry()
			if !ok {
				return &contentError{"a journal entry without an offset"}
			}
			found = &e
			return nil
		},
	})
	return found, err
}

// entries asks for several entries. Those that HubSpot cannot give are left out, and
// so is what follows one without an offset: it would be taken for another's next.
func (j *Journal) entries(ctx context.Context, call Call, r *request) (all []JournalEntry, err error) {
	r.api, r.path, r.mayBeEmpty = "journal", j.journalPath("journal")+r.path, true
	r.read = func(body []byte) error {
		answers, err := readResults[entryAnswer](body)
		if err != nil {
			return err
		}
		for i := range answers {
			e, ok := answers[i].entry()
			if !ok {
				break
			}
			all = append(all, e)
		}
		return nil
	}
	err = j.do(ctx, call, r)
	return all, err
}

// unreadableError says that a file can never be read.
type unreadableError struct{ err error }

func (e *unreadableError) Error() string { return e.err.Error() }
func (e *unreadableError) Unwrap() error { return e.err }

// Unreadable reports that a file of the journal cannot be read or understood, however
// often it is asked for.
func Unreadable(err error) bool {
	_, unreadable := errors.AsType[*unreadableError](err)
	return unreadable
}

// apiJournalFile is the label of a file's host, which is not HubSpot's API.
const apiJournalFile = "journal_file"

// expiryMargin is how long an address must still be good for a fetch to begin.
const expiryMargin = 10 * time.Second

// File fetches an entry's file. Where the address has expired, or is refused, File
// asks for another one, once.
func (j *Journal) File(ctx context.Context, call Call, e *JournalEntry) (*JournalFile, error) {
	if e.address != nil && (e.Expires == NoTime || MillisOf(time.Now()) <= e.Expires.Add(-expiryMargin)) {
		file, err := j.fetch(ctx, call, e)
		if !addressRefused(err) {
			return file, err
		}
	}
	e, err := j.again(ctx, call, e.Offset)
	if err != nil {
		return nil, err
	}
	file, err := j.fetch(ctx, call, e)
	if addressRefused(err) {
		err = &unreadableError{err}
	}
	return file, err
}

// addressRefused reports that the host of a file does not take its address.
func addressRefused(err error) bool {
	return is(err, func(e *Error) bool { return e.Status >= 400 && e.Status < 500 })
}

// again asks for an entry with a fresh address.
func (j *Journal) again(ctx context.Context, call Call, offset string) (*JournalEntry, error) {
	body, err := json.Marshal(map[string][]string{"inputs": {offset}})
	if err != nil {
		return nil, err
	}
	entries, err := j.entries(ctx, call, &request{method: http.MethodPost, path: "/batch/read", body: body})
	if err != nil {
		return nil, err
	}
	for i := range entries {
		if entries[i].Offset == offset && entries[i].address != nil {
			return &entries[i], nil
		}
	}
	return nil, &unreadableError{fmt.Errorf("HubSpot gives no address for the journal's file %s", offset)}
}

// fetch reads a file from its address. Content that cannot be read is asked for as
// often as anything else that fails: it may not be the file's.
func (j *Journal) fetch(ctx context.Context, call Call, e *JournalEntry) (file *JournalFile, err error) {
	err = j.do(ctx, call, &request{
		api: apiJournalFile, method: http.MethodGet, anonymous: true, address: e.address, path: "(file " + e.Offset + " of the journal)",
		read: func(body []byte) (err error) {
			file, err = readJournalFile(body)
			return err
		},
	})
	if is(err, func(e *Error) bool { return e.tooLarge || e.garbled }) {
		err = &unreadableError{err}
	}
	return file, err
}

// JournalRefused says what an operator can do where HubSpot refuses the journal; ""
// where err is something else.
func JournalRefused(err error) string {
	const app = "the app's page in HubSpot's developer account"
	if e, bad := errors.AsType[*SecretError](err); bad {
		return "give a " + e.Secret + " that can be read: " + e.Err.Error()
	}
	e, refused := errors.AsType[*Error](err)
	if !refused || e.trouble != "" || e.tooLarge || PlaceLost(err) || Unreadable(err) {
		return ""
	}
	scopes := strings.Join(journalScopes, ", ")
	switch {
	case e.refusedToken && (strings.Contains(strings.ToUpper(e.Category), "SCOPE") || len(e.Scopes) > 0 || e.Message == unknownScopes), e.missingScopes():
		return "add these scopes to the app, on " + app + ", and install it in the portal again: " + scopes
	case e.refusedToken, e.Status == http.StatusUnauthorized:
		return "compare the client id and the client secret with those on " + app + ": an app with OAuth, not a service key or a private app"
	case e.Status == http.StatusForbidden:
		return "install the app in this portal, with the scopes " + scopes
	case e.Status == http.StatusNotFound:
		return "see " + app + ": HubSpot does not give this app a webhooks journal"
	}
	return "" // of one request: the journal's own refusals are those above
}
