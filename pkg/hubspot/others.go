package hubspot

import "time"

// others is how many calls of other apps HubSpot counts in its interval, as its
// answers to ours show.
//
// Each answer carries HubSpot's count of the interval that ended when our call
// arrived. As all calls are about equally long on their way, those of ours that it
// counted were sent in the interval that ended when ours was sent, give or take a
// few. So the mean of several answers counts.
//
// The policy's name says that the interval rolls. If it does not, the count begins
// at zero again and again, and lacks calls of ours that were answered long ago. Then
// a mean says nothing, and the count at the end of an interval, the highest, is the
// true one, but for a few calls that overtook others.
//
// Other apps call unevenly, so what counts is the highest number of the latest
// minute.
type others struct {
	answers  float64 // how many the mean is of, up to meanOf
	mean     float64
	fixed    time.Time  // when HubSpot last showed that its interval does not roll
	peaks    [2]float64 // the highest of this half minute and of the one before
	turned   time.Time  // when this half minute began
	observed time.Time
}

const (
	meanOf    = 16
	halfPeaks = 3 // intervals
)

// most returns the highest number of the latest minute, in intervals of ten
// seconds; 0 if nothing is known.
func (o *others) most(now time.Time, interval time.Duration) float64 {
	o.turn(now, interval)
	return max(o.peaks[0], o.peaks[1])
}

func (o *others) turn(now time.Time, interval time.Duration) {
	switch since := now.Sub(o.turned); {
	case now.Sub(o.observed) > 2*interval:
		o.answers, o.mean, o.peaks, o.turned = 0, 0, [2]float64{}, now
	case since > halfPeaks*interval:
		o.peaks, o.turned = [2]float64{0, o.peaks[0]}, now
	}
}

// observe learns from HubSpot's count in the answer to p.
func (o *others) observe(count, limit float64, interval time.Duration, now time.Time, p *pass, ours *window) {
	if now.Sub(p.sent) > longestAnswer {
		return
	}
	o.turn(now, interval)
	o.observed = now
	n := count - float64(ours.within(p.sent.Add(-interval), p.sent))
	sure := ours.within(now.Add(-interval), p.sent.Add(-longestTravel))
	if count < float64(sure)-limit/20 {
		o.fixed = now
	}
	o.answers = min(o.answers+1, meanOf)
	o.mean += (n - o.mean) / o.answers
	if n -= limit / 100; o.fixed.IsZero() || now.Sub(o.fixed) > 2*halfPeaks*interval {
		n = o.mean
	}
	o.peaks[0] = max(o.peaks[0], n)
}
