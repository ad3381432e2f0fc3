#!/usr/bin/env bash
# Finding: with kgo (franz-go) and LZ4, a batch of one kilobyte costs megabytes. The
# default compressor makes its LZ4 writer with the library's default block size, 4 MB.
# For each batch, whatever its size, the writer takes two buffers of that size from a
# sync.Pool, which a garbage collection empties. So a producer with small batches, whose
# program collects between them, allocates (and clears) 8 MB for each and compresses some
# fifty times as slowly as with blocks of 64 kB, which Kafka's own producer uses. The
# garbage makes collections more frequent in turn. Nothing in kgo's documentation of
# Lz4Compression or of DefaultCompressor says so; its levels do not change it.
# kgo.WithCompressor takes another writer.
#
# Needs Go and the Go module proxy; takes half a minute. Exits 0 while the behaviour
# is as described.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat >main.go <<'GO'
package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kgo"
)

type smallBlocks struct{ w *lz4.Writer }

func (s smallBlocks) Compress(dst *bytes.Buffer, src []byte, _ ...kgo.CompressFlag) ([]byte, kgo.CompressionCodecType) {
	s.w.Reset(dst)
	_, err := s.w.Write(src)
	check(err)
	check(s.w.Close())
	return dst.Bytes(), kgo.CodecLz4
}

// measure compresses a kilobyte after two collections (a sync.Pool keeps its content
// for one), many times, and returns what a time allocates and takes, in the median.
func measure(c kgo.Compressor) (allocated uint64, took time.Duration) {
	src := bytes.Repeat([]byte("some text of 16 "), 64)
	const times = 101
	var all [times]time.Duration
	var before, after runtime.MemStats
	for i := range times {
		var dst bytes.Buffer
		dst.Grow(4096)
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&before)
		began := time.Now()
		out, codec := c.Compress(&dst, src)
		all[i] = time.Since(began)
		runtime.ReadMemStats(&after)
		if codec != kgo.CodecLz4 || len(out) >= len(src) {
			check(fmt.Errorf("codec %d, %d bytes", codec, len(out)))
		}
		allocated += (after.TotalAlloc - before.TotalAlloc) / times
	}
	slices.Sort(all[:])
	return allocated, all[times/2]
}

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func main() {
	theirs, err := kgo.DefaultCompressor(kgo.Lz4Compression())
	check(err)
	w := lz4.NewWriter(io.Discard)
	check(w.Apply(lz4.BlockSizeOption(lz4.Block64Kb)))
	large, slow := measure(theirs)
	small, fast := measure(smallBlocks{w})
	fmt.Printf("kgo's compressor: %d kB allocated and %v for 1 kB; with blocks of 64 kB: %d kB, %v\n", large>>10, slow, small>>10, fast)
	if large < 8<<20 || small > 1<<20 || slow < 5*fast {
		fmt.Println("not as described")
		os.Exit(1)
	}
}
GO
go mod init finding >/dev/null 2>&1
go get github.com/twmb/franz-go@v1.22.3 github.com/pierrec/lz4/v4@v4.1.33 >/dev/null 2>&1
go mod tidy >/dev/null 2>&1
go run .
echo "as described: franz-go v1.22.3, pierrec/lz4 v4.1.33"
