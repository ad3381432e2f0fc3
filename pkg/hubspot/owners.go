package hubspot

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Owner is a user, or a queue of users, that records are assigned to.
type Owner struct {
	ID        Text            `json:"id"`
	Email     Text            `json:"email"` // "" for some deactivated users
	FirstName Text            `json:"firstName"`
	LastName  Text            `json:"lastName"`
	Type      Text            `json:"type"`                    // PERSON or QUEUE
	UserID    Text            `json:"userId"`                  // "" for queues and deactivated users
	AnyUserID Text            `json:"userIdIncludingInactive"` // "" for queues
	Teams     json.RawMessage `json:"teams"`                   // an array of {id, name, primary}; nil if absent
	CreatedAt Moment          `json:"createdAt"`
	UpdatedAt Moment          `json:"updatedAt"`
	Archived  bool            `json:"archived"`
}

// OwnersPage is one page of owners. After asks for the next page; "" means that
// this is the last one.
type OwnersPage struct {
	Answer
	Owners []Owner
	// Short says that some owners are left out, because they have no id that can be
	// read.
	Short bool
	After string
}

// MaxOwners is the most owners that HubSpot puts in a page.
const MaxOwners = 500

// Owners reads one page of the live or the archived owners. Archived owners do
// not say when they were archived. HubSpot has no filter and no order by time.
// limit is the page size; 0 means MaxOwners.
func (c *Client) Owners(ctx context.Context, call Call, after string, archived bool, limit int) (OwnersPage, error) {
	if limit == 0 {
		limit = MaxOwners
	}
	q := url.Values{"limit": {strconv.Itoa(limit)}, "archived": {strconv.FormatBool(archived)}}
	if after != "" {
		q.Set("after", after)
	}
	var page OwnersPage
	answer, err := c.do(ctx, call, &request{
		api: "owners", class: objectCalls, method: http.MethodGet,
		path: "/crm/owners/" + c.version(ownersVersion), query: q.Encode(),
		read: func(body []byte) (err error) {
			if page.Owners, err = readResults[Owner](body); err != nil {
				return err
			}
			all := len(page.Owners)
			page.Owners = slices.DeleteFunc(page.Owners, func(o Owner) bool { return !o.ID.isID() })
			if page.Short = len(page.Owners) < all; page.Short && len(page.Owners) == 0 {
				return &contentError{"owners without id"}
			}
			page.After, err = nextPage(body)
			return err
		},
	})
	page.Answer = answer
	return page, err
}

// Owner returns one live owner. The error of one that is archived or does not exist
// satisfies NotFound.
func (c *Client) Owner(ctx context.Context, call Call, id string) (Owner, error) {
	var owner Owner
	_, err := c.do(ctx, call, &request{
		api: "owners", class: objectCalls, method: http.MethodGet,
		path: "/crm/owners/" + c.version(ownersVersion) + "/" + url.PathEscape(id), query: "idProperty=id&archived=false",
		read: func(body []byte) error {
			if err := readOne(body, &owner); err != nil {
				return err
			}
			if !owner.ID.isID() {
				return &contentError{"an owner without id"}
			}
			return nil
		},
	})
	return owner, err
}

// nextPage reads the token for an answer's next page; "" means that there is
// none.
func nextPage(body []byte) (after string, err error) {
	var page struct {
		Paging *struct {
			Next *struct {
				After Text `json:"after"`
			} `json:"next"`
		} `json:"paging"`
	}
	if json.Unmarshal(body, &page) != nil {
		return "", errNotTheJSON
	}
	if page.Paging == nil || page.Paging.Next == nil {
		return "", nil
	}
	if page.Paging.Next.After == "" {
		return "", &contentError{"a next page without after"}
	}
	return string(page.Paging.Next.After), nil
}

// Text is a string that HubSpot may also send as a number (ids, mostly). A null
// or absent member is "".
type Text string

// UnmarshalJSON reads a string, a number or null.
func (t *Text) UnmarshalJSON(b []byte) error {
	switch {
	case bytes.Equal(b, []byte("null")):
		*t = ""
	case b[0] == '"':
		return json.Unmarshal(b, (*string)(t))
	case b[0] == '-' || b[0] >= '0' && b[0] <= '9':
		*t = Text(b)
	default:
		return errNotTheJSON
	}
	return nil
}

// isID reports whether the text can be part of a key.
func (t Text) isID() bool { return t != "" && !strings.ContainsRune(string(t), 0) }

// Moment is a point in time that may be unknown. Unlike in a Record, the start
// of 1970 is a valid time: HubSpot gives it to its default pipelines.
type Moment struct {
	Millis
	Known bool
}

// UnmarshalJSON reads ISO 8601, or epoch milliseconds.
func (m *Moment) UnmarshalJSON(b []byte) error {
	var text Text
	if err := text.UnmarshalJSON(b); err != nil || text == "" {
		*m = Moment{}
		return err
	}
	if t, err := time.Parse(time.RFC3339, string(text)); err == nil {
		*m = Moment{MillisOf(t), true}
		return nil
	}
	ms, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return errNotTheJSON
	}
	*m = Moment{Millis(ms), true}
	return nil
}
