package hubspot

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

// Account is the portal that the token belongs to.
type Account struct {
	PortalID            int64  `json:"portalId"`
	AccountType         string `json:"accountType"`
	TimeZone            string `json:"timeZone"`
	DataHostingLocation string `json:"dataHostingLocation"`
	UIDomain            string `json:"uiDomain"`
	UTCOffsetMillis     int64  `json:"utcOffsetMilliseconds"`
}

// location returns the time zone in which the account's day ends. Where the
// machine does not know the zone, its offset of today has to do: the error is
// an hour, on two days of the year.
func (a Account) location() *time.Location {
	if a.TimeZone != "" {
		if loc, err := time.LoadLocation(a.TimeZone); err == nil {
			return loc
		}
	}
	return time.FixedZone(a.TimeZone, int(a.UTCOffsetMillis/1000))
}

// Account asks which portal the token belongs to. The governor learns from it
// when the day ends.
func (c *Client) Account(ctx context.Context, call Call) (Account, error) {
	var account Account
	_, err := c.do(ctx, call, &request{
		api: "account", class: objectCalls, account: true, method: http.MethodGet,
		path: "/account-info/" + c.version(accountVersion) + "/details",
		read: func(body []byte) error {
			account = Account{}
			if json.Unmarshal(body, &account) != nil {
				return errNotTheJSON
			}
			if account.PortalID == 0 {
				return errors.New("an account without portalId")
			}
			return nil
		},
	})
	if err == nil {
		c.governor.setLocation(account.location())
	}
	return account, err
}

// DailyUsage is how much of the account's day is spent, by all of its private
// apps and service keys together. Limit 0: HubSpot does not tell.
type DailyUsage struct {
	Used, Limit int64
	ResetsAt    Millis
}

// DailyUsage asks for the account's day; the governor learns from it. It is
// for private apps and service keys: an app of the marketplace has no day.
func (c *Client) DailyUsage(ctx context.Context, call Call) (DailyUsage, error) {
	type apiUsage struct {
		CurrentUsage int64     `json:"currentUsage"`
		UsageLimit   int64     `json:"usageLimit"`
		ResetsAt     time.Time `json:"resetsAt"`
		FetchStatus  string    `json:"fetchStatus"`
	}
	var usage DailyUsage
	_, err := c.do(ctx, call, &request{
		api: "daily_usage", class: objectCalls, account: true, method: http.MethodGet,
		path: "/account-info/" + c.version(accountVersion) + "/api-usage/daily/private-apps",
		read: func(body []byte) error {
			results, err := readResults[apiUsage](body)
			usage = DailyUsage{}
			for _, u := range results {
				// The other states (TIMEOUT, FAILURE, NOTFOUND) carry no count.
				if u.UsageLimit > 0 && (u.FetchStatus == "SUCCESS" || u.FetchStatus == "CACHED" || u.FetchStatus == "") {
					usage = DailyUsage{Used: u.CurrentUsage, Limit: u.UsageLimit}
					if !u.ResetsAt.IsZero() {
						usage.ResetsAt = MillisOf(u.ResetsAt)
					}
					break
				}
			}
			return err
		},
	})
	if err == nil {
		c.governor.learnDay(usage)
	}
	return usage, err
}
