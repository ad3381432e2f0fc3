package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// answering is a HubSpot that answers what the function returns.
type answering func(*http.Request) (status int, body string)

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	status, body := a(r)
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}, "Date": {time.Now().UTC().Format(http.TimeFormat)}},
		Body: io.NopCloser(strings.NewReader(body)), Request: r,
	}, nil
}

// client returns a client of this HubSpot.
func (a answering) client(t *testing.T) *hubspot.Client {
	t.Helper()
	return a.limited(t, hubspot.Limits{})
}

func (a answering) limited(t *testing.T, limits hubspot.Limits) *hubspot.Client {
	t.Helper()
	client, err := hubspot.New(hubspot.Config{
		Auth:      hubspot.AccessToken(func() (hubspot.Secret, error) { return "token", nil }),
		Transport: a, Governor: hubspot.NewGovernor(limits), Registerer: prometheus.NewRegistry(),
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// contacts returns the contacts of this HubSpot, read with these properties, and what
// is committed of them.
func (a answering) contacts(t *testing.T, properties ...string) (*Object, *committed) {
	t.Helper()
	client, out := a.client(t), &committed{}
	return NewObject(Object{
		Type: hubspot.ObjectType{Name: "contacts", Path: "contacts", ModifiedProperty: "lastmodifieddate"}, Client: client,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Status: NewStatus(client.Now), Metrics: NewMetrics(prometheus.NewRegistry()), Audit: NewAudit(NewMetrics(prometheus.NewRegistry()), time.Minute), Rounds: NewRounds(1), Readers: NewReaders(hubspot.NewGovernor(hubspot.Limits{}), 0),
		Lane: cdc.NewLane(cdc.LaneConfig{
			Object: "contacts", Slots: &hubspot.Slots{Names: properties}, Content: cdc.NewContent(properties), Committer: out,
		}),
	}), out
}

const refusal = `{"status":"error","message":"no","correlationId":"e06d5f4a-fcde-4985-bc2b-2b89d29568b0","category":"VALIDATION_ERROR"}`

// TestR12_APageWithoutRowsAndMoreBehindItIsReadAgain: such a page has lost its rows,
// and must not pass for an empty range.
func TestR12_APageWithoutRowsAndMoreBehindItIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		object, _ := answering(func(*http.Request) (int, string) {
			return 200, `{"total":201,"results":[],"paging":{"next":{"after":"200"}}}`
		}).contacts(t)
		if err := (&Census{Object: object}).leaf(t.Context(), cdc.Range{}, &look{}); !errors.Is(err, cdc.ErrUnordered) {
			t.Errorf("%v, want %v", err, cdc.ErrUnordered)
		}
	})
}

// TestR13_WhatNoSearchFindsIsReadWithEverything: a refill that HubSpot refuses asks for a
// reconcile, and ends with it.
func TestR13_WhatNoSearchFindsIsReadWithEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		searches := 0
		object, _ := answering(func(*http.Request) (int, string) { searches++; return 400, refusal }).contacts(t)
		r := &Refill{Object: object, Lag: time.Hour, Place: offsets.Refill{Properties: []string{"hs_email_html"}, Round: 1}}
		ended := make(chan error)
		go func() { ended <- r.Run(t.Context()) }() // ends with the test
		<-object.wanted
		object.sweeps.end(object.Client.Now() - 1) // one that began before
		time.Sleep(time.Hour)
		select {
		case err := <-ended:
			t.Errorf("the refill has ended before everything was read: %v", err)
		default:
		}
		object.sweeps.end(object.Client.Now())
		if err := <-ended; err != nil || r.Left() != nil || searches > 2 {
			t.Errorf("%v, left %+v after %d searches", err, r.Left(), searches)
		}
	})
}

// TestSweep_AnAddressThatIsTooLong: from then on the sweep lists ids and reads the
// records by batch.
func TestSweep_AnAddressThatIsTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		long, short := 0, 0
		object, _ := answering(func(r *http.Request) (int, string) {
			switch {
			case r.Method == http.MethodPost:
				return 200, `{"status":"COMPLETE","results":[]}`
			case strings.Contains(r.URL.RawQuery, "city"):
				long++
				return 414, ""
			}
			short++
			return 200, `{"results":[]}`
		}).contacts(t, "city")
		for range 2 {
			s := &Sweep{Object: object, Stream: offsets.ReconcileStream, Place: offsets.Sweep{Ranges: []offsets.Range{{From: "0"}}}}
			if err := s.sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if long != 1 || short != 2 {
			t.Errorf("%d long lists and %d short ones, want 1 and 2", long, short)
		}
	})
}

