package cdcmodel

import "math/rand/v2"

// block is what one step of a history may choose from. Blocks keep a history
// readable for the shrinker: it can leave out steps, or set choices to zero, and
// the others keep their meaning.
type block [32]uint8

// choices decides what is left to chance in a history. It reads the given blocks.
// Past their end, and past the end of a block, every choice is zero, which always
// means that nothing special happens.
type choices struct {
	blocks []block
	step   int
	at     int
	// all, if not nil, chooses instead, for exhaustive search.
	all *odometer
}

// next begins the next step.
func (c *choices) next() bool {
	c.step++
	c.at = 0
	return c.step <= len(c.blocks)
}

// of chooses a number below n.
func (c *choices) of(n int) int {
	if c.all != nil {
		return c.all.of(n)
	}
	if c.step == 0 || c.step > len(c.blocks) || c.at == len(block{}) {
		return 0
	}
	b := c.blocks[c.step-1][c.at]
	c.at++
	return int(b) % n
}

// draw fills blocks at random. The first one is the world's.
func draw(rng *rand.Rand, blocks []block) []block {
	blocks = blocks[:0]
	for range 10 + rng.IntN(70) {
		var b block
		for i := range b {
			if i%8 == 0 {
				v := rng.Uint64()
				for j := i; j < min(i+8, len(b)); j++ {
					b[j] = uint8(v >> (8 * (j - i)))
				}
			}
		}
		blocks = append(blocks, b)
	}
	return blocks
}

// odometer goes through every sequence of choices: each run takes the choices of
// the run before, except for the last one that had another way left.
type odometer struct {
	taken, ways []int
	at          int
}

func (o *odometer) of(n int) int {
	if n <= 1 {
		return 0
	}
	if o.at == len(o.taken) {
		o.taken, o.ways = append(o.taken, 0), append(o.ways, n)
	}
	o.at++
	return o.taken[o.at-1]
}

// advance moves to the next sequence; it returns false after the last.
func (o *odometer) advance() bool {
	o.at = 0
	for i := len(o.taken) - 1; i >= 0; i-- {
		if o.taken[i]++; o.taken[i] < o.ways[i] {
			o.taken, o.ways = o.taken[:i+1], o.ways[:i+1]
			return true
		}
	}
	return false
}
