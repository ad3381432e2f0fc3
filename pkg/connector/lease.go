package connector

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// CredentialError says why there are no credentials for Kafka or the registry.
// It holds no secret.
type CredentialError struct {
	Problem, Cure string
	// Passing is true where the next attempt may succeed without an operator.
	Passing bool
}

func (e *CredentialError) Error() string { return e.Problem + "; " + e.Cure }

// Temporary tells the Kafka client whether to try again.
func (e *CredentialError) Temporary() bool { return e.Passing }

// credential reads a secret, from its file where one is named. Whoever needs it
// reads it each time, so that it may change in its file.
func credential(name string, value hubspot.Secret, file string) (hubspot.Secret, error) {
	value, err := secret(value, file)
	if err != nil {
		err = &CredentialError{Problem: fmt.Sprintf("%s_FILE: %v", name, err), Cure: "make the file readable"}
	}
	return value, err
}

// askAgain is the wait between two attempts to renew what is still valid.
const askAgain = 10 * time.Second

// leased keeps a credential until shortly before it expires. One caller renews
// it; the others wait for him.
type leased[T any] struct {
	fetch func(context.Context) (value T, expires time.Time, err error) // a zero time: not to be kept
	turn  chan struct{}                                                 // one slot: whoever holds it uses the fields below

	value          T
	renew, expires time.Time
}

func lease[T any](fetch func(context.Context) (T, time.Time, error)) *leased[T] {
	return &leased[T]{fetch: fetch, turn: make(chan struct{}, 1)}
}

// get returns a valid credential. It renews after four fifths of the lifetime, so
// that a failing endpoint has the last fifth to recover in.
func (l *leased[T]) get(ctx context.Context) (value T, err error) {
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return value, ctx.Err()
	}
	defer func() { <-l.turn }()
	began := time.Now()
	if began.Before(l.renew) && began.Before(l.expires) {
		return l.value, nil
	}
	value, expires, err := l.fetch(ctx)
	if err != nil {
		if now := time.Now(); now.Before(l.expires) {
			l.renew = now.Add(askAgain)
			return l.value, nil
		}
		return value, err
	}
	l.value, l.expires = value, expires
	l.renew = began.Add(expires.Sub(began) * 4 / 5)
	return value, nil
}

// credentialClient makes the requests for credentials. It follows no redirect:
// that would carry a secret to an address that nobody configured.
func credentialClient(transport http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     transport,
		Timeout:       4 * time.Second, // less than a check waits for a broker
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// unreachable is the error of a request for credentials that got no answer.
func unreachable(req *http.Request, err error, cure string) error {
	return &CredentialError{Problem: fmt.Sprintf("%s cannot be reached: %v", req.URL.Host, cause(err)), Cure: cure, Passing: true}
}

// passing reports whether a status may be another one soon.
func passing(status int) bool { return status == http.StatusTooManyRequests || status >= 500 }
