package connector

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/sink"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// The areas of problems, besides stream.ProblemArea.
const (
	areaHubSpot   = "hubspot"
	areaKafka     = "kafka"
	areaRegistry  = "registry"
	areaLoading   = "loading" // nothing is wrong, and it is not ready yet
	areaConnector = "connector"
)

// Sections of docs/runbook.md, one for each kind of problem outside the streams.
const (
	runbookHubSpot  = "docs/runbook.md#hubspot-does-not-answer"
	runbookToken    = "docs/runbook.md#hubspot-refuses-the-token"
	runbookRefuses  = "docs/runbook.md#hubspot-refuses-the-connector"
	runbookDay      = "docs/runbook.md#the-calls-of-the-day-are-spent"
	runbookNoTypes  = "docs/runbook.md#the-token-may-read-no-object-type"
	runbookLoading  = "docs/runbook.md#not-ready-yet"
	runbookStart    = "docs/runbook.md#the-connector-refuses-to-start"
	runbookStopped  = "docs/runbook.md#the-connector-has-stopped"
	runbookNotOwner = "docs/runbook.md#another-instance-is-the-owner"
	runbookFailed   = "docs/runbook.md#a-run-failed"
	runbookHanging  = "docs/runbook.md#a-transaction-hangs-in-kafka"
	runbookMemory   = "docs/runbook.md#an-instance-has-no-memory-for-more"
)

// silentAfter is how long HubSpot, Kafka or the registry may leave a question
// unanswered before that is a problem.
const silentAfter = 20 * time.Second

// refusedFor is how long connections to Kafka may fail before that is a problem.
const refusedFor = 5 * time.Second

// dependencies lists what is wrong with HubSpot, Kafka and the registry, and with
// the run as such: at most one problem per area, and per API of HubSpot.
func (h *health) dependencies() []stream.Problem {
	due := func(since time.Time) bool { return !since.IsZero() && time.Since(since) >= silentAfter }
	h.mu.Lock()
	h.proven()
	failed, since, registry, standby, to := h.err, h.failing, h.registry, h.standby, h.state.sink
	h.mu.Unlock()
	if to != nil && failed == nil {
		if pending := to.Pending(); pending != nil && due(pending.Since) {
			failed, since = pending, pending.Since
		}
	}
	var out []stream.Problem
	if failed != nil {
		out = append(out, h.setup.problem(failed, since))
	}
	since, latest := h.setup.reach.Silent()
	if refused := latest != nil && time.Since(since) >= refusedFor; (refused || due(since)) && (latest != nil || !has(out, areaKafka)) {
		out = slices.DeleteFunc(out, func(p stream.Problem) bool {
			if p.Area == areaKafka && p.Since.Before(since) {
				since = p.Since
			}
			return p.Area == areaKafka
		})
		out = append(out, h.setup.silentKafka(since, cmp.Or(latest, errNoAnswer)))
	}
	if due(registry.since) && !has(out, areaRegistry) {
		out = append(out, h.setup.silentRegistry(registry.since, registry.err))
	}
	if !has(out, areaHubSpot) {
		out = append(out, h.setup.silentHubSpot(due)...)
	}
	if since, until := h.setup.Governor.Spent(); !since.IsZero() && !standby && !has(out, areaHubSpot) {
		out = append(out, spentDay(since, until))
	}
	return out
}

// spentDay says that the day's calls are used up.
func spentDay(since, until time.Time) stream.Problem {
	p := stream.Problem{
		Area: areaHubSpot, Problem: "none of the day's calls to HubSpot are left to the connector", Since: since, Runbook: runbookDay,
		Action: "see which app uses the calls (HubSpot: Settings, Integrations, Usage), lower HUBSPOT_DAILY_RESERVE, or buy calls; the connector goes on by itself when the day ends",
	}
	if !until.IsZero() {
		p.Problem += " until " + until.UTC().Format("2006-01-02 15:04 UTC")
	}
	return p
}

var errNoAnswer = errors.New("no answer in time")

func (s *Setup) silentKafka(since time.Time, err error) stream.Problem {
	d := s.Config.Kafka.Diagnose(err)
	return stream.Problem{Area: areaKafka, Problem: "Kafka does not answer: " + d.Found, Action: d.Cure, Runbook: stream.RunbookKafka, Since: since}
}

func (s *Setup) silentRegistry(since time.Time, err error) stream.Problem {
	d := s.Config.Registry.Diagnose(err)
	return stream.Problem{Area: areaRegistry, Problem: "the schema registry cannot be used: " + d.Found, Action: d.Cure, Runbook: stream.RunbookRegistry, Since: since}
}

// hubspotSilent begins what /readyz says while HubSpot does not answer.
const hubspotSilent = "HubSpot does not answer"

// askedFor says what the APIs of HubSpot are asked for, by their names in the
// metrics.
var askedFor = map[string]string{
	"account":            "the account's details",
	"association_labels": "the labels of associations",
	"association_read":   "associations",
	"batch_read":         "records by id",
	"daily_usage":        "the calls left today",
	"list":               "the list of records",
	"oauth":              "an access token",
	"owners":             "owners",
	"pipelines":          "pipelines",
	"properties":         "definitions of properties",
	"schemas":            "custom object types",
	"search":             "changed records",
}

