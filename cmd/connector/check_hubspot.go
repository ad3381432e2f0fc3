package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
	"github.com/hubspot-cdc/connector/pkg/stream"
)

// asking is the priority of a check's questions: a run of the same portal goes
// on beside it, in a process of its own.
var asking = hubspot.Call{Priority: hubspot.Schema}

// checkToken says what kind of token there is and whose it is.
func (k *checker) checkToken(ctx context.Context) {
	h := &k.cfg.HubSpot
	f := finding{Area: "hubspot", Check: "token", Status: isOK}
	switch text := h.AccessToken.Reveal(); {
	case h.AccessToken == "":
		f.Found = "OAuth: access tokens of half an hour, by refresh token"
	case strings.HasPrefix(text, "pat-"):
		f.Found = "of a service key or a private app (pat-...)"
	case len(text) > 100: // HubSpot's own access tokens
		f.Status, f.Found = isWarn, "looks like an access token of OAuth, which ends within half an hour"
		f.Todo = []string{"give HUBSPOT_CLIENT_ID, HUBSPOT_CLIENT_SECRET and HUBSPOT_REFRESH_TOKEN instead, or the token of a service key"}
	default:
		f.Status, f.Found = isNote, "of a form that is not known; those of service keys and private apps begin with pat-"
	}
	ctx, cancel := context.WithTimeout(ctx, reachPatience)
	defer cancel()
	began := time.Now()
	account, err := k.client.Account(ctx, asking)
	if err != nil {
		k.add(refusedToken(f, err, h.BaseURL))
		return
	}
	k.add(f)
	k.account, k.answer = &account, time.Since(began)
	k.add(finding{Area: "hubspot", Check: "account", Subject: fmt.Sprint(account.PortalID), Status: isOK,
		Found: fmt.Sprintf("%s, time zone %s, data hosted in %s", cmp.Or(account.AccountType, "type not told"),
			cmp.Or(account.TimeZone, "not told"), cmp.Or(account.DataHostingLocation, "a place not told"))})
	k.add(k.versions())
}

// refusedToken says why HubSpot cannot be asked.
func refusedToken(f finding, err error, address string) finding {
	f.Status = isWrong
	switch {
	case hubspot.Unauthorized(err):
		f.Found += "; HubSpot refuses it: " + plainly(err)
		f.Todo = []string{"give a valid token in HUBSPOT_ACCESS_TOKEN or in the file that HUBSPOT_ACCESS_TOKEN_FILE names (HubSpot: Settings, Integrations, Service keys)"}
		if strings.HasPrefix(f.Found, "OAuth") {
			f.Todo = []string{"install the app in the account anew and take its refresh token; check HUBSPOT_CLIENT_ID and HUBSPOT_CLIENT_SECRET"}
		}
	case hubspot.NotFound(err):
		f.Check, f.Found = "account", "HubSpot does not know this API: "+plainly(err)
		f.Todo = []string{"check HUBSPOT_API_VERSION and HUBSPOT_BASE_URL"}
	default:
		f.Check, f.Found = "account", "HubSpot cannot be asked: "+plainly(err)
		f.Todo = []string{fmt.Sprintf("check that %s can be reached from here (HUBSPOT_BASE_URL, HTTPS_PROXY, firewall)", address)}
	}
	return f
}

// plainly is an error in which the end of the check's patience is said in other
// words than Go's, and what came of the latest try first.
func plainly(err error) string {
	text := err.Error()
	if !errors.Is(err, context.DeadlineExceeded) {
		return text
	}
	text = strings.TrimSuffix(strings.TrimSuffix(text, context.DeadlineExceeded.Error()), ": ")
	if _, latest, ok := strings.Cut(text, " (latest: "); ok {
		return strings.TrimSuffix(latest, ")") + ", again and again"
	}
	return strings.TrimPrefix(text+": no answer in the time that a check gives it", ": ")
}

// supported is how long HubSpot supports a dated version (HUBSPOT.md section 8).
const supported = 18 // months

