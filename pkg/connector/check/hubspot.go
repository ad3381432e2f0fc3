package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// asking is the priority of a check's calls. A run for the same portal may be
// under way in another process.
var asking = hubspot.Call{Priority: hubspot.Schema}

// checkToken reports what kind of token there is, and whose it is.
func (k *checker) checkToken(ctx context.Context) {
	h := &k.setup.Config.HubSpot
	f := Finding{Area: "hubspot", Check: "token", Status: OK}
	token, _ := h.Token() // Validate has read it
	switch text := token.Reveal(); {
	case h.OAuth():
		f.Found = "from OAuth: access tokens for half an hour, by a refresh token"
	case strings.HasPrefix(text, "pat-"):
		f.Found = "of a service key or a private app (pat-...)"
	case len(text) > 100: // an access token of OAuth
		f.Status, f.Found = Warn, "probably an access token of OAuth, which expires within half an hour"
		f.Todo = []string{"give HUBSPOT_CLIENT_ID, HUBSPOT_CLIENT_SECRET and HUBSPOT_REFRESH_TOKEN instead, or the token of a service key"}
	default:
		f.Status, f.Found = Note, "of an unknown form; those of service keys and private apps begin with pat-"
	}
	ctx, cancel := context.WithTimeout(ctx, reachPatience)
	defer cancel()
	began := time.Now()
	account, err := k.setup.HubSpot.Account(ctx, asking)
	if err != nil {
		d := h.Diagnose(err)
		var secret *hubspot.SecretError
		if kind := f.Found; hubspot.Unauthorized(err) || errors.As(err, &secret) {
			d.Found += "; it is " + kind
		} else {
			f.Check = "account"
		}
		f.trouble(d)
		k.add(f)
		return
	}
	k.add(f)
	k.account, k.answer = &account, time.Since(began)
	k.add(Finding{Area: "hubspot", Check: "account", Subject: fmt.Sprint(account.PortalID), Status: OK,
		Found: fmt.Sprintf("%s, time zone %s, data hosted in %s", cmp.Or(account.AccountType, "unknown type"),
			cmp.Or(account.TimeZone, "unknown"), cmp.Or(account.DataHostingLocation, "an unknown place"))})
	k.add(k.versions())
}

// supported is how long HubSpot supports a dated version (docs/hubspot.md
// section 8).
const supported = 18 // months

func (k *checker) versions() Finding {
	f := Finding{Area: "hubspot", Check: "api_version", Status: OK}
	byVersion := map[string][]string{}
	for _, v := range k.setup.HubSpot.Versions() {
		byVersion[v.Version] = append(byVersion[v.Version], v.API)
	}
	var parts, old []string
	for _, version := range slices.Sorted(maps.Keys(byVersion)) {
		parts = append(parts, version+" ("+strings.Join(byVersion[version], ", ")+")")
		if since, err := time.Parse("2006-01", version); err == nil && k.setup.HubSpot.Now().Time().After(since.AddDate(0, supported, 0)) {
			old = append(old, version)
		}
	}
	f.Found = strings.Join(parts, ", ")
	if k.setup.Config.HubSpot.APIVersion != "" {
		f.Found += "; set by HUBSPOT_API_VERSION for all"
	}
	if len(old) > 0 {
		f.Status = Warn
		f.Todo = []string{"HubSpot no longer supports " + strings.Join(old, ", ") + ": use a newer version of the connector, or another HUBSPOT_API_VERSION"}
	}
	return f
}

// checkPortal asks for everything that HubSpot shows of the portal.
func (k *checker) checkPortal(ctx context.Context) {
	if k.account == nil {
		return
	}
	if k.running {
		k.setup.Governor.SetShare(besideShare)
	}
	k.setup.LearnDay(ctx, slog.New(slog.DiscardHandler))
	if k.callsLeft() == 0 {
		k.checkLimits()
		k.add(Finding{Area: "scopes", Check: "object_types", Status: Fail, Found: "not asked: none of the day's calls are left to us",
			Todo: []string{"run the check again after the day has ended (limit_day above), or lower HUBSPOT_DAILY_RESERVE"}})
		return
	}
	types := k.checkTypes(ctx)
	k.checkSelection()
	k.checkReferences(ctx)
	k.count(ctx)
	k.checkPairs(ctx, types)
	k.setup.Governor.SetShare(k.setup.Config.HubSpot.RateShare) // what a run has
	k.checkLimits()
}

