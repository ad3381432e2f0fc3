package hubspot

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/go-faster/jx"
)

// page is a decoded page of records: of a search, a list or a batch read.
type page struct {
	records []Record
	total   int
	after   string
	more    bool // there is a paging.next
	missing []string
	unread  []ID // records whose properties cannot be read
	odd     int  // records left out because their id is not a number
}

// decoder reads a page of records straight into slots: one pass over the
// bytes, all values in few slabs, no map per record, and no look-up per value either:
// HubSpot sends the properties of every record in the same order.
//
// It rejects anything that is not one whole JSON object, and an answer without
// results; the client then retries the request. What is odd in a record costs that
// member or that record, never the page (R18): a value that is not a string is its
// JSON text; a time that is none is NoTime; what archived does not tell, the request
// does; a record without properties is unread. A record whose id is not a number
// (campaigns have such ids) cannot be a key; the decoder leaves it out and counts
// it.
type decoder struct {
	slots    *Slots // nil: ids and times only
	archived bool   // archived records were asked for
	plain    bool   // the page is UTF-8 without \u, so jx reads its strings as we do
	slab     []byte
	slabSize int
	values   [][]byte // not yet given to a record
	expect   int      // records: there is room for so many at first
	page     page
	order    []property // of the record before
	scratch  jx.Decoder
	mac      hash.Hash // of hashed slots; nil before the first one
}

// property is a member of a record's properties.
type property struct {
	name   []byte
	slot   int  // -1: none
	merged bool // MergedProperty
}

// leastRecord is what a record takes in an answer, in bytes, with its id, its times and
// an empty list of properties. Of most searches the answer has few records, or none.
const leastRecord = 100

func decodePage(body []byte, slots *Slots, expect int, archived bool) (page, error) {
	d := &decoder{slots: slots, expect: min(max(1, expect), len(body)/leastRecord+1), archived: archived, slabSize: min(len(body), 32<<10)}
	d.page.total = NoTotal
	d.plain = utf8.Valid(body) && !bytes.Contains(body, []byte(`\u`))
	if err := d.decode(body); err != nil {
		return page{}, err
	}
	return d.page, nil
}

func (d *decoder) decode(body []byte) error {
	dec := jx.DecodeBytes(body)
	results := false
	err := dec.ObjBytes(func(dec *jx.Decoder, key []byte) error {
		switch string(key) {
		case "results":
			results = true
			d.page.records, d.page.unread, d.page.odd = make([]Record, 0, d.expect), nil, 0
			return dec.Arr(d.record)
		case "total":
			return d.number(dec)
		case "paging":
			var err error
			d.page.after, d.page.more, err = readPaging(dec)
			return err
		case "errors":
			return d.errors(dec)
		case "status":
			return complete(dec)
		}
		return dec.Skip()
	})
	if err := whole(dec, err); err != nil {
		return err
	}
	if !results {
		return errNoResults
	}
	return nil
}

// complete reads the status of a batch.
func complete(dec *jx.Decoder) error {
	text, err := lenientText(dec)
	if err == nil && !completed(string(text)) {
		return errUnderWay
	}
	return err
}

// completed reports whether a batch with this status is complete. One that is under
// way, or canceled, may lack anything.
func completed(status string) bool { return status == "" || strings.EqualFold(status, "COMPLETE") }

var errUnderWay = &contentError{"a batch that is not complete"}

// whole returns what is wrong with an answer whose decoding returned err, or
// nil if the decoder read the answer to its end.
func whole(dec *jx.Decoder, err error) error {
	switch {
	case err != nil:
		if e, ok := errors.AsType[*contentError](err); ok {
			return e
		}
		// Drop jx's error: it quotes bytes of the answer.
		return errNotTheJSON
	case !errors.Is(dec.Skip(), io.EOF):
		return errNotTheJSON
	}
	return nil
}

// contentError rejects an answer that is JSON but lacks what HubSpot sends.
type contentError struct{ text string }

func (e *contentError) Error() string { return e.text }

