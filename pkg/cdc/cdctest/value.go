package cdctest

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// sameValue compares HubSpot's raw text with the typed value that a consumer saw
// and the text in unparsed. It writes the rules down a second time: what package
// schema gets wrong should not be wrong here too.
func sameValue(raw string, typed any, unparsed string) bool {
	if raw == "" {
		return typed == nil && unparsed == ""
	}
	if unparsed != "" {
		return unparsed == raw
	}
	switch v := typed.(type) {
	case string:
		return v == raw
	case bool:
		switch strings.ToLower(raw) {
		case "true", "yes":
			return v
		case "false", "no":
			return !v
		}
	case float64:
		f, err := strconv.ParseFloat(raw, 64)
		return err == nil && f == v && !math.IsInf(f, 0)
	case time.Time:
		at, ok := parseTime(raw)
		return ok && at.Equal(v)
	}
	return false
}

func parseTime(raw string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if at, err := time.Parse(layout, raw); err == nil {
			return at, true
		}
	}
	ms, err := strconv.ParseFloat(raw, 64)
	return time.UnixMilli(int64(ms)), err == nil
}
