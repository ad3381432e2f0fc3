package hubspot

import (
	"context"
	"errors"
	"fmt"
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

// location returns the time zone in which the account's day ends. If the
// machine does not know the zone, location uses the zone's offset of today. The
// error is an hour, on the two days a year when the clocks change.
func (a Account) location() *time.Location {
	if a.TimeZone != "" {
		if loc, err := time.LoadLocation(a.TimeZone); err == nil {
			return loc
		}
	}
	return time.FixedZone(a.TimeZone, int(a.UTCOffsetMillis/1000))
}

// Account asks which portal the token belongs to. The governor learns from the
// answer when the day ends, and the client whose tokens it may use from now on.
func (c *Client) Account(ctx context.Context, call Call) (Account, error) {
	account, err := c.accountOf(ctx, call, nil)
	if err == nil {
		c.portal.Store(account.PortalID)
		c.governor.setLocation(account.location())
	}
	return account, err
}

// accountOf asks with a token; nil: the client's.
func (c *Client) accountOf(ctx context.Context, call Call, token *Secret) (Account, error) {
	var account Account
	_, err := c.do(ctx, call, &request{
		api: "account", class: objectCalls, account: true, token: token, method: http.MethodGet,
		path: "/account-info/" + c.version(accountVersion) + "/details",
		read: func(body []byte) error {
			if err := readOne(body, &account); err != nil {
				return err
			}
			if account.PortalID == 0 {
				return errors.New("an account without portalId")
			}
			return nil
		},
	})
	return account, err
}

// sameAccount makes sure that a token which takes the place of another is of the same
// account. Else what a run reads with it would go into the topics of another portal, and
// that one's records would seem gone.
func (c *Client) sameAccount(ctx context.Context, token *Secret) error {
	was := c.portal.Load()
	if was == 0 { // whoever asks for the account compares it
		return nil
	}
	account, err := c.accountOf(ctx, Call{Priority: Confirm}, token)
	if err == nil && account.PortalID != was {
		err = &OtherAccountError{Is: account.PortalID, Was: was}
	}
	return err
}

// OtherAccountError says that a token which came in place of another is not of the same
// account. Nothing was read with it.
type OtherAccountError struct{ Is, Was int64 } // HubSpot's account ids

func (e *OtherAccountError) Error() string {
	return fmt.Sprintf("the new token is of portal %d, and the one before it was of portal %d", e.Is, e.Was)
}

// DailyUsage is how many of the day's calls the account has used, all its
// private apps and service keys together. Limit is 0 if HubSpot did not say.
type DailyUsage struct {
	Used, Limit int64
	ResetsAt    Millis
}

// DailyUsage asks how many of the day's calls the account has used. The
// governor learns from the answer. Only private apps and service keys have a
// daily limit; marketplace apps have none.
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
				// The other statuses (TIMEOUT, FAILURE, NOTFOUND) carry no count.
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
		ours := usage
		if usage.ResetsAt != 0 { // by our clock, which decides when the day ends (R21)
			ours.ResetsAt = usage.ResetsAt.Add(-c.clock.apart())
		}
		c.governor.learnDay(ours)
	}
	return usage, err
}
