package verify

import (
	"fmt"
	"strings"
	"time"
)

// Progress is how far the comparison of a topic is.
type Progress struct {
	Topic    string
	Done, Of int // keys, of about so many
	// Suspects are the keys that differ so far, while they are looked at again, and
	// Wait is how long they must stand.
	Suspects int
	Wait     time.Duration
	// End is what was found, once the topic is finished.
	End string
}

func (p Progress) String() string {
	switch {
	case p.End != "":
		return p.Topic + ": " + p.End
	case p.Suspects == 0:
		return fmt.Sprintf("%s: %d of about %d compared", p.Topic, p.Done, max(p.Done, p.Of))
	}
	differ := keys(p.Suspects) + " differ"
	if p.Suspects == 1 {
		differ += "s"
	}
	if p.Wait < time.Minute {
		return fmt.Sprintf("%s: %s; looked at again for some seconds", p.Topic, differ)
	}
	return fmt.Sprintf("%s: %s; looked at again, usually for up to %.0f min", p.Topic, differ, p.Wait.Minutes())
}

// sum is what was found of the topic, in a few words.
func (t *Topic) sum() string {
	things := "records"
	switch {
	case t.list:
		things = "entries"
	case strings.Contains(t.object, ":"):
		things = "associations"
	}
	text := fmt.Sprintf("equal, %d %s", t.Equal, things)
	if n := len(t.all); n > 0 {
		text = fmt.Sprintf("%d differ, %d %s are equal", n, t.Equal, things)
	}
	if t.changing > 0 {
		text += fmt.Sprintf(", %d not judged", t.changing)
	}
	return text
}
