package hubspot

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-faster/jx"
)

// LinkInput asks for the links of one record. After is "" for the first page,
// and the previous LinkSet's After for the next one.
type LinkInput struct {
	ID    ID
	After string
}

// Link is one type of association to one record. Two records are often linked
// by several types at once; each is a Link of its own.
type Link struct {
	To       ID
	Category string // HUBSPOT_DEFINED, USER_DEFINED, INTEGRATOR_DEFINED, WORK
	TypeID   int    // unique within its category; differs by direction of the pair
	Label    string // for people; "" if the type has none
}

// LinkSet is a page of a record's links, sorted by To, Category and TypeID,
// without duplicates. A record without links may have an empty set.
type LinkSet struct {
	From  ID
	Links []Link
	After string // "": this is the record's last page
}

// LinksPage is the answer to a batch read of associations, grouped by what it
// says about each requested record (R8). Each id is in one group only.
type LinksPage struct {
	Answer
	Sets []LinkSet // in HubSpot's order
	// Empty records have no links according to HubSpot, or no further links
	// if they were requested with After.
	Empty []ID
	// NotFound records do not exist according to HubSpot. It may also say so
	// about a record the token cannot see, so this alone is no evidence that
	// links are gone.
	NotFound []ID
	// Unanswered records are in neither results nor errors, which tells
	// nothing about them. They occur in practice: HubSpot counts more errors
	// (numErrors) than it lists.
	Unanswered []ID
	// Unread records are in the results, but not all of their links can be read:
	// without those, the set would be evidence that links are gone.
	Unread []ID
}

// MaxLinks is how many records one batch read of associations takes.
const MaxLinks = 1000

type linkInput struct {
	ID    string `json:"id"`
	After string `json:"after,omitempty"`
}

// Links reads the associations of up to MaxLinks records of type from with
// records of type to, one page per record, from the object store. HubSpot does
// not document how many links a page holds; it may be more than 500.
func (c *Client) Links(ctx context.Context, call Call, from, to string, inputs []LinkInput) (LinksPage, error) {
	if len(inputs) == 0 || len(inputs) > MaxLinks {
		return LinksPage{}, fmt.Errorf("batch read of associations of %s with %s: %d records, want 1 to %d", from, to, len(inputs), MaxLinks)
	}
	body := struct {
		Inputs []linkInput `json:"inputs"`
	}{make([]linkInput, 0, len(inputs))}
	asked := make(map[ID]string, len(inputs))
	for _, in := range inputs {
		switch after, twice := asked[in.ID]; {
		case !twice:
			asked[in.ID] = in.After
			body.Inputs = append(body.Inputs, linkInput{in.ID.String(), in.After})
		case after != in.After:
			return LinksPage{}, fmt.Errorf("batch read of associations of %s with %s: two pages of record %v requested, but an answer does not say which page it is", from, to, in.ID)
		}
	}
	text, err := json.Marshal(body)
	if err != nil {
		return LinksPage{}, err
	}
	var read linksAnswer
	answer, err := c.do(ctx, call, &request{
		api: "association_read", class: exemptCalls, method: http.MethodPost,
		path: c.pairPath(from, to) + "/batch/read", body: text,
		read: func(body []byte) (err error) {
			read, err = decodeLinks(body, len(inputs))
			return err
		},
	})
	if err != nil {
		return LinksPage{}, err
	}
	c.oddIDs.note(c.log, to, read.odd)
	return sortLinks(answer, inputs, read), nil
}

// pairPath is the root of the association APIs of a pair of types.
func (c *Client) pairPath(from, to string) string {
	return "/crm/associations/" + c.version(associationsVersion) + "/" + url.PathEscape(from) + "/" + url.PathEscape(to)
}

