package page

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/hubspot-cdc/connector/pkg/stream"
)

// Problem is one of Status.Problems.
type Problem = stream.Problem

// repository is where the pages of docs can be read.
const repository = "https://github.com/hubspot-cdc/connector/blob/main/"

//go:embed page.html
var source string

var parsed = template.Must(template.New("page").Funcs(template.FuncMap{
	"count": func(n any) string {
		if long, ok := n.(int64); ok {
			return count(long)
		}
		return count(n.(int))
	},
	"span": func(seconds any) string {
		if p, ok := seconds.(*float64); ok {
			return span(*p)
		}
		return span(seconds.(float64))
	},
	"time":       func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
	"millis":     func(seconds float64) string { return decimal(1000*seconds) + " ms" },
	"repository": func() string { return repository },
	"number":     number, "far": far, "types": types, "join": join, "limit": limitName, "throttled": throttled,
}).Parse(source))

// HTML renders the page. It is complete without JavaScript, and asks for nothing but
// itself.
func (s *Status) HTML() ([]byte, error) {
	var out bytes.Buffer
	err := parsed.Execute(&out, s)
	return out.Bytes(), err
}

// Policy is the page's Content-Security-Policy: its own style and script, requests to
// its own address, and nothing else.
var Policy = policy()

// Headers sets those of the answer that carries a page.
func Headers(h http.Header) {
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", Policy)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
}

func policy() string {
	page, err := new(Status).HTML()
	if err != nil {
		panic(err) // the template is part of the program
	}
	return "default-src 'none'; style-src " + hashed(page, "style") + "; script-src " + hashed(page, "script") +
		"; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

// hashed is the source of an element that the policy allows.
func hashed(page []byte, element string) string {
	sum := sha256.Sum256([]byte(within(string(page), element)))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func within(page, element string) string {
	_, rest, _ := strings.Cut(page, "<"+element+">")
	text, _, _ := strings.Cut(rest, "</"+element+">")
	return text
}

// Helpers are the functions for templates of other pages that look like this one. Its
// style and script are among them: Policy allows these.
func Helpers() template.FuncMap {
	return template.FuncMap{
		"style":  func() template.CSS { return template.CSS(within(source, "style")) }, //nolint:gosec // of this program
		"script": func() template.JS { return template.JS(within(source, "script")) },  //nolint:gosec // of this program
		"count":  func(n int) string { return count(n) }, "span": span, "repository": func() string { return repository },
		"time": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
	}
}
