package hubspot

import (
	"bytes"
	"compress/gzip"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// entryOf is an entry with an address that expires after some time.
func entryOf(good time.Duration) *JournalEntry {
	return &JournalEntry{
		Offset: offset1, Expires: MillisOf(time.Now().Add(good)),
		address: secretOf("https://" + fileHost + "/" + offset1 + "?X-Signature=" + canary + "-1"),
	}
}

const (
	theFile = "FILE /" + offset1
	reread  = "POST " + journalRoot + "/batch/read"
)

func TestAnAddressThatIsNotTakenIsReplacedOnce(t *testing.T) {
	denied := answers(403, `<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>`, "Content-Type", "application/xml")
	found := func() (*http.Response, error) {
		return respond(207, `{"status":"COMPLETE","numErrors":1,"errors":[{"status":"error","category":"OBJECT_NOT_FOUND","message":"x","context":{"ids":["`+offset2+`"]}}],"results":[`+
			entryJSON(offset1, "2", time.Now().Add(time.Hour))+`]}`), nil
	}
	notFound := answers(207, `{"status":"COMPLETE","results":[],"numErrors":1,"errors":[{"status":"error","category":"OBJECT_NOT_FOUND","message":"x"}]}`)
	noAddress := answers(200, `{"results":[{"currentOffset":"`+offset1+`"}]}`)
	good := answers(200, fileJSON(offset1))
	never := fails(errors.New("nobody asks"))
	for name, c := range map[string]struct {
		good   time.Duration
		file   func() (*http.Response, error)
		reread func() (*http.Response, error)
		asked  []string
		lost   bool
	}{
		"good":                    {time.Hour, good, never, []string{theFile}, false},
		"gzip, and no word of it": {time.Hour, answers(200, packed(fileJSON(offset1)), "Content-Type", "binary/octet-stream"), never, []string{theFile}, false},
		"expired":                 {-time.Minute, good, found, []string{reread, theFile}, false},
		"about to expire":         {5 * time.Second, good, found, []string{reread, theFile}, false},
		"403":                     {time.Hour, inTurn(denied, good), found, []string{theFile, reread, theFile}, false},
		"404 in HTML":             {time.Hour, inTurn(answers(404, htmlPage), good), found, []string{theFile, reread, theFile}, false},
		"400 without content":     {time.Hour, inTurn(answers(400, ""), good), found, []string{theFile, reread, theFile}, false},
		"401, but no token":       {time.Hour, inTurn(answers(401, ""), good), found, []string{theFile, reread, theFile}, false},
		"403 of the fresh one":    {time.Hour, denied, found, []string{theFile, reread, theFile}, true},
		"expired and 404":         {-time.Hour, answers(404, ""), found, []string{reread, theFile}, true},
		"no fresh one":            {time.Hour, denied, notFound, []string{theFile, reread}, true},
		"a fresh one without url": {time.Hour, denied, noAddress, []string{theFile, reread}, true},
		"204 for a fresh one":     {time.Hour, denied, answers(204, ""), []string{theFile, reread}, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := newJournalRig(t, map[string]func() (*http.Response, error){theFile: c.file, reread: c.reread})
				file, err := j.File(t.Context(), Call{Tries: 5}, entryOf(c.good))
				if Unreadable(err) != c.lost || (err != nil) != c.lost || !c.lost && len(file.Events) != 1 {
					t.Errorf("%+v, %v; want a file: %v", file, err, !c.lost)
				}
				j.wantAsked(c.asked...)
				for _, body := range j.bodies {
					if body != `{"inputs":["`+offset1+`"]}` {
						t.Errorf("asked for a fresh address with %s", body)
					}
				}
			})
		})
	}
}

func TestAnEntryWithoutAnAddressIsReadAllTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournalRig(t, map[string]func() (*http.Response, error){
			"GET " + journalRoot + "/latest": answers(200, `{"currentOffset":"`+offset1+`","url":"not an address"}`),
			reread:                           answers(200, `{"results":[`+goodEntry(offset1)+`]}`),
			theFile:                          answers(200, fileJSON(offset1)),
		})
		e, err := j.Latest(t.Context(), readOnce)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := j.File(t.Context(), readOnce, e); err != nil {
			t.Error(err)
		}
	})
}

// packed is text in gzip.
func packed(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.String()
}

