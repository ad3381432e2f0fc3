package hubspot

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// ListPage is one page of the list of an object type, ascending by id as far
// as is known. After asks for the next page and is HubSpot's own; "" says that
// this is the last one.
type ListPage struct {
	Answer
	Records []Record
	After   string
}

// MaxList is how many records a page of a list holds at most.
const MaxList = 100

const (
	// longestAddress is what a list is asked with at most. The names of 367
	// properties are 9 kB and pass, 900 do not (docs/hubspot.md section 13); what
	// lies between is not known.
	longestAddress = 10_500
)

// List reads one page of the live records of a type, or of the archived ones.
// It comes from the object store. Nil slots ask for ids and times only.
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
			read, err = decodePage(body, slots, limit)
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
	return ListPage{Answer: answer, Records: read.records, After: read.after}, nil
}

// ListFits says whether a list can ask for all slots at once. Otherwise list
// the ids and read the records by batch.
func ListFits(slots *Slots) bool {
	const rest = 500 // origin, path, the other parameters
	return slots == nil || rest+len(propertyList(slots)) <= longestAddress
}

// propertyList is the value of the parameter properties. Commas need no
// escape in a query, and three bytes for each would cost a quarter of the
// names that fit.
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
