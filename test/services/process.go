package services

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/internal/testkit"
)

// stopping is how long a process may take to end (docs/contract.md section 7).
const stopping = 10 * time.Second

// Process is a started program that ends with the test.
type Process struct {
	Began time.Time

	cmd    *exec.Cmd
	what   string
	log    string // file
	exited chan struct{}
	killed bool
}

// Run starts a program. If the test is killed, the kernel kills the program too.
// If the test fails, it shows the end of the program's log, unless the test
// killed the program.
func Run(t testing.TB, what string, cmd *exec.Cmd) *Process {
	t.Helper()
	runtime.LockOSThread() // the program ends with the thread that started it
	p := &Process{Began: time.Now(), cmd: cmd, what: what, log: filepath.Join(t.TempDir(), "log"), exited: make(chan struct{})}
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
		_ = cmd.Wait() // the outcome is in cmd.ProcessState
		close(p.exited)
	}()
	t.Cleanup(func() {
		p.end(syscall.SIGTERM)
		if t.Failed() && !p.killed {
			t.Logf("end of the log of %s:\n%s", what, p.Tail())
		}
	})
	return p
}

// end sends a signal and waits. If the process takes too long, end kills it.
func (p *Process) end(s syscall.Signal) {
	_ = p.cmd.Process.Signal(s) // the process may have ended already
	select {
	case <-p.exited:
	case <-time.After(stopping):
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
}

// Signal sends a signal to a running process.
func (p *Process) Signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatalf("%s: %v: %v", p.what, s, err)
	}
}

// Kill is kill -9.
func (p *Process) Kill(t testing.TB) {
	t.Helper()
	p.Signal(t, syscall.SIGKILL)
	<-p.exited
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Fatalf("%s ended by itself before it was killed: %v", p.what, p.cmd.ProcessState)
	}
	p.killed = true
}

// Terminate sends SIGTERM, as service managers do first. The process must end
// within ten seconds, with exit code 0.
func (p *Process) Terminate(t testing.TB) {
	t.Helper()
	p.Lives(t)
	p.Signal(t, syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(stopping):
		t.Fatalf("%s still runs %v after SIGTERM", p.what, stopping)
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("%s: exit code %d after SIGTERM, want 0: %v", p.what, code, p.cmd.ProcessState)
	}
}

// Lives fails the test if the process has ended by itself.
func (p *Process) Lives(t testing.TB) {
	t.Helper()
	select {
	case <-p.exited:
		t.Fatalf("%s ended by itself after %v: %v", p.what, time.Since(p.Began), p.cmd.ProcessState)
	default:
	}
}

// Sleep lets the process run; it must not end by itself.
func (p *Process) Sleep(t testing.TB, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-p.exited:
	}
	p.Lives(t)
}

// Has reports whether the log contains a text.
func (p *Process) Has(t testing.TB, text string) bool {
	t.Helper()
	return p.Count(t, text) > 0
}

// Count is how often the log contains a text.
func (p *Process) Count(t testing.TB, text string) int {
	t.Helper()
	b, err := os.ReadFile(p.log)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(b, []byte(text))
}

// Says lets the process run until its log contains a text.
func (p *Process) Says(t testing.TB, within time.Duration, text string) {
	t.Helper()
	testkit.Eventually(t, 10*time.Millisecond, within, p.what, func() error {
		p.Lives(t)
		if !p.Has(t, text) {
			return fmt.Errorf("its log does not say %q", text)
		}
		return nil
	})
}

// Tail is the end of the log.
func (p *Process) Tail() string { return p.About("", 40) }

// About is the last so many lines of the log that contain a text.
func (p *Process) About(text string, most int) string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	var lines []string
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, text) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-most):], "")
}

// Output runs a program to its end and gives its output.
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
	testkit.Eventually(t, 500*time.Millisecond, limit, what, check)
}

// FreePort gives a port on which nobody listens now.
func FreePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// FreePorts gives the first of n ports in a row on which nobody listens now.
func FreePorts(t testing.TB, n int) int {
	t.Helper()
	for range 100 {
		first, free := FreePort(t), true
		for port := first; port < first+n && free; port++ {
			l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port))
			if free = err == nil; free {
				defer l.Close()
			}
		}
		if free {
			return first
		}
	}
	t.Fatalf("there are no %d free ports in a row", n)
	return 0
}

// NotRoot gives the user as whom to run a command if the test runs as root, and
// makes that user the folder's owner.
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
	t.Skip("there is no user postgres or nobody to run as")
	return nil
}
