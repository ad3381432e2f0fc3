package main

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// peer is another program that reads contacts from HubSpot: a Singer tap from PyPI.
type peer struct {
	name, pkg, main string
	config          map[string]any
}

var peers = []peer{
	{"Meltano's tap", "meltano-tap-hubspot", "tap_hubspot.tap:TapHubspot.cli", map[string]any{"access_token": "pat-bench"}},
	{"Singer's tap", "tap-hubspot", "tap_hubspot:main", map[string]any{"api_key": "pat-bench", "start_date": "2000-01-01T00:00:00Z"}},
}

// dltSkipped is why dlt's source is not measured.
const dltSkipped = "the source hubspot of dlt is in no package of PyPI: dlt init copies it from a repository"

//go:embed peers.py
var launcher string

// measurePeers reads the same contacts with the connector and with other programs,
// each from a throwaway environment, and compares what they cost.
func measurePeers(ctx context.Context, b *bench) ([]result, error) {
	b.records = min(b.records, b.peerRecords)
	ours, err := b.backfill(ctx, nil)
	if err != nil {
		return nil, err
	}
	var results []result
	var own float64
	for _, r := range ours {
		switch r.name {
		case cpuName, rateName:
			results = append(results, result{name: "ours: " + r.name, value: r.value, unit: r.unit})
			if r.name == cpuName {
				own = r.value
			}
		}
	}
	for _, p := range peers {
		took, spent, err := p.read(ctx, b)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			b.report.skip(b.figure, p.name, err.Error())
			continue
		}
		cpu := 1000 * spent.Seconds() / float64(b.records)
		results = append(results,
			result{name: p.name + ": " + cpuName, value: cpu, unit: "s"},
			result{name: p.name + ": CPU, of ours", value: cpu / own, unit: "×", goal: "≥ 20"},
			result{name: p.name + ": " + rateName, value: float64(b.records) / took.Seconds(), unit: "1/s"})
	}
	b.report.skip(b.figure, "dlt's source", dltSkipped)
	return results, nil
}

// read has the peer read the contacts of a new portal. It returns how long that
// took, from its start to its end, and its CPU time.
func (p *peer) read(ctx context.Context, b *bench) (took, spent time.Duration, err error) {
	dir := filepath.Join(b.dir, p.pkg)
	python, err := p.install(ctx, b, dir)
	if err != nil {
		return 0, 0, err
	}
	l := b.newLab("contacts", "companies", "deals", "tickets")
	l.widen("contacts")
	l.portal.Seed("contacts", b.records)
	url, stop, err := l.portal.Serve("127.0.0.1:0")
	if err != nil {
		return 0, 0, err
	}
	defer stop()
	file := func(name string, content []byte) (string, error) {
		path := filepath.Join(dir, name)
		return path, os.WriteFile(path, content, 0o600)
	}
	run, err := file("peers.py", []byte(launcher))
	if err != nil {
		return 0, 0, err
	}
	text, err := json.Marshal(p.config)
	if err != nil {
		return 0, 0, err
	}
	config, err := file("config.json", text)
	if err != nil {
		return 0, 0, err
	}
	tap := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, python, append([]string{run, p.main, "--config", config}, args...)...)
		cmd.Env = append(os.Environ(), "BENCH_PORTAL="+url)
		return cmd
	}
	found, err := output(tap("--discover"))
	if err != nil {
		return 0, 0, fmt.Errorf("it does not discover the portal: %w", err)
	}
	chosen, err := contactsOf(found)
	if err != nil {
		return 0, 0, err
	}
	catalog, err := file("catalog.json", chosen)
	if err != nil {
		return 0, 0, err
	}
	cmd := tap("--catalog", catalog)
	began := time.Now()
	out, err := output(cmd)
	if err != nil {
		return 0, 0, fmt.Errorf("it does not read the portal: %w", err)
	}
	took = time.Since(began)
	if n := strings.Count(string(out), `"type": "RECORD"`) + strings.Count(string(out), `"type":"RECORD"`); n != b.records {
		return 0, 0, fmt.Errorf("it wrote %d records of %d", n, b.records)
	}
	return took, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
}

// install makes an environment with the peer in it.
func (p *peer) install(ctx context.Context, b *bench, dir string) (python string, err error) {
	system, err := exec.LookPath("python3")
	if err != nil {
		return "", errors.New("there is no python3")
	}
	b.tell("installs %s", p.pkg)
	if _, err := output(exec.CommandContext(ctx, system, "-m", "venv", dir)); err != nil {
		return "", fmt.Errorf("no environment can be made: %w", err)
	}
	python = filepath.Join(dir, "bin", "python")
	if _, err := output(exec.CommandContext(ctx, python, "-m", "pip", "install", "--quiet", p.pkg)); err != nil {
		return "", fmt.Errorf("%s cannot be had: %w", p.pkg, err)
	}
	return python, nil
}

// output runs a program; an error has the last line that the program wrote about it.
func output(cmd *exec.Cmd) ([]byte, error) {
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		last := ""
		for s := bufio.NewScanner(strings.NewReader(errs.String())); s.Scan(); {
			if line := strings.TrimSpace(s.Text()); line != "" {
				last = line
			}
		}
		return nil, fmt.Errorf("%w: %s", err, last)
	}
	return out, nil
}

// contactsOf leaves only contacts in a Singer catalog, with every property selected.
func contactsOf(catalog []byte) ([]byte, error) {
	var all struct {
		Streams []map[string]any `json:"streams"`
	}
	if err := json.Unmarshal(catalog, &all); err != nil {
		return nil, fmt.Errorf("its catalog: %w", err)
	}
	for _, s := range all.Streams {
		if s["tap_stream_id"] != "contacts" {
			continue
		}
		entries, _ := s["metadata"].([]any)
		for _, e := range entries {
			entry, _ := e.(map[string]any)
			if values, ok := entry["metadata"].(map[string]any); ok {
				values["selected"] = true
			}
		}
		return json.Marshal(map[string]any{"streams": []any{s}})
	}
	return nil, errors.New("its catalog has no contacts")
}
