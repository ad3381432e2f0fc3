package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// release is set by the linker for releases: -ldflags "-X main.release=v1.2.3".
var release string

// build is what is known of this program.
type build struct {
	version  string
	commit   string // "": not built in a checkout
	time     string // of the commit
	modified bool   // the checkout had changes that are in no commit
}

// thisBuild asks the linker and the Go tool.
func thisBuild() build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return build{version: cmp.Or(release, "unknown")}
	}
	var b build
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.commit = s.Value
		case "vcs.time":
			b.time = s.Value
		case "vcs.modified":
			b.modified = s.Value == "true"
		}
	}
	b.version = "devel"
	if v := info.Main.Version; v != "" && v != "(devel)" {
		b.version = v
	} else if len(b.commit) >= 12 {
		b.version = "devel-" + b.commit[:12]
	}
	b.version = cmp.Or(release, b.version)
	return b
}

// version is the release, or what the Go tool knows about the build.
func version() string { return thisBuild().version }

func (b build) String() string {
	text := "connector " + b.version
	if b.commit != "" {
		text += "\ncommit " + b.commit + " of " + b.time
	}
	if b.modified {
		text += ", with changes that are not committed"
	}
	return text + fmt.Sprintf("\n%s %s/%s", runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "print the version, the commit and the Go version", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(c.OutOrStdout(), thisBuild())
			return err
		},
	}
}