func (k *checker) versions() finding {
	f := finding{Area: "hubspot", Check: "api_version", Status: isOK}
	byVersion := map[string][]string{}
	for _, v := range k.client.Versions() {
		byVersion[v.Version] = append(byVersion[v.Version], v.API)
	}
	var parts, old []string
	for _, version := range slices.Sorted(maps.Keys(byVersion)) {
		parts = append(parts, version+" ("+strings.Join(byVersion[version], ", ")+")")
		if since, err := time.Parse("2006-01", version); err == nil && k.client.Now().Time().After(since.AddDate(0, supported, 0)) {
			old = append(old, version)
		}
	}
	f.Found = strings.Join(parts, ", ")
	if k.cfg.HubSpot.APIVersion != "" {
		f.Found += "; set by HUBSPOT_API_VERSION for all"
	}
	if len(old) > 0 {
		f.Status = isWarn
		f.Todo = []string{"HubSpot does not support " + strings.Join(old, ", ") + " any more: use a newer version of the connector, or another HUBSPOT_API_VERSION"}
	}
	return f
}

// checkPortal asks for everything that HubSpot tells of the portal.
func (k *checker) checkPortal(ctx context.Context) {
	if k.account == nil {
		return
	}
	k.learnDay(ctx, slog.New(slog.DiscardHandler))
	if k.left() == 0 {
		k.checkLimits()
		k.add(finding{Area: "scopes", Check: "object_types", Status: isWrong, Found: "not asked: nothing of the day's calls is left to us",
			Todo: []string{"run the check again after the day has ended (limit_day above), or lower HUBSPOT_DAILY_RESERVE"}})
		return
	}
	types := k.checkTypes(ctx)
	k.checkSelection()
	k.checkLists(ctx)
	k.count(ctx)
	k.checkPairs(ctx, types)
	k.checkLimits()
}

// limited runs a part for as long as its questions may take.
func limited(ctx context.Context, part func(context.Context)) {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	part(ctx)
}

// looked is what HubSpot says of a type.
type looked struct {
	typ   hubspot.ObjectType
	found *stream.Found
	err   error
}

// checkTypes asks for every type that the portal may have, and says what a run
// would follow and which scopes others need.
func (k *checker) checkTypes(ctx context.Context) []hubspot.ObjectType {
	var all []looked
	var wanted []hubspot.ObjectType
	limited(ctx, func(ctx context.Context) {
		custom := hubspot.ObjectType{Custom: true}.Scopes().All()
		types, refusal, err := stream.Types(ctx, k.client)
		switch {
		case err != nil:
			k.add(finding{Area: "scopes", Check: "custom_objects", Status: isWrong, Found: plainly(err), Todo: []string{"run the check again; see HubSpot's status page"}})
			return
		case refusal != nil && len(k.cfg.HubSpot.Objects) == 0:
			k.add(finding{Area: "scopes", Check: "custom_objects", Status: isNote, Found: "left out; to have them, click " + strings.Join(custom, " and "), Scopes: custom})
		}
		var unknown []string
		wanted, unknown = stream.Choose(types, k.cfg.HubSpot.Objects)
		for _, word := range unknown {
			f := finding{Area: "scopes", Check: "object_type", Subject: word, Status: isWrong}
			switch {
			case k.published(word): // it may be away without a mistake
				continue
			case refusal != nil && stream.CustomWord(word):
				f.Found, f.Scopes = "not seen, and custom object types are not readable: "+plainly(refusal), custom
				f.Todo = append(click(custom), "or leave it out of HUBSPOT_OBJECTS")
			default:
				err := &stream.UnknownObjectError{Name: word}
				f.Code, f.Found, f.Todo = codeOf(err), err.Error(), []string{"correct HUBSPOT_OBJECTS"}
			}
			k.add(f)
		}
		k.portal.custom = refusal == nil
		all = make([]looked, len(types))
		var wg sync.WaitGroup
		atOnce := make(chan struct{}, 8)
		for i, t := range types {
			wg.Go(func() {
				atOnce <- struct{}{}
				defer func() { <-atOnce }()
				found, err := stream.Look(ctx, k.client, t, k.cfg.HubSpot.sensitivities())
				all[i] = looked{t, found, err}
			})
		}
		wg.Wait()
	})
	k.sayTypes(all, wanted)
	followed := make([]hubspot.ObjectType, len(k.portal.found))
	for i, f := range k.portal.found {
		followed[i] = f.Type
	}
	return followed
}

// published says whether an earlier run has published a type of that name.
func (k *checker) published(name string) bool {
	return k.loaded != nil && k.loaded.Sets[name] != nil
}

