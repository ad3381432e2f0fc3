#!/usr/bin/env bash
# Finding: with several registry URLs, franz-go's schema registry client tries
# the next one only when a connection fails. A registry that answers 500 (a
# follower that lost its leader, a proxy without a backend) ends the request,
# though the second URL would answer. One would expect both to be tried.
#
# Needs Go and the Go module proxy. Exits 0 while the behaviour is as described.
set -euo pipefail
version=v1.8.0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"

	"github.com/twmb/franz-go/pkg/sr"
)

func main() {
	second := 0
	good := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		second++
		w.Header().Set("Content-Type", "application/vnd.schemaregistry.v1+json")
		fmt.Fprint(w, `["orders-value"]`)
	}))
	defer good.Close()
	failing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"error_code":50003,"message":"forwarding to the leader failed"}`, http.StatusInternalServerError)
	}))
	defer failing.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	closed.Close() // nobody listens there now

	for _, c := range []struct{ what, first string }{
		{"first URL refuses connections", "http://" + closed.Addr().String()},
		{"first URL answers 500", failing.URL},
	} {
		second = 0
		cl, err := sr.NewClient(sr.URLs(c.first, good.URL))
		if err != nil {
			panic(err)
		}
		subjects, err := cl.Subjects(context.Background())
		fmt.Printf("%s: second URL asked %d times, subjects %v, error %v\n", c.what, second, subjects, err != nil)
	}
}
GO
go mod init finding >/dev/null 2>&1
go get "github.com/twmb/franz-go/pkg/sr@$version" >/dev/null 2>&1
go mod tidy >/dev/null 2>&1
out=$(go run .)
echo "github.com/twmb/franz-go/pkg/sr $version"
echo "$out"
want='first URL refuses connections: second URL asked 1 times, subjects [orders-value], error false
first URL answers 500: second URL asked 0 times, subjects [], error true'
[ "$out" = "$want" ] || { echo "the behaviour has changed; it was:"; echo "$want"; exit 1; }
