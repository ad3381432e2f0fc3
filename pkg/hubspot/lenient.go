package hubspot

import (
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"strings"
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
