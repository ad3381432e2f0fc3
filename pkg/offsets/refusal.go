package offsets

import "cmp"

// Refusal is an error that another try does not mend and that only an
// operator can decide about: the process ends with exit code 3.
type Refusal struct {
	To   string // what is refused; "" means to start
	What string // what was found, and where
	Cure string // what to do about it
}

func (r *Refusal) Error() string {
	return "refusing to " + cmp.Or(r.To, "start") + ": " + r.What + "; " + r.Cure
}

// ChangeCursors is a Refusal's To where an operator asked for other cursors.
const ChangeCursors = "change cursors"