// sayTypes sorts the answers: what is followed, what a scope is missing for,
// what the account does not have.
func (k *checker) sayTypes(all []looked, wanted []hubspot.ObjectType) {
	named := len(k.cfg.HubSpot.Objects) > 0
	given := map[string]bool{} // scopes that the token must have
	for _, l := range all {
		if l.err == nil && l.found != nil {
			given[l.typ.Scopes().Records] = true
		}
	}
	var unnamed, absent, unasked []string
	lacking := map[string][]string{} // types by the scopes that they need
	for _, l := range all {
		f := finding{Area: "scopes", Check: "object_type", Subject: l.typ.Name, Status: isOK}
		follow := !named || slices.Contains(wanted, l.typ)
		switch {
		case l.err == nil && follow:
			k.portal.found = append(k.portal.found, *l.found)
			f.Found = fmt.Sprintf("readable, %d properties", len(l.found.Properties))
			k.add(withheld(f, l.found))
		case l.err == nil:
			unnamed = append(unnamed, l.typ.Name)
		case named && !follow:
		case errors.Is(l.err, context.DeadlineExceeded):
			unasked = append(unasked, l.typ.Name)
		default:
			k.portal.hidden = append(k.portal.hidden, l.typ)
			k.portal.refused += k.inVain(l.err)
			f.Scopes = missing(l, given)
			f.Found = "not readable: " + plainly(l.err)
			f.Todo = click(f.Scopes)
			switch {
			case named:
				f.Status = isWrong
				f.Todo = append(f.Todo, "or leave "+l.typ.Name+" out of HUBSPOT_OBJECTS")
				k.add(f)
			case len(f.Scopes) > 0:
				key := strings.Join(f.Scopes, " ")
				lacking[key] = append(lacking[key], l.typ.Name)
			case hubspot.MissingScopes(l.err) || hubspot.NotFound(l.err) || hubspot.BadRequest(l.err):
				absent = append(absent, l.typ.Name)
			default:
				f.Status, f.Todo = isWarn, []string{"run the check again; see HubSpot's status page"}
				k.add(f)
			}
		}
	}
	for _, scopes := range slices.SortedFunc(maps.Keys(lacking), func(a, b string) int {
		return cmp.Or(cmp.Compare(rankOf(all, lacking[a][0]), rankOf(all, lacking[b][0])))
	}) {
		k.add(finding{Area: "scopes", Check: "object_type", Subject: strings.Join(lacking[scopes], ","), Status: isNote,
			Found: "left out; to have it, click " + strings.Join(strings.Fields(scopes), " and "), Scopes: strings.Fields(scopes)})
	}
	if len(absent) > 0 {
		k.add(finding{Area: "scopes", Check: "absent_types", Status: isNote, Found: "this account does not have them, whatever the scopes: " + strings.Join(absent, ", ")})
	}
	if len(unnamed) > 0 {
		k.add(finding{Area: "scopes", Check: "unnamed_types", Status: isNote, Found: "readable, and not named in HUBSPOT_OBJECTS: " + strings.Join(unnamed, ", ")})
	}
	switch {
	case len(unasked) > 0:
		f := finding{Area: "scopes", Check: "object_types", Subject: strings.Join(unasked, ","), Status: isWarn,
			Found: "not asked in the time that a check has, so they are left out of what follows",
			Todo:  []string{"see whether the day's calls are used up (limit_day above), or run the check again"}}
		if len(k.portal.found) == 0 {
			f.Status = isWrong
		}
		k.add(f)
	case len(k.portal.found) == 0 && len(all) > 0:
		k.add(finding{Area: "scopes", Check: "object_types", Status: isWrong, Found: "the token may read no object type",
			Todo: []string{"give it the read scopes of those to follow: the lines above name them"}})
	}
}

// withheld says which sensitive properties the token may not read. Types for
// which HubSpot has no such scope have no such properties.
func withheld(f finding, found *stream.Found) finding {
	var lacking []string
	for _, w := range found.Withheld {
		scope := found.Type.SensitiveScope(w.Sensitivity)
		if scope == "" && hubspot.MissingScopes(w.Err) {
			continue
		}
		lacking = append(lacking, w.Sensitivity)
		if scope != "" {
			f.Scopes = append(f.Scopes, scope)
		}
	}
	if len(lacking) > 0 {
		f.Status = isWarn
		f.Found += "; not readable, though HUBSPOT_SENSITIVE asks for them: " + strings.Join(lacking, ", ") + " ones"
		f.Todo = click(f.Scopes)
	}
	return f
}

