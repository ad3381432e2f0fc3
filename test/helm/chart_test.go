package helm

import (
	"maps"
	"os"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	v2 "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"
)

// everything sets what the chart leaves out by default.
const everything = `
replicas: 2
imagePullSecrets: [{name: pull}]
priorityClassName: high
podDisruptionBudget: {enabled: true}
serviceMonitor: {enabled: true, labels: {release: prometheus}}
prometheusRule: {enabled: true, labels: {release: prometheus}}
serviceAccount: {annotations: {a: b}}
secrets:
  KAFKA_SASL_PASSWORD: {value: "p4ss: #word"}
  KAFKA_TLS_CA_FILE: {secret: ca, key: ca.crt}
  AWS_SECRET_ACCESS_KEY: {secret: aws, key: secret}
podLabels: {team: data}
podAnnotations: {a: b}
nodeSelector: {disk: none}
tolerations: [{key: spot, operator: Exists}]
affinity: {nodeAffinity: {}}
extraEnv: [{name: LOG_LEVEL, value: debug}]
extraVolumes: [{name: more, emptyDir: {}}]
extraVolumeMounts: [{name: more, mountPath: /more}]
topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}]
`

// TestChart_FitsKubernetes: each manifest has only fields that Kubernetes and the
// Prometheus operator know, and the parts of the release find one another.
func TestChart_FitsKubernetes(t *testing.T) {
	little := render(t, enough)
	if little.secret != nil || little.budget != nil || little.monitor != nil || little.rule != nil || little.account == nil {
		t.Errorf("by default the release has secret=%v budget=%v monitor=%v rule=%v account=%v", little.secret, little.budget, little.monitor, little.rule, little.account)
	}
	r := render(t, enough, everything)
	if r.secret == nil || r.budget == nil || r.monitor == nil || r.rule == nil || r.account == nil {
		t.Fatalf("with everything the release has secret=%v budget=%v monitor=%v rule=%v account=%v", r.secret, r.budget, r.monitor, r.rule, r.account)
	}
	pod := r.deployment.Spec.Template
	for name, selector := range map[string]*meta.LabelSelector{
		"Deployment": r.deployment.Spec.Selector, "PodDisruptionBudget": r.budget.Spec.Selector,
		"Service": {MatchLabels: r.service.Spec.Selector},
	} {
		if len(selector.MatchLabels) != 2 || !labels.SelectorFromSet(selector.MatchLabels).Matches(labels.Set(pod.Labels)) {
			t.Errorf("the %s selects %v, the pod has %v", name, selector.MatchLabels, pod.Labels)
		}
	}
	if s := r.monitor.Spec.Selector.MatchLabels; !labels.SelectorFromSet(s).Matches(labels.Set(r.service.Labels)) {
		t.Errorf("the ServiceMonitor selects %v, the Service has %v", s, r.service.Labels)
	}
	container := pod.Spec.Containers[0]
	if port := r.service.Spec.Ports[0]; port.TargetPort.StrVal != container.Ports[0].Name || r.monitor.Spec.Endpoints[0].Port != port.Name {
		t.Errorf("ports: monitor %q, service %v, container %v", r.monitor.Spec.Endpoints[0].Port, port, container.Ports)
	}
	if pod.Spec.ServiceAccountName != r.account.Name || container.EnvFrom[0].ConfigMapRef.Name != r.config.Name {
		t.Errorf("the pod names the account %q and the config %v; there are %q and %q", pod.Spec.ServiceAccountName, container.EnvFrom, r.account.Name, r.config.Name)
	}
}

