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

// keptRoom is how much room an answer may leave behind: one of maxAnswer bytes must not
// keep them. And what a large answer left goes with the first that hardly needs it, else
// the small ones of an idle process would keep it for each other.
const (
	keptRoom  = 4 << 20
	smallRoom = 64 << 10
	hardly    = 8 // times the room that the answer needed
)

// free gives the room to the next answer.
func (b *body) free() {
	b.trim()
	bodies.Put(b)
}

func (b *body) trim() {
	room, needed := b.packed.Cap()+b.plain.Cap(), b.packed.Len()+b.plain.Len()
	if room > keptRoom || room > smallRoom && room > hardly*needed {
		b.source.Reset(nil)
		b.packed, b.plain = bytes.Buffer{}, bytes.Buffer{}
	}
}

// read reads and decompresses the whole body, up to maxAnswer bytes. An empty one has
// nothing to decompress, whatever its header says.
func (b *body) read(res *http.Response) ([]byte, error) {
	if res.ContentLength > maxAnswer {
		return nil, errTooLarge
	}
	b.plain.Reset()
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
