package hubspot

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// ListPage is one page of an object type's list, in ascending order of id as
// far as we know. After is HubSpot's own token for the next page; "" means that
// this is the last page.
type ListPage struct {
	Answer
	Records []Record
	Unread  []ID // they are in the page, but their properties cannot be read
	Odd     int  // how many records it leaves out because their id is not a number
	After   string
}

// MaxList is the most records that a list page holds.
const MaxList = 100

const (
	// longestAddress is the longest address of a list request, in bytes. The
	// names of 367 properties are 9 kB and fit, those of 900 do not
	// (docs/hubspot.md section 13); the exact limit is not known.
	longestAddress = 10_500
)

// List reads one page of a type's live or archived records from the object
// store. With nil slots it asks for ids and times only. limit is the page size;
// 0 means MaxList.
func (c *Client) List(ctx context.Context, call Call, object string, slots *Slots, after string, archived bool, limit int) (ListPage, error) {
	if limit == 0 {
		limit = MaxList
	}
	var query strings.Builder
	query.WriteString("limit=" + strconv.Itoa(limit))
	query.WriteString("&archived=" + strconv.FormatBool(archived))
	if after != "" {
		query.WriteString("&after=" + url.QueryEscape(after))
	}
	query.WriteString("&properties=" + propertyList(slots))
	var read page
	answer, err := c.do(ctx, call, &request{
		api: "list", class: objectCalls, method: http.MethodGet,
		path: c.objectPath(object), query: query.String(),
		read: func(body []byte) (err error) {
			read, err = decodePage(body, slots, limit, archived)
			if err == nil && read.more && read.after == "" {
				return &contentError{"a next page without after"}
			}
			return err
		},
	})
	if err != nil {
		return ListPage{}, err
	}
	c.oddIDs.note(c.log, object, read.odd)
	c.clock.witness(read.records)
	return ListPage{Answer: answer, Records: read.records, Unread: read.unread, Odd: read.odd, After: read.after}, nil
}

// ListFits reports whether a list request can ask for all slots at once. If
// not, list the ids and read the records by batch.
func ListFits(slots *Slots) bool {
	const rest = 500 // bytes for origin, path and the other parameters
	return slots == nil || rest+len(propertyList(slots)) <= longestAddress
}

// propertyList returns the value of the properties parameter. Commas need no
// escape in a query, and spending three bytes on each would cost a quarter of
// the names that fit.
func propertyList(slots *Slots) string {
	var b strings.Builder
	for i, name := range slots.asked() {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(url.QueryEscape(name))
	}
	return b.String()
}
