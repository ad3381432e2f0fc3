//go:build integration

// Package compose checks docker-compose.yml and Dockerfile on machines without
// Docker: the file is valid by the compose schema, the image's build line makes a
// static binary, and each service's command runs with its environment. Only host
// names and ports are this machine's. The images' own programs come from Maven in
// the images' versions, and with Kafka the wrapper that turns the image's
// environment into a configuration.
package compose

import (
	"context"
	"debug/elf"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/test/services"
)

const root = "../.."

// checker is the version of check-jsonschema, which contains the compose schema
// and a YAML parser.
const checker = "check-jsonschema==0.39.0"

// tools gives the folder of a Python environment with the checker.
func tools(t *testing.T) string {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skipf("python3 is needed for the compose schema: %v", err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skip(err)
	}
	dir := filepath.Join(cache, "hubspot-cdc-test", checker)
	bin := filepath.Join(dir, "bin")
	if _, err := os.Stat(filepath.Join(bin, "check-jsonschema")); err == nil {
		return bin
	}
	if out, err := exec.Command(python, "-m", "venv", "--clear", dir).CombinedOutput(); err != nil {
		t.Skipf("python3 -m venv: %v\n%s", err, out)
	}
	if out, err := exec.Command(filepath.Join(bin, "pip"), "-q", "install", checker).CombinedOutput(); err != nil {
		t.Skipf("%s cannot be installed: %v\n%s", checker, err, out)
	}
	return bin
}

