//go:build integration

package kafka

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hubspot-cdc/connector/internal/testkit"
	"github.com/hubspot-cdc/connector/pkg/hubspot/hubspottest"
	"github.com/hubspot-cdc/connector/test/services"
)

// gate is a proxy before the registry, as companies have it: TLS by an authority
// of its own, a client certificate, and a check of each request.
type gate struct {
	*httptest.Server
	passed, refused atomic.Int64
	ca, cert, key   string // files for its clients
}

func newGate(t *testing.T, registry string, allow func(*http.Request) bool) *gate {
	t.Helper()
	to, err := url.Parse(registry)
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: to.Scheme, Host: to.Host}) }}
	g.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !allow(r) {
			g.refused.Add(1)
			http.Error(w, `{"error_code":401,"message":"Unauthorized"}`, http.StatusUnauthorized)
			return
		}
		g.passed.Add(1)
		proxy.ServeHTTP(w, r)
	}))
	var client *x509.Certificate
	g.cert, g.key, client = selfSigned(t, "cdc")
	pool := x509.NewCertPool()
	pool.AddCert(client)
	g.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	g.StartTLS()
	t.Cleanup(g.Close)
	g.ca = filepath.Join(t.TempDir(), "ca.pem")
	writePEM(t, g.ca, "CERTIFICATE", g.Certificate().Raw)
	return g
}

// selfSigned makes a certificate that signs itself, for this machine's names and
// for both ends of a connection.
func selfSigned(t *testing.T, name string) (certFile, keyFile string, cert *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	writePEM(t, certFile, "CERTIFICATE", der)
	writePEM(t, keyFile, "PRIVATE KEY", private)
	return certFile, keyFile, cert
}

func writePEM(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestRegistry_BehindAGate: a real registry, reached as a company's is: two
// addresses of which one is down, TLS by its own authority, a client certificate,
// and a user, a bearer token that changes in its file, or OAuth with a token that
// expires. The program registers a schema at its start and the next one in
// mid-run, and no request is refused.
func TestRegistry_BehindAGate(t *testing.T) {
	s := services.Start(t)
	path := strings.TrimPrefix(s.Registry, "http://"+mustHost(t, s.Registry))
	for name, way := range map[string]func(t *testing.T) (env []string, allow func(*http.Request) bool, change func()){
		"user":  byUser,
		"token": byToken,
		"OAuth": byOAuth,
	} {
		t.Run(name, func(t *testing.T) {
			env, allow, change := way(t)
			g := newGate(t, s.Registry, allow)
			p := &place{T: t, Services: s, prefix: fmt.Sprintf("gate-%s-%d", strings.ToLower(name), time.Now().UnixMilli())}
			portal := hubspottest.New(hubspottest.Options{
				Seed: 5, Types: []string{"contacts"}, Index: hubspottest.Index{Immediate: true}, Limits: hubspottest.Limits{SearchPerSecond: 1000, TenSecondly: 100_000, Daily: 10_000_000},
			})
			ids := portal.Seed("contacts", 50)
			server := httptest.NewServer(portal)
			defer server.Close()
			closed := fmt.Sprint("https://127.0.0.1:", services.FreePort(t))
			running := s.Build(t, server.URL, p.prefix, append([]string{
				"HUBSPOT_OBJECTS=contacts", "HUBSPOT_ASSOCIATIONS=none", "SYNC_LEADING_INTERVAL=200ms", "SYNC_SCHEMA_INTERVAL=1s",
				"SCHEMA_REGISTRY_URL=" + closed + path + "," + g.URL + path,
				"SCHEMA_REGISTRY_CA_FILE=" + g.ca, "SCHEMA_REGISTRY_CERT_FILE=" + g.cert, "SCHEMA_REGISTRY_KEY_FILE=" + g.key,
			}, env...)...).Start(t)
			running.Says(t, 30*time.Second, "backfill done")
			change()
			portal.AddProperty("contacts", hubspottest.Property{Name: "points", Type: "number"})
			running.Says(t, 30*time.Second, "properties changed")
			portal.Update("contacts", ids[0], map[string]string{"points": "7"})
			decoder := testkit.NewDecoder(t, s.Schemas)
			services.Eventually(t, 30*time.Second, "the new property is published", func() error {
				running.Lives(t)
				for _, r := range p.committed(p.topic("contacts")) {
					after, _ := decoder.Decode(r.Value)["after"].(map[string]any)
					if properties, _ := after["properties"].(map[string]any); properties["points"] == 7.0 {
						return nil
					}
				}
				return fmt.Errorf("no event has it")
			})
			running.Terminate(t)
			if passed, refused := g.passed.Load(), g.refused.Load(); passed < 5 || refused > 0 {
				t.Errorf("the gate passed %d requests and refused %d", passed, refused)
			}
		})
	}
}

func mustHost(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

func byUser(*testing.T) (env []string, allow func(*http.Request) bool, change func()) {
	return []string{"SCHEMA_REGISTRY_USERNAME=cdc", "SCHEMA_REGISTRY_PASSWORD=s3cret"}, func(r *http.Request) bool {
		user, password, ok := r.BasicAuth()
		return ok && user == "cdc" && password == "s3cret"
	}, func() {}
}

func byToken(t *testing.T) (env []string, allow func(*http.Request) bool, change func()) {
	file := filepath.Join(t.TempDir(), "token")
	var valid atomic.Value
	set := func(token string) {
		if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
			t.Error(err)
		}
		valid.Store(token)
	}
	set("first")
	return []string{"SCHEMA_REGISTRY_TOKEN_FILE=" + file}, func(r *http.Request) bool {
		return r.Header.Get("Authorization") == "Bearer "+valid.Load().(string)
	}, func() { set("second") }
}

// byOAuth has tokens of two seconds. change lets the first one expire.
func byOAuth(t *testing.T) (env []string, allow func(*http.Request) bool, change func()) {
	const lasts = 2 * time.Second
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		if id != "cdc" || secret != "s3cret" || r.PostFormValue("grant_type") != "client_credentials" {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"error":"invalid_client"}`)
			return
		}
		fmt.Fprintf(w, `{"access_token":"%d","expires_in":%d}`, time.Now().Add(lasts).UnixMilli(), int(lasts.Seconds()))
	}))
	t.Cleanup(issuer.Close)
	return []string{
			"SCHEMA_REGISTRY_OAUTH_TOKEN_URL=" + issuer.URL, "SCHEMA_REGISTRY_OAUTH_CLIENT_ID=cdc", "SCHEMA_REGISTRY_OAUTH_CLIENT_SECRET=s3cret",
			"SCHEMA_REGISTRY_OAUTH_EXTENSIONS=target-sr-cluster=lsrc-1",
		}, func(r *http.Request) bool {
			var until int64
			_, err := fmt.Sscanf(r.Header.Get("Authorization"), "Bearer %d", &until)
			return err == nil && time.Now().UnixMilli() < until && r.Header.Get("Target-Sr-Cluster") == "lsrc-1"
		}, func() {
			time.Sleep(2 * lasts) //nolint:forbidigo // the issuer's time is real
		}
}
