package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	statuspage "github.com/hubspot-cdc/connector/pkg/connector/page"
)

// statusCommand is connector status.
func statusCommand() *cobra.Command {
	var watch, asJSON bool
	c := &cobra.Command{
		Use: "status [URL]", Short: "show how a running connector is doing: what is wrong, what is behind, how far it is", Args: cobra.MaximumNArgs(1),
		Long: `URL is that of the connector's page, such as http://10.0.0.7:8080; without it, the one that
HTTP_ADDR gives on this machine.

The exit code is 0 if the connector is ready, a standby too, and 1 if it is not or does not answer.
With --watch, Ctrl-C ends it with 0.
`,
		RunE: func(c *cobra.Command, args []string) error {
			target, err := statusURL(args)
			if err != nil {
				return err
			}
			s := statusReader{target, asJSON, watchEvery, c.OutOrStdout()}
			if !watch {
				return s.print(c.Context(), "")
			}
			return s.watch(c.Context(), c.ErrOrStderr())
		},
	}
	c.Flags().BoolVar(&watch, "watch", false, "print it again every two seconds")
	c.Flags().BoolVar(&asJSON, "json", false, "print what GET /status answers")
	return c
}

// statusURL is where to ask.
func statusURL(args []string) (string, error) {
	if len(args) == 0 {
		s, err := load("HTTP_", "LOG_")
		if err != nil {
			return "", err
		}
		host, port, err := net.SplitHostPort(s.connector.HTTP.Addr)
		if err != nil {
			return "", miscalled("HTTP_ADDR: %v", err)
		}
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			host = "127.0.0.1"
		}
		return "http://" + net.JoinHostPort(host, port) + "/status", nil
	}
	text := args[0]
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", miscalled("URL is no address such as http://10.0.0.7:8080") // not repeated: it may hold a password
	}
	u.Path = strings.TrimSuffix(strings.TrimSuffix(u.Path, "/status"), "/") + "/status"
	return u.String(), nil
}

// shown is a target as errors name it, without its password.
func shown(target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return "the address"
	}
	return u.Redacted()
}

type statusReader struct {
	target string
	json   bool
	every  time.Duration
	out    io.Writer
}

const (
	statusPatience = 5 * time.Second
	watchEvery     = 2 * time.Second
)

var errNotReady = errors.New("the connector is not ready")

// print asks once, and writes before what it prints whatever comes before it.
func (r *statusReader) print(ctx context.Context, before string) error {
	body, err := r.ask(ctx)
	if err != nil {
		return err
	}
	var s struct {
		statuspage.Status
		Group string `json:"group"` // of a fleet's instances
	}
	if err := json.Unmarshal(body, &s); err != nil || s.V == 0 {
		return fmt.Errorf("%s does not answer as a connector does", shown(r.target))
	}
	if s.Group != "" {
		page := shown(strings.TrimSuffix(r.target, "/status"))
		return fmt.Errorf("at %s there is an instance of a fleet: connector fleet status %s shows it, connector status %s/portals/NAME one of its portals", shown(r.target), page, page)
	}
	var text bytes.Buffer
	text.WriteString(before)
	switch {
	case r.json:
		text.Write(body)
	case s.V != statuspage.Version:
		return fmt.Errorf("the connector answers in version %d of its status, and this program prints version %d; see it with --json", s.V, statuspage.Version)
	default:
		if err := s.Text(&text); err != nil {
			return err
		}
	}
	if _, err := r.out.Write(text.Bytes()); err != nil {
		return err
	}
	if !s.Ready {
		return errNotReady
	}
	return nil
}

func (r *statusReader) ask(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, statusPatience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.target, nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) {
			err = failed.Err
		}
		return nil, fmt.Errorf("no connector answers at %s: %w; is it running, and is this its HTTP_ADDR?", shown(r.target), err)
	}
	defer answer.Body.Close()
	const most = 64 << 20
	body, err := io.ReadAll(io.LimitReader(answer.Body, most))
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		err := fmt.Errorf("%s answers %s", shown(r.target), answer.Status)
		if why := strings.TrimSpace(string(body)); strings.HasPrefix(answer.Header.Get("Content-Type"), "text/plain") && why != "" { // such as of a fleet's instance about a portal
			err = fmt.Errorf("%w: %.500s", err, why)
		}
		return nil, err
	}
	return body, nil
}

// watch prints until ctx ends. On a terminal each print takes the place of the last.
func (r *statusReader) watch(ctx context.Context, stderr io.Writer) error {
	before := "\n"
	if colours(r.out) {
		before = "\x1b[H\x1b[2J\x1b[3J"
	}
	if r.json {
		before = ""
	}
	for {
		err := r.print(ctx, before)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && !errors.Is(err, errNotReady) {
			fmt.Fprintln(stderr, err)
		}
		select {
		case <-time.After(r.every):
		case <-ctx.Done():
			return nil
		}
	}
}