// inVain is how many calls a look at a type takes that is refused.
func (k *checker) inVain(err error) int {
	if e, ok := errors.AsType[*hubspot.Error](err); ok && strings.HasPrefix(e.Path, "/crm/objects/") {
		return len(k.cfg.HubSpot.sensitivities()) + 1
	}
	return 1
}

func rankOf(all []looked, name string) int {
	return slices.IndexFunc(all, func(l looked) bool { return l.typ.Name == name })
}

// missing are the scopes to give for a type. The token may lack that for the
// definitions, for the records, or both: which, the refused call shows. Where
// another type shows that the token has the scope, it is not the scope.
func missing(l looked, given map[string]bool) []string {
	if !hubspot.MissingScopes(l.err) {
		return nil
	}
	need := l.typ.Scopes()
	e, _ := errors.AsType[*hubspot.Error](l.err)
	told := slices.DeleteFunc(slices.Clone(e.Scopes), func(s string) bool { return !hubspot.Clickable(s) })
	switch {
	case need.Records == "":
		return told
	case given[need.Records]:
		return nil
	case strings.HasPrefix(e.Path, "/crm/objects/"): // the definitions could be read
		return []string{need.Records}
	}
	return need.All()
}

func click(scopes []string) []string {
	if len(scopes) == 0 {
		return nil
	}
	return []string{"click " + strings.Join(scopes, " and ") + " (" + hubspot.ScopesPage + ")"}
}

// checkSelection says which patterns of the selection match nothing.
func (k *checker) checkSelection() {
	said := &listener{key: "patterns"}
	k.saySelection(slog.New(said), k.portal.found)
	for _, text := range said.heard {
		k.add(finding{Area: "scopes", Check: "selection", Status: isWarn, Found: "patterns that match no property: " + text,
			Todo: []string{"look for slips of the pen; the object part is the name in the topic"}})
	}
}

// checkLists asks for the owners and for the pipelines of what is followed.
func (k *checker) checkLists(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	k.portal.owners = 1
	f := finding{Area: "scopes", Check: "owners", Status: isOK}
	n, after, err := 0, "", error(nil)
	for {
		var page hubspot.OwnersPage
		if page, err = k.client.Owners(ctx, asking, after, false); err != nil {
			break
		}
		n += len(page.Owners)
		if after = page.After; after == "" || k.portal.owners == listedPages {
			break
		}
		k.portal.owners++
	}
	switch {
	case err == nil:
		f.Found = fmt.Sprintf("readable, %d owners", n)
		if after != "" {
			f.Found += " and more"
		}
	case hubspot.MissingScopes(err):
		f.Status, f.Found = isWarn, "not readable, so there will be no topic of them"
		f.Scopes = []string{hubspot.ScopeOwners}
		f.Todo = click(f.Scopes)
	default:
		f.Status, f.Found, f.Todo = isWarn, plainly(err), []string{"run the check again; see HubSpot's status page"}
	}
	k.add(f)
	k.checkPipelines(ctx)
}

// listedPages is how many pages of a list are counted.
const listedPages = 5

// checkPipelines asks which types have pipelines. HubSpot answers 404 or 400 for
// those that cannot have any.
func (k *checker) checkPipelines(ctx context.Context) {
	var with, failed []string
	for _, f := range k.portal.found {
		answer, err := k.client.Pipelines(ctx, asking, f.Type.Path)
		switch {
		case err == nil:
			k.portal.withPipelines++
			if len(answer.Pipelines) > 0 {
				with = append(with, f.Type.Name)
			}
		case hubspot.MissingScopes(err):
			k.portal.withPipelines++
			scopes := f.Type.Scopes().All()
			k.add(finding{Area: "scopes", Check: "pipelines", Subject: f.Type.Name, Status: isWarn,
				Found: "not readable, so its pipelines and stages are left out", Todo: click(scopes), Scopes: scopes})
		case hubspot.NotFound(err), hubspot.BadRequest(err):
		default:
			failed = append(failed, f.Type.Name+": "+plainly(err))
		}
	}
	f := finding{Area: "scopes", Check: "pipelines", Status: isOK, Found: "none"}
	if len(with) > 0 {
		f.Found = "readable, of " + strings.Join(with, ", ")
	}
	if len(failed) > 0 {
		f.Status, f.Found, f.Todo = isWarn, strings.Join(failed, "; "), []string{"run the check again; see HubSpot's status page"}
	}
	k.add(f)
}