func (d *decoder) record(dec *jx.Decoder) error {
	var (
		r              = Record{Created: NoTime, Updated: NoTime, ArchivedAt: NoTime, Archived: d.archived}
		id, properties bool
		err            error
	)
	if dec.Next() != jx.Object {
		d.page.odd++
		return dec.Skip()
	}
	if d.slots != nil {
		n := len(d.slots.Names)
		if len(d.values) < n {
			d.values = make([][]byte, n*max(1, d.expect-len(d.page.records)))
		}
		r.Values, d.values = d.values[:n:n], d.values[n:]
	}
	err = dec.ObjBytes(func(dec *jx.Decoder, key []byte) error {
		switch string(key) {
		case "id":
			r.ID, id, err = lenientID(dec)
			return err
		case "createdAt":
			r.Created, err = d.time(dec)
			return err
		case "updatedAt":
			r.Updated, err = d.time(dec)
			return err
		case "archivedAt":
			r.ArchivedAt, err = d.time(dec)
			return err
		case "archived":
			r.Archived, err = lenientBool(dec, d.archived)
			return err
		case "properties":
			if d.slots == nil || dec.Next() != jx.Object {
				return dec.Skip()
			}
			properties = true
			return d.properties(dec, &r)
		}
		return dec.Skip()
	})
	switch {
	case err != nil:
		return err
	case !id:
		d.page.odd++
		return nil
	case d.slots != nil && !properties:
		d.page.unread = append(d.page.unread, r.ID)
		return nil
	}
	if !r.Archived || r.ArchivedAt == NoTime {
		r.ArchivedAt = 0
	}
	d.page.records = append(d.page.records, r)
	return nil
}

// properties reads the values that have a slot, and the list of records merged
// into this one. null and "" become nil.
func (d *decoder) properties(dec *jx.Decoder, r *Record) error {
	members, err := dec.ObjIter()
	if err != nil {
		return err
	}
	for n := 0; members.Next(); n++ {
		p := d.property(n, members.Key())
		if p.slot < 0 && !p.merged {
			if err := dec.Skip(); err != nil {
				return err
			}
			continue
		}
		value, err := d.value(dec)
		if err != nil {
			return err
		}
		if p.merged {
			r.Merged = value
		}
		if p.slot >= 0 {
			r.Values[p.slot] = d.published(p.slot, value)
		}
	}
	return members.Err()
}

// property returns a record's nth property. It is mostly the nth property of the
// record before.
func (d *decoder) property(n int, name []byte) *property {
	if n == len(d.order) {
		d.order = append(d.order, property{slot: -1})
	}
	p := &d.order[n]
	if !bytes.Equal(p.name, name) {
		*p = property{name, d.slots.Slot(name), string(name) == MergedProperty}
	}
	return p
}

// published returns the value as it may leave the decoder: the value itself or,
// in a hashed slot, the digest of its text. null stays null.
func (d *decoder) published(slot int, value []byte) []byte {
	if value == nil || d.slots.Hashed == nil || !d.slots.Hashed[slot] {
		return value
	}
	if d.mac == nil {
		d.mac = hmac.New(sha256.New, []byte(d.slots.HashKey.Reveal()))
	}
	d.mac.Reset()
	d.mac.Write(value)
	var sum [sha256.Size]byte
	size := hex.EncodedLen(len(sum))
	d.room(size)
	start := len(d.slab)
	d.slab = hex.AppendEncode(d.slab, d.mac.Sum(sum[:0]))
	return d.slab[start:len(d.slab):len(d.slab)]
}

// value reads one value into the slab.
func (d *decoder) value(dec *jx.Decoder) ([]byte, error) {
	var (
		text   []byte
		err    error
		kind   = dec.Next()
		quoted = kind == jx.String && !d.plain
	)
	switch {
	case kind == jx.Null:
		return nil, dec.Null()
	case kind == jx.String && d.plain:
		text, err = dec.StrBytes()
	default:
		text, err = dec.Raw()
	}
	if err != nil || len(text) == 0 {
		return nil, err
	}
	d.room(len(text))
	start := len(d.slab)
	if quoted {
		d.slab, err = d.unquote(d.slab, text)
	} else {
		d.slab = append(d.slab, text...)
	}
	if err != nil || len(d.slab) == start {
		return nil, err
	}
	return d.slab[start:len(d.slab):len(d.slab)], nil
}

