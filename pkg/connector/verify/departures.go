package verify

// departures counts how often each key has left a topic since the first look at it. A
// key that is away at two looks has not been so all the while if it left in between.
type departures[K comparable] struct {
	left map[K]uint64 // nil: nobody looks yet, and what left before is of no interest
}

func (d *departures[K]) watch() {
	if d.left == nil {
		d.left = map[K]uint64{}
	}
}

// leave notes that a key was live and is not any more.
func (d *departures[K]) leave(key K) {
	if d.left != nil {
		d.left[key]++
	}
}
