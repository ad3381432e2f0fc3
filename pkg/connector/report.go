package connector

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/hubspot-cdc/connector/pkg/offsets"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

const (
	// lookInterval is the time between two looks at what the connector depends on.
	lookInterval = 10 * time.Second
	// registryPatience is how long the registry may take to answer.
	registryPatience = 5 * time.Second
	// sayAgain is the time between two lines about one problem that lasts.
	sayAgain = 5 * time.Minute
)

// reporter logs the problems of HubSpot, Kafka, the registry and the run: when
// one begins, every five minutes while it lasts, and when it is over. The streams
// log their own.
type reporter struct {
	log *slog.Logger

	mu   sync.Mutex
	said map[string]*saying // by area
}

type saying struct {
	about stream.Problem
	last  time.Time
	other bool // somebody else logs its begin and its end
}

// say logs what is news. what is the message for a problem that begins.
func (r *reporter) say(what string, now []stream.Problem) {
	r.mu.Lock()
	defer r.mu.Unlock()
	lasts := map[string]bool{}
	for _, p := range now {
		if lasts[p.Area] {
			continue // other APIs of HubSpot
		}
		lasts[p.Area] = true
		s := r.said[p.Area]
		switch {
		case s == nil || isNews(s.about, p):
			// The client logs each cause, once an attempt has failed. One that hangs
			// has not.
			s = &saying{other: strings.HasPrefix(p.Problem, hubspotSilent) && !strings.HasSuffix(p.Problem, errNoAnswer.Error())}
			if !s.other {
				r.log.Error(orElse(what), "area", p.Area, "err", p.Problem, "cure", p.Action)
			}
		case time.Since(s.last) >= sayAgain:
			r.log.Error("the problem lasts; the connector keeps trying", "area", p.Area, "err", p.Problem, "cure", p.Action, "for", lasted(p.Since))
		default:
			continue
		}
		s.about, s.last = p, time.Now()
		r.said[p.Area] = s
	}
	for area, s := range r.said {
		if lasts[area] {
			continue
		}
		delete(r.said, area)
		if !s.other {
			r.log.Info("the problem is over", "area", area, "lasted", lasted(s.about.Since))
		}
	}
}

// isNews reports whether a problem of the same area is another one. Texts of
// network errors hold ports, which differ each time; so the cure decides, where
// there is one for this problem alone.
func isNews(was, now stream.Problem) bool {
	unspecific := now.Area == areaConnector || now.Action == asTheBrokersSay
	return was.Action != now.Action || unspecific && was.Problem != now.Problem
}

func orElse(what string) string {
	if what == "" {
		return "there is a problem; the connector keeps trying"
	}
	return what
}

func lasted(since time.Time) string { return time.Since(since).Round(time.Second).String() }

// report logs what is news of the connector's problems.
func (c *Connector) report(what string) { c.reporter.say(what, c.health.dependencies()) }

// watch looks after what the connector depends on, until ctx ends. Kafka and
// HubSpot are asked all the time anyway; the registry is asked here.
func (c *Connector) watch(ctx context.Context) {
	for {
		select {
		case <-time.After(stream.UntilBeat(lookInterval)):
			_ = c.askRegistry(ctx) // noted in health
			c.report("")
		case <-ctx.Done():
			return
		}
	}
}

// askRegistry reports why the registry cannot be used, nil if it answers.
func (c *Connector) askRegistry(ctx context.Context) error {
	began := time.Now()
	limited, cancel := context.WithTimeout(ctx, registryPatience)
	defer cancel()
	ask := func() (sr.CompatibilityLevel, error) { return c.setup.RegistryLevel(limited) }
	if shared := c.setup.registry; shared != nil {
		own := ask
		ask = func() (sr.CompatibilityLevel, error) { return shared.levelOf(limited, own) }
	}
	_, err := ask()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	c.health.registryAnswered(began, err)
	return err
}

// awaitRegistry returns once the registry answers, or with the error of ctx.
func (c *Connector) awaitRegistry(ctx context.Context) error {
	c.health.begin("asks the schema registry", "wait for its answer")
	failed := false
	for wait := time.Second; ; wait = min(2*wait, lookInterval) {
		err := c.askRegistry(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil && failed:
			c.health.goesOn()
			return nil
		case err == nil:
			return nil
		}
		failed = true
		c.health.failed(err)
		c.report("")
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// RegistryLevel asks the registry for its compatibility level, which shows that it
// is one. The level is zero if the registry answers and does not give it: this
// user may not see it, or the registry has none.
func (s *Setup) RegistryLevel(ctx context.Context) (sr.CompatibilityLevel, error) {
	global := s.Registry.Compatibility(ctx, sr.GlobalSubject)[0]
	var answer *sr.ResponseError
	if !errors.As(global.Err, &answer) {
		return global.Level, global.Err
	}
	switch answer.StatusCode {
	case http.StatusForbidden:
		return 0, nil
	case http.StatusNotFound: // ask what a run asks: a registry says in its own words that there is no such subject
		_, err := s.Registry.SchemaByVersion(ctx, offsets.CursorTopic(s.Config.Kafka.TopicPrefix)+"-value", -1)
		if err == nil || errors.As(err, &answer) && answer.ErrorCode/100 == http.StatusNotFound {
			return 0, nil
		}
	}
	return 0, global.Err
}

// registryAnswered notes whether the registry can be used.
func (h *health) registryAnswered(asked time.Time, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch h.registry.err = err; {
	case err == nil && !h.registry.since.IsZero():
		h.registry.since = time.Time{}
		select {
		case h.registryBack <- struct{}{}:
		default:
		}
	case err == nil:
	case h.registry.since.IsZero():
		h.registry.since = asked
	}
}
