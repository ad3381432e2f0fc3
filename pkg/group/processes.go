package group

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
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

// clientID names a process, and where it answers.
func clientID(where string, pid int, address string) string {
	id := strings.TrimSuffix(clientIDPrefix, "-")
	if where != "" {
		id = fmt.Sprintf("%s%s-%d", clientIDPrefix, where, pid)
	}
	if address != "" {
		id += "@" + address
	}
	return id
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