// count asks how many records each type has, and looks at a page and at the
// recycle bin as the streams do. Searches are counted for all apps together:
// where an instance runs it has counted the records already, and is not to be
// disturbed.
func (k *checker) count(ctx context.Context) {
	p := &k.portal
	p.records, p.ids, p.archived = map[string]int{}, map[string][]hubspot.ID{}, map[string]binSeen{}
	limited(ctx, func(ctx context.Context) {
		var failed error
		var uncounted []string
		for _, f := range p.found {
			if k.running && k.published(f.Type.Name) {
				p.records[f.Type.Name] = k.live(f.Type.Name)
				continue
			}
			page, err := k.client.Search(ctx, asking, hubspot.SearchQuery{Object: f.Type.Path, ModifiedProperty: f.Type.ModifiedProperty})
			if err != nil {
				failed, uncounted = err, append(uncounted, f.Type.Name)
				continue
			}
			p.records[f.Type.Name] = page.Total
			for _, row := range page.Rows {
				p.ids[f.Type.Name] = append(p.ids[f.Type.Name], row.ID)
			}
		}
		if failed != nil {
			k.add(finding{Area: "hubspot", Check: "records", Subject: strings.Join(uncounted, ","), Status: isWarn,
				Found: "not counted, so the plan leaves them out: " + plainly(failed), Todo: []string{"run the check again"}})
		}
	})
	limited(ctx, func(ctx context.Context) {
		for _, f := range p.found {
			p.archived[f.Type.Name] = k.bin(ctx, f.Type)
		}
		p.page = k.page(ctx)
	})
}

// live counts what is published.
func (k *checker) live(object string) (n int) {
	for _, row := range k.loaded.Rows[object] {
		if row.Live {
			n++
		}
	}
	return n
}

func (k *checker) bin(ctx context.Context, t hubspot.ObjectType) binSeen {
	var b binSeen
	after := ""
	for range listedPages {
		page, err := k.client.List(ctx, asking, t.Path, nil, after, true, 0)
		if hubspot.ArchivedUnsupported(err) {
			return binSeen{none: true}
		}
		if err != nil {
			b.more = true
			return b
		}
		b.records += len(page.Records)
		if after = page.After; after == "" {
			return b
		}
	}
	b.more = true
	return b
}

// page is how long a page of the backfill takes, of the type that has most.
func (k *checker) page(ctx context.Context) time.Duration {
	var largest stream.Found
	for _, f := range k.portal.found {
		if k.portal.records[f.Type.Name] > k.portal.records[largest.Type.Name] {
			largest = f
		}
	}
	if largest.Type.Name == "" {
		return 0
	}
	slots, err := k.slots(&largest)
	if err != nil || !hubspot.ListFits(slots) {
		slots = nil
	}
	began := time.Now()
	if _, err := k.client.List(ctx, asking, largest.Type.Path, slots, "", false, 0); err != nil {
		return 0
	}
	return time.Since(began)
}

