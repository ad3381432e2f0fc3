package stream

import "log/slog"

// HeldError says what HubSpot no longer shows and the connector does not believe to
// be gone yet (R19). It is a problem of a part of an object's work.
type HeldError struct {
	What string
	// Wait says what the connector waits for.
	Wait string
}

func (e *HeldError) Error() string { return e.What + "; " + e.Wait }

func (e *HeldError) action() string {
	return "check in HubSpot whether somebody removed this on purpose; if so, wait, else see HubSpot's status page: what is published stays meanwhile"
}

// Held keeps status and log up to date about what is held back in a part of an
// object's work; err is nil if nothing is.
func (s *Status) Held(log *slog.Logger, object, part string, err *HeldError) {
	before := false
	s.change(object, part, func(st *streamState) { before = st.problem != nil })
	switch {
	case err == nil:
		s.Clear(object, part)
		if before {
			log.Info("nothing is held back any more", "part", part)
		}
	case s.Problem(object, part, err) && !before:
		log.Warn("HubSpot no longer shows something, and the connector does not believe it yet", "part", part, "err", err, "cure", err.action())
	}
}
