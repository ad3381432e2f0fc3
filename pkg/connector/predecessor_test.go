package connector

import (
	"os"
	"os/exec"
	"testing"
)

// TestStandby_WhoDiedHere: only a process that lived on this machine, since its
// boot and in the same namespace of process ids, is known to be dead.
func TestStandby_WhoDiedHere(t *testing.T) {
	where := processes()
	if where == "" {
		t.Skip("the kernel does not say where process ids mean something")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(exe, "-test.run", "^$")
	if err := child.Run(); err != nil {
		t.Fatal(err)
	}
	dead := child.Process.Pid
	for id, want := range map[string]bool{
		memberClientID(where, dead):             true,
		memberClientID(where, os.Getpid()):      false,
		memberClientID(where, 1):                false,
		memberClientID("another-machine", dead): false,
		memberClientID("", dead):                false,
		memberClientID(where, 0):                false,
		memberClientID(where, -dead):            false,
		memberClientID(where, dead) + "x":       false,
		"hubspot-cdc":                           false,
	} {
		if got := died(where, id); got != want {
			t.Errorf("%s: died %v, want %v", id, got, want)
		}
	}
	if died("", memberClientID("", dead)) {
		t.Error("a process counts as dead where nobody can know")
	}
}
