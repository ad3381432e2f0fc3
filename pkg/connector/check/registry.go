package check

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/twmb/franz-go/pkg/sr"
)

// noRules is what a check says about a registry that compares nothing.
const noRules = "NONE: the registry takes any schema, so a consumer may meet one that it cannot read"

// checkRegistry checks whether the registry can be reached, and what it demands
// of a new version of a schema.
func (k *checker) checkRegistry(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, reachPatience)
	defer cancel()
	f := Finding{Area: "registry", Check: "registry", Subject: k.setup.Config.Registry.URL, Status: OK, Found: registryKind(k.setup.Config.Registry.URL)}
	global := k.setup.Registry.Compatibility(ctx, sr.GlobalSubject)[0]
	if global.Err != nil {
		f.Status = Fail
		f.Found, f.Todo = registryTrouble(global.Err)
		k.add(f)
		return
	}
	k.registryUp = true
	k.add(f)
	f = Finding{Area: "registry", Check: "compatibility", Subject: "(global)", Status: OK, Found: global.Level.String()}
	if k.noRules = global.Level == sr.CompatNone; k.noRules {
		f.Status, f.Found = Warn, noRules
		f.Todo = []string{fmt.Sprintf(`curl -X PUT -H 'Content-Type: application/json' -d '{"compatibility":"BACKWARD"}' %s/config`, strings.TrimRight(k.setup.Config.Registry.URL, "/"))}
	}
	k.add(f)
}

func registryKind(address string) string {
	if strings.Contains(address, "/apis/ccompat/") {
		return "reachable; Apicurio, by its Confluent API"
	}
	return "reachable"
}

func registryTrouble(err error) (found string, todo []string) {
	var answer *sr.ResponseError
	switch {
	case !errors.As(err, &answer):
		return "it cannot be reached: " + plainly(err), []string{"check SCHEMA_REGISTRY_URL, whether the registry is running, and the network between"}
	case answer.StatusCode == http.StatusUnauthorized, answer.StatusCode == http.StatusForbidden:
		return fmt.Sprintf("it refuses this user (%d)", answer.StatusCode), []string{"check SCHEMA_REGISTRY_USERNAME and SCHEMA_REGISTRY_PASSWORD"}
	case answer.StatusCode == http.StatusNotFound:
		return "there is no registry at this address (404)", []string{"check the path of SCHEMA_REGISTRY_URL; Apicurio's ends in /apis/ccompat/v7"}
	}
	return fmt.Sprintf("it answers %d", answer.StatusCode), []string{"look at the registry's log"}
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
					Todo: []string{fmt.Sprintf(`curl -X PUT -H 'Content-Type: application/json' -d '{"compatibility":"BACKWARD"}' %s/config/%s`, strings.TrimRight(k.setup.Config.Registry.URL, "/"), own.Subject)}})
			}
		}
		k.add(Finding{Area: "registry", Check: "schemas", Status: OK, Found: fmt.Sprintf("registered and unchanged: %d", len(known))})
	}
	if len(fresh) > 0 {
		k.add(Finding{Area: "registry", Check: "to_be_registered", Status: OK, Found: "accepted: " + strings.Join(fresh, ", ")})
	}
}
