package main

import (
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/hubspot-cdc/connector/pkg/connector"
	"github.com/hubspot-cdc/connector/pkg/fleet"
)

// ofTheProcess are the variables that all portals of a fleet share, because they are
// about the process.
var ofTheProcess = []string{"HTTP_ADDR", "LOG_FORMAT", "LOG_LEVEL", "KAFKA_TOPIC_PREFIX", "FLEET_DIR", "FLEET_PARTITIONS", "FLEET_METRICS", "FLEET_ADDRESS"}

// portal is the configuration of a portal of a fleet: what its file says, over the
// environment. Its topics begin with the fleet's prefix and the portal's name. Problems
// are noted in the file.
//
// envconfig reads nothing but the environment, so the file's variables are there while
// it does, under a prefix that nobody else uses.
func portal(f *fleet.File) connector.Config {
	s, known, prefix := defaults(), names(), "portal:"+f.Name
	for _, name := range overruled(f) {
		key := strings.ToUpper(prefix + "_" + name)
		_ = os.Setenv(key, "") // never fails
		defer os.Unsetenv(key) //nolint:errcheck // it never fails
	}
	for _, line := range f.Lines {
		name := line.Variable
		switch {
		case slices.Contains(ofTheProcess, name):
			f.Blame(name, name+": is one for the whole fleet; set it in the environment of the process")
		case !slices.Contains(known, name):
			f.Blame(name, name+": connector run has no such variable"+didYouMean(name, known, ""))
		case line.Value != "":
			key := strings.ToUpper(prefix + "_" + name)
			if err := os.Setenv(key, line.Value); err != nil {
				f.Blame(name, name+": "+err.Error())
				continue
			}
			defer os.Unsetenv(key) //nolint:errcheck // it never fails
		}
	}
	var problems []string
	for _, p := range s.parts() {
		problems = append(problems, fill(prefix, p.group)...)
	}
	c := s.connector
	c.HTTP.Addr, c.Kafka.TopicPrefix = "", c.Kafka.TopicPrefix+"."+f.Name
	var wrong *connector.ConfigError
	if errors.As(c.Validate(), &wrong) {
		problems = append(problems, wrong.Problems...)
	}
	for _, text := range problems {
		f.Blame(text[:strings.IndexFunc(text+":", func(r rune) bool { return r == ':' || r == ' ' })], text)
	}
	return c
}

// overruled are the variables that do not count for a portal, whatever the environment
// says: NAME_FILE where the portal's file gives the secret NAME.
func overruled(f *fleet.File) (all []string) {
	known := names()
	for _, line := range f.Lines {
		if name := line.Variable + "_FILE"; line.Value != "" && slices.Contains(known, name) {
			all = append(all, name)
		}
	}
	return all
}
