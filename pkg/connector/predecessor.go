package connector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// An instance that was killed holds its place in the group until its session
// expires, and its successor would have to wait that long. The kernel knows at
// once that it is dead. A member's client id names its process, so an instance
// that starts on the same machine tells the coordinator which members have died.
// On another machine nobody can know, and the session has to expire.

// processes says where a process id means something: in this boot of the machine
// and this namespace of process ids. It is "" where the kernel does not tell.
func processes() string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	namespace, err := os.Readlink("/proc/self/ns/pid") // pid:[4026531836]
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(boot)) + "-" + strings.Trim(namespace, "pid:[]")
}

const clientIDPrefix = "hubspot-cdc-"

// memberClientID names a process.
func memberClientID(where string, pid int) string {
	if where == "" {
		return strings.TrimSuffix(clientIDPrefix, "-")
	}
	return fmt.Sprintf("%s%s-%d", clientIDPrefix, where, pid)
}

// died reports whether a client id is that of a process that lived here and has
// ended. If in doubt, it is alive.
func died(where, clientID string) bool {
	text, here := strings.CutPrefix(clientID, clientIDPrefix+where+"-")
	pid, err := strconv.Atoi(text)
	if where == "" || !here || err != nil || pid <= 0 {
		return false
	}
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	defer func() { _ = p.Release() }()
	return errors.Is(p.Signal(syscall.Signal(0)), os.ErrProcessDone) // signal 0 only asks
}

// bury removes the members that died on this machine from the group. If that
// fails, their sessions expire.
func (s *seat) bury(ctx context.Context, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	groups, err := kadm.NewClient(s.cl).DescribeGroups(ctx, s.group)
	if err != nil {
		log.Debug("the members of the group are not known", "err", err)
		return
	}
	var dead []string
	for _, m := range groups[s.group].Members {
		if died(s.where, m.ClientID) {
			dead = append(dead, m.MemberID)
		}
	}
	if len(dead) > 0 {
		log.Info("removing instances that died on this machine from the group", "instances", len(dead))
		s.remove(ctx, dead...)
	}
}

// Instances gives the hosts of the instances with a prefix that run or stand by,
// without those that died on this machine.
func Instances(ctx context.Context, kafka []kgo.Opt, prefix string) (hosts []string, err error) {
	cl, err := kgo.NewClient(kafka...)
	if err != nil {
		return nil, fmt.Errorf("kafka client: %w", err)
	}
	defer cl.Close()
	group := OwnerGroup(prefix)
	groups, err := kadm.NewClient(cl).DescribeGroups(ctx, group)
	if err == nil {
		err = groups[group].Err
	}
	if errors.Is(err, kerr.GroupIDNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the members of group %s: %w", group, err)
	}
	where := processes()
	for _, m := range groups[group].Members {
		if !died(where, m.ClientID) {
			hosts = append(hosts, m.ClientHost)
		}
	}
	return hosts, nil
}
