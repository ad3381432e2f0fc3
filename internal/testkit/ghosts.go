package testkit

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ghosts are members of groups that died while they waited for the answer to their
// join. Kafka begins a member's session when it sends that answer, whether or not
// the answer arrives, so a ghost is out one session later. kfake begins the session
// only if the answer arrives: a ghost may stay, and what is assigned to it has no owner
// for as long as the broker runs.
type ghosts struct {
	mu     sync.Mutex
	joined map[string]*time.Timer // by member, until it syncs
}

// removeGhosts takes members that joined and never synced out of their groups when
// Kafka would have done so at the latest: after one rebalance and one session.
func (b *Broker) removeGhosts(cluster *kfake.Cluster) {
	g := &ghosts{joined: map[string]*time.Timer{}}
	cluster.ControlKey(kmsg.JoinGroup.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		if join := req.(*kmsg.JoinGroupRequest); join.MemberID != "" {
			limit := time.Duration(join.RebalanceTimeoutMillis+join.SessionTimeoutMillis) * time.Millisecond
			g.waits(join.MemberID, time.AfterFunc(limit, func() {
				b.removeMember(cluster, join.Group, join.MemberID)
			}))
		}
		return nil, nil, false
	})
	cluster.ControlKey(kmsg.SyncGroup.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		g.waits(req.(*kmsg.SyncGroupRequest).MemberID, nil)
		return nil, nil, false
	})
}

// waits puts a member's end in place of an earlier one. nil: it lives.
func (g *ghosts) waits(member string, end *time.Timer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if earlier := g.joined[member]; earlier != nil {
		earlier.Stop()
	}
	if g.joined[member] = end; end == nil {
		delete(g.joined, member)
	}
}

func (b *Broker) removeMember(cluster *kfake.Cluster, group, member string) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.Dialer(b.Network.DialContext))
	if err != nil {
		return
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group = group
	ghost := kmsg.NewLeaveGroupRequestMember()
	ghost.MemberID = member
	req.Members = append(req.Members, ghost)
	_, _ = req.RequestWith(ctx, cl) // fails where the broker has ended, and the group with it
}