// checkPairs asks which pairs of types there are to follow.
func (k *checker) checkPairs(ctx context.Context, types []hubspot.ObjectType) {
	p := &k.portal
	p.links = map[stream.Ends]bool{}
	limited(ctx, func(ctx context.Context) {
		refusals := &listener{key: "object"}
		found, err := stream.Pairs(ctx, k.client, slog.New(refusals), types, k.cfg.HubSpot.Associations, func(word string) bool {
			return k.published(word) || stream.Hidden(word, p.hidden, p.custom)
		})
		f := finding{Area: "scopes", Check: "associations", Status: isOK}
		switch {
		case err == nil:
			for _, pair := range found {
				p.ends = append(p.ends, pair.Ends)
			}
			f.Found = fmt.Sprintf("pairs of types to follow: %d", len(found))
			if len(refusals.heard) > 0 {
				f.Status = isWarn
				f.Found += "; refused: " + strings.Join(refusals.heard, ", ")
				f.Todo = []string{"give the token the read scopes of both types of each"}
			}
		case codeOf(err) == exitConfig:
			f.Status, f.Code, f.Found, f.Todo = isWrong, exitConfig, err.Error(), []string{"correct HUBSPOT_ASSOCIATIONS"}
		case errors.Is(err, context.DeadlineExceeded):
			for i, from := range types {
				for _, to := range types[i:] {
					p.ends = append(p.ends, stream.Ends{From: from, To: to})
				}
			}
			f.Status = isNote
			f.Found = fmt.Sprintf("%d types make up to %d pairs, too many for a check to ask; the plan counts them all", len(types), len(p.ends))
		default:
			f.Status, f.Found, f.Todo = isWrong, plainly(err), []string{"run the check again; see HubSpot's status page"}
		}
		k.add(f)
	})
	limited(ctx, k.sample)
}

// sample looks at the links of some records of each pair: most pairs have none,
// and then are read once a day only.
func (k *checker) sample(ctx context.Context) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	atOnce := make(chan struct{}, 8)
	for _, e := range k.portal.ends {
		ids := k.portal.ids[e.From.Name]
		if len(ids) == 0 {
			continue
		}
		inputs := make([]hubspot.LinkInput, len(ids))
		for i, id := range ids {
			inputs[i].ID = id
		}
		wg.Go(func() {
			atOnce <- struct{}{}
			defer func() { <-atOnce }()
			page, err := k.client.Links(ctx, asking, e.From.Path, e.To.Path, inputs)
			linked := err != nil // taken to be, where it is not known
			for _, set := range page.Sets {
				linked = linked || len(set.Links) > 0
			}
			mu.Lock()
			defer mu.Unlock()
			k.portal.links[e] = linked
		})
	}
	wg.Wait()
}

// left is what is left to us of the day's calls; below zero: no limit is known.
func (k *checker) left() int64 {
	l := k.governor.Learnt()
	if l.Daily == 0 {
		return -1
	}
	return max(0, l.Daily-l.Reserve-l.Used)
}

// checkLimits says what was learnt on the way.
func (k *checker) checkLimits() {
	h, l, rates := &k.cfg.HubSpot, k.governor.Learnt(), k.governor.Rates()
	f := finding{Area: "hubspot", Check: "limit_ten_seconds", Status: isOK, Found: fmt.Sprintf("%d calls in ten seconds", l.TenSeconds)}
	switch {
	case h.Rate10s > 0:
		f.Found += ", set by HUBSPOT_RATE_10S"
	case l.TenSecondsTold:
		f.Found += fmt.Sprintf(", HubSpot says, of which %d were left", l.TenSecondsLeft)
	default:
		f.Found += ", the least that HubSpot documents; it did not say"
	}
	f.Found += fmt.Sprintf("; %.1f a second are ours (HUBSPOT_RATE_SHARE=%g)", rates.Objects, h.RateShare)
	k.add(f)
	f = finding{Area: "hubspot", Check: "limit_search", Status: isOK,
		Found: fmt.Sprintf("%g searches a second; %.1f are ours", l.Searches, rates.Search)}
	if h.RateSearch > 0 {
		f.Found += ", set by HUBSPOT_RATE_SEARCH"
	}
	k.add(f)
	f = finding{Area: "hubspot", Check: "limit_day", Status: isOK}
	if l.Daily == 0 {
		f.Found = "no limit of the day was told"
		k.add(f)
		return
	}
	left := k.left()
	f.Found = fmt.Sprintf("%s calls a day, %s (%s) used by all apps of the account; %s are left to others (HUBSPOT_DAILY_RESERVE=%g), so %s are left to us until %s",
		number(l.Daily), number(l.Used), percent(float64(l.Used)/float64(l.Daily)), number(l.Reserve), h.DailyReserve, number(left),
		l.Resets.UTC().Format("2006-01-02 15:04 UTC"))
	if left == 0 {
		f.Status = isWarn
		f.Todo = []string{"a run waits until the day ends: look which app uses the calls (HubSpot: Settings, Integrations, Usage), or lower HUBSPOT_DAILY_RESERVE"}
	}
	k.add(f)
}
