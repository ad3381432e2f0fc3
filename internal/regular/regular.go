// Package regular reads files that an operator names.
package regular

import (
	"fmt"
	"os"
)

// Most is in bytes: what a ConfigMap or a Secret of Kubernetes can hold.
const Most = 1 << 20

// Read reads a regular file of at most Most bytes; links are followed. It refuses all
// else: a pipe would keep the process waiting, and a device has no end. Errors of the file
// system are returned as they are.
func Read(path string) ([]byte, error) {
	switch about, err := os.Stat(path); {
	case err != nil: // reading says it too
	case !about.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file", path)
	case about.Size() > Most:
		return nil, fmt.Errorf("%s has %d bytes, and may have %d", path, about.Size(), Most)
	}
	return os.ReadFile(path)
}
