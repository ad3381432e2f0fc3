package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write docs/configuration.md and .env.example")

const configurationPage = "../../docs/configuration.md"

// TestConfigurationPage: docs/configuration.md is what connector run -h prints,
// so that it promises nothing that does not work.
func TestConfigurationPage(t *testing.T) {
	var help bytes.Buffer
	if code := command(t.Context(), []string{"run", "-h"}, &help, &help); code != 0 {
		t.Fatalf("connector run -h: exit code %d", code)
	}
	want := fmt.Sprintf(`# Configuration

The connector reads its environment. `+"`connector run -h`"+` prints the list below.

- An empty variable counts as unset.
- A secret can stand in a file: `+"`HUBSPOT_ACCESS_TOKEN_FILE=/path`"+` overrides
  `+"`HUBSPOT_ACCESS_TOKEN`"+`. White space around it is not part of
  the secret. A file that a variable names is a regular one of at most 1 MiB, not a pipe. The connector reads HubSpot's secrets again when HubSpot refuses the token, and those of Kafka and the registry for each connection or request.
- Durations are written as `+"`30s`, `5m` or `1h30m`"+`, lists with commas. An empty member is a problem: a
  template that expands to nothing must not choose everything.
- The connector reports every problem at once and ends with exit code 2.
- It warns of variables that begin with HUBSPOT_, SYNC_ or EVENT_ but that it does not know, and of
  any others that differ from one of these by two letters at most, or in small letters, such as
  KAFAK_BROKERS, and says which it takes them for.
  It refuses to start, a fleet too, with one that seems to choose what is published, such as
  `+"`HUBSPOT_PROPERTY_EXCLUDE`"+`.

See [selection.md](selection.md) for the patterns of HUBSPOT_PROPERTIES_* and
[operations.md](operations.md) for what follows from the intervals.

`+"```text\n%s```\n\n`go test ./cmd/connector -run TestConfigurationPage -update` writes this page.\n", help.String())
	if *update {
		if err := os.WriteFile(configurationPage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(configurationPage)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("docs/configuration.md is not what connector run -h prints; write it with -update\n%s", want)
	}
}