// room gives the slab space for n more bytes, in a new slab if need be. Values
// already handed out keep the old slab.
func (d *decoder) room(n int) {
	if len(d.slab)+n > cap(d.slab) {
		d.slab = make([]byte, 0, max(n, d.slabSize))
	}
}

// readText reads a string or number as text; null is "". The text is valid
// until the next read.
func readText(dec *jx.Decoder) ([]byte, error) {
	switch dec.Next() {
	case jx.String:
		return dec.StrBytes()
	case jx.Number:
		return dec.Raw()
	case jx.Null:
		return nil, dec.Null()
	}
	return nil, errNotTheJSON
}

// time reads ISO 8601 with or without a fraction, or epoch milliseconds.
func (d *decoder) time(dec *jx.Decoder) (Millis, error) {
	text, err := lenientText(dec)
	if err != nil || len(text) == 0 {
		return NoTime, err
	}
	if t, err := time.Parse(time.RFC3339, string(text)); err == nil {
		return MillisOf(t), nil
	}
	ms, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return NoTime, nil
	}
	return Millis(ms), nil
}

// number reads the total, a whole number; NoTotal for anything else.
func (d *decoder) number(dec *jx.Decoder) error {
	text, err := lenientText(dec)
	if err != nil {
		return err
	}
	n, err := strconv.ParseFloat(string(text), 64)
	if err != nil || n != math.Trunc(n) || n < 0 || n > 1<<53 {
		n = NoTotal
	}
	d.page.total = int(n)
	return nil
}

// readPaging reads {"next":{"after":"…"}}; more reports that there is a next
// page. What does not tell where the next page begins is an error: it must not pass
// for the end.
func readPaging(dec *jx.Decoder) (after string, more bool, err error) {
	if dec.Next() == jx.Null {
		return "", false, dec.Null()
	}
	err = dec.ObjBytes(func(dec *jx.Decoder, key []byte) error {
		if string(key) != "next" {
			return dec.Skip()
		}
		if dec.Next() == jx.Null {
			return dec.Null()
		}
		more = true
		return dec.ObjBytes(func(dec *jx.Decoder, key []byte) error {
			if string(key) != "after" {
				return dec.Skip()
			}
			text, err := readText(dec)
			after = string(text)
			return err
		})
	})
	return after, more, err
}

// errors reads the ids named by a batch's errors of category OBJECT_NOT_FOUND.
// It ignores any other error, whatever its shape.
func (d *decoder) errors(dec *jx.Decoder) error {
	d.page.missing = nil
	if dec.Next() != jx.Array {
		return dec.Skip()
	}
	return dec.Arr(func(dec *jx.Decoder) error {
		raw, err := dec.Raw()
		if err != nil {
			return err
		}
		var e struct {
			Category json.RawMessage `json:"category"`
			Context  struct {
				IDs []json.RawMessage `json:"ids"`
			} `json:"context"`
		}
		if json.Unmarshal(raw, &e) != nil || string(e.Category) != `"OBJECT_NOT_FOUND"` {
			return nil
		}
		for _, id := range e.Context.IDs {
			d.page.missing = append(d.page.missing, strings.Trim(string(id), `"`))
		}
		return nil
	})
}

// oddIDs logs once per object type that records were left out because their
// ids are not numbers.
type oddIDs struct {
	mu   sync.Mutex
	said map[string]bool
}

func (o *oddIDs) note(log *slog.Logger, object string, n int) {
	if n == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.said[object] {
		return
	}
	if o.said == nil {
		o.said = map[string]bool{}
	}
	o.said[object] = true
	log.Warn("records left out: their ids are not numbers, so they cannot be keys; remove the type from HUBSPOT_OBJECTS", "object", object, "records", n)
}
