package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// child is the connector as a process.
type child struct {
	began  time.Time
	cmd    *exec.Cmd
	log    string // file
	exited chan struct{}
}

// start starts the connector. It ends with ctx at the latest.
func (l *lab) start(ctx context.Context, more ...string) (*child, error) {
	c := &child{cmd: exec.CommandContext(ctx, l.binary, "run"), exited: make(chan struct{})}
	log, err := os.CreateTemp(l.dir, "log-")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	c.log = log.Name()
	c.cmd.Env = l.environ(more...)
	c.cmd.Stdout, c.cmd.Stderr = log, log
	c.began = time.Now()
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", l.binary, err)
	}
	go func() { // ends with the process
		_ = c.cmd.Wait() // the outcome is in cmd.ProcessState
		close(c.exited)
	}()
	return c, nil
}

// kill is kill -9.
func (c *child) kill() {
	_ = c.cmd.Process.Kill() // the process may have ended already
	<-c.exited
}

// stop ends the connector as an operator does.
func (c *child) stop() error {
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // the process may have ended already
	select {
	case <-c.exited:
	case <-time.After(10 * time.Second): // docs/contract.md section 7
		c.kill()
		return errors.New("the connector did not end within ten seconds of SIGTERM")
	}
	if code := c.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("the connector ended with %d:\n%s", code, c.tail())
	}
	return nil
}

// tail is the end of the log.
func (c *child) tail() string {
	const lines = 20
	b, err := os.ReadFile(c.log)
	if err != nil {
		return err.Error()
	}
	all := bytes.SplitAfter(b, []byte("\n"))
	return string(bytes.Join(all[max(0, len(all)-lines):], nil))
}

// until waits until cond holds. It fails if the connector ends before, or if
// nothing has moved for as long as patience: progress says how far things are.
func (c *child) until(ctx context.Context, patience time.Duration, progress func() int, cond func() bool) error {
	latest, since := progress(), time.Now()
	for !cond() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.exited:
			return fmt.Errorf("the connector ended by itself:\n%s", c.tail())
		case <-time.After(10 * time.Millisecond):
		}
		if n := progress(); n != latest {
			latest, since = n, time.Now()
		}
		if time.Since(since) > patience {
			return fmt.Errorf("nothing has happened for %v; the connector's log ends with:\n%s", patience, c.tail())
		}
	}
	return nil
}

// wait waits for a moment.
func (c *child) wait(ctx context.Context, m *moment) error {
	return c.until(ctx, patience, func() int { return 0 }, func() bool {
		select {
		case <-m.ch:
			return true
		default:
			return false
		}
	})
}

// sleep lets the connector run for a while.
func (c *child) sleep(ctx context.Context, d time.Duration) error {
	end := time.Now().Add(d)
	return c.until(ctx, 2*d, func() int { return 0 }, func() bool { return !time.Now().Before(end) })
}

// ticksPerSecond is the unit of /proc/PID/stat, the same on every Linux.
const ticksPerSecond = 100

// cpu is the CPU time that the process has used, in seconds.
func (c *child) cpu() (float64, error) {
	b, err := os.ReadFile(c.proc("stat"))
	if err != nil {
		return 0, err
	}
	// The second field, in brackets, is the program's name and may hold spaces.
	_, rest, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	const user, system = 11, 12
	if len(fields) <= system {
		return 0, fmt.Errorf("%s: %q", c.proc("stat"), b)
	}
	ticks := 0.0
	for _, i := range []int{user, system} {
		n, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return ticks / ticksPerSecond, nil
}

// cpuOf is the CPU time that the process uses while f runs, in seconds.
func (c *child) cpuOf(f func() error) (float64, error) {
	before, err := c.cpu()
	if err != nil {
		return 0, err
	}
	if err := f(); err != nil {
		return 0, err
	}
	after, err := c.cpu()
	return after - before, err
}

// memory is the resident memory of the process, in megabytes: now, and the most
// that it has been.
func (c *child) memory() (now, most float64, err error) {
	b, err := os.ReadFile(c.proc("status"))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(b)) {
		name, rest, _ := strings.Cut(line, ":")
		text := strings.TrimSuffix(strings.TrimSpace(rest), " kB")
		switch name {
		case "VmRSS":
			now, err = strconv.ParseFloat(text, 64)
		case "VmHWM":
			most, err = strconv.ParseFloat(text, 64)
		}
		if err != nil {
			return 0, 0, err
		}
	}
	const kilobytes = 1024 // of a megabyte
	return now / kilobytes, most / kilobytes, nil
}

func (c *child) proc(name string) string {
	return filepath.Join("/proc", strconv.Itoa(c.cmd.Process.Pid), name)
}
