package hubspot

import (
	"strings"

	"github.com/go-faster/jx"
)

// errors reads the batch's errors of two kinds: those saying that the records
// they name have no associations, and those saying that the records do not
// exist. It ignores any other error, whatever its shape.
func (d *linksDecoder) errors(dec *jx.Decoder) error {
	d.answer.empty, d.answer.notFound = nil, nil
	if dec.Next() != jx.Array {
		return dec.Skip()
	}
	return dec.Arr(d.error)
}

// error reads one of these errors. There is one for every record without
// associations, in a sweep for almost every record.
func (d *linksDecoder) error(dec *jx.Decoder) error {
	var (
		category, kind string
		from, ids, id  []string
	)
	if dec.Next() != jx.Object {
		return dec.Skip()
	}
	d.odd = false
	err := dec.ObjBytes(func(dec *jx.Decoder, key []byte) (err error) {
		switch {
		case string(key) == "category":
			category, err = d.word(dec)
		case string(key) == "subCategory":
			kind, err = d.word(dec)
		case string(key) == "context" && dec.Next() == jx.Object:
			err = dec.ObjBytes(func(dec *jx.Decoder, key []byte) (err error) {
				switch string(key) {
				case "fromObjectId":
					from, err = d.texts(dec)
				case "ids":
					ids, err = d.texts(dec)
				case "id":
					id, err = d.texts(dec)
				default:
					err = dec.Skip()
				}
				return err
			})
		default:
			err = dec.Skip()
		}
		return err
	})
	switch {
	case err != nil || d.odd:
		return err
	case strings.HasSuffix(kind, "NO_ASSOCIATIONS_FOUND"):
		d.answer.empty = append(d.answer.empty, from...)
	case category == "OBJECT_NOT_FOUND":
		d.answer.notFound = append(append(append(d.answer.notFound, from...), ids...), id...)
	}
	return nil
}

// texts reads a list of ids. Anything but a list makes its error odd.
func (d *linksDecoder) texts(dec *jx.Decoder) (texts []string, err error) {
	if dec.Next() != jx.Array {
		d.odd = d.odd || dec.Next() != jx.Null
		return nil, dec.Skip()
	}
	err = dec.Arr(func(dec *jx.Decoder) error {
		raw, err := dec.Raw()
		texts = append(texts, strings.Trim(string(raw), `"`))
		return err
	})
	return texts, err
}
