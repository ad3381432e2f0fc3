//go:build consumers

package consumers

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/hubspot-cdc/connector/test/services"
)

// postgres is a database server for this test alone.
type postgres struct {
	*services.Process
	bin, dir string
	port     int
	as       *syscall.SysProcAttr
}

const database = "hubspot" // and its user

// findPostgres gives the folder of PostgreSQL's programs, in the newest version.
func findPostgres(t *testing.T) string {
	t.Helper()
	folders, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // Debian's folders; the pattern is valid
	slices.Reverse(folders)
	if path, err := exec.LookPath("initdb"); err == nil {
		folders = append(folders, filepath.Dir(path))
	}
	for _, folder := range folders {
		complete := true
		for _, name := range []string{"initdb", "postgres", "pg_isready", "psql"} {
			_, err := os.Stat(filepath.Join(folder, name))
			complete = complete && err == nil
		}
		if complete {
			return folder
		}
	}
	t.Skip("PostgreSQL's server and client are needed, in /usr/lib/postgresql or in PATH")
	return ""
}

func startPostgres(t *testing.T, bin string) *postgres {
	t.Helper()
	p := &postgres{bin: bin, port: services.FreePort(t), as: &syscall.SysProcAttr{}}
	var err error
	if p.dir, err = os.MkdirTemp("", "hubspot-cdc-postgres-"); err != nil { //nolint:usetesting // it has another owner
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(p.dir) })
	p.as.Credential = services.NotRoot(t, p.dir) // PostgreSQL refuses to run as root
	data := filepath.Join(p.dir, "data")
	services.Output(t, p.command("initdb", "-D", data, "-U", database, "-E", "UTF8", "--locale=C", "--auth=trust", "--no-sync"))
	p.Process = services.Run(t, "PostgreSQL", p.command("postgres", "-D", data, "-k", p.dir, "-h", "127.0.0.1", "-p", strconv.Itoa(p.port), "-c", "fsync=off"))
	services.Eventually(t, startup, "PostgreSQL answers", func() error {
		p.Lives(t)
		return p.command("pg_isready", "-q", "-U", database, "-h", "127.0.0.1", "-p", strconv.Itoa(p.port)).Run()
	})
	p.query(t, "postgres", "CREATE DATABASE "+database)
	t.Logf("%s on port %d", p.query(t, database, "SHOW server_version"), p.port)
	return p
}

func (p *postgres) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(p.bin, name), args...)
	as := *p.as
	cmd.Dir, cmd.SysProcAttr = p.dir, &as
	return cmd
}

// query gives the answer to a statement, unaligned.
func (p *postgres) query(t *testing.T, database, sql string) string {
	t.Helper()
	return services.Output(t, p.command("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1",
		"-h", "127.0.0.1", "-p", strconv.Itoa(p.port), "-U", "hubspot", "-d", database, "-c", sql))
}

// rows reads a table. A table that does not exist yet has none.
func (p *postgres) rows(t *testing.T, table, key string) (map[string]map[string]any, error) {
	t.Helper()
	p.Lives(t)
	if p.query(t, database, fmt.Sprintf("SELECT to_regclass('%s')", table)) == "" {
		return nil, fmt.Errorf("there is no table %s", table)
	}
	all := map[string]map[string]any{}
	for line := range strings.Lines(p.query(t, database, fmt.Sprintf("SELECT to_jsonb(r) FROM %s r", table))) {
		var row map[string]any
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			return nil, fmt.Errorf("%w in %s", err, line)
		}
		all[fmt.Sprint(row[key])] = row
	}
	return all, nil
}
