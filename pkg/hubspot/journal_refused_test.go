package hubspot

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestARefusedJournalHasACure(t *testing.T) {
	const latest = "GET " + journalRoot + "/latest"
	tokenRefusal := func(category, message string) map[string]func() (*http.Response, error) {
		return map[string]func() (*http.Response, error){"token": answers(400, `{"status":"`+category+`","message":"`+message+`","category":"`+category+`","correlationId":"e06d5f4a-fcde-4985-bc2b-2b89d29568b0"}`)}
	}
	answer := func(status int, body string) map[string]func() (*http.Response, error) {
		return map[string]func() (*http.Response, error){latest: answers(status, body)}
	}
	for name, c := range map[string]struct {
		on   map[string]func() (*http.Response, error)
		want string // what the cure begins with
	}{
		"client id":           {tokenRefusal("BAD_CLIENT_ID", "missing or unknown client ID"), "compare the client id"},
		"client secret":       {tokenRefusal("BAD_CLIENT_SECRET", "missing or invalid client secret"), "compare the client id"},
		"scopes by category":  {tokenRefusal("BAD_SCOPE", "x"), "add these scopes"},
		"scopes by message":   {tokenRefusal("BAD_REQUEST", "The scopes ["+journalScopes[0]+"] could not be recognized"), "add these scopes"},
		"scopes by RFC 6749":  {map[string]func() (*http.Response, error){"token": answers(400, `{"error":"invalid_scope"}`)}, "add these scopes"},
		"missing scopes":      {answer(403, refusal("MISSING_SCOPES", "This app hasn't been granted all required scopes to make this call.")), "add these scopes"},
		"not installed":       {answer(403, refusal("FORBIDDEN", "x")), "install the app in this portal"},
		"token never taken":   {answer(401, refusal("INVALID_AUTHENTICATION", "x")), "compare the client id"},
		"no journal":          {answer(404, refusal("OBJECT_NOT_FOUND", "Resource not found")), "see the app's page"},
		"an outage":           {answer(503, ""), ""},
		"a proxy":             {answer(403, htmlPage), ""},
		"a token outage":      {map[string]func() (*http.Response, error){"token": answers(502, htmlPage)}, ""},
		"refused by nobody":   {map[string]func() (*http.Response, error){latest: fails(errRefused)}, ""},
		"a conflict":          {answer(409, refusal("CONFLICT", "x")), ""},
		"one request refused": {answer(400, refusal("VALIDATION_ERROR", "x")), ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := newJournalRig(t, c.on)
				ctx, cancel := timeout(t, 10*time.Minute)
				defer cancel()
				_, err := j.Latest(ctx, readOnce)
				if cure := JournalRefused(err); err == nil || (cure == "") != (c.want == "") || !strings.HasPrefix(cure, c.want) {
					t.Errorf("err = %v, cure %q, want %q", err, cure, c.want)
				}
				if strings.HasPrefix(c.want, "add") && !strings.Contains(JournalRefused(err), strings.Join(journalScopes, ", ")) {
					t.Errorf("%q does not name the scopes", JournalRefused(err))
				}
			})
		})
	}
	if cure := JournalRefused(nil); cure != "" {
		t.Errorf("no error has the cure %q", cure)
	}
}

func TestASecretOfTheAppThatCannotBeReadHasACure(t *testing.T) {
	j := newJournalRig(t, nil)
	j.Journal = NewJournal(j.Client, ClientCredentials("app", func() (Secret, error) { return "", errors.New("no such file") }))
	_, err := j.Latest(t.Context(), readOnce)
	if cure := JournalRefused(err); cure != "give a client secret that can be read: no such file" {
		t.Errorf("err = %v, cure %q", err, cure)
	}
	if len(j.asked) != 0 {
		t.Errorf("asked for %q", j.asked)
	}
}

// Whatever fails, the client secret, the tokens and the addresses of files stand in
// no error, log, metric or printed value.
func TestTheJournalTellsNoSecret(t *testing.T) {
	const latest = "GET " + journalRoot + "/latest"
	address := "https://" + fileHost + "/" + offset1 + "?X-Signature=" + canary + "-1"
	file := func(on func() (*http.Response, error)) map[string]func() (*http.Response, error) {
		return map[string]func() (*http.Response, error){
			latest:  func() (*http.Response, error) { return respond(200, goodEntry(offset1)), nil },
			reread:  func() (*http.Response, error) { return respond(200, `{"results":[`+goodEntry(offset1)+`]}`), nil },
			theFile: on,
		}
	}
	api := func(on func() (*http.Response, error)) map[string]func() (*http.Response, error) {
		return map[string]func() (*http.Response, error){latest: on}
	}
	echo := "app-" + canary + "-1 secret-" + canary + " " + address
	quoted, _ := json.Marshal(echo)
	for name, on := range map[string]map[string]func() (*http.Response, error){
		"a token that is refused":    {"token": answers(400, `{"status":"BAD_CLIENT_SECRET","message":`+string(quoted)+`,"category":"BAD_CLIENT_SECRET"}`)},
		"a token that is odd":        {"token": inTurn(answers(200, `{"access_token":`+string(quoted)+`,"expires_in":1800}`), answers(400, `{"error":"invalid_client","error_description":`+string(quoted)+`}`))},
		"the journal's refusal":      api(answers(403, `{"status":"error","category":"FORBIDDEN","message":`+string(quoted)+`}`)),
		"the journal's failure":      api(answers(503, echo)),
		"an entry that is odd":       api(answers(200, `{"currentOffset":"","url":`+string(quoted)+`}`)),
		"an entry's broken address":  {latest: answers(200, `{"currentOffset":"x","url":"https://[`+canary+`"}`), reread: answers(207, `{"results":[]}`)},
		"a broken connection":        api(fails(errors.New("write: Authorization: Bearer app-" + canary + "-1: broken pipe"))),
		"a file's refusal":           file(answers(403, "<Error>"+echo+"</Error>")),
		"a file's failure":           file(answers(503, echo)),
		"a file's broken connection": file(fails(&url.Error{Op: "Get", URL: address, Err: errRefused})),
		"an error with the address":  file(fails(fmt.Errorf("GET %s: reset", address))),
		"a file's odd redirect":      file(answers(302, "", "Location", "https://[x?X-Signature="+canary+"-1")),
		"a file's redirect":          file(answers(302, "", "Location", address+"&again=1")),
		"a garbled file":             file(answers(200, echo)),
		"a file's odd events":        file(answers(200, `{"journalEvents":[`+string(quoted)+`]}`)),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := newJournalRig(t, on) // whose log must not have it either
				ctx, cancel := timeout(t, 10*time.Minute)
				defer cancel()
				e, err := j.Latest(ctx, Call{Tries: 3})
				said := fmt.Sprint(err, JournalRefused(err))
				if e != nil {
					_, err = j.File(ctx, Call{Tries: 3}, e)
					said += fmt.Sprintf("%v %v %+v %#v", err, e, *e, *e)
					text, _ := json.Marshal(e)
					said += string(text)
				}
				families, err := j.reg.Gather()
				if err != nil {
					t.Fatal(err)
				}
				if said += fmt.Sprint(families); strings.Contains(said, canary) || strings.Contains(j.log.String(), "X-Signature") {
					t.Errorf("a secret is told: %s\n%s", said, j.log)
				}
			})
		})
	}
}
