package hubspot

import (
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-faster/jx"
)

// lenient reads a JSON value into v as encoding/json does. Where a part of it has a
// form that v does not take, that part stays empty, and the others are read (R18).
func lenient(raw json.RawMessage, v reflect.Value) {
	if json.Unmarshal(raw, v.Addr().Interface()) == nil {
		return
	}
	v.SetZero()
	if _, own := v.Addr().Interface().(json.Unmarshaler); own {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if n, ok := int32In(raw); ok && v.Type().Elem().Kind() == reflect.Int32 {
			v.Set(reflect.ValueOf(&n))
		}
	case reflect.Slice:
		var elements []json.RawMessage
		if json.Unmarshal(raw, &elements) != nil {
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), len(elements), len(elements)))
		for i := range elements {
			lenient(elements[i], v.Index(i))
		}
	case reflect.Struct:
		var members map[string]json.RawMessage
		if json.Unmarshal(raw, &members) != nil {
			return
		}
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			if member, ok := members[name]; ok {
				lenient(member, v.Field(i))
			}
		}
	}
}

// readOne reads an answer that is one thing. A member of an odd form stays empty, as in
// readResults.
func readOne[T any](body []byte, one *T) error {
	if !json.Valid(body) {
		return errNotTheJSON
	}
	*one = *new(T)
	lenient(body, reflect.ValueOf(one).Elem())
	return nil
}

// int32In reads a whole number, also in quotes or with a fraction of zero.
func int32In(raw json.RawMessage) (int32, bool) {
	n, err := strconv.ParseFloat(strings.Trim(string(raw), `"`), 64)
	if err != nil || n != math.Trunc(n) || n < math.MinInt32 || n > math.MaxInt32 {
		return 0, false
	}
	return int32(n), true
}

// lenientText is readText, with "" for what is neither text nor a number.
func lenientText(dec *jx.Decoder) ([]byte, error) {
	switch dec.Next() {
	case jx.String, jx.Number:
		return readText(dec)
	}
	return nil, dec.Skip()
}

// lenientID reads an id; ok is false if it is none.
func lenientID(dec *jx.Decoder) (id ID, ok bool, err error) {
	text, err := lenientText(dec)
	if err != nil {
		return 0, false, err
	}
	id, odd := ParseID(string(text))
	return id, odd == nil, nil
}

// lenientBool reads true or false, also in quotes. Anything else is what it is taken
// for.
func lenientBool(dec *jx.Decoder, otherwise bool) (bool, error) {
	switch dec.Next() {
	case jx.Bool:
		return dec.Bool()
	case jx.String:
		text, err := dec.StrBytes()
		if b, odd := strconv.ParseBool(string(text)); odd == nil {
			return b, err
		}
		return otherwise, err
	}
	return otherwise, dec.Skip()
}
