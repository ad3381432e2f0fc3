package hubspot

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// body is room for an answer's text, for one answer after another: a page of records
// is a hundred kilobytes and more, and what is read of it is copied.
type body struct {
	packed, plain bytes.Buffer
	source        bytes.Reader
	unpack        gzip.Reader
}

var bodies = sync.Pool{New: func() any { return new(body) }}

// keptRoom is how much room an answer may leave behind. An answer of maxAnswer bytes
// must not keep them.
const keptRoom = 4 << 20

// free gives the room to the next answer.
func (b *body) free() {
	if b.packed.Cap()+b.plain.Cap() <= keptRoom {
		bodies.Put(b)
	}
}

// read reads and decompresses the whole body, up to maxAnswer bytes. An empty one has
// nothing to decompress, whatever its header says.
func (b *body) read(res *http.Response) ([]byte, error) {
	if res.ContentLength > maxAnswer {
		return nil, errTooLarge
	}
	packed, err := fill(&b.packed, res.Body)
	if err != nil || len(packed) == 0 || !strings.EqualFold(res.Header.Get("Content-Encoding"), "gzip") && !bytes.HasPrefix(packed, gzipMagic) {
		return packed, err
	}
	b.source.Reset(packed)
	if err := b.unpack.Reset(&b.source); err != nil {
		return nil, fmt.Errorf("%w: %w", errNotGzip, err)
	}
	plain, err := fill(&b.plain, &b.unpack)
	if err != nil && !errors.Is(err, errTooLarge) {
		err = fmt.Errorf("%w: %w", errNotGzip, err)
	}
	return plain, err
}

// gzipMagic begins a gzip file, which a file's host may not call one. No JSON begins
// so.
var gzipMagic = []byte{0x1f, 0x8b}

// fill reads all of r into buf.
func fill(buf *bytes.Buffer, r io.Reader) ([]byte, error) {
	buf.Reset()
	n, err := buf.ReadFrom(io.LimitReader(r, maxAnswer+1))
	if err == nil && n > maxAnswer {
		err = errTooLarge
	}
	return buf.Bytes(), err
}