// silentHubSpot lists the silences of HubSpot that have lasted: one per API, or
// one for all of it where several are silent and none answers.
func (s *Setup) silentHubSpot(due func(time.Time) bool) []stream.Problem {
	var all, single []stream.Problem
	for _, silence := range s.HubSpot.Silences() {
		if !due(silence.Since) {
			continue
		}
		p := stream.Problem{
			Area: areaHubSpot, Action: silence.Cure, Runbook: runbookHubSpot, Since: silence.Since,
			Problem: hubspotSilent + ": " + cmp.Or(silence.Latest, errNoAnswer.Error()),
		}
		if silence.API == "" {
			all = append(all, p)
			continue
		}
		p.Problem = hubspotSilent + " requests for " + askedFor[silence.API] + " (" + silence.API + "): " + cmp.Or(silence.Latest, errNoAnswer.Error())
		single = append(single, p)
	}
	if len(all) == 0 || len(single) == 0 {
		return single
	}
	// The API that was silent first may not be asked now.
	since := all[0].Since
	for _, p := range single {
		if p.Since.Before(since) {
			since = p.Since
		}
	}
	if len(single) > 1 {
		single = all
	}
	single[0].Since = since
	return single
}

// TriedAgain is what the operator of a portal that has stopped can do, where a fleet runs it.
const TriedAgain = "do what the problem says; the portal is tried again by itself"

// problem says what ended a run, or keeps one from beginning.
func (s *Setup) problem(err error, since time.Time) stream.Problem {
	p := stream.Problem{Area: areaConnector, Problem: Plainly(err), Runbook: runbookFailed, Since: since}
	var cured *curedError
	var open *offsets.OpenTransactionError
	switch {
	case permanent(err):
		p.Action, p.Runbook = "do what the problem says, then start the connector again", runbookStart
		if s.shared != nil { // whoever runs many tries each again
			p.Action = TriedAgain
		}
	case errors.Is(err, errStopped):
		p.Action, p.Runbook = "start it again", runbookStopped
	case errors.Is(err, errNoTypes):
		p.Area, p.Action, p.Runbook = areaHubSpot, "give the token the read scopes of the types to follow; connector check names them", runbookNoTypes
	case ofHubSpot(err):
		d := s.Config.HubSpot.Diagnose(err)
		p.Area, p.Problem, p.Action, p.Runbook = areaHubSpot, d.Found, d.Cure, runbookRefuses
		if !answeredByHubSpot(err) || hubspot.Unauthorized(err) {
			p.Runbook = runbookToken
		}
	case ofRegistry(err):
		return s.silentRegistry(since, err)
	case errors.As(err, &open): // as heldByTransaction says it, until a run has read to the end
		p.Area, p.Problem, p.Action, p.Runbook = areaKafka, notReady+waitsForTransaction+open.Waits, endTransaction, runbookHanging
	case errors.As(err, &cured) && !answeredByKafka(err):
		p.Problem, p.Action = Plainly(cured.err), cured.cure
	case errors.Is(err, errNotOwner) && (sink.Fenced(err) || answeredByKafka(err)):
		p.Action, p.Runbook = "nothing: it stands by, and takes over when the other instance ends", runbookNotOwner
	case ofKafka(err):
		d := s.DiagnoseKafka(err)
		p.Area, p.Problem, p.Action, p.Runbook = areaKafka, "Kafka cannot be used: "+d.Found, d.Cure, stream.RunbookKafka
	default:
		p.Action = "nothing yet: the connector tries again by itself. If it lasts for an hour, report it with the lines of the log before it"
	}
	return p
}

// ofHubSpot reports whether an error is HubSpot's answer, or about the token.
func ofHubSpot(err error) bool {
	var secret *hubspot.SecretError
	var other *hubspot.OtherAccountError
	return answeredByHubSpot(err) || errors.As(err, &secret) || errors.As(err, &other)
}

func answeredByHubSpot(err error) bool {
	var answer *hubspot.Error
	return errors.As(err, &answer)
}

// ofRegistry recognizes the registry's client: of all clients only it lets the
// errors of package http through.
func ofRegistry(err error) bool {
	var answer *sr.ResponseError
	var request *url.Error
	return errors.As(err, &answer) || errors.As(err, &request) || strings.Contains(err.Error(), "pre-request hook failed")
}

// ofKafka recognizes what the Kafka client and the brokers say. What is left of
// the network is theirs.
func ofKafka(err error) bool {
	var answer *kerr.Error
	var network net.Error
	var missing *sink.MissingTopicError
	var credentials *CredentialError
	var stalled *sink.StalledError
	for _, sign := range []error{context.DeadlineExceeded, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, kgo.ErrClientClosed, kgo.ErrRecordTimeout, kgo.ErrRecordRetries} {
		if errors.Is(err, sign) {
			return true
		}
	}
	return errors.As(err, &answer) || errors.As(err, &network) || errors.As(err, &missing) || errors.As(err, &credentials) ||
		kgo.IsRetryableBrokerErr(err) || strings.Contains(err.Error(), "unable to dial") || errors.As(err, &stalled)
}
