package offsets

import "cmp"

// Refusal is an error that another try does not cure and that only an operator
// can decide about. The process ends with exit code 3.
type Refusal struct {
	To   string // what is refused; "" means to start
	What string // what was found, and where
	Cure string // what to do about it
}

func (r *Refusal) Error() string {
	return "refusing to " + cmp.Or(r.To, "start") + ": " + r.What + "; " + r.Cure
}

// ChangeCursors is Refusal.To where an operator wanted to change cursors.
const ChangeCursors = "change cursors"
