//go:build consumers

package consumers

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/test/services"
)

// classpath makes Maven fetch the jars that a pom.xml names.
func classpath(t *testing.T, folder string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	file := filepath.Join(t.TempDir(), "classpath")
	services.Output(t, exec.CommandContext(ctx, "mvn", append([]string{
		"-q", "-B", "-f", filepath.Join(folder, "pom.xml"), "dependency:build-classpath", "-Dmdep.outputFile=" + file,
	}, args...)...))
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// configured writes a copy of a file of docs/consumers with other addresses and
// names. Each text to be replaced must be in the file.
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
			t.Fatalf("docs/consumers/%s no longer says %q", file, old)
		}
		pairs = append(pairs, old, new)
	}
	path := filepath.Join(t.TempDir(), file)
	if err := os.WriteFile(path, []byte(strings.NewReplacer(pairs...).Replace(text)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
