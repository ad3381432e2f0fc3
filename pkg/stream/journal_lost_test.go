package stream

import (
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// TestR16_EverythingIsReadAgainEverMoreRarely: losses in a row are made good at most
// ten minutes after the one before, then after waits that double up to a day. A day
// without any begins from the start.
func TestR16_EverythingIsReadAgainEverMoreRarely(t *testing.T) {
	t.Parallel()
	const minute = hubspot.Millis(60_000)
	none := func(hubspot.Millis) bool { return false }
	var r rereads
	var at []hubspot.Millis
	for now := minute; now <= 6*24*60*minute; now += minute { // a loss each minute, which is made good within it
		if now >= r.next {
			r.begin(now, now, none)
			at = append(at, now/minute)
		}
	}
	want := []hubspot.Millis{1, 11, 31, 71, 151, 311, 631, 1271, 2551, 3991, 5431, 6871, 8311}
	if len(at) != len(want) {
		t.Fatalf("everything was read again at the minutes %d, want %d", at, want)
	}
	for i := range want {
		if at[i] != want[i] {
			t.Fatalf("everything was read again at the minutes %d, want %d", at, want)
		}
	}
	later := r.next.Add(25 * time.Hour)
	if r.begin(later, later, none); r.next != later.Add(rereadLeast) {
		t.Errorf("after a day without a loss the next one waits %v", r.next-later)
	}
}

// TestR16_AClockThatGoesBackReadsNothingTwice: a reading that begins when the loss is
// noticed counts, although HubSpot's time has gone back meanwhile. One that may have
// begun before the loss does not.
func TestR16_AClockThatGoesBackReadsNothingTwice(t *testing.T) {
	t.Parallel()
	const lost, now = hubspot.Millis(5_400), hubspot.Millis(5_000)
	for latest, want := range map[hubspot.Millis]hubspot.Millis{0: now, now - 1: now, now: lost, now + 1: lost} {
		var r rereads
		var s sweeps
		s.begin(latest)
		if r.begin(lost, now, s.begunSince); r.lost != lost || r.since != want {
			t.Errorf("after a reading of %d those since %d make good the loss of %d, want those since %d", latest, r.since, r.lost, want)
		}
	}
}
