package hubspot

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// dates feeds a clock with answers, one a second.
type dates struct {
	clock
	text strings.Builder
	off  time.Duration // HubSpot's clock less ours
}

func newDates(off time.Duration) *dates {
	d := &dates{off: off}
	d.log = slog.New(slog.NewTextHandler(&d.text, nil))
	return d
}

// truth is HubSpot's time.
func (d *dates) truth() Millis { return MillisOf(time.Now().Add(d.off)) }

// answer plays one answer, with a Date that is wrong by shift, and returns what it
// counts as.
func (d *dates) answer(shift time.Duration) Millis {
	sent := time.Now()
	time.Sleep(150 * time.Millisecond)
	date := d.truth().Add(shift).Time().UTC().Format(http.TimeFormat)
	time.Sleep(150 * time.Millisecond)
	at := d.note(http.Header{"Date": {date}}, sent, time.Now())
	time.Sleep(700 * time.Millisecond)
	return at
}

// TestR21_AWrongDate: whatever HubSpot's Date says, for once, for ten minutes or for
// good, at the start or later: no time is ahead of HubSpot's, and soon after the
// Date is right again none is behind.
func TestR21_AWrongDate(t *testing.T) {
	const lasting = 20 * time.Minute
	for _, shift := range []time.Duration{-72 * time.Hour, -time.Hour, -time.Minute, time.Minute, time.Hour, 72 * time.Hour} {
		for _, long := range []time.Duration{0, 10 * time.Minute, lasting} {
			for _, from := range []time.Duration{0, 5 * time.Minute} {
				t.Run(fmt.Sprintf("%v for %v after %v", shift, long, from), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						d, began, answers := newDates(0), time.Now(), 0
						for time.Since(began) < from+lasting {
							wrong := time.Since(began) >= from && time.Since(began) < from+max(long, time.Second)
							by := time.Duration(0)
							if answers++; wrong {
								by = shift
							}
							at := d.answer(by)
							if now := d.now(); at > d.truth() || now > d.truth() {
								t.Fatalf("answer %d: %v, and now %v, are ahead of %v", answers, at, now, d.truth())
							}
						}
						late := d.truth() - d.now()
						switch {
						case from == 0 && shift < 0 && long == lasting: // nothing tells that it is wrong
							if late < Millis(-shift.Milliseconds()) {
								t.Errorf("%v of %v ms behind", late, -shift.Milliseconds())
							}
						case from == 0 && shift < -clockMargin && long > 0, from > 0, shift > 0 && shift <= clockMargin, long == 0 && shift != -time.Minute:
							if late > 1500 {
								t.Errorf("%d ms behind at the end", late)
							}
						default: // less than the margin, or nothing tells which clock is right
							if late > Millis(clockMargin.Milliseconds())+1500 {
								t.Errorf("%d ms behind at the end", late)
							}
						}
					})
				})
			}
		}
	}
}

// TestR21_OurClockIsOff: three answers that agree count, once records show that
// HubSpot's later time is right. The log has the difference once.
func TestR21_OurClockIsOff(t *testing.T) {
	for _, off := range []time.Duration{-72 * time.Hour, -time.Hour, time.Hour, 72 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			d := newDates(off)
			for range 3 {
				if at := d.answer(0); at > d.truth() {
					t.Errorf("%v: %v is ahead of %v", off, at, d.truth())
				}
			}
			d.witness([]Record{{Updated: d.truth().Add(-time.Minute)}, {Updated: d.truth().Add(90 * 24 * time.Hour)}})
			d.answer(0)
			if now := d.now(); now > d.truth() || now < d.truth()-1500 {
				t.Errorf("%v: %v, want just before %v", off, now, d.truth())
			}
			for range 50 {
				d.answer(0)
			}
			if got := (d.apart() - off).Abs(); got > 1500*time.Millisecond {
				t.Errorf("%v: apart by %v", off, d.apart())
			}
			if n := strings.Count(d.text.String(), "level=WARN"); n != 1 || !strings.Contains(d.text.String(), fmt.Sprintf("difference=%v", off)) && !strings.Contains(d.text.String(), "difference="+(off-time.Second).String()) {
				t.Errorf("%v: the log has\n%s", off, d.text.String())
			}
			// The machine slept, and its monotonic clock stood still: what that gives is
			// as much too early.
			d.base.date = d.base.date.Add(-8 * time.Hour)
			for range clockVotes {
				d.answer(0)
			}
			if now := d.now(); now > d.truth() || now < d.truth()-1500 {
				t.Errorf("%v: %v after a sleep, want just before %v", off, now, d.truth())
			}
		})
	}
}

// TestR21_AShortSleepOfTheMachine: its monotonic clock stood still. HubSpot's time is
// right again within three answers; a wrong Date counts no more than without the sleep.
func TestR21_AShortSleepOfTheMachine(t *testing.T) {
	for _, off := range []time.Duration{0, -2 * time.Minute, -time.Hour} {
		for _, slept := range []time.Duration{2 * time.Second, 4 * time.Second, time.Minute, 4 * time.Minute, 8 * time.Hour} {
			synctest.Test(t, func(t *testing.T) {
				d := newDates(off)
				for range 10 {
					d.answer(0)
				}
				d.base.date = d.base.date.Add(-slept)
				wrong := time.Duration(0)
				if off == 0 && slept < clockMargin { // else five minutes are near enough
					wrong = slept
				}
				for range 2 * clockVotes {
					if d.answer(wrong); d.now() > d.truth() {
						t.Fatalf("off by %v, slept %v: %v is ahead of %v", off, slept, d.now(), d.truth())
					}
				}
				for range clockVotes {
					if at := d.answer(0); at > d.truth() || d.now() > d.truth() {
						t.Fatalf("off by %v, slept %v: %v, and now %v, are ahead of %v", off, slept, at, d.now(), d.truth())
					}
				}
				if late := d.truth() - d.now(); late > 2500 {
					t.Errorf("off by %v, slept %v: %d ms behind", off, slept, late)
				}
			})
		}
	}
}

