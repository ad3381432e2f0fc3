package hubspot

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"testing"
)

// The room of a large answer stays for the next large one, and not for those of an idle
// process, which are small.
func TestBody_SmallAnswersDoNotKeepTheRoomOfALargeOne(t *testing.T) {
	answer := func(size int) *http.Response {
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		_, _ = w.Write(bytes.Repeat([]byte("a page of records "), size/18))
		_ = w.Close()
		return &http.Response{Header: http.Header{"Content-Encoding": {"gzip"}}, ContentLength: -1, Body: io.NopCloser(&packed)}
	}
	b := new(body)
	room := func(size int) int {
		if _, err := b.read(answer(size)); err != nil {
			t.Fatal(err)
		}
		b.trim()
		return b.packed.Cap() + b.plain.Cap()
	}
	if n := room(500_000); n < 500_000 {
		t.Errorf("a large answer leaves %d bytes", n)
	}
	if n := room(200_000); n < 500_000 {
		t.Errorf("the next large one leaves %d bytes", n)
	}
	if n := room(2_000); n > smallRoom {
		t.Errorf("a small one leaves %d bytes", n)
	}
	if n := room(20_000_000); n > keptRoom {
		t.Errorf("an enormous one leaves %d bytes", n)
	}
}