func TestComposeFile_IsValid(t *testing.T) {
	bin := tools(t)
	t.Log(services.Output(t, exec.Command(filepath.Join(bin, "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", filepath.Join(root, "docker-compose.yml"))))
	// A schema that accepts everything would show nothing.
	wrong := filepath.Join(t.TempDir(), "docker-compose.yml")
	if err := os.WriteFile(wrong, []byte("services: {kafka: {imagine: apache/kafka}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := exec.Command(filepath.Join(bin, "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", wrong).Run(); err == nil {
		t.Error("a file with a word that compose does not know is valid as well")
	}
}

// composition is what docker-compose.yml says.
type composition struct {
	Services map[string]struct {
		Image, Build string
		Command      []string
		Environment  map[string]any
		Ports        []string
	}
}

func compositionOf(t *testing.T) composition {
	t.Helper()
	text := services.Output(t, exec.Command(filepath.Join(tools(t), "python"), "-c",
		"import json, sys\nfrom ruamel.yaml import YAML\njson.dump(YAML(typ='safe').load(open(sys.argv[1])), sys.stdout)",
		filepath.Join(root, "docker-compose.yml")))
	var c composition
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// environ is a service's environment, plus only what Java needs. replace has
// pairs of texts, to put this machine's hosts and ports in place.
func (c composition) environ(t *testing.T, service string, replace ...string) []string {
	t.Helper()
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	for name, value := range c.Services[service].Environment {
		env = append(env, name+"="+strings.NewReplacer(replace...).Replace(fmt.Sprint(value)))
	}
	slices.Sort(env)
	return env
}

// built runs the Dockerfile's build line.
func built(t *testing.T) (binary string, dockerfile string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^RUN (CGO_ENABLED=0 go build .*)$`).FindSubmatch(text)
	if line == nil {
		t.Fatal("the Dockerfile has no line RUN CGO_ENABLED=0 go build …")
	}
	dir, err := os.MkdirTemp("", "hubspot-cdc-image-") //nolint:usetesting // users other than root read it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	binary = filepath.Join(dir, "connector")
	build := exec.Command("sh", "-c", strings.ReplaceAll(string(line[1]), "-o /connector", "-o "+binary))
	build.Dir, build.Env = root, append(os.Environ(), "VERSION=v0.0.0-test")
	services.Output(t, build)
	return binary, string(text)
}

// TestImage_IsStaticAndNotRoot: the binary needs nothing from the image, which
// has nothing. It tells its version, and the image does not run as root.
func TestImage_IsStaticAndNotRoot(t *testing.T) {
	binary, dockerfile := built(t)
	file, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the binary is not static: it has a segment %v", p.Type)
		}
	}
	if got := services.Output(t, exec.Command(binary, "version")); !strings.HasPrefix(got, "connector v0.0.0-test\n") {
		t.Errorf("it says its version is %q", got)
	}
	for _, line := range []string{"FROM gcr.io/distroless/static-debian12:nonroot", "USER 65532:65532", "ENV HTTP_ADDR=:8080", `ENTRYPOINT ["/connector"]`} {
		if !strings.Contains(dockerfile, "\n"+line+"\n") {
			t.Errorf("the Dockerfile has no line %s", line)
		}
	}
}

// TestComposeFile_EachServiceRunsAsItSays: with the file's commands and
// environments the connector becomes ready, and a reader outside the containers
// finds the portal's records in Kafka.
func TestComposeFile_EachServiceRunsAsItSays(t *testing.T) {
	file := compositionOf(t)
	here := services.Start(t) // for the programs that it fetches
	if here.Bin == "" {
		t.Skip("Kafka's jars are those of test/kafka, which was not started")
	}
	jars := filepath.Dir(here.Bin)
	cache := filepath.Dir(jars)
	binary, _ := built(t)

	inside, outside, controller := services.FreePort(t), services.FreePort(t), services.FreePort(t)
	registry, portal, metrics := services.FreePort(t), services.FreePort(t), services.FreePort(t)
	port := func(n int) string { return fmt.Sprintf(":%d", n) }

	// The entry point of apache/kafka: its wrapper, then Kafka.
	if got, want := file.Services["kafka"].Image, "apache/kafka:"+strings.TrimPrefix(filepath.Base(jars), "kafka-"); got != want {
		t.Errorf("the image is %s, but the test runs %s", got, want)
	}
	dir := t.TempDir()
	for _, folder := range []string{"default", "mounted", "final"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	env := file.environ(t, "kafka", ":29092", port(inside), ":9092", port(outside), ":9093", port(controller),
		"//kafka", "//127.0.0.1", "@kafka", "@127.0.0.1", "/var/lib/kafka/data", filepath.Join(dir, "data"))
	classes := filepath.Join(jars, "lib", "*")
	setup := exec.Command("java", "-cp", classes, "kafka.docker.KafkaDockerWrapper", "setup",
		"--default-configs-dir", filepath.Join(dir, "default"), "--mounted-configs-dir", filepath.Join(dir, "mounted"), "--final-configs-dir", filepath.Join(dir, "final"))
	setup.Env = env
	if err := os.WriteFile(filepath.Join(dir, "default", "server.properties"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	services.Output(t, setup)
	// As on the image's console.
	logging := filepath.Join(dir, "log4j2.properties")
	if err := os.WriteFile(logging, []byte("rootLogger.level=INFO\nrootLogger.appenderRef.out.ref=out\nappender.out.type=Console\nappender.out.name=out\nappender.out.layout.type=PatternLayout\nappender.out.layout.pattern=%p %m%n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	broker := exec.Command("java", "-Xmx384m", "-XX:+UseSerialGC", "-Dlog4j2.configurationFile="+logging, "-cp", classes, "kafka.Kafka", filepath.Join(dir, "final", "server.properties"))
	broker.Env = env
	services.Run(t, "kafka", broker).Says(t, 2*time.Minute, "Kafka Server started")

	// The entry point of apicurio/apicurio-registry.
	version := strings.TrimPrefix(file.Services["registry"].Image, "apicurio/apicurio-registry:")
	app := exec.Command("java", "-Xmx256m", "-XX:+UseSerialGC", "-jar", filepath.Join(cache, "apicurio-"+version, "apicurio-registry-app-"+version+"-runner.jar"))
	app.Env = append(file.environ(t, "registry"), fmt.Sprintf("QUARKUS_HTTP_PORT=%d", registry)) // the image's is 8080
	services.Run(t, "registry", app)
	services.Eventually(t, 2*time.Minute, "the registry answers", func() error {
		return answers(port(registry), "/apis/ccompat/v7/subjects", "[")
	})
	compatible(t, "http://127.0.0.1"+port(registry)+"/apis/ccompat/v7")

	// Ours, as an unprivileged user, as in the image.
	run := func(name string, env ...string) *services.Process {
		var args []string
		for _, word := range file.Services[name].Command {
			args = append(args, strings.ReplaceAll(word, ":8090", port(portal)))
		}
		cmd := exec.Command(binary, args...)
		cmd.Env, cmd.Dir = env, "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: services.NotRoot(t, t.TempDir())}
		return services.Run(t, name, cmd)
	}
	run("portal", file.environ(t, "portal")...)
	connector := run("connector", append(file.environ(t, "connector",
		"kafka:29092", "127.0.0.1"+port(inside), "registry:8080", "127.0.0.1"+port(registry), "portal:8090", "127.0.0.1"+port(portal)),
		"HTTP_ADDR="+port(metrics))...) // the image's is :8080
	services.Eventually(t, time.Minute, "the connector is ready", func() error {
		connector.Lives(t)
		return answers(port(metrics), "/readyz", `"role":"owner"`)
	})

	// As from the machine on which the containers run.
	cl := testkit.Client(t, kgo.SeedBrokers("localhost"+port(outside)))
	services.Eventually(t, time.Minute, "the contacts are in Kafka", func() error {
		ends, err := kadm.NewClient(cl).ListCommittedOffsets(t.Context(), "hubspot.contacts")
		records := int64(0)
		ends.Each(func(o kadm.ListedOffset) { records += o.Offset })
		if err == nil && records < 200 {
			err = fmt.Errorf("%d records", records)
		}
		return err
	})
	connector.Terminate(t)
}

// compatible expects a registry to refuse a schema that cannot read earlier data.
func compatible(t *testing.T, url string) {
	t.Helper()
	registry, err := sr.NewClient(sr.URLs(url))
	if err != nil {
		t.Fatal(err)
	}
	add := func(text string) error {
		_, err := registry.CreateSchema(t.Context(), "compatible", sr.Schema{Schema: text})
		return err
	}
	if err := add(`{"type":"record","name":"r","fields":[]}`); err != nil {
		t.Fatal(err)
	}
	if err := add(`{"type":"record","name":"r","fields":[{"name":"f","type":"int"}]}`); err == nil {
		t.Error("the registry accepts a schema that is not compatible")
	}
}

// answers expects a page to contain a text.
func answers(addr, path, text string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1"+addr+path, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && (answer.StatusCode != http.StatusOK || !strings.Contains(string(body), text)) {
		err = fmt.Errorf("%s answers %d: %s", path, answer.StatusCode, body)
	}
	return err
}
