package hubspot

import (
	"context"
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"strconv"
)

// SearchQuery asks for the ids of the records that pass the filters and whose
// id is above After, in ascending order of id. To continue a walk, set After to
// the last id of the page before (R2).
type SearchQuery struct {
	Object           string // ObjectType.Path
	ModifiedProperty string // ObjectType.ModifiedProperty
	// Since keeps records modified at or after it. Zero sends no such filter,
	// because HubSpot answers 500 to a time of exactly 0.
	Since Millis
	// HasAny keeps records with a value in at least one of these properties. A
	// search takes at most five, because each needs its own filter group.
	HasAny  []string
	After   ID
	Started bool // After applies; false at the start of a walk
	UpTo    ID   // keeps ids up to and including it; 0: no upper bound
	Limit   int  // rows per page; 0: 200, HubSpot's maximum
}

// SearchRow is one found record. The index may show a different version than
// the object store has, so a row says only which record to read.
type SearchRow struct {
	ID      ID
	Updated Millis
}

// SearchPage is one page of a search.
type SearchPage struct {
	Answer
	Rows  []SearchRow
	Total int  // how many records match the filters, After included; or NoTotal
	More  bool // there is another page
}

// NoTotal is the Total of a page that does not tell it.
const NoTotal = -1

// AnyTime is the time of a row that does not tell it: such a row is read whatever
// is published of it.
const AnyTime Millis = math.MaxInt64

// MaxSearch is the most rows that HubSpot puts in a search page.
const MaxSearch = 200

type searchFilter struct {
	PropertyName string `json:"propertyName"`
	Operator     string `json:"operator"`
	Value        string `json:"value,omitempty"`
}

type searchGroup struct {
	Filters []searchFilter `json:"filters"`
}

// searchBody always has all five members, because HubSpot requires them.
type searchBody struct {
	After        string        `json:"after"`
	Sorts        any           `json:"sorts"`
	Limit        int           `json:"limit"`
	Properties   []string      `json:"properties"`
	FilterGroups []searchGroup `json:"filterGroups"`
}

// The two ways to ask for order by id. HubSpot's OpenAPI file has strings, its
// guide shows objects.
var (
	sortString = []string{"hs_object_id"}
	sortObject = []map[string]string{{"propertyName": "hs_object_id", "direction": "ASCENDING"}}
)

// Search reads one page of a search.
func (c *Client) Search(ctx context.Context, call Call, q SearchQuery) (SearchPage, error) {
	objects := c.sortObjects.Load()
	page, err := c.search(ctx, call, q, objects)
	if objects || !BadRequest(err) {
		return page, err
	}
	// Either the portal wants sort objects, or the query is bad.
	other, err2 := c.search(ctx, call, q, true)
	if BadRequest(err2) {
		return page, err
	}
	if err2 == nil && !c.sortObjects.Swap(true) {
		c.log.Info("this portal accepts only sort objects; searches send those from now on")
	}
	return other, err2
}

func (c *Client) search(ctx context.Context, call Call, q SearchQuery, sortObjects bool) (SearchPage, error) {
	body := searchBody{After: "0", Sorts: sortString, Limit: q.Limit, Properties: []string{q.ModifiedProperty}, FilterGroups: []searchGroup{}}
	if sortObjects {
		body.Sorts = sortObject
	}
	if body.Limit == 0 {
		body.Limit = MaxSearch
	}
	var filters []searchFilter
	if q.Since != 0 {
		// Milliseconds: HubSpot compares no finer, and some properties
		// accept no ISO time.
		filters = append(filters, searchFilter{q.ModifiedProperty, "GTE", strconv.FormatInt(int64(q.Since), 10)})
	}
	if q.Started {
		filters = append(filters, searchFilter{"hs_object_id", "GT", q.After.String()})
	}
	if q.UpTo != 0 {
		filters = append(filters, searchFilter{"hs_object_id", "LTE", q.UpTo.String()})
	}
	for _, name := range q.HasAny {
		has := append([]searchFilter{{name, "HAS_PROPERTY", ""}}, filters...)
		body.FilterGroups = append(body.FilterGroups, searchGroup{has})
	}
	if len(q.HasAny) == 0 && len(filters) > 0 {
		body.FilterGroups = append(body.FilterGroups, searchGroup{filters})
	}
	text, err := json.Marshal(body)
	if err != nil {
		return SearchPage{}, err
	}
	var found page
	answer, err := c.do(ctx, call, &request{
		api: "search", class: searches, method: http.MethodPost,
		path: c.objectPath(q.Object) + "/search", body: text,
		read: func(body []byte) (err error) {
			found, err = decodePage(body, nil, MaxSearch, false)
			return err
		},
	})
	if err != nil {
		return SearchPage{}, err
	}
	c.oddIDs.note(c.log, q.Object, found.odd)
	p := SearchPage{Answer: answer, Total: found.total, More: found.more, Rows: make([]SearchRow, 0, len(found.records))}
	for _, r := range found.records {
		if r.Updated == NoTime {
			r.Updated = AnyTime
		}
		p.Rows = append(p.Rows, SearchRow{ID: r.ID, Updated: r.Updated})
	}
	return p, nil
}

// objectPath is the root of the object APIs of a type.
func (c *Client) objectPath(object string) string {
	return "/crm/objects/" + c.version(objectsVersion) + "/" + url.PathEscape(object)
}