func TestAFileThatCannotBeUnderstoodIsUnreadable(t *testing.T) {
	gz := []string{"Content-Encoding", "gzip"}
	whole := packed(fileJSON(offset1))
	for name, c := range map[string]struct {
		answer   func() (*http.Response, error)
		attempts int // of four
	}{
		"too large when decompressed": {answers(200, packed(strings.Repeat(" ", maxAnswer+1)), gz...), 1},
		"HTML":                        {answers(200, htmlPage), 4},
		"empty":                       {answers(200, ""), 4},
		"204":                         {answers(204, ""), 4},
		"half of it":                  {answers(200, fileJSON(offset1)[:100]), 4},
		"another JSON":                {answers(200, `{"ok":true}`), 4},
		"cut-off gzip":                {answers(200, whole[:len(whole)/2], gz...), 4},
		"no gzip":                     {answers(200, fileJSON(offset1), gz...), 4},
		"damaged gzip":                {answers(200, whole[:len(whole)-6]+"123456", gz...), 4},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := newJournalRig(t, map[string]func() (*http.Response, error){theFile: c.answer})
				_, err := j.File(t.Context(), Call{Tries: 4}, entryOf(time.Hour))
				if n := j.count(theFile); !Unreadable(err) || n != c.attempts || JournalRefused(err) != "" {
					t.Errorf("err = %v after %d attempts, want an unreadable file after %d", err, n, c.attempts)
				}
				// Whatever stood there, it may not have been the file.
				j = newJournalRig(t, map[string]func() (*http.Response, error){theFile: inTurn(c.answer, answers(200, whole, gz...))})
				if _, err := j.File(t.Context(), Call{Tries: 4}, entryOf(time.Hour)); Unreadable(err) != (c.attempts == 1) {
					t.Errorf("err = %v, want the file at the second attempt", err)
				}
			})
		})
	}
}

// A file host that fails is no outage of HubSpot's, and its clock is not HubSpot's.
func TestAFileHostThatFailsHoldsUpNobody(t *testing.T) {
	for name, answer := range map[string]func() (*http.Response, error){
		"503":                answers(503, ""),
		"429":                answers(429, ""),
		"refused":            fails(errRefused),
		"cut":                cut(fileJSON(offset1)),
		"sent somewhere":     answers(302, "", "Location", "https://login.example.com/"),
		"408 without a word": answers(408, ""),
	} {
		t.Run(name, func(t *testing.T) { testFailingHost(t, answer) })
	}
}

func testFailingHost(t *testing.T, answer func() (*http.Response, error)) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournalRig(t, map[string]func() (*http.Response, error){theFile: answer})
		ctx, cancel := timeout(t, time.Hour)
		defer cancel()
		for range 4 { // for over a minute, without an answer of HubSpot's meanwhile, which would end an outage
			_, err := j.File(ctx, Call{Tries: 5}, entryOf(time.Hour))
			if !Unanswered(err) || Unreadable(err) || JournalRefused(err) != "" {
				t.Fatalf("err = %v, want one that passes", err)
			}
			began := time.Now()
			if err := j.ask(ctx); err != nil || time.Since(began) > 0 {
				t.Errorf("a call to HubSpot: err = %v after %v, want an answer at once", err, time.Since(began))
			}
		}
		if j.log.Count("HubSpot's journal cannot be read for now") == 0 || j.log.Count("HubSpot cannot be read") > 0 || !j.log.Has("the host of the journal's files can be reached") {
			t.Errorf("want a log of the journal's trouble, and of no other:\n%s", j.log)
		}
		if n := j.count(theFile); n != 20 {
			t.Errorf("%d attempts in four times, want five each", n)
		}
	})
}

func TestTheFileHostsClockIsNotHubSpots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournalRig(t, map[string]func() (*http.Response, error){
			theFile: answers(200, fileJSON(offset1), "Date", time.Now().Add(20*time.Minute).UTC().Format(http.TimeFormat)),
		})
		for range 10 {
			if err := j.ask(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := j.File(t.Context(), readOnce, entryOf(time.Hour)); err != nil {
				t.Fatal(err)
			}
			if ours, theirs := MillisOf(time.Now()), j.Client.Now(); theirs > ours || theirs < ours-2000 {
				t.Fatalf("HubSpot's time is taken for %d, want %d", theirs, ours)
			}
			time.Sleep(time.Second)
		}
		if j.log.Has("clock") {
			t.Errorf("the log speaks of clocks:\n%s", j.log)
		}
	})
}
