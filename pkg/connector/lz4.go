package connector

import (
	"bytes"
	"io"
	"sync"

	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kgo"
)

// lz4Frames compresses a batch in one block of the smallest size that holds it. The
// client would take blocks of 4 MB: two buffers of that size for a batch of any size,
// which it makes again after each garbage collection (findings/kgo-lz4-buffers.sh).
// Portals that commit a few cursors now and then would do little else.
type lz4Frames []lz4Blocks

// lz4Blocks are writers of blocks of a size.
type lz4Blocks struct {
	size    lz4.BlockSize
	writers *sync.Pool
}

// oneLZ4 is for all clients of the process.
var oneLZ4 = func() (all lz4Frames) {
	for _, size := range []lz4.BlockSize{lz4.Block64Kb, lz4.Block256Kb, lz4.Block1Mb, lz4.Block4Mb} {
		all = append(all, lz4Blocks{size, &sync.Pool{New: func() any {
			w := lz4.NewWriter(io.Discard)
			if err := w.Apply(lz4.BlockSizeOption(size)); err != nil {
				panic(err) // it is a size that there is
			}
			return w
		}}})
	}
	return all
}()

// Compress implements kgo.Compressor.
func (l lz4Frames) Compress(dst *bytes.Buffer, src []byte, _ ...kgo.CompressFlag) ([]byte, kgo.CompressionCodecType) {
	i := 0
	for i < len(l)-1 && len(src) > int(l[i].size) {
		i++
	}
	w := l[i].writers.Get().(*lz4.Writer)
	defer l[i].writers.Put(w)
	w.Reset(dst)
	if _, err := w.Write(src); err != nil {
		return nil, kgo.CodecError
	}
	if err := w.Close(); err != nil {
		return nil, kgo.CodecError
	}
	return dst.Bytes(), kgo.CodecLz4
}
