package offsets

// Refusal is an error that another try does not mend and that only an
// operator can decide about: the process ends with exit code 3.
type Refusal struct {
	What string // what was found, and where
	Cure string // what to do about it
}

func (r *Refusal) Error() string { return "refusing to start: " + r.What + "; " + r.Cure }
