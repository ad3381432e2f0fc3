package main

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
)

// boundMemory makes the garbage collector work harder before a container's memory is
// used up: by itself it knows nothing of that limit, and lets garbage take as much as
// the state does. A limit that the operator has set, in GOMEMLIMIT, stays.
func boundMemory() {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	if limit, ok := containerMemory("/"); ok {
		debug.SetMemoryLimit(limit / 10 * 9) // the rest is for what the runtime does not count
	}
}

// sweepOften makes the garbage collector run when there is half as much garbage as
// there are things in use, not as much. Idle portals make little garbage, so that costs
// a fleet little, and a third of its memory less. What the operator has set, in GOGC,
// stays.
func sweepOften() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
}

// containerMemory is the memory limit of the control group that the process is in, of
// version 2 or 1. Within a container the group is the root of what can be seen;
// elsewhere it has a path. Of several limits the smallest counts.
func containerMemory(root string) (limit int64, ok bool) {
	groups, _ := os.ReadFile(filepath.Join(root, "proc/self/cgroup")) // without it only the roots are looked at
	for line := range strings.Lines("0::/\n0:memory:/\n" + string(groups)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) < 3 {
			continue
		}
		file := ""
		switch parts[1] {
		case "":
			file = filepath.Join(root, "sys/fs/cgroup", parts[2], "memory.max")
		case "memory":
			file = filepath.Join(root, "sys/fs/cgroup/memory", parts[2], "memory.limit_in_bytes")
		default:
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		// "max" is no number; version 1 writes a number beyond any machine's memory.
		n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		if err == nil && n > 0 && n < 1<<60 && (!ok || n < limit) {
			limit, ok = n, true
		}
	}
	return limit, ok
}
