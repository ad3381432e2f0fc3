package helm

import (
	"bytes"
	"maps"
	"os"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// aFleet has portals from wherever they may come.
const aFleet = `
fleet:
  enabled: true
  existingConfigMap: more
  existingSecret: tokens
  portals:
    acme: |
      # x: "y"
      HUBSPOT_ACCESS_TOKEN_FILE=/run/fleet/acme.token
    globex-2: HUBSPOT_OBJECTS=contacts
`

// mounted gives the folder of a fleet's instance, and what is mounted there.
func mounted(t *testing.T, pod *core.PodSpec) (folder core.VolumeMount, sources []core.VolumeProjection) {
	t.Helper()
	c := pod.Containers[0]
	dir := slices.IndexFunc(c.Env, func(v core.EnvVar) bool { return v.Name == "FLEET_DIR" })
	if dir < 0 {
		t.Fatalf("FLEET_DIR is not set: %v", c.Env)
	}
	for _, m := range c.VolumeMounts {
		if m.MountPath != c.Env[dir].Value {
			continue
		}
		for _, v := range pod.Volumes {
			if v.Name == m.Name && v.Projected != nil {
				return m, v.Projected.Sources
			}
		}
	}
	t.Fatalf("nothing is mounted at %s: %v, %v", c.Env[dir].Value, c.VolumeMounts, pod.Volumes)
	return
}

// TestFleet_TheFolderIsMountedWhole: so the kubelet swaps it when a file comes, changes
// or goes. A subPath never changes, and a list of items leaves new files out.
func TestFleet_TheFolderIsMountedWhole(t *testing.T) {
	r := render(t, enough, everything, aFleet)
	folder, sources := mounted(t, &r.deployment.Spec.Template.Spec)
	if folder.SubPath != "" || folder.SubPathExpr != "" || !folder.ReadOnly {
		t.Errorf("mounted as %+v", folder)
	}
	for _, m := range r.deployment.Spec.Template.Spec.Containers[0].VolumeMounts {
		if strings.HasPrefix(m.MountPath, folder.MountPath+"/") {
			t.Errorf("%s is mounted inside the folder", m.MountPath)
		}
	}
	object := func(name string) core.LocalObjectReference { return core.LocalObjectReference{Name: name} }
	want := []core.VolumeProjection{
		{Secret: &core.SecretProjection{LocalObjectReference: object(r.portals.Name)}},
		{ConfigMap: &core.ConfigMapProjection{LocalObjectReference: object("more")}},
		{Secret: &core.SecretProjection{LocalObjectReference: object("tokens")}},
	}
	if !reflect.DeepEqual(sources, want) {
		t.Errorf("the folder has %+v, want %+v", sources, want)
	}
	files := map[string]string{}
	for name, text := range r.portals.Data {
		files[name] = string(text)
	}
	if want := map[string]string{
		"acme.env": "# x: \"y\"\nHUBSPOT_ACCESS_TOKEN_FILE=/run/fleet/acme.token\n", "globex-2.env": "HUBSPOT_OBJECTS=contacts",
	}; !maps.Equal(files, want) {
		t.Errorf("the files are %q, want %q", files, want)
	}
	for _, one := range []string{"existingConfigMap: more", "existingSecret: tokens"} {
		r := render(t, enough, "fleet: {enabled: true, "+one+"}")
		if _, sources := mounted(t, &r.deployment.Spec.Template.Spec); len(sources) != 1 || r.portals != nil {
			t.Errorf("%s alone: the folder has %+v, and the chart makes %v", one, sources, r.portals)
		}
	}
}

// TestFleet_NoTwoInstancesHaveOneName: each is known by the address of its own pod,
// which Kubernetes puts into a variable only behind the one that has it.
func TestFleet_NoTwoInstancesHaveOneName(t *testing.T) {
	for values, want := range map[string]string{"ipv6: false": "$(POD_IP):8080", "ipv6: true": "[$(POD_IP)]:8080"} {
		pod := render(t, enough, everything, aFleet, "fleet: {"+values+"}").deployment.Spec.Template.Spec
		c := pod.Containers[0]
		ip := slices.IndexFunc(c.Env, func(v core.EnvVar) bool {
			return v.Name == "POD_IP" && v.ValueFrom != nil && v.ValueFrom.FieldRef != nil && v.ValueFrom.FieldRef.FieldPath == "status.podIP"
		})
		address := slices.IndexFunc(c.Env, func(v core.EnvVar) bool { return v.Name == "FLEET_ADDRESS" })
		if ip < 0 || address < ip || c.Env[address].Value != want || c.Ports[0].ContainerPort != 8080 {
			t.Errorf("%s: the variables are %+v, the port is %v", values, c.Env, c.Ports)
		}
		if pod.HostNetwork || pod.Hostname != "" {
			t.Errorf("%s: the pods share a host's name or network: %v %q", values, pod.HostNetwork, pod.Hostname)
		}
	}
}

// TestFleet_ANameThatIsNoPortalsNameIsRefused: as the program would refuse it
// (pkg/fleet/folder.go).
func TestFleet_ANameThatIsNoPortalsNameIsRefused(t *testing.T) {
	of := func(name string) error {
		_, err := rendered(enough, "fleet: {enabled: true, portals: {'"+name+"': a=b}}")
		return err
	}
	longest := strings.Repeat("a", 63)
	for _, name := range []string{"", "Acme", "-acme", "acme.env", "acme_2", "acme 2", "a/b", "ä", longest + "a"} {
		if err := of(name); err == nil || !strings.Contains(err.Error(), "portals") {
			t.Errorf("%q: got %v", name, err)
		}
	}
	for _, name := range []string{"a", "0", "acme-2", "acme-", longest} {
		if err := of(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestFleet_APortalsProblemStopsNoUpdate: an instance is ready while it is up, for
// /readyz is 503 while one of its portals needs its operator. What slows an update down
// instead is minReadySeconds.
func TestFleet_APortalsProblemStopsNoUpdate(t *testing.T) {
	d := render(t, enough, aFleet).deployment
	c := d.Spec.Template.Spec.Containers[0]
	for name, probe := range map[string]*core.Probe{"startup": c.StartupProbe, "liveness": c.LivenessProbe, "readiness": c.ReadinessProbe} {
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != "/healthz" {
			t.Errorf("%s: got %+v", name, probe)
		}
	}
	if d.Spec.MinReadySeconds < 10 || render(t, enough).deployment.Spec.MinReadySeconds != 0 {
		t.Errorf("a fleet waits for %d s between pods", d.Spec.MinReadySeconds)
	}
}

// TestFleet_AChangeOfAPortalRestartsNoPod: the instances read the folder themselves.
func TestFleet_AChangeOfAPortalRestartsNoPod(t *testing.T) {
	base := render(t, enough, aFleet).deployment
	if now := render(t, enough, aFleet, "fleet: {portals: {acme: HUBSPOT_OBJECTS=deals, new: a=b, globex-2: null}}"); !reflect.DeepEqual(base, now.deployment) {
		t.Errorf("the Deployment changes from %+v to %+v", base, now.deployment)
	} else if names := slices.Sorted(maps.Keys(now.portals.Data)); !slices.Equal(names, []string{"acme.env", "new.env"}) {
		t.Errorf("the files are %q", names)
	}
	if now := render(t, enough, aFleet, "env: {LOG_LEVEL: debug}").deployment; maps.Equal(base.Spec.Template.Annotations, now.Spec.Template.Annotations) {
		t.Error("a change of the environment restarts nothing")
	}
}

// TestFleet_EachPortalMayHaveItsRegistry, which a single portal's environment must name.
func TestFleet_EachPortalMayHaveItsRegistry(t *testing.T) {
	if _, there := render(t, enough, aFleet, "env: {SCHEMA_REGISTRY_URL: null}").config.Data["SCHEMA_REGISTRY_URL"]; there {
		t.Error("the environment has one")
	}
}

// TestFleet_Notes name the commands for a fleet, and where its portals are changed.
func TestFleet_Notes(t *testing.T) {
	notes := render(t, enough, aFleet, "secrets: {HUBSPOT_ACCESS_TOKEN: null}").notes
	for _, want := range []string{
		"kubectl -n sync exec deploy/crm-hubspot-cdc -- /connector fleet status\n", "helm test crm -n sync --logs", "/portals/NAME",
		"helm upgrade crm ", "kubectl -n sync edit configmap more\n", "kubectl -n sync edit secret tokens\n", "kubectl -n sync logs deploy/crm-hubspot-cdc --previous",
	} {
		if !strings.Contains(notes, want) {
			t.Errorf("no %q in\n%s", want, notes)
		}
	}
	for _, not := range []string{"No HubSpot token", "/connector status\n", "/connector tail\n"} {
		if strings.Contains(notes, not) {
			t.Errorf("%q, of a single portal, is in\n%s", not, notes)
		}
	}
}

const examples = "../../deploy/helm/examples/"

func example(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(examples + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestFleet_TheExamplesWork: Kubernetes knows their fields, the values name the objects
// that there are, and every file has variables that a portal may set, and names only
// files of the folder.
func TestFleet_TheExamplesWork(t *testing.T) {
	var portals core.ConfigMap
	var tokens core.Secret
	configMap, secret, _ := strings.Cut(example(t, "fleet-objects.yaml"), "\n---\n")
	for text, into := range map[string]any{configMap: &portals, secret: &tokens} {
		if err := yaml.UnmarshalStrict([]byte(text), into); err != nil {
			t.Fatal(err)
		}
	}
	if portals.Kind != "ConfigMap" || tokens.Kind != "Secret" || portals.Namespace != tokens.Namespace {
		t.Errorf("the objects are %s in %s and %s in %s", portals.Kind, portals.Namespace, tokens.Kind, tokens.Namespace)
	}
	r := render(t, example(t, "fleet-existing.yaml"))
	folder, sources := mounted(t, &r.deployment.Spec.Template.Spec)
	if len(sources) != 2 || sources[0].ConfigMap.Name != portals.Name || sources[1].Secret.Name != tokens.Name {
		t.Errorf("the folder has %+v; there are %s and %s", sources, portals.Name, tokens.Name)
	}
	texts := map[string][]byte{}
	for name, text := range portals.Data {
		texts[name] = []byte(text)
	}
	fit(t, folder.MountPath, texts, slices.Collect(maps.Keys(tokens.StringData)))

	text := example(t, "fleet.yaml")
	r = render(t, text)
	folder, sources = mounted(t, &r.deployment.Spec.Template.Spec)
	if len(sources) != 2 || !strings.Contains(text, "create secret generic "+sources[1].Secret.Name+" ") || *r.deployment.Spec.Replicas != 2 || r.budget == nil {
		t.Errorf("the folder has %+v; %d replicas, the budget %v", sources, *r.deployment.Spec.Replicas, r.budget)
	}
	var files []string
	for _, m := range regexp.MustCompile(`--from-file=(\S+)`).FindAllStringSubmatch(text, -1) {
		files = append(files, m[1])
	}
	fit(t, folder.MountPath, r.portals.Data, files)
}

// fit holds the files of three portals to the variables that there are, and to the files
// beside them.
func fit(t *testing.T, dir string, portals map[string][]byte, beside []string) {
	t.Helper()
	all := variables(t)
	for name, text := range portals {
		token := false
		for line := range bytes.Lines(text) {
			variable, value, _ := strings.Cut(strings.TrimSpace(string(line)), "=")
			if strings.HasPrefix(variable, "#") {
				continue
			}
			if !slices.Contains(all, variable) || regexp.MustCompile(`^(HTTP|LOG|FLEET)_|_PREFIX$`).MatchString(variable) {
				t.Errorf("%s: a portal has no variable %s", name, variable)
			}
			if strings.HasSuffix(variable, "_FILE") && (path.Dir(value) != dir || !slices.Contains(beside, path.Base(value))) {
				t.Errorf("%s: %s is not in %s with %q", name, value, dir, beside)
			}
			token = token || variable == "HUBSPOT_ACCESS_TOKEN_FILE"
		}
		if !strings.HasSuffix(name, ".env") || !token {
			t.Errorf("%s is no portal's file with a token: %s", name, text)
		}
	}
	if len(portals) != 3 || len(beside) != 3 {
		t.Errorf("there are %d portals and %d files beside them", len(portals), len(beside))
	}
}