// sortLinks groups each record by what the answer says about it. A set in the
// results outranks an error that names its record. "Not found" outranks "no
// links", because less follows from it. sortLinks drops results for records
// that were not requested: nothing says which input they answer.
func sortLinks(answer Answer, inputs []LinkInput, read linksAnswer) LinksPage {
	const (
		asked = iota + 1
		empty
		notFound
		told
	)
	p := LinksPage{Answer: answer}
	state := make(map[ID]uint8, len(inputs))
	for _, in := range inputs {
		state[in.ID] = asked
	}
	note := func(ids []string, as uint8) {
		for _, text := range ids {
			if id, err := ParseID(text); err == nil && state[id] != 0 {
				state[id] = as
			}
		}
	}
	note(read.empty, empty)
	note(read.notFound, notFound)
	for _, set := range read.sets {
		switch state[set.From] {
		case 0:
		case told:
			// Two results for one record are parts of its page.
			i := slices.IndexFunc(p.Sets, func(s LinkSet) bool { return s.From == set.From })
			p.Sets[i].Links = sortedOnce(append(p.Sets[i].Links, set.Links...))
			p.Sets[i].After = cmp.Or(set.After, p.Sets[i].After)
		default:
			state[set.From] = told
			p.Sets = append(p.Sets, set)
		}
	}
	for _, id := range read.unread {
		if state[id] != 0 {
			p.Sets = slices.DeleteFunc(p.Sets, func(s LinkSet) bool { return s.From == id })
			state[id] = told
			p.Unread = append(p.Unread, id)
		}
	}
	for _, in := range inputs {
		switch state[in.ID] {
		case asked:
			p.Unanswered = append(p.Unanswered, in.ID)
		case empty:
			p.Empty = append(p.Empty, in.ID)
		case notFound:
			p.NotFound = append(p.NotFound, in.ID)
		}
		state[in.ID] = told // a record requested twice is reported once
	}
	return p
}

// sortedOnce sorts links and drops duplicates.
func sortedOnce(links []Link) []Link {
	slices.SortStableFunc(links, func(a, b Link) int {
		return cmp.Or(cmp.Compare(a.To, b.To), strings.Compare(a.Category, b.Category), cmp.Compare(a.TypeID, b.TypeID))
	})
	return slices.CompactFunc(links, func(a, b Link) bool {
		return a.To == b.To && a.Category == b.Category && a.TypeID == b.TypeID
	})
}

// linksAnswer is a decoded batch read of associations.
type linksAnswer struct {
	sets            []LinkSet
	unread          []ID
	empty, notFound []string // ids that errors name
	odd             int      // links left out because the other record's id is not a number
}

// linksDecoder decodes a batch read of associations in one pass over the bytes.
// Like decoder, it rejects anything but a complete answer. What is odd in a record's
// set makes that set unread, because a half-understood set would be evidence that
// links are gone; of a label, which is for people, it costs the label (R18).
type linksDecoder struct {
	odd    bool // something in the set, or the error, being read
	expect int
	words  map[string]string // categories and labels
	types  map[string][]Link // the types of an association by their JSON, which repeats in nearly every one
	links  []Link            // of the set being read
	answer linksAnswer
}

func decodeLinks(body []byte, expect int) (linksAnswer, error) {
	d := &linksDecoder{expect: expect, words: make(map[string]string), types: make(map[string][]Link)}
	dec := jx.DecodeBytes(body)
	results := false
	err := dec.ObjBytes(func(dec *jx.Decoder, key []byte) error {
		switch string(key) {
		case "results":
			results = true
			d.answer.sets, d.answer.unread, d.answer.odd = make([]LinkSet, 0, d.expect), nil, 0
			return dec.Arr(d.set)
		case "errors":
			return d.errors(dec)
		case "status":
			return complete(dec)
		}
		return dec.Skip()
	})
	if err := whole(dec, err); err != nil {
		return linksAnswer{}, err
	}
	if !results {
		return linksAnswer{}, errNoResults
	}
	return d.answer, nil
}

// set reads one record's links.
func (d *linksDecoder) set(dec *jx.Decoder) error {
	var (
		set      LinkSet
		from, to bool
		more     bool
	)
	if dec.Next() != jx.Object {
		return dec.Skip() // whosever it is: that record is not answered
	}
	d.links, d.odd = d.links[:0], false
	err := dec.ObjBytes(func(dec *jx.Decoder, key []byte) (err error) {
		switch string(key) {
		case "from":
			set.From, from, err = d.recordID(dec)
			return err
		case "to":
			if to = dec.Next() == jx.Array; !to {
				return dec.Skip()
			}
			return dec.Arr(d.to)
		case "paging":
			raw, err := dec.Raw()
			if err != nil {
				return err
			}
			set.After, more, err = readPaging(jx.DecodeBytes(raw))
			d.odd = d.odd || err != nil
			return nil
		}
		return dec.Skip()
	})
	switch {
	case err != nil:
		return err
	case !from:
		return nil // not a requested record
	case d.odd, !to, more && set.After == "":
		d.answer.unread = append(d.answer.unread, set.From)
		return nil
	}
	set.Links = sortedOnce(slices.Clone(d.links))
	d.answer.sets = append(d.answer.sets, set)
	return nil
}