// TestChart_TheAlertsAreThoseOfPrometheus: the rule has what deploy/prometheus has.
func TestChart_TheAlertsAreThoseOfPrometheus(t *testing.T) {
	text, err := os.ReadFile("../../deploy/prometheus/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var want monitoring.PrometheusRuleSpec
	if err := yaml.UnmarshalStrict(text, &want); err != nil {
		t.Fatal(err)
	}
	got := render(t, enough, everything).rule
	if len(want.Groups) == 0 || !reflect.DeepEqual(got.Spec, want) || got.Labels["release"] != "prometheus" {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestChart_AnUnknownFieldIsFound shows that the test above can fail.
func TestChart_AnUnknownFieldIsFound(t *testing.T) {
	for _, values := range []string{"tolerations: [{kay: spot}]", "resources: {limit: {memory: 1Gi}}", "affinity: {nodeAfinity: {}}"} {
		if _, err := rendered(enough, values); err == nil || !strings.Contains(err.Error(), "unknown field") {
			t.Errorf("%s: got %v", values, err)
		}
	}
}

// TestChart_ThePagesExampleWorks: the values of docs/deploy.md make a release with
// all that they name.
func TestChart_ThePagesExampleWorks(t *testing.T) {
	text, err := os.ReadFile("../../docs/deploy.md")
	if err != nil {
		t.Fatal(err)
	}
	_, values, _ := strings.Cut(string(text), "```yaml\n")
	values, _, _ = strings.Cut(values, "```")
	r := render(t, values)
	all, container := variables(t), r.deployment.Spec.Template.Spec.Containers[0]
	named := slices.Collect(maps.Keys(r.config.Data))
	for _, v := range container.Env {
		named = append(named, v.Name)
	}
	for _, name := range named {
		if !slices.Contains(all, name) {
			t.Errorf("%s is no variable of the connector", name)
		}
	}
	if len(named) != 10 || *r.deployment.Spec.Replicas != 2 || r.budget == nil || container.Image == "" {
		t.Errorf("got %d variables %v, %d replicas, a budget %v, the image %q", len(named), named, *r.deployment.Spec.Replicas, r.budget, container.Image)
	}
}

// TestChart_Lint: helm lint has nothing to say but that there is no icon.
func TestChart_Lint(t *testing.T) {
	for _, fleet := range []map[string]any{{}, {"enabled": true, "portals": map[string]any{"acme": "a=b"}}} {
		result := lint.RunAll(chart, map[string]any{
			"image": "a:b", "env": map[string]any{"KAFKA_BROKERS": "a:1", "SCHEMA_REGISTRY_URL": "http://r"}, "fleet": fleet,
		}, "sync")
		for _, m := range result.Messages {
			if !strings.Contains(m.Error(), "icon is recommended") {
				t.Error(m)
			}
		}
	}
}

// TestChart_RefusesWhatItWouldIgnore: a value that is mistyped, a secret in the
// ConfigMap, and a port that the probes do not know.
func TestChart_RefusesWhatItWouldIgnore(t *testing.T) {
	for _, c := range []struct{ values, want string }{
		{"replica: 2", "replica"},
		{"resources: 1", "resources"},
		{"secretsAs: file", "secretsAs"},
		{"env: {HTTP_ADDR: ':9090'}", "env.HTTP_ADDR is set by the chart"},
		{"env: {FLEET_DIR: /portals}", "env.FLEET_DIR is set by the chart"},
		{"env: {FLEET_ADDRESS: 'fleet:8080'}", "env.FLEET_ADDRESS is set by the chart"},
		{"fleet: {enabled: true}", "fleet has no portals"},
		{"fleet: {enabled: true, portals: {acme: [a]}}", "acme"},
		{"fleet: {portals: {acme: a=b}}", "set fleet.enabled"},
		{"fleet: {existingSecret: portals}", "set fleet.enabled"},
		{"fleet: {enable: true}", "enable"},
		{"secrets: {HUBSPOT_ACCESS_TOKEN: {secret: hubspot, key: null}}", "secrets"},
		{"secrets: {HUBSPOT_ACCESS_TOKEN: {value: x}}", "secrets"}, // beside the Secret that enough names
		{"image: ''", "image is required"},
		{"env: {KAFKA_BROKERS: null}", "env.KAFKA_BROKERS is required"},
		{"env: {SCHEMA_REGISTRY_URL: ''}", "env.SCHEMA_REGISTRY_URL is required"},
	} {
		if _, err := rendered(enough, c.values); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error about %q", c.values, err, c.want)
		}
	}
}

// variables reads .env.example: the names in their order.
func variables(t *testing.T) (names []string) {
	t.Helper()
	text, err := os.ReadFile("../../.env.example")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^#?([A-Z0-9_]+)=`).FindAllStringSubmatch(string(text), -1) {
		names = append(names, m[1])
	}
	if len(names) < 50 {
		t.Fatalf("only %d variables in .env.example", len(names))
	}
	return names
}

// TestChart_EverySecretReachesTheConnector: in a form that it knows, and never
// through the ConfigMap, which takes all other variables. Those may be secrets too,
// such as a user's name that stands beside the password.
func TestChart_EverySecretReachesTheConnector(t *testing.T) {
	all := variables(t)
	secrets := 0
	for _, name := range all {
		if slices.Contains([]string{"HTTP_ADDR", "FLEET_DIR", "FLEET_ADDRESS"}, name) { // the chart sets them
			continue
		}
		hasFile := slices.Contains(all, name+"_FILE")
		switch {
		case hasFile, name == "AWS_SECRET_ACCESS_KEY", name == "AWS_SESSION_TOKEN":
			secrets++
			if _, err := rendered(enough, "env: {"+name+": x}"); err == nil || !strings.Contains(err.Error(), "set secrets."+name+" instead") {
				t.Errorf("%s in env, which is a ConfigMap: got %v", name, err)
			}
		case strings.HasSuffix(name, "_FILE"):
		default:
			if got := render(t, enough, "env: {"+name+": x}").config.Data[name]; got != "x" {
				t.Errorf("%s in env: the ConfigMap has %q", name, got)
			}
		}
		for _, as := range []string{"files", "env"} {
			for from, where := range map[string][2]string{"{secret: s, key: '1'}": {"s", "1"}, "{value: x}": {"crm-hubspot-cdc", name}} {
				r := render(t, enough, "secrets: {HUBSPOT_ACCESS_TOKEN: null}", "secretsAs: "+as, "secrets: {"+name+": "+from+"}")
				reaches(t, r, name, as == "files" && hasFile || strings.HasSuffix(name, "_FILE"), where)
				if given := r.secret != nil && string(r.secret.Data[name]) == "x"; given != (where[1] == name) {
					t.Errorf("%s %s: the chart makes the Secret %v", name, from, r.secret)
				}
			}
		}
	}
	if secrets < 10 {
		t.Errorf("only %d secrets in .env.example", secrets)
	}
}

// reaches checks that a secret is mounted as a file, or that the variable holds it.
func reaches(t *testing.T, r release, name string, file bool, where [2]string) {
	t.Helper()
	pod := r.deployment.Spec.Template.Spec
	env := pod.Containers[0].Env
	env = env[len(env)-1:]
	if !file {
		if ref := env[0].ValueFrom; env[0].Name != name || ref == nil || ref.SecretKeyRef.Name != where[0] || ref.SecretKeyRef.Key != where[1] || len(pod.Volumes) > 0 {
			t.Errorf("%s as a variable: got %+v, volumes %v, want the key %q of %q", name, env[0], pod.Volumes, where[1], where[0])
		}
		return
	}
	source := pod.Volumes[0].Projected.Sources[0].Secret
	mount := pod.Containers[0].VolumeMounts[0]
	want := core.EnvVar{Name: strings.TrimSuffix(name, "_FILE") + "_FILE", Value: path.Join(mount.MountPath, source.Items[0].Path)}
	if env[0] != want || source.Name != where[0] || source.Items[0].Key != where[1] || mount.Name != pod.Volumes[0].Name {
		t.Errorf("%s as a file: got %+v, want %+v; mounted from %+v at %+v", name, env[0], want, source, mount)
	}
}

// TestChart_ValuesArriveAsTheyAreWritten: a large number without an exponent, a list
// with commas, null not at all, on and off of HUBSPOT_JOURNAL as such.
func TestChart_ValuesArriveAsTheyAreWritten(t *testing.T) {
	got := render(t, enough, `
env:
  KAFKA_MAX_MESSAGE_BYTES: 8388608
  HUBSPOT_RATE_SHARE: 0.35
  TOMBSTONES_ON_DELETE: false
  HUBSPOT_OBJECTS: [contacts, p_car]
  HUBSPOT_VOLATILE: '*.a: "b", #c'
  HUBSPOT_ASSOCIATIONS: null
`).config.Data
	want := map[string]string{
		"KAFKA_BROKERS": "kafka:9092", "SCHEMA_REGISTRY_URL": "http://registry:8081",
		"KAFKA_MAX_MESSAGE_BYTES": "8388608", "HUBSPOT_RATE_SHARE": "0.35", "TOMBSTONES_ON_DELETE": "false",
		"HUBSPOT_OBJECTS": "contacts,p_car", "HUBSPOT_VOLATILE": `*.a: "b", #c`,
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, journal := range []string{"auto", "on", "off", "'off'"} {
		if got := render(t, enough, "env: {HUBSPOT_JOURNAL: "+journal+"}").config.Data["HUBSPOT_JOURNAL"]; got != strings.Trim(journal, "'") {
			t.Errorf("HUBSPOT_JOURNAL: %s: got %q", journal, got)
		}
	}
}

// TestChart_APodEndsAndIsProbedAsTheConnectorDoes: it needs up to ten seconds to end
// (docs/operations.md), and up to two for /readyz; it is not root and writes nothing.
func TestChart_APodEndsAndIsProbedAsTheConnectorDoes(t *testing.T) {
	d := render(t, enough).deployment
	pod := d.Spec.Template.Spec
	c := pod.Containers[0]
	if *pod.TerminationGracePeriodSeconds <= 10 {
		t.Errorf("it is killed after %d s", *pod.TerminationGracePeriodSeconds)
	}
	for where, probe := range map[string]*core.Probe{"/healthz startup": c.StartupProbe, "/healthz": c.LivenessProbe, "/readyz": c.ReadinessProbe} {
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != strings.Fields(where)[0] || probe.TimeoutSeconds <= 2 || probe.HTTPGet.Port.StrVal != c.Ports[0].Name {
			t.Errorf("%s: got %+v", where, probe)
		}
	}
	if other := render(t, enough, "podSecurityContext: {runAsUser: null}").deployment.Spec.Template.Spec.SecurityContext; other.RunAsUser != nil || !*other.RunAsNonRoot {
		t.Errorf("a cluster cannot choose the user: %+v", other)
	}
	if s := c.SecurityContext; !*pod.SecurityContext.RunAsNonRoot || *pod.SecurityContext.RunAsUser == 0 || !*s.ReadOnlyRootFilesystem || *s.AllowPrivilegeEscalation || len(s.Capabilities.Drop) == 0 {
		t.Errorf("security: pod %+v, container %+v", pod.SecurityContext, s)
	}
	if up := d.Spec.Strategy.RollingUpdate; up.MaxUnavailable.IntVal != 0 || up.MaxSurge.IntVal != 1 {
		t.Errorf("an update takes the old pod away before the new one stands by: %v", up)
	}
	if limit := c.Resources.Limits.Memory(); limit.IsZero() || c.Resources.Requests.Memory().Cmp(*limit) != 0 {
		t.Errorf("memory: %v", c.Resources)
	}
}

// TestChart_TheCheckHasWhatTheConnectorHas, and is none of its pods.
func TestChart_TheCheckHasWhatTheConnectorHas(t *testing.T) {
	for _, c := range []struct {
		values string
		runs   string
		checks []string
	}{{everything, "run", []string{"check"}}, {everything + aFleet, "fleet", []string{"fleet", "check"}}} {
		r := render(t, enough, c.values)
		pod, check := r.deployment.Spec.Template.Spec, r.check.Spec
		run := pod.Containers[0]
		if !slices.Equal(run.Args, []string{c.runs}) {
			t.Errorf("the pods run %q, want %s", run.Args, c.runs)
		}
		run.Name, run.Args, run.Ports = "check", c.checks, nil
		run.StartupProbe, run.LivenessProbe, run.ReadinessProbe = nil, nil, nil
		if !reflect.DeepEqual(check.Containers, []core.Container{run}) {
			t.Errorf("got %+v, want %+v", check.Containers, run)
		}
		pod.Containers, pod.TopologySpreadConstraints, pod.TerminationGracePeriodSeconds = check.Containers, nil, nil
		pod.RestartPolicy = core.RestartPolicyNever
		if !reflect.DeepEqual(check, pod) {
			t.Errorf("got %+v, want %+v", check, pod)
		}
		if labels.SelectorFromSet(r.service.Spec.Selector).Matches(labels.Set(r.check.Labels)) || r.check.Annotations["helm.sh/hook"] != "test" {
			t.Errorf("the check is one of the release's pods: %v %v", r.check.Labels, r.check.Annotations)
		}
	}
}

// TestChart_AChangeOfConfigurationRestartsIt, because it reads the environment once.
func TestChart_AChangeOfConfigurationRestartsIt(t *testing.T) {
	of := func(values string) map[string]string {
		return render(t, enough, "secrets: {HUBSPOT_ACCESS_TOKEN: null, HUBSPOT_HASH_KEY: {value: a}}", values).deployment.Spec.Template.Annotations
	}
	base := of("replicas: 2")
	if !maps.Equal(base, of("replicas: 3")) {
		t.Error("the number of replicas restarts them")
	}
	for _, values := range []string{"env: {LOG_LEVEL: debug}", "secrets: {HUBSPOT_HASH_KEY: {value: b}}"} {
		if maps.Equal(base, of(values)) {
			t.Errorf("%s: the pods stay as they are", values)
		}
	}
}

// TestChart_Notes name the commands, and a token that is missing.
func TestChart_Notes(t *testing.T) {
	const missing = "No HubSpot token is set"
	if notes := render(t, enough).notes; strings.Contains(notes, missing) || !strings.Contains(notes, "kubectl -n sync logs deploy/crm-hubspot-cdc\n") || !strings.Contains(notes, "helm test crm -n sync --logs") {
		t.Errorf("got\n%s", notes)
	}
	if notes := render(t, enough, "secrets: {HUBSPOT_ACCESS_TOKEN: null}").notes; !strings.Contains(notes, missing) {
		t.Errorf("without a token: got\n%s", notes)
	}
	if notes := render(t, enough, "secrets: # none here").notes; !strings.Contains(notes, missing) {
		t.Errorf("without secrets: got\n%s", notes)
	}
	// A driver mounts the token, and the variable names its file.
	for _, as := range []string{"env: {HUBSPOT_ACCESS_TOKEN_FILE: /mnt/token}", "secrets: {HUBSPOT_REFRESH_TOKEN_FILE: {secret: hubspot, key: refresh}}"} {
		if notes := render(t, enough, "secrets: {HUBSPOT_ACCESS_TOKEN: null}", as).notes; strings.Contains(notes, missing) {
			t.Errorf("%s: got\n%s", as, notes)
		}
	}
}

// TestChart_AnotherChartMayHoldIt, and leave it out by the condition that charts have
// for that: Helm hands its value to this chart too.
func TestChart_AnotherChartMayHoldIt(t *testing.T) {
	for enabled, want := range map[string]int{"true": 1, "false": 0} {
		one, err := loader.Load(chart)
		if err != nil {
			t.Fatal(err)
		}
		parent := &v2.Chart{Metadata: &v2.Metadata{APIVersion: v2.APIVersionV2, Name: "crm", Version: "1.0.0", Dependencies: []*v2.Dependency{
			{Name: one.Name(), Version: one.Metadata.Version, Condition: one.Name() + ".enabled"},
		}}}
		parent.AddDependency(one)
		given, err := loader.LoadValues(strings.NewReader(enough + "enabled: " + enabled))
		if err != nil {
			t.Fatal(err)
		}
		values := map[string]any{one.Name(): given}
		if err := chartutil.ProcessDependencies(parent, values); err != nil {
			t.Fatal(err)
		}
		if _, err := util.ToRenderValues(parent, values, common.ReleaseOptions{Name: "crm"}, common.DefaultCapabilities); err != nil {
			t.Errorf("enabled=%s: %v", enabled, err)
		}
		if got := len(parent.Dependencies()); got != want {
			t.Errorf("enabled=%s: the parent has %d charts, want %d", enabled, got, want)
		}
	}
}
