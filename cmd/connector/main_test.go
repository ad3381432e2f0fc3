package main

import (
	"bufio"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// TestMain_ASignalThatComesTwiceIsOne: timeout(1) sends SIGTERM to its command and then to
// the process group. A command that is ending goes on to its end.
func TestMain_ASignalThatComesTwiceIsOne(t *testing.T) {
	const child = "CONNECTOR_TEST_MAIN"
	if os.Getenv(child) != "" {
		os.Args = []string{"connector", "demo", "--portal", "127.0.0.1:0"}
		main()
	}
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$") //nolint:gosec // it is this test
	c.Env = append(os.Environ(), child+"=1")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	// Again and again, but for less than the second after which another signal kills it.
	for began := time.Now(); time.Since(began) < time.Second/2; {
		if c.Process.Signal(syscall.SIGTERM) != nil {
			break // it has ended
		}
	}
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
}
