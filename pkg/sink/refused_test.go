package sink

import (
	"errors"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/hubspot-cdc/connector/pkg/cdc"
	"github.com/hubspot-cdc/connector/pkg/offsets"
)

// TestTopic_OnlyALastingAnswerIsTheTopicsAlone: what may pass by itself ends the run, as
// every other failure does.
func TestTopic_OnlyALastingAnswerIsTheTopicsAlone(t *testing.T) {
	registry := func(status, code int) error { return &sr.ResponseError{StatusCode: status, ErrorCode: code} }
	for _, c := range []struct {
		err   error
		alone bool
	}{
		{&MissingTopicError{Topic: contacts, Err: kerr.ClusterAuthorizationFailed}, true},
		{&MissingTopicError{Topic: contacts, Err: kerr.PolicyViolation}, true},
		{kerr.TopicAuthorizationFailed, true},
		{kerr.InvalidTopicException, true},
		{kerr.InvalidPartitions, true},
		{kerr.InvalidReplicationFactor, true},
		{kerr.ClusterAuthorizationFailed, false},
		{kerr.SaslAuthenticationFailed, false},
		{kerr.NotController, false},
		{kerr.RequestTimedOut, false},
		{kerr.ThrottlingQuotaExceeded, false},
		{kgo.ErrClientClosed, false},
		{&UnseenTopicError{Topic: contacts}, false},
		{&lossError{contacts, "it is gone"}, false},
		{&offsets.Refusal{What: "keys would move"}, false},
		{registry(400, 0), true},
		{registry(403, 40301), true},
		{registry(404, 40401), true},
		{registry(404, 0), false},
		{registry(401, 40101), false},
		{registry(408, 0), false},
		{registry(429, 42901), false},
		{registry(500, 50001), false},
		{registry(503, 0), false},
		{errors.New("connection refused"), false},
		{nil, false},
	} {
		err := c.err
		if err != nil {
			err = fmt.Errorf("register schema of %s-key: %w", contacts, err)
		}
		got := alone(&topic{name: contacts}, err)
		refused, ok := errors.AsType[*cdc.RefusedError](got)
		switch {
		case ok != c.alone, !ok && !errors.Is(got, err):
			t.Errorf("%v: %#v", c.err, got)
		case !ok:
		case refused.Cure == "":
			t.Errorf("%v: no cure", c.err)
		case (refused.Subject != "") != errors.As(err, new(*sr.ResponseError)), refused.Subject != "" && refused.Subject != contacts+"-key":
			t.Errorf("%v: subject %q", c.err, refused.Subject)
		}
	}
}