// refusing is a list of two pages that refuses to continue from one cursor.
func refusing(cursor string) answering {
	return func(r *http.Request) (int, string) {
		switch after := r.URL.Query().Get("after"); {
		case after == "":
			return 200, `{"results":[],"paging":{"next":{"after":"8"}}}`
		case after == cursor:
			return 400, refusal
		}
		return 200, `{"results":[]}`
	}
}

// TestSweep_AnOldCursorOfTheListIsRefused: the sweep reads the list from the
// beginning.
func TestSweep_AnOldCursorOfTheListIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		object, _ := refusing("abc").contacts(t)
		s := &Sweep{Object: object, Stream: offsets.ReconcileStream, Place: offsets.Sweep{Ranges: []offsets.Range{{From: "0", After: "abc", ID: "7"}}}}
		if err := s.sweep(t.Context()); err != nil || !s.Place.Done {
			t.Errorf("%v, %+v", err, s.Place)
		}
	})
}

// TestR8_ARecordThatAListShowsAsArchivedIsMissing: it is not published as live, and where
// it is, a confirm decides.
func TestR8_ARecordThatAListShowsAsArchivedIsMissing(t *testing.T) {
	for name, c := range map[string]struct {
		live []hubspot.ID // published before
		want string
	}{
		"not published": {nil, "2 c"},
		"published":     {[]hubspot.ID{1, 2}, "2 u, 1 d"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				object, _ := answering(func(*http.Request) (int, string) { // batch reads say the same
					return 200, strings.Replace(listPage([]int{1, 2}, ""), `"archived":false`, `"archived":true`, 1)
				}).contacts(t)
				var out transactions
				published := cdc.NewTable()
				for _, id := range c.live {
					published.Put(id, cdc.Row{Live: true, Version: 1})
				}
				object.Lane = cdc.NewLane(cdc.LaneConfig{
					Object: "contacts", Slots: &hubspot.Slots{}, Content: cdc.NewContent(nil), Committer: &out, Table: published,
				})
				s := &Sweep{Object: object, Stream: offsets.BackfillStream, Place: offsets.Sweep{Ranges: []offsets.Range{{From: "0"}}}}
				if err := s.sweep(t.Context()); err != nil {
					t.Fatal(err)
				}
				if got := strings.Join(out, "; "); got != c.want {
					t.Errorf("published %q, want %q", got, c.want)
				}
			})
		})
	}
}

// TestLook_OneTypeThatIsNotAnswered: the others are found, and so are the other
// pairs. While HubSpot is away, Look waits and takes nothing for refused.
func TestLook_OneTypeThatIsNotAnswered(t *testing.T) {
	for name, page := range map[string]struct {
		status int
		body   string
	}{
		"a proxy's page": {404, "404 page not found"}, "a lasting failure": {502, ""}, "no body": {403, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				away := time.Now().Add(time.Hour)
				hubspotAnswers := answering(func(r *http.Request) (int, string) {
					if time.Now().Before(away) || strings.Contains(r.URL.Path, "/deal_split") {
						return page.status, page.body
					}
					if strings.Contains(r.URL.Path, "/labels") && strings.Contains(r.URL.Path, "deals") {
						return page.status, page.body
					}
					return 200, `{"results":[]}`
				})
				client, log := hubspotAnswers.client(t), slog.New(slog.DiscardHandler)
				in := Introspection{
					Client: client, Log: log, Sensitivities: []string{"non_sensitive"},
					Known: func(string) bool { return false }, Streaming: func(hubspot.ObjectType) bool { return false },
				}
				seen, err := in.Look(t.Context())
				if err != nil || len(seen.Found) != len(hubspot.StandardTypes())-1 || !errors.Is(seen.Refused["deal_split"], errNoAnswer) || len(seen.Unanswered) != 1 {
					t.Errorf("%v, found %d, refused %v", err, len(seen.Found), seen.Refused)
				}
				if time.Now().Before(away) {
					t.Error("Look did not wait until HubSpot was back")
				}
				types := hubspot.StandardTypes()[:3]
				wanted := []string{"contacts:companies", "contacts:deals"}
				pairs, hidden, err := Pairs(t.Context(), client, types, wanted, func(string) bool { return false }, func(cdc.Pair) bool { return false })
				if err != nil || len(pairs) != 1 || pairs[0].To.Name != "companies" {
					t.Errorf("pairs %v, %v", pairs, err)
				}
				if len(hidden) != 1 || !hidden[0].Unanswered || hidden[0].To.Name != "deals" {
					t.Errorf("hidden pairs %v", hidden)
				}
			})
		})
	}
}

