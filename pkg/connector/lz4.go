package connector

import (
	"bytes"
	"io"
	"sync"

	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kgo"
)

// lz4Frames compresses in blocks of 64 kB, as Kafka's own producer does. The client
// would take blocks of 4 MB: two buffers of that size for a batch of any size, which it
// makes again after each garbage collection (findings/kgo-lz4-buffers.sh). Portals that
// commit a few cursors now and then would do little else.
type lz4Frames struct{ writers sync.Pool }

// oneLZ4 is for all clients of the process.
var oneLZ4 = &lz4Frames{sync.Pool{New: func() any {
	w := lz4.NewWriter(io.Discard)
	if err := w.Apply(lz4.BlockSizeOption(lz4.Block64Kb)); err != nil {
		panic(err) // it is a size that there is
	}
	return w
}}}

// Compress implements kgo.Compressor.
func (l *lz4Frames) Compress(dst *bytes.Buffer, src []byte, _ ...kgo.CompressFlag) ([]byte, kgo.CompressionCodecType) {
	w := l.writers.Get().(*lz4.Writer)
	defer l.writers.Put(w)
	w.Reset(dst)
	if _, err := w.Write(src); err != nil {
		return nil, kgo.CodecError
	}
	if err := w.Close(); err != nil {
		return nil, kgo.CodecError
	}
	return dst.Bytes(), kgo.CodecLz4
}
