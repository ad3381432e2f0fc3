#!/usr/bin/env bash
# Finding: a franz-go client removes duplicates from the list of codecs given to
# kgo.ProducerBatchCompression in the caller's own slice, and it does so when the
# client starts, not when the option is made. So a list that is kept for several
# clients changes under its owner, and two clients that start at the same time
# write into it: the race detector says so even where nothing is twice. One would
# expect an option to copy what it is given, or only to read it.
#
# Needs Go, a C compiler for the race detector, and the Go module proxy. Exits 0
# while the behaviour is as described.
set -euo pipefail
version=v1.22.3
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat >main.go <<'GO'
package main

import (
	"fmt"
	"os"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

func start(codecs []kgo.CompressionCodec) {
	cl, err := kgo.NewClient(kgo.SeedBrokers("127.0.0.1:9"), kgo.ProducerBatchCompression(codecs...))
	if err != nil {
		panic(err)
	}
	cl.Close()
}

func main() {
	lz4, zstd := kgo.Lz4Compression(), kgo.ZstdCompression()
	if len(os.Args) > 1 { // under the race detector: nothing is twice
		codecs := []kgo.CompressionCodec{zstd, lz4}
		var both sync.WaitGroup
		for range 2 {
			both.Add(1)
			go func() { defer both.Done(); start(codecs) }()
		}
		both.Wait()
		return
	}
	codecs := []kgo.CompressionCodec{lz4, lz4, zstd}
	start(codecs)
	fmt.Println("the list lz4, lz4, zstd has zstd in its second place after a client started:", codecs[1] == zstd)
}
GO
go mod init finding >/dev/null 2>&1
go get "github.com/twmb/franz-go@$version" >/dev/null 2>&1
go mod tidy >/dev/null 2>&1
race=no
for _ in 1 2 3 4 5; do
  if ! go run -race . two 2>race.txt && grep -q 'DATA RACE' race.txt && grep -q 'kgo.DefaultCompressor' race.txt; then
    race=yes
    break
  fi
done
out=$(go run .; echo "two clients that start with one list, in the race detector: a race in DefaultCompressor: $race")
echo "github.com/twmb/franz-go $version"
echo "$out"
want='the list lz4, lz4, zstd has zstd in its second place after a client started: true
two clients that start with one list, in the race detector: a race in DefaultCompressor: yes'
[ "$out" = "$want" ] || { echo "the behaviour has changed; it was:"; echo "$want"; exit 1; }