// TestLook_FewCallsAreNoSilence: where the limits let one call pass in ten seconds, Look
// finds every type, and takes none for one that HubSpot does not answer about.
func TestLook_FewCallsAreNoSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hubspotAnswers := answering(func(*http.Request) (int, string) { return 200, `{"results":[]}` })
		in := Introspection{
			Client: hubspotAnswers.limited(t, hubspot.Limits{Share: 1, TenSeconds: 1}), Log: slog.New(slog.DiscardHandler), Sensitivities: []string{"non_sensitive", "sensitive", "highly_sensitive"},
			Known: func(string) bool { return false }, Streaming: func(hubspot.ObjectType) bool { return false },
		}
		seen, err := in.Look(t.Context())
		if err != nil || len(seen.Found) != len(hubspot.StandardTypes()) || len(seen.Unanswered) != 0 {
			t.Errorf("%v, found %d, refused %v", err, len(seen.Found), seen.Refused)
		}
	})
}

// TestLists_APlaceThatBecameOldIsRefusedAnotherTime: after a list was begun once more, HubSpot
// refuses the stream for hours, and then the new place, which is old by then. The list is
// begun another time.
func TestLists_APlaceThatBecameOldIsRefusedAnotherTime(t *testing.T) {
	for name, stream := range map[string]func(*Object) (run func(context.Context) error, done func() bool){
		"archive": func(o *Object) (func(context.Context) error, func() bool) {
			a := &Archive{Object: o, Place: offsets.Archive{After: "t1"}, Interval: 24 * time.Hour}
			return a.Run, func() bool { return a.Place.Completed != 0 }
		},
		"backfill": func(o *Object) (func(context.Context) error, func() bool) {
			s := &Sweep{Object: o, Stream: offsets.BackfillStream, Place: offsets.Sweep{Ranges: []offsets.Range{{From: "0", ID: "7", After: "t1"}}}}
			return s.Run, func() bool { return s.Place.Done }
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				o, _ := answering(func(r *http.Request) (int, string) {
					after := r.URL.Query().Get("after")
					issued, _ := strconv.ParseInt(strings.TrimPrefix(after, "t"), 10, 64)
					switch {
					case after == "":
						return 200, fmt.Sprintf(`{"results":[],"paging":{"next":{"after":"t%d"}}}`, time.Now().Unix())
					case time.Since(time.Unix(issued, 0)) > 10*time.Minute:
						return 400, refusal
					case time.Since(began) < 3*time.Hour:
						return 403, refusal
					}
					return 200, `{"results":[]}`
				}).contacts(t)
				run, done := stream(o)
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- run(ctx) }()
				time.Sleep(5 * time.Hour)
				cancel()
				if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				if !done() {
					t.Errorf("after five hours it is not done; problems: %+v", o.Status.Problems())
				}
			})
		})
	}
}

// TestArchive_AnOldCursorOfTheListIsRefused: the stream reads the recycle bin from
// the beginning.
func TestArchive_AnOldCursorOfTheListIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		object, _ := refusing("abc").contacts(t)
		a := &Archive{Object: object, Place: offsets.Archive{After: "abc"}}
		if err := a.pass(t.Context()); err != nil || a.Place.After != "" || a.Place.Completed == 0 {
			t.Errorf("%v, %+v", err, a.Place)
		}
	})
}

// TestSweep_APageThatIsAlwaysRefused: the stream waits for it and does not read the
// list over and over.
func TestSweep_APageThatIsAlwaysRefused(t *testing.T) {
	for name, run := range map[string]func(o *Object, ctx context.Context) error{
		"backfill": func(o *Object, ctx context.Context) error {
			return (&Sweep{Object: o, Stream: offsets.BackfillStream, Place: offsets.Sweep{Ranges: []offsets.Range{{From: "0"}}}}).Run(ctx)
		},
		"reconcile": func(o *Object, ctx context.Context) error {
			close(o.swept)
			return (&Reconcile{Object: o, Interval: time.Hour, Place: offsets.Sweep{Ranges: []offsets.Range{{From: "0"}}}}).Run(ctx)
		},
		"archive": func(o *Object, ctx context.Context) error {
			return (&Archive{Object: o, Interval: time.Minute}).Run(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				object, _ := answering(func(r *http.Request) (int, string) {
					calls++
					return refusing(r.URL.Query().Get("after"))(r) // wherever it is to continue
				}).contacts(t)
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				if err := run(object, ctx); ctx.Err() == nil {
					t.Errorf("the stream ended: %v", err)
				}
				if calls > 80 {
					t.Errorf("%d calls in an hour, want at most 80", calls)
				}
			})
		})
	}
}