// recordID reads {"id":"…"}; ok is false if that is no number.
func (d *linksDecoder) recordID(dec *jx.Decoder) (id ID, ok bool, err error) {
	if dec.Next() != jx.Object {
		return 0, false, dec.Skip()
	}
	err = dec.ObjBytes(func(dec *jx.Decoder, key []byte) error {
		if string(key) != "id" {
			return dec.Skip()
		}
		id, ok, err = lenientID(dec)
		return err
	})
	return id, ok, err
}

// to reads one associated record with the types of the association. A record whose
// id is a text but no number has no key: its links are left out.
func (d *linksDecoder) to(dec *jx.Decoder) error {
	var (
		id                   ID
		hasID, hasTypes, key bool
		first                = len(d.links)
	)
	if dec.Next() != jx.Object {
		d.odd = true
		return dec.Skip()
	}
	err := dec.ObjBytes(func(dec *jx.Decoder, name []byte) (err error) {
		switch string(name) {
		case "toObjectId":
			hasID = dec.Next() == jx.String || dec.Next() == jx.Number
			id, key, err = lenientID(dec)
			return err
		case "associationTypes":
			if hasTypes = dec.Next() == jx.Array; !hasTypes {
				return dec.Skip()
			}
			return d.linkTypes(dec)
		}
		return dec.Skip()
	})
	switch {
	case err != nil:
		return err
	case !hasID || !hasTypes:
		d.odd = true
	case !key:
		d.answer.odd += len(d.links) - first
		d.links = d.links[:first]
	}
	for i := first; i < len(d.links); i++ {
		d.links[i].To = id
	}
	return nil
}

// linkTypes reads the types of an association, each into a link.
func (d *linksDecoder) linkTypes(dec *jx.Decoder) error {
	raw, err := dec.Raw()
	if err != nil {
		return err
	}
	if known, ok := d.types[string(raw)]; ok {
		d.links = append(d.links, known...)
		return nil
	}
	first, odd := len(d.links), d.odd
	d.odd = false
	if err := jx.DecodeBytes(raw).Arr(d.linkType); err != nil {
		return err
	}
	if d.odd {
		return nil
	}
	d.types[string(raw)], d.odd = slices.Clone(d.links[first:]), odd
	return nil
}

// linkType reads one type of an association into a link.
func (d *linksDecoder) linkType(dec *jx.Decoder) error {
	var l Link
	if dec.Next() != jx.Object {
		d.odd = true
		return dec.Skip()
	}
	err := dec.ObjBytes(func(dec *jx.Decoder, key []byte) (err error) {
		switch string(key) {
		case "category":
			l.Category, err = d.word(dec)
		case "typeId":
			l.TypeID, err = readInt(dec)
		case "label":
			l.Label, err = d.word(dec)
		default:
			err = dec.Skip()
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case l.Category == "" || l.TypeID == 0:
		d.odd = true
		return nil
	}
	d.links = append(d.links, l)
	return nil
}

// readInt reads a number that may be quoted; 0 is none.
func readInt(dec *jx.Decoder) (int, error) {
	text, err := lenientText(dec)
	n, odd := strconv.ParseInt(string(text), 10, 32)
	if odd != nil {
		n = 0
	}
	return int(n), err
}

// word reads a text that takes few distinct values.
func (d *linksDecoder) word(dec *jx.Decoder) (string, error) {
	text, err := lenientText(dec)
	if err != nil {
		return "", err
	}
	word, ok := d.words[string(text)]
	if !ok {
		word = string(appendValid(nil, text))
		d.words[string(text)] = word
	}
	return word, nil
}
