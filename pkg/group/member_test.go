package group

import (
	"context"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hubspot-cdc/connector/internal/testkit"
)

// TestMember_KeepsItsPartitionsWhileTheCoordinatorMoves: the broker that coordinates the
// group dies, and it takes the cluster longer than a session to make another one the
// coordinator. That one gives all members a new session.
func TestMember_KeepsItsPartitionsWhileTheCoordinatorMoves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		kafka := testkit.NewBroker(t, kfake.NumBrokers(3), kfake.Ports(9092, 9093, 9094), kfake.SeedTopics(4, "crm.fleet"))
		coordinator := kafka.ListenAddrs()[kafka.CoordinatorFor("crm.fleet")]
		var away atomic.Bool
		cable := testkit.NewCable(func(ctx context.Context, network, address string) (net.Conn, error) {
			if away.Load() && address == coordinator {
				return nil, &net.OpError{Op: "dial", Net: network, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
			}
			return kafka.Network.DialContext(ctx, network, address)
		})
		m, err := Join(t.Context(), Config{Opts: []kgo.Opt{kgo.SeedBrokers(kafka.ListenAddrs()...), kgo.Dialer(cable.DialContext)}, Group: "crm.fleet", Topic: "crm.fleet"})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Leave()
		testkit.Until(t, time.Second, time.Minute, func() bool { return len(m.Now().Holds) == 4 })
		before := m.Now()

		// The fake coordinator's sessions go on, so that somebody has to keep this one.
		keep := kmsg.NewPtrHeartbeatRequest()
		keep.Group = "crm.fleet"
		keep.MemberID, keep.Generation = m.cl.GroupMetadata()
		away.Store(true)
		cable.Break()
		cl := kafka.Client()
		for range 12 {
			time.Sleep(time.Second)
			if _, err := keep.RequestWith(t.Context(), cl); err != nil {
				t.Fatal(err)
			}
		}
		away.Store(false)
		time.Sleep(10 * time.Second)
		for p, term := range before.Holds {
			if term.Err() != nil || m.Now().Holds[p] != term {
				t.Errorf("partition %d was lost", p)
			}
		}
	})
}
