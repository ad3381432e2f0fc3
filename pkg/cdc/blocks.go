package cdc

import (
	"iter"
	"slices"
	"sort"
)

// blocks is a sorted set of small values in slices of a few hundred. There can be
// tens of millions of links: a map, or a tree with spare room in every node, would
// take two or three times the bytes of the values themselves.
type blocks[T any] struct {
	compare func(a, b T) int
	list    [][]T // none is empty
	n       int
}

const (
	blockMost = 256
	// blockRoom is by how many values a full block grows. Growing by little costs a
	// short copy now and then, and keeps the unused room small.
	blockRoom = 8
)

// seek returns the block in which v stands, or would stand, and its place there.
func (b *blocks[T]) seek(v T) (block, at int, found bool) {
	block = sort.Search(len(b.list), func(i int) bool { return b.compare(b.list[i][0], v) > 0 }) - 1
	if block < 0 {
		return 0, 0, false
	}
	at, found = slices.BinarySearchFunc(b.list[block], v, b.compare)
	return block, at, found
}

// put adds v, or replaces the value that compares equal.
func (b *blocks[T]) put(v T) {
	block, at, found := b.seek(v)
	if found {
		b.list[block][at] = v
		return
	}
	b.n++
	switch {
	case len(b.list) == 0:
		b.list = append(b.list, []T{v})
	case len(b.list[block]) < blockMost:
		b.list[block] = insertTight(b.list[block], at, v)
	case block == len(b.list)-1 && at == blockMost:
		// Values that arrive in order fill every block.
		b.list = append(b.list, []T{v})
	default:
		const half = blockMost / 2
		full := b.list[block]
		b.list = slices.Insert(b.list, block+1, slices.Clone(full[half:]))
		b.list[block] = slices.Clone(full[:half])
		if at > half {
			b.list[block+1] = insertTight(b.list[block+1], at-half, v)
		} else {
			b.list[block] = insertTight(b.list[block], at, v)
		}
	}
}

func insertTight[T any](s []T, at int, v T) []T {
	if len(s) < cap(s) {
		return slices.Insert(s, at, v)
	}
	grown := make([]T, len(s)+1, min(len(s)+blockRoom, blockMost))
	copy(grown, s[:at])
	grown[at] = v
	copy(grown[at+1:], s[at:])
	return grown
}

// remove takes out the value that compares equal to v.
func (b *blocks[T]) remove(v T) {
	block, at, found := b.seek(v)
	if !found {
		return
	}
	b.n--
	if b.list[block] = slices.Delete(b.list[block], at, at+1); len(b.list[block]) == 0 {
		b.list = slices.Delete(b.list, block, block+1)
	}
}

// from yields the values from v on, in order. The set must not change meanwhile.
func (b *blocks[T]) from(v T) iter.Seq[T] {
	return func(yield func(T) bool) {
		block, at, _ := b.seek(v)
		for ; block < len(b.list); block, at = block+1, 0 {
			for _, x := range b.list[block][at:] {
				if !yield(x) {
					return
				}
			}
		}
	}
}
