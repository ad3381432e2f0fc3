package cdc

import (
	"encoding/binary"
	"iter"
	"math/bits"
	"slices"
	"sort"
)

// blocks is a sorted set of values that are written one after the other, each as its
// difference to the one before. There can be tens of millions of rows and links: a
// map, a tree or a slice of them would take several times the bytes, and the garbage
// collector would look for pointers in it.
//
// Puts and removes are collected and merged into the blocks when somebody looks next,
// so a set that is filled without a look costs little more than writing it once.
type blocks[T any] struct {
	coder[T]
	list    []block[T] // none is empty
	pending []edit[T]
	spread  bool // the last merge touched a large part of the blocks
	n, live int  // in list
}

// coder knows the values of a set. Values travel by pointer, because these calls
// are made for every value that is passed over.
type coder[T any] interface {
	compare(a, b *T) int
	// append writes v, which follows prev. A block's first value follows the zero value.
	append(b []byte, prev, v *T) []byte
	// next replaces v by the value that follows it, and returns what is left of b.
	next(b []byte, v *T) []byte
	isLive(v *T) bool
}

type block[T any] struct {
	first   T
	n, live int32
	data    []byte
}

type edit[T any] struct {
	value T
	at    uint32 // the how manyth it is: of several edits of one value the last counts
	gone  bool
}

// editOrder sorts edits by value, and those of one value as they came.
type editOrder[T any] struct {
	coder[T]
	edits []edit[T]
}

func (o editOrder[T]) Len() int      { return len(o.edits) }
func (o editOrder[T]) Swap(i, j int) { o.edits[i], o.edits[j] = o.edits[j], o.edits[i] }
func (o editOrder[T]) Less(i, j int) bool {
	x, y := &o.edits[i], &o.edits[j]
	c := o.compare(&x.value, &y.value)
	return c < 0 || c == 0 && x.at < y.at
}

// blockMost is the largest number of values in a block: a look reads half of it, and
// a change writes all of it.
const blockMost = 64

// inPlace is how many splits move what lies behind each of them; of more, the list of
// blocks is written once more.
const inPlace = 8

// edits is how many changes a set collects before it merges them by itself. Merging
// costs as much as the blocks that it touches: few while a set is filled in order, or
// in several places in order, and all of them while it is filled in any order.
func (b *blocks[T]) edits() int {
	if b.spread {
		return max(1<<14, 1<<bits.Len(uint(b.n/16))) // an eighth of the set at most
	}
	return 1 << 14
}

// put adds v, or replaces the value that compares equal.
func (b *blocks[T]) put(v T) { b.edit(v, false) }

// remove takes out the value that compares equal to v.
func (b *blocks[T]) remove(v T) { b.edit(v, true) }

func (b *blocks[T]) edit(v T, gone bool) {
	if b.pending = append(b.pending, edit[T]{v, uint32(len(b.pending)), gone}); len(b.pending) >= b.edits() {
		b.merge()
		b.pending = slices.Grow(b.pending[:0], b.edits())
	}
}

// settle merges what is pending. Every look at the set begins with it.
func (b *blocks[T]) settle() {
	if b.pending != nil {
		b.merge()
		b.pending = nil
	}
}

// merge writes the blocks that the pending edits touch once more, and shares out the
// values of each among as many blocks as they need.
func (b *blocks[T]) merge() {
	edits := b.pending
	if order := (editOrder[T]{b.coder, edits}); !sort.IsSorted(order) {
		sort.Sort(order)
	}
	type split struct {
		at   int // the block that is replaced
		into []block[T]
	}
	var splits []split
	var values []T
	var buffer []byte
	grown, touched := 0, 0
	for at := 0; len(edits) > 0; at++ {
		if len(b.list) > 0 {
			at += b.blockOf(b.list[at:], &edits[0].value)
		}
		here := len(edits)
		if at+1 < len(b.list) {
			border := &b.list[at+1].first
			here = sort.Search(len(edits), func(i int) bool { return b.compare(&edits[i].value, border) >= 0 })
		}
		touched++
		var old block[T]
		if len(b.list) > 0 {
			old = b.list[at]
		}
		values = b.apply(values[:0], old, edits[:here])
		edits = edits[here:]
		var into []block[T]
		into, buffer = b.write(values, buffer)
		b.n += len(values) - int(old.n)
		b.live -= int(old.live)
		for i := range into {
			b.live += int(into[i].live)
		}
		if len(into) == 1 && len(b.list) > 0 {
			b.list[at] = into[0]
			continue
		}
		splits = append(splits, split{at, into})
		grown += len(into)
	}
	b.spread = touched > len(b.list)/4
	if len(splits) <= inPlace {
		for _, s := range slices.Backward(splits) {
			b.list = slices.Replace(b.list, s.at, min(s.at+1, len(b.list)), s.into...)
		}
		return
	}
	list, at := b.list, 0
	b.list = make([]block[T], 0, len(list)+grown-len(splits))
	for _, s := range splits {
		b.list = append(append(b.list, list[at:s.at]...), s.into...)
		at = s.at + 1
	}
	b.list = append(b.list, list[at:]...)
}

