// Package helm renders the chart in deploy/helm with Helm's own engine and reads the
// manifests with the types of Kubernetes and of the Prometheus operator.
package helm

import (
	"fmt"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

const (
	chart = "../../deploy/helm/hubspot-cdc"

	// enough is what a values file has at least.
	enough = `
image: registry.example.com/hubspot-cdc:v1.2.3
env: {KAFKA_BROKERS: "kafka:9092", SCHEMA_REGISTRY_URL: "http://registry:8081"}
secrets: {HUBSPOT_ACCESS_TOKEN: {secret: hubspot, key: token}}
`
)

// release is what the chart installs.
type release struct {
	deployment apps.Deployment
	config     core.ConfigMap
	service    core.Service
	secret     *core.Secret
	portals    *core.Secret // the fleet's
	account    *core.ServiceAccount
	check      core.Pod // of helm test
	budget     *policy.PodDisruptionBudget
	monitor    *monitoring.ServiceMonitor
	rule       *monitoring.PrometheusRule
	notes      string
}

// render installs the chart with values files, of which later ones override earlier
// ones.
func render(t *testing.T, values ...string) release {
	t.Helper()
	r, err := rendered(values...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func rendered(values ...string) (r release, err error) {
	c, err := loader.Load(chart)
	if err != nil {
		return r, err
	}
	all := map[string]any{}
	for _, text := range values {
		one, err := loader.LoadValues(strings.NewReader(text))
		if err != nil {
			return r, err
		}
		all = loader.MergeMaps(all, one)
	}
	in, err := util.ToRenderValues(c, all, common.ReleaseOptions{Name: "crm", Namespace: "sync", IsInstall: true}, common.DefaultCapabilities)
	if err != nil {
		return r, err
	}
	files, err := engine.Render(c, in)
	if err != nil {
		return r, err
	}
	for name, text := range files {
		if strings.HasSuffix(name, "/NOTES.txt") {
			r.notes = text
		} else if err := r.read(text); err != nil {
			return r, err
		}
	}
	return r, nil
}

// read takes one manifest. A field that Kubernetes does not know is an error.
func (r *release) read(text string) error {
	var head struct {
		APIVersion, Kind string
		Metadata         struct{ Name string }
	}
	if err := yaml.Unmarshal([]byte(text), &head); err != nil || head.Kind == "" {
		return err
	}
	var into any
	switch head.APIVersion + " " + head.Kind {
	case "apps/v1 Deployment":
		into = &r.deployment
	case "v1 ConfigMap":
		into = &r.config
	case "v1 Service":
		into = &r.service
	case "v1 Pod":
		into = &r.check
	case "v1 Secret":
		one := new(core.Secret)
		if into = one; strings.HasSuffix(head.Metadata.Name, "-fleet") {
			r.portals = one
		} else {
			r.secret = one
		}
	case "v1 ServiceAccount":
		r.account = new(core.ServiceAccount)
		into = r.account
	case "policy/v1 PodDisruptionBudget":
		r.budget = new(policy.PodDisruptionBudget)
		into = r.budget
	case "monitoring.coreos.com/v1 ServiceMonitor":
		r.monitor = new(monitoring.ServiceMonitor)
		into = r.monitor
	case "monitoring.coreos.com/v1 PrometheusRule":
		r.rule = new(monitoring.PrometheusRule)
		into = r.rule
	default:
		return fmt.Errorf("an unexpected manifest: %s %s", head.APIVersion, head.Kind)
	}
	return yaml.UnmarshalStrict([]byte(text), into)
}
