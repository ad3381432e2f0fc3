package group

import (
	"os"
	"os/exec"
	"testing"
)

// TestWhoDiedHere: only a process that lived on this machine, since its
// boot and in the same namespace of process ids, is known to be dead.
func TestWhoDiedHere(t *testing.T) {
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
		clientID(where, dead, ""):             true,
		clientID(where, os.Getpid(), ""):      false,
		clientID(where, 1, ""):                false,
		clientID("another-machine", dead, ""): false,
		clientID("", dead, ""):                false,
		clientID(where, 0, ""):                false,
		clientID(where, -dead, ""):            false,
		clientID(where, dead, "") + "x":       false,
		"hubspot-cdc":                         false,
	} {
		if got := died(where, id); got != want {
			t.Errorf("%s: died %v, want %v", id, got, want)
		}
	}
	if died("", clientID("", dead, "")) {
		t.Error("a process counts as dead where nobody can know")
	}
}
