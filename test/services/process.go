package services

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	startup  = 2 * time.Minute // of a program
	stopping = 10 * time.Second
)

// Process is a program that was started and ends with the test.
type Process struct {
	Cmd    *exec.Cmd
	what   string
	log    string // file
	exited chan struct{}
}

// Run starts a program. In case the test is killed, the kernel kills it too;
// for that the test has to keep its thread (runtime.LockOSThread).
func Run(t testing.TB, what string, cmd *exec.Cmd) *Process {
	t.Helper()
	p := &Process{Cmd: cmd, what: what, log: filepath.Join(t.TempDir(), "log"), exited: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", what, err)
	}
	go func() { // ends with the process
		_ = cmd.Wait() // its outcome is in cmd.ProcessState
		close(p.exited)
	}()
	t.Cleanup(func() {
		p.End(syscall.SIGTERM)
		if t.Failed() {
			t.Logf("end of the log of %s:\n%s", what, p.tail())
		}
	})
	return p
}

// End sends a signal and waits; after a while it kills.
func (p *Process) End(s syscall.Signal) {
	_ = p.Cmd.Process.Signal(s) // a process that ended is no longer there
	select {
	case <-p.exited:
	case <-time.After(stopping):
		_ = p.Cmd.Process.Kill()
		<-p.exited
	}
}

// Lives fails the test if the process has ended by itself.
func (p *Process) Lives(t testing.TB) {
	t.Helper()
	select {
	case <-p.exited:
		t.Fatalf("%s ended by itself: %v", p.what, p.Cmd.ProcessState)
	default:
	}
}

// Says waits until the log holds the text.
func (p *Process) Says(t testing.TB, text string) {
	t.Helper()
	Eventually(t, startup, p.what, func() error {
		p.Lives(t)
		b, err := os.ReadFile(p.log)
		if err == nil && !bytes.Contains(b, []byte(text)) {
			err = fmt.Errorf("its log does not say %q", text)
		}
		return err
	})
}

func (p *Process) tail() string {
	const lines = 40
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	all := bytes.SplitAfter(b, []byte("\n"))
	return string(bytes.Join(all[max(0, len(all)-lines):], nil))
}

// Output runs a program to its end and gives what it prints.
func Output(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", cmd, err, out, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

// Eventually waits until check finds nothing wrong.
func Eventually(t testing.TB, limit time.Duration, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v: %v", what, limit, err)
		}
		time.Sleep(500 * time.Millisecond)
	}
}

// FreePort is one that nobody listens on now.
func FreePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// NotRoot has a command run as somebody else where the test runs as root, and
// gives the user the folder.
func NotRoot(t testing.TB, folder string) *syscall.Credential {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
		gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
		if errUID == nil && errGID == nil {
			if err := os.Chown(folder, int(uid), int(gid)); err != nil {
				t.Fatal(err)
			}
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	t.Skip("there is neither a user postgres nor nobody to run as")
	return nil
}
