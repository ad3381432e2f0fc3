package check

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
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
	global := k.setup.Registry.Compatibility(ctx, sr.GlobalSubject)[0]
	if global.Err != nil {
		f.Status = Fail
		f.Found, f.Todo = registryTrouble(&k.setup.Config.Registry, global.Err)
		k.add(f)
		return
	}
	k.registryUp = true
	k.add(f)
	f = Finding{Area: "registry", Check: "compatibility", Subject: "(global)", Status: OK, Found: global.Level.String()}
	if k.noRules = global.Level == sr.CompatNone; k.noRules {
		f.Status, f.Found = Warn, noRules
		f.Todo = []string{fmt.Sprintf(`curl -X PUT -H 'Content-Type: application/json' -d '{"compatibility":"BACKWARD"}' %s/config`, k.registryRoot())}
	}
	k.add(f)
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

func registryTrouble(r *connector.Registry, err error) (found string, todo []string) {
	var answer *sr.ResponseError
	var credentials *connector.CredentialError
	var authority x509.UnknownAuthorityError
	switch {
	case errors.As(err, &credentials):
		return "no credentials for it: " + credentials.Problem, []string{credentials.Cure}
	case errors.As(err, &authority):
		return "its certificate is signed by an authority that is not trusted here", []string{"name the file of that authority in SCHEMA_REGISTRY_CA_FILE"}
	case !errors.As(err, &answer) && strings.Contains(err.Error(), "tls: "):
		return "TLS fails: " + plainly(err), []string{"check SCHEMA_REGISTRY_CERT_FILE and SCHEMA_REGISTRY_KEY_FILE: the registry may want a client certificate"}
	case answer == nil:
		return "it cannot be reached: " + plainly(err), []string{"check SCHEMA_REGISTRY_URL, whether the registry is running, and the network between"}
	case answer.StatusCode == http.StatusUnauthorized, answer.StatusCode == http.StatusForbidden:
		found = fmt.Sprintf("it refuses this user (%d)", answer.StatusCode)
		switch {
		case r.OAuthTokenURL != "":
			return found, []string{"check SCHEMA_REGISTRY_OAUTH_CLIENT_ID and SCHEMA_REGISTRY_OAUTH_SCOPE, and what the registry allows this client"}
		case r.Token != "" || r.TokenFile != "":
			return found, []string{"check SCHEMA_REGISTRY_TOKEN"}
		}
		return found, []string{"check SCHEMA_REGISTRY_USERNAME and SCHEMA_REGISTRY_PASSWORD"}
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
					Todo: []string{fmt.Sprintf(`curl -X PUT -H 'Content-Type: application/json' -d '{"compatibility":"BACKWARD"}' %s/config/%s`, k.registryRoot(), own.Subject)}})
			}
		}
		k.add(Finding{Area: "registry", Check: "schemas", Status: OK, Found: fmt.Sprintf("registered and unchanged: %d", len(known))})
	}
	if len(fresh) > 0 {
		k.add(Finding{Area: "registry", Check: "to_be_registered", Status: OK, Found: "accepted: " + strings.Join(fresh, ", ")})
	}
}