// limited runs a part, whose calls together may take askPatience, or besidePatience
// beside a running instance, besides the time in which all have their turn.
func (k *checker) limited(ctx context.Context, turns time.Duration, part func(context.Context)) {
	patience := askPatience
	if k.running {
		patience = besidePatience
	}
	if turns > turnPatience {
		k.rushed, turns = true, turnPatience
	}
	ctx, cancel := context.WithTimeout(ctx, patience+turns)
	defer cancel()
	part(ctx)
}

// turns is how long it takes until so many calls that count per ten seconds have
// had their turn.
func (k *checker) turns(calls int) time.Duration {
	return time.Duration(float64(calls) / k.setup.Governor.Rates().Objects * float64(time.Second))
}

// silence is what it means for a run that HubSpot did not answer. Where the check
// itself had too little time to ask, it means nothing.
func (k *checker) silence(err error) Status {
	if k.rushed && errors.Is(err, context.DeadlineExceeded) {
		return Warn
	}
	return Fail
}

// again is the advice where HubSpot did not answer, or not in the time of a check.
func (k *checker) again(err error) []string {
	if k.silence(err) == Fail {
		return []string{"run the check again; see HubSpot's status page"}
	}
	if k.running {
		return []string{fmt.Sprintf("run the check while no instance runs: beside one it takes %s of HubSpot's limits", percent(besideShare))}
	}
	return []string{fmt.Sprintf("raise HUBSPOT_RATE_SHARE (%g), which leaves the check too few calls a second", k.setup.Config.HubSpot.RateShare)}
}

// callsLeft is how many of the day's calls are left to us; below zero: no limit is
// known.
func (k *checker) callsLeft() int64 {
	l := k.setup.Governor.Learnt()
	if l.Daily == 0 {
		return -1
	}
	return max(0, l.Daily-l.Reserve-l.Used)
}

// checkLimits reports the limits that the calls so far have shown.
func (k *checker) checkLimits() {
	h, l, rates := &k.setup.Config.HubSpot, k.setup.Governor.Learnt(), k.setup.Governor.Rates()
	f := Finding{Area: "hubspot", Check: "limit_ten_seconds", Status: OK, Found: fmt.Sprintf("%d calls in ten seconds", l.TenSeconds)}
	switch {
	case h.Rate10s > 0:
		f.Found += ", set by HUBSPOT_RATE_10S"
	case l.TenSecondsTold:
		f.Found += fmt.Sprintf(", HubSpot says, of which %d were left", l.TenSecondsLeft)
	default:
		f.Found += ", the least that HubSpot documents, as it did not say"
	}
	f.Found += fmt.Sprintf("; %.1f a second are ours (HUBSPOT_RATE_SHARE=%g)", rates.Objects, h.RateShare)
	k.add(f)
	f = Finding{Area: "hubspot", Check: "limit_search", Status: OK,
		Found: fmt.Sprintf("%g searches a second; %.1f are ours", l.Searches, rates.Search)}
	if h.RateSearch > 0 {
		f.Found += ", set by HUBSPOT_RATE_SEARCH"
	}
	k.add(f)
	f = Finding{Area: "hubspot", Check: "limit_day", Status: OK}
	if l.Daily == 0 {
		f.Found = "no limit for the day is known"
		k.add(f)
		return
	}
	left := k.callsLeft()
	f.Found = fmt.Sprintf("%s calls a day, %s (%s) used by all apps of the account; %s are left to others (HUBSPOT_DAILY_RESERVE=%g), so %s are left to us until %s",
		number(l.Daily), number(l.Used), percent(float64(l.Used)/float64(l.Daily)), number(l.Reserve), h.DailyReserve, number(left),
		l.Resets.UTC().Format("2006-01-02 15:04 UTC"))
	if left == 0 {
		f.Status = Warn
		f.Todo = []string{"a run waits until the day ends: see which app uses the calls (HubSpot: Settings, Integrations, Usage), or lower HUBSPOT_DAILY_RESERVE"}
	}
	k.add(f)
}