// TestR21_OneEdgeServerIsWrong: every tenth answer, or every second one.
func TestR21_OneEdgeServerIsWrong(t *testing.T) {
	for _, shift := range []time.Duration{-time.Hour, -time.Minute, time.Minute, time.Hour} {
		for _, every := range []int{2, 10} {
			synctest.Test(t, func(t *testing.T) {
				d := newDates(0)
				for i := range 200 {
					by := time.Duration(0)
					if i%every == every-1 {
						by = shift
					}
					at := d.answer(by)
					if now := d.now(); at > d.truth() || now > d.truth() || now < d.truth()-2000 || at < d.truth()-5000 {
						t.Fatalf("%v, every %d, answer %d: %v, now %v, want just before %v", shift, every, i, at, now, d.truth())
					}
				}
			})
		}
	}
}

// TestR21_ASlowFirstAnswerIsNoDoubt: the next ones are early by its latency.
func TestR21_ASlowFirstAnswerIsNoDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDates(0)
		sent := time.Now()
		date := http.Header{"Date": {d.truth().Time().UTC().Format(http.TimeFormat)}}
		time.Sleep(80 * time.Second)
		d.note(date, sent, time.Now())
		if at, now := d.answer(0), d.now(); now < d.truth()-2000 || at < d.truth()-2000 {
			t.Errorf("%v, now %v, want just before %v", at, now, d.truth())
		}
	})
}

// TestRetryAfter_SecondsOrADate: a date is by the clock of whoever answered.
func TestRetryAfter_SecondsOrADate(t *testing.T) {
	received := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		after, date string
		want        time.Duration
	}{
		{"17", "", 17 * time.Second},
		{"1.5", "", 1500 * time.Millisecond},
		{"Sat, 28 Nov 2026 12:00:30 GMT", "", 30 * time.Second},
		{"Sat, 28 Nov 2026 15:00:30 GMT", "Sat, 28 Nov 2026 15:00:00 GMT", 30 * time.Second},
		{"Sat, 28 Nov 2026 09:00:00 GMT", "Sat, 28 Nov 2026 09:00:10 GMT", 0},
		{"Sat, 28 Nov 2026 12:00:30 GMT", "yesterday", 30 * time.Second},
		{"Tue, 01 Dec 2026 12:00:00 GMT", "", 24 * time.Hour},
		{"soon", "", 0}, {"NaN", "", 0}, {"", "", 0}, {"-5", "", 0},
	} {
		header := http.Header{"Retry-After": {c.after}}
		if c.date != "" {
			header.Set("Date", c.date)
		}
		if got := retryAfter(header, received); got != c.want {
			t.Errorf("Retry-After %q at Date %q: %v, want %v", c.after, c.date, got, c.want)
		}
	}
}

// TestR21_TheDayEndsByOurClock: HubSpot says by its own when that is.
func TestR21_TheDayEndsByOurClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const off = -3 * time.Hour
		r := newRig(t, func(*http.Request) (*http.Response, error) {
			now := time.Now().Add(off).UTC()
			return respond(200, fmt.Sprintf(`{"results":[{"currentUsage":5,"usageLimit":1000,"fetchStatus":"SUCCESS","resetsAt":%q}]}`, now.Add(time.Hour).Format(time.RFC3339)),
				"Date", now.Format(http.TimeFormat)), nil
		})
		for range clockVotes {
			if _, err := r.DailyUsage(t.Context(), Call{}); err != nil {
				t.Fatal(err)
			}
		}
		if left := time.Until(r.governor.day.resets); left < 59*time.Minute || left > 61*time.Minute {
			t.Errorf("the day ends in %v, want an hour", left)
		}
	})
}

// TestR21_AHeldClockLeapsOnlyOnceItIsReleased: who waits by HubSpot's time waits as
// long as that takes, and is told that it was wrong.
func TestR21_AHeldClockLeapsOnlyOnceItIsReleased(t *testing.T) {
	for _, shift := range []time.Duration{-72 * time.Hour, time.Hour} { // an hour ahead counts for nothing: five minutes behind our clock do
		synctest.Test(t, func(t *testing.T) {
			d := newDates(0)
			for range 5 {
				d.answer(shift)
			}
			before, wrong := d.now(), d.hold()
			for range 5 {
				d.answer(shift)
			}
			select {
			case <-wrong:
				t.Errorf("%v: a time that goes on is called wrong", shift)
			default:
			}
			for range 10 {
				if at := d.answer(0); at > before.Add(15*time.Second) || d.now() > before.Add(15*time.Second) {
					t.Fatalf("%v: from %v on a held clock has leapt to %v, %v", shift, before, at, d.now())
				}
			}
			select {
			case <-wrong:
			default:
				t.Errorf("%v: nobody is told that the time was wrong", shift)
			}
			d.release()
			if now := d.now(); now > d.truth() || now < d.truth().Add(-3*time.Second) {
				t.Errorf("%v: after its release the clock says %v, and it is %v", shift, now, d.truth())
			}
			wrong = d.hold()
			for range 5 {
				d.answer(0)
			}
			select {
			case <-wrong:
				t.Errorf("%v: the right time is called wrong", shift)
			default:
			}
		})
	}
}