// apply appends the values of a block after these edits, which are in order.
func (b *blocks[T]) apply(values []T, old block[T], edits []edit[T]) []T {
	var v T
	rest := old.data
	have := len(rest) > 0
	if have {
		rest = b.next(rest, &v)
	}
	for i := range edits {
		e := &edits[i]
		if i+1 < len(edits) && b.compare(&e.value, &edits[i+1].value) == 0 {
			continue
		}
		for have {
			c := b.compare(&v, &e.value)
			if c < 0 {
				values = append(values, v)
			}
			if c > 0 {
				break
			}
			if have = len(rest) > 0; have {
				rest = b.next(rest, &v)
			}
		}
		if !e.gone {
			values = append(values, e.value)
		}
	}
	for have {
		values = append(values, v)
		if have = len(rest) > 0; have {
			rest = b.next(rest, &v)
		}
	}
	return values
}

// write makes blocks of equal size of values.
func (b *blocks[T]) write(values []T, buffer []byte) ([]block[T], []byte) {
	out := make([]block[T], 0, (len(values)+blockMost-1)/blockMost)
	for left := cap(out); left > 0; left-- {
		n := len(values) / left
		bl := block[T]{first: values[0], n: int32(n)}
		buffer = buffer[:0]
		var prev T
		for i := range values[:n] {
			v := &values[i]
			buffer = b.append(buffer, &prev, v)
			prev = *v
			if b.isLive(v) {
				bl.live++
			}
		}
		bl.data = slices.Clone(buffer)
		out = append(out, bl)
		values = values[n:]
	}
	return out, buffer
}

// blockOf returns the block of list in which v stands, or would stand.
func (b *blocks[T]) blockOf(list []block[T], v *T) int {
	return max(0, sort.Search(len(list), func(i int) bool { return b.compare(&list[i].first, v) > 0 })-1)
}

// get returns the value that compares equal to v.
func (b *blocks[T]) get(v T) (found T, ok bool) {
	b.settle()
	if len(b.list) == 0 {
		return found, false
	}
	var x T
	for rest := b.list[b.blockOf(b.list, &v)].data; len(rest) > 0; {
		rest = b.next(rest, &x)
		if c := b.compare(&x, &v); c == 0 {
			return x, true
		} else if c > 0 {
			break
		}
	}
	return found, false
}

// from yields the values from v on, in order. The set must not change meanwhile.
func (b *blocks[T]) from(v T) iter.Seq[T] {
	return func(yield func(T) bool) {
		b.settle()
		before := true // v is not reached
		for at := b.blockOf(b.list, &v); at < len(b.list); at++ {
			var x T
			for rest := b.list[at].data; len(rest) > 0; {
				rest = b.next(rest, &x)
				if before && b.compare(&x, &v) < 0 {
					continue
				}
				before = false
				if !yield(x) {
					return
				}
			}
			before = false
		}
	}
}

// rank is the number of live values up to and including v.
func (b *blocks[T]) rank(v T) (n int) {
	b.settle()
	at := b.blockOf(b.list, &v)
	for i := range b.list[:at] {
		n += int(b.list[i].live)
	}
	if at == len(b.list) {
		return 0
	}
	var x T
	for rest := b.list[at].data; len(rest) > 0; {
		if rest = b.next(rest, &x); b.compare(&x, &v) > 0 {
			break
		}
		if b.isLive(&x) {
			n++
		}
	}
	return n
}

// nth returns the n-th live value, from 0 on.
func (b *blocks[T]) nth(n int) (v T, ok bool) {
	b.settle()
	for i := range b.list {
		if n >= int(b.list[i].live) {
			n -= int(b.list[i].live)
			continue
		}
		for rest := b.list[i].data; len(rest) > 0; {
			if rest = b.next(rest, &v); !b.isLive(&v) {
				continue
			}
			if n == 0 {
				return v, true
			}
			n--
		}
	}
	return v, false
}

// appendDelta writes what must be added to from to get to, modulo 2^64, in few bytes if
// it is small or negative and small.
func appendDelta(b []byte, from, to uint64) []byte { return binary.AppendVarint(b, int64(to-from)) }

func delta(b []byte, from uint64) (to uint64, rest []byte) {
	d, n := binary.Varint(b)
	return from + uint64(d), b[n:]
}
