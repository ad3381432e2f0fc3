// Package systemd holds the unit to what the connector does.
package systemd

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hubspot-cdc/connector/pkg/connector"
)

const unit = "hubspot-cdc.service"

// settings are the values of a key of the unit, those in comments too.
func settings(t *testing.T, key string) (values []string) {
	t.Helper()
	text, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(strings.TrimPrefix(strings.TrimSpace(line), "#"), key+"="); ok {
			values = append(values, value)
		}
	}
	return values
}

// TestUnit_RestartsWhereThatHelps: all but the exit codes that wait for an operator.
func TestUnit_RestartsWhereThatHelps(t *testing.T) {
	want := fmt.Sprintf("%d %d", connector.ExitConfig, connector.ExitRefused)
	if got := settings(t, "RestartPreventExitStatus"); !slices.Equal(got, []string{want}) {
		t.Errorf("RestartPreventExitStatus is %q, want %s", got, want)
	}
	if got := settings(t, "Restart"); !slices.Equal(got, []string{"always"}) {
		t.Errorf("Restart is %q", got)
	}
}

// TestUnit_ItsCredentialsAreVariables: each variable exists, and names a credential
// that the unit loads beside it.
func TestUnit_ItsCredentialsAreVariables(t *testing.T) {
	known, err := os.ReadFile("../../.env.example")
	if err != nil {
		t.Fatal(err)
	}
	variables, credentials := settings(t, "Environment"), settings(t, "LoadCredential")
	if len(variables) == 0 || len(variables) != len(credentials) {
		t.Fatalf("%d variables %q, %d credentials %q", len(variables), variables, len(credentials), credentials)
	}
	for i, v := range variables {
		name, file, _ := strings.Cut(v, "=")
		credential, _, _ := strings.Cut(credentials[i], ":")
		if !strings.Contains(string(known), "\n#"+name+"=\n") || file != "%d/"+credential {
			t.Errorf("%s: it is no variable, or not the credential %s", v, credential)
		}
	}
}

// TestUnit_ThePageInstallsIt: docs/deploy.md puts the program, the settings and the
// token where the unit looks for them.
func TestUnit_ThePageInstallsIt(t *testing.T) {
	page, err := os.ReadFile("../../docs/deploy.md")
	if err != nil {
		t.Fatal(err)
	}
	program, _, _ := strings.Cut(settings(t, "ExecStart")[0], " ")
	_, token, _ := strings.Cut(settings(t, "LoadCredential")[0], ":")
	for command, file := range map[string]string{"go build -o ": program, "install -m 600 .env.example ": settings(t, "EnvironmentFile")[0], "install -m 600 ./hubspot-token ": token} {
		if !strings.Contains(string(page), "\n"+command+file) {
			t.Errorf("docs/deploy.md has no line %q", command+file)
		}
	}
}

// TestUnit_SystemdUnderstandsIt, every word of it, and counts it among the confined.
func TestUnit_SystemdUnderstandsIt(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	text, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable() // stands for the connector, which must exist
	if err != nil {
		t.Fatal(err)
	}
	check := func(text string, args ...string) (string, error) {
		file := filepath.Join(t.TempDir(), unit)
		text = strings.ReplaceAll(text, "/usr/local/bin/connector", self)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(analyze, append(args, file)...).CombinedOutput()
		var code *exec.ExitError
		if err != nil && !errors.As(err, &code) {
			t.Fatal(err)
		}
		return string(out), err
	}
	// It only warns of words that it does not know, and warns of other units too.
	if out, err := check(string(text), "verify", "--man=no"); err != nil || strings.Contains(out, unit) {
		t.Errorf("%v\n%s", err, out)
	}
	if out, _ := check(strings.Replace(string(text), "DynamicUser", "DynamicUsr", 1), "verify", "--man=no"); !strings.Contains(out, unit) {
		t.Errorf("a word that systemd does not know goes unnoticed: %q", out)
	}
	if out, err := check(string(text), "security", "--offline=yes", "--threshold=20", "--no-pager"); err != nil {
		t.Errorf("it is exposed by more than 2.0 of 10: %v\n%s", err, out)
	}
	if _, err := check("[Service]\nExecStart=/usr/local/bin/connector run\n", "security", "--offline=yes", "--threshold=20", "--no-pager"); err == nil {
		t.Error("a unit that confines nothing passes as well")
	}
}
