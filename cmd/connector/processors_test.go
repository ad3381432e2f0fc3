package main

import (
	"runtime"
	"testing"
)

func TestBoundProcessors_OneUnlessTheOperatorSaysOtherwise(t *testing.T) {
	for set, want := range map[string]int{"": 1, "3": 3} {
		before := runtime.GOMAXPROCS(3) // what Go makes of GOMAXPROCS=3
		t.Setenv("GOMAXPROCS", set)
		boundProcessors()
		if got := runtime.GOMAXPROCS(before); got != want {
			t.Errorf("GOMAXPROCS=%s: %d processors, want %d", set, got, want)
		}
	}
}
