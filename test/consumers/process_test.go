//go:build consumers

package consumers

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is a program that was started and ends with the test.
type process struct {
	what   string
	cmd    *exec.Cmd
	log    string // file
	exited chan struct{}
}

// start starts a program. In case the test is killed, the kernel kills it too.
func start(t *testing.T, what string, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{what: what, cmd: cmd, log: filepath.Join(t.TempDir(), "log"), exited: make(chan struct{})}
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
	go func() {
		_ = cmd.Wait() // its outcome is in cmd.ProcessState
		close(p.exited)
	}()
	t.Cleanup(func() {
		p.end(syscall.SIGTERM)
		if t.Failed() {
			t.Logf("end of the log of %s:\n%s", what, p.tail())
		}
	})
	return p
}

// end sends a signal and waits; after a while it kills.
func (p *process) end(s syscall.Signal) {
	_ = p.cmd.Process.Signal(s) // a process that ended is no longer there
	select {
	case <-p.exited:
	case <-time.After(stopping):
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
}

// lives fails the test if the process has ended by itself.
func (p *process) lives(t *testing.T) {
	t.Helper()
	select {
	case <-p.exited:
		t.Fatalf("%s ended by itself: %v", p.what, p.cmd.ProcessState)
	default:
	}
}

// says waits until a line of the log holds the text.
func (p *process) says(t *testing.T, text string) {
	t.Helper()
	eventually(t, startup, p.what, func() error {
		p.lives(t)
		if b, err := os.ReadFile(p.log); err != nil || bytes.Contains(b, []byte(text)) {
			return err
		}
		return fmt.Errorf("its log does not say %q", text)
	})
}

func (p *process) tail() string {
	const lines = 40
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	all := bytes.SplitAfter(b, []byte("\n"))
	return string(bytes.Join(all[max(0, len(all)-lines):], nil))
}

// output runs a program to its end and gives what it prints.
func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", cmd, err, out, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

// classpath has Maven fetch the jars that a pom.xml names.
func classpath(t *testing.T, folder string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	file := filepath.Join(t.TempDir(), "classpath")
	output(t, exec.CommandContext(ctx, "mvn", append([]string{
		"-q", "-B", "-f", filepath.Join(folder, "pom.xml"), "dependency:build-classpath", "-Dmdep.outputFile=" + file,
	}, args...)...))
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// configured writes a copy of a file of docs/consumers with other addresses
// and names. What is to be replaced has to be there.
func configured(t *testing.T, file string, replace map[string]string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "consumers", file))
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	var pairs []string
	for old, new := range replace {
		if !strings.Contains(text, old) {
			t.Fatalf("docs/consumers/%s does not say %q any more", file, old)
		}
		pairs = append(pairs, old, new)
	}
	path := filepath.Join(t.TempDir(), file)
	if err := os.WriteFile(path, []byte(strings.NewReplacer(pairs...).Replace(text)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// freePort is one that nobody listens on now.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
