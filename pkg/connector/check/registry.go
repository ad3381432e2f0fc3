package check

import (
	"context"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/hubspot-cdc/connector/pkg/connector"
)

// noRules is what a check says about a registry that compares nothing.
const noRules = "NONE: the registry takes any schema, so a consumer may meet one that it cannot read"

// checkRegistry checks whether the registry can be reached, and what it demands
// of a new version of a schema.
func (k *checker) checkRegistry(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, reachPatience)
	defer cancel()
	f := Finding{Area: "registry", Check: "registry", Subject: k.setup.Config.Registry.URL, Status: OK, Found: registryKind(&k.setup.Config.Registry)}
	level, err := k.setup.RegistryLevel(ctx)
	if err != nil {
		f.trouble(k.setup.Config.Registry.Diagnose(err))
		k.add(f)
		return
	}
	k.registryUp = true
	k.add(f)
	f = Finding{Area: "registry", Check: "compatibility", Subject: "(global)", Status: OK, Found: level.String()}
	if level == 0 {
		f.Status, f.Found = Note, "not known: the registry does not show this user its level"
	}
	if k.noRules = level == sr.CompatNone; k.noRules {
		f.Status, f.Found = Warn, noRules
		f.Todo = []string{fmt.Sprintf(`curl -X PUT -H 'Content-Type: application/json' -d '{"compatibility":"BACKWARD"}' %s/config`, k.registryRoot())}
	}
	k.add(f)
	if mode := k.setup.Registry.Mode(ctx)[0]; mode.Err == nil && mode.Mode == sr.ModeReadOnly {
		k.add(Finding{
			Area: "registry", Check: "mode", Subject: "(global)", Status: Fail, Found: "READONLY: the registry takes no schema",
			Todo: []string{fmt.Sprintf(`curl -X PUT -H 'Content-Type: application/json' -d '{"mode":"READWRITE"}' %s/mode`, k.registryRoot())},
		})
	}
}

// registryRoot is the address to print in commands.
func (k *checker) registryRoot() string {
	return strings.TrimRight(k.setup.Config.Registry.URLs()[0], "/")
}

func registryKind(r *connector.Registry) string {
	found := "reachable"
	if strings.Contains(r.URL, "/apis/ccompat/") {
		found += "; Apicurio, by its Confluent API"
	}
	switch {
	case r.Username != "":
		found += "; as " + r.Username
	case r.OAuthTokenURL != "":
		found += "; as client " + r.OAuthClientID + " by OAuth"
	case r.Token != "" || r.TokenFile != "":
		found += "; by a bearer token"
	}
	if r.CertFile != "" {
		found += "; with a client certificate"
	}
	return found
}

// checkSubjects reports which schemas a run would register, and which subjects
// have a rule of their own. checkTopics has reported the ones that the registry
// refuses.
func (k *checker) checkSubjects(ctx context.Context) {
	if !k.registryUp {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, reachPatience)
	defer cancel()
	var known, fresh []string
	for _, t := range k.topics {
		for _, s := range t.Subjects {
			if s.ID != 0 {
				known = append(known, s.Name)
			} else {
				fresh = append(fresh, s.Name)
			}
		}
	}
	if len(known) > 0 {
		// Without it Apicurio answers NONE for subjects that have no rule of their own.
		effective := sr.WithParams(ctx, sr.DefaultToGlobal)
		for _, own := range k.setup.Registry.Compatibility(effective, known...) {
			if own.Err == nil && own.Level == sr.CompatNone && !k.noRules {
				k.add(Finding{Area: "registry", Check: "compatibility", Subject: own.Subject, Status: Warn, Found: noRules,
					Todo: []string{fmt.Sprintf(`curl -X PUT -H 'Content-Type: application/json' -d '{"compatibility":"BACKWARD"}' %s/config/%s`, k.registryRoot(), own.Subject)}})
			}
		}
		k.add(Finding{Area: "registry", Check: "schemas", Status: OK, Found: fmt.Sprintf("registered and unchanged: %d", len(known))})
	}
	if len(fresh) > 0 {
		k.add(Finding{Area: "registry", Check: "to_be_registered", Status: OK, Found: "accepted: " + strings.Join(fresh, ", ")})
	}
}
