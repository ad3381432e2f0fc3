package hubspottest

import (
	"fmt"
	"time"
)

// serveAccount answers GET /account-info/{ver}/details.
func (p *Portal) serveAccount(*call) (int, []byte, *failure) {
	_, offset := p.Now().In(p.zone).Zone()
	sign, abs := '+', offset
	if offset < 0 {
		sign, abs = '-', -offset
	}
	return 200, encode(accountJSON{
		PortalID:              p.opt.PortalID,
		AccountType:           p.opt.AccountType,
		TimeZone:              p.opt.TimeZone,
		CompanyCurrency:       "USD",
		AdditionalCurrencies:  []string{},
		UTCOffset:             fmt.Sprintf("%c%02d:%02d", sign, abs/3600, abs%3600/60),
		UTCOffsetMilliseconds: offset * 1000,
		UIDomain:              "app.hubspot.com",
		DataHostingLocation:   "na1",
	}), nil
}

type accountJSON struct {
	PortalID              int64    `json:"portalId"`
	AccountType           string   `json:"accountType"`
	TimeZone              string   `json:"timeZone"`
	CompanyCurrency       string   `json:"companyCurrency"`
	AdditionalCurrencies  []string `json:"additionalCurrencies"`
	UTCOffset             string   `json:"utcOffset"`
	UTCOffsetMilliseconds int      `json:"utcOffsetMilliseconds"`
	UIDomain              string   `json:"uiDomain"`
	DataHostingLocation   string   `json:"dataHostingLocation"`
}

// serveDailyUsage answers GET /account-info/{ver}/api-usage/daily/private-apps:
// how many of the day's calls all private apps of the account have used.
func (p *Portal) serveDailyUsage(*call) (int, []byte, *failure) {
	p.limits.startDay(p.Now(), p.zone)
	usage := usageJSON{
		Name:         "private-apps-api-calls-daily",
		UsageLimit:   p.opt.Limits.Daily,
		CurrentUsage: p.limits.today,
		CollectedAt:  isoTime(p.now()),
		FetchStatus:  "SUCCESS",
		ResetsAt:     isoTime(p.limits.dayEnds.UnixMilli()),
	}
	return 200, encode(map[string]any{"results": []usageJSON{usage}}), nil
}

type usageJSON struct {
	Name         string `json:"name"`
	UsageLimit   int    `json:"usageLimit"`
	CurrentUsage int    `json:"currentUsage"`
	CollectedAt  string `json:"collectedAt"`
	FetchStatus  string `json:"fetchStatus"`
	ResetsAt     string `json:"resetsAt"`
}

// UseDaily spends some of the day's calls, as the account's other integrations
// do.
func (p *Portal) UseDaily(calls int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limits.startDay(p.Now(), p.zone)
	p.limits.today += calls
}

// midnightAfter returns the next midnight in a time zone.
func midnightAfter(at time.Time, zone *time.Location) time.Time {
	y, m, d := at.In(zone).Date()
	return time.Date(y, m, d+1, 0, 0, 0, 0, zone)
}