// TestR2_AListThatLeadsInACircle: while HubSpot's list leads back to a place, its own or
// an earlier one, the stream that reads it asks seldom and says so. Once the list leads
// on, it reads the rest.
func TestR2_AListThatLeadsInACircle(t *testing.T) {
	const well = 3 * time.Hour
	for name, back := range map[string]string{"to its own place": "7", "to an earlier one": "4"} {
		for stream, run := range map[string]func(context.Context, *Object) error{
			offsets.BackfillStream: func(ctx context.Context, o *Object) error {
				return (&Sweep{Object: o, Stream: offsets.BackfillStream, Place: offsets.Sweep{Ranges: []offsets.Range{{From: "0"}}}}).Run(ctx)
			},
			offsets.ArchiveStream: func(ctx context.Context, o *Object) error {
				return (&Archive{Object: o, Interval: well}).Run(ctx)
			},
		} {
			t.Run(stream+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					began := time.Now()
					var calls atomic.Int64
					var read atomic.Bool
					object, _ := answering(func(r *http.Request) (int, string) {
						time.Sleep(100 * time.Millisecond)
						if r.Method == http.MethodPost {
							return 200, `{"results":[]}`
						}
						calls.Add(1)
						switch after := r.URL.Query().Get("after"); {
						case after == "":
							return 200, listPage([]int{1, 2, 3}, "4")
						case after == "4":
							return 200, listPage([]int{4, 5, 6}, "7")
						case time.Since(began) < well:
							return 200, listPage([]int{7, 8, 9}, back)
						}
						read.Store(true)
						return 200, listPage([]int{7, 8, 9}, "")
					}).contacts(t)
					go func() { _ = run(t.Context(), object) }() // until the test ends
					time.Sleep(well - time.Minute)
					if n := calls.Load(); n > 900 {
						t.Errorf("%d calls in three hours, want at most five a minute", n)
					}
					if problems := object.Status.Problems(); len(problems) != 1 || problems[0].Stream != stream || !strings.Contains(problems[0].Problem, errCircle.Error()) {
						t.Errorf("problems %+v, want the circle of %s", problems, stream)
					}
					time.Sleep(3 * time.Minute)
					if problems := object.Status.Problems(); !read.Load() || len(problems) > 0 {
						t.Errorf("when the list leads on: read to its end %v, problems %+v", read.Load(), problems)
					}
					if n := object.Lane.Live(); stream == offsets.BackfillStream && n != 9 {
						t.Errorf("%d of 9 records are published", n)
					}
				})
			})
		}
	}
}

// TestR7_ALookIntoABinThatLeadsInACircle: a confirm does without what the rest of the
// archived list names.
func TestR7_ALookIntoABinThatLeadsInACircle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		object, _ := answering(func(r *http.Request) (int, string) {
			time.Sleep(100 * time.Millisecond)
			calls++
			return 200, strings.Replace(listPage([]int{1}, "4"), `"properties":{}`, `"properties":{"hs_merged_object_ids":"8;9"}`, 1)
		}).contacts(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		for range 2 {
			began := time.Now()
			copies, err := object.losersInBin(ctx, true)
			if err != nil || len(copies) != 1 || time.Since(began) > time.Minute {
				t.Errorf("%v, %d copies after %v", err, len(copies), time.Since(began))
			}
		}
		if calls > 5 {
			t.Errorf("%d calls, want at most 5", calls)
		}
	})
}

// TestR18_WhoWaitsForTheDayIsNotUnanswered: on a day of few calls each question waits for
// its turn. The list of archived records passes over the one that HubSpot does not
// answer, and no more.
func TestR18_WhoWaitsForTheDayIsNotUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		resets := time.Now().Add(20 * time.Hour).UTC().Format(time.RFC3339)
		object, _ := answering(func(r *http.Request) (int, string) {
			place, _ := strconv.Atoi(r.URL.Query().Get("after"))
			switch {
			case strings.HasPrefix(r.URL.Path, "/account-info/"):
				return 200, `{"results":[{"usageLimit":10000,"currentUsage":8800,"fetchStatus":"SUCCESS","resetsAt":"` + resets + `"}]}`
			case place <= 104:
				return 400, refusal
			}
			return 200, `{"results":[]}`
		}).contacts(t)
		if _, err := object.Client.DailyUsage(t.Context(), hubspot.Call{}); err != nil { // a call a minute
			t.Fatal(err)
		}
		page, err := object.archived(t.Context(), hubspot.Archive, "100", trail{})
		if err != nil || page.After != "105" {
			t.Errorf("the list goes on after %s, %v; want 105", page.After, err)
		}
	})
}
