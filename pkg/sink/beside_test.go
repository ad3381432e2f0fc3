package sink

import (
	"context"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestBeside_ManySignalsWait: a reader that is now slow, now quick, gets all in order,
// although the client stops fetching while too many wait.
func TestBeside_ManySignalsWait(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.create(signalsTopicName, 1, nil)
		b, err := NewBeside(w.Options())
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		rng := rand.New(rand.NewPCG(1, 0))
		s := b.follow(signalsTopicName, 0, 0)
		defer s.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		got, sent := 0, 0
		for range 100 {
			var records []*kgo.Record
			for range signalsWaiting + rng.IntN(signalsWaiting) {
				records = append(records, &kgo.Record{Topic: signalsTopicName, Value: []byte(strconv.Itoa(sent))})
				sent++
			}
			w.Produce(records...)
			for got < sent {
				for end := rng.IntN(20_000); end > 0; end-- { // in real time, which a sleep would not take
					_ = ctx.Err()
				}
				signals, err := s.Next(ctx)
				if err != nil {
					t.Fatalf("after %d of %d signals: %v", got, sent, err)
				}
				for _, one := range signals {
					if one.Offset != int64(got) || string(one.Value) != strconv.Itoa(got) {
						t.Fatalf("offset %d, want %d", one.Offset, got)
					}
					got++
				}
			}
		}
	})
}
