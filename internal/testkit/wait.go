package testkit

import (
	"testing"
	"time"
)

// Until checks at every interval whether cond holds, and gives the time that
// took. If cond does not hold within the limit, the test fails.
func Until(tb testing.TB, every, limit time.Duration, cond func() bool) time.Duration {
	tb.Helper()
	began := time.Now()
	for !cond() {
		if time.Since(began) > limit {
			tb.Fatalf("not within %v", limit)
		}
		time.Sleep(every)
	}
	return time.Since(began)
}

// Eventually calls check at every interval until it finds nothing wrong. If it
// still does after the limit, the test fails with what check found.
func Eventually(tb testing.TB, every, limit time.Duration, what string, check func() error) {
	tb.Helper()
	began := time.Now()
	for err := check(); err != nil; err = check() {
		if time.Since(began) > limit {
			tb.Fatalf("%s: not within %v: %v", what, limit, err)
		}
		time.Sleep(every)
	}
}
