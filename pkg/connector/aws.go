package connector

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/sasl/aws"

	"github.com/hubspot-cdc/connector/pkg/hubspot"
)

// Where AWS serves the credentials of a container and of an instance.
const (
	containerHost = "http://169.254.170.2"
	instanceHost  = "http://169.254.169.254"
)

// awsCredentials finds credentials where AWS's own clients look for them, in
// their order: the environment, the shared credentials file, the container's
// endpoint, the instance's. AWS's SDK would do this with a dozen more modules; the
// four sources are two requests and a file.
type awsCredentials struct {
	k      *Kafka
	remote *leased[aws.Auth]
	client *http.Client
}

func newAWSCredentials(k *Kafka, transport http.RoundTripper) *awsCredentials {
	if transport == nil {
		direct := http.DefaultTransport.(*http.Transport).Clone()
		direct.Proxy = nil // a proxy would ask its own machine's endpoints
		transport = direct
	}
	a := &awsCredentials{k: k, client: credentialClient(transport)}
	a.remote = lease(a.fetch)
	return a
}

// get returns valid credentials. What the environment or the file holds is not
// kept, so that a changed file counts from the next connection on.
func (a *awsCredentials) get(ctx context.Context) (aws.Auth, error) {
	if a.k.AWSAccessKeyID != "" {
		return aws.Auth{AccessKey: a.k.AWSAccessKeyID, SecretKey: a.k.AWSSecretAccessKey.Reveal(), SessionToken: a.k.AWSSessionToken.Reveal()}, nil
	}
	auth, err := a.shared()
	if err != nil || auth.AccessKey != "" {
		return auth, err
	}
	return a.remote.get(ctx)
}

// shared reads the shared credentials file. No file, or none for the profile, is
// an error only where the operator named one.
func (a *awsCredentials) shared() (auth aws.Auth, err error) {
	path, profile := a.k.AWSCredentialsFile, a.k.AWSProfile
	named := path != "" || profile != ""
	if path == "" {
		home, err := os.UserHomeDir()
		if err != nil && !named {
			return auth, nil
		}
		path = filepath.Join(home, ".aws", "credentials")
	}
	if profile == "" {
		profile = "default"
	}
	auth, err = readProfile(path, profile)
	switch {
	case err != nil && !named && errors.Is(err, fs.ErrNotExist):
		return auth, nil
	case err != nil:
		return auth, &CredentialError{Problem: fmt.Sprintf("AWS_SHARED_CREDENTIALS_FILE: %v", err), Cure: "make the file readable"}
	case (named || auth.AccessKey != "") && (auth.AccessKey == "" || auth.SecretKey == ""):
		return auth, &CredentialError{
			Problem: fmt.Sprintf("%s holds no credentials of profile %s", path, profile),
			Cure:    "check AWS_PROFILE and AWS_SHARED_CREDENTIALS_FILE",
		}
	}
	return auth, nil
}

// readProfile reads one section of a file in INI form.
func readProfile(path, profile string) (auth aws.Auth, err error) {
	f, err := os.Open(path)
	if err != nil {
		return auth, err
	}
	defer f.Close()
	here := false
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if section, ok := strings.CutPrefix(line, "["); ok {
			section, _, _ = strings.Cut(section, "]")
			here = strings.TrimSpace(section) == profile
			continue
		}
		name, value, found := strings.Cut(line, "=")
		if !here || !found {
			continue
		}
		switch value = strings.TrimSpace(value); strings.TrimSpace(name) {
		case "aws_access_key_id":
			auth.AccessKey = value
		case "aws_secret_access_key":
			auth.SecretKey = value
		case "aws_session_token":
			auth.SessionToken = value
		}
	}
	return auth, lines.Err()
}

// fetch asks the container's endpoint where there is one, else the instance's.
func (a *awsCredentials) fetch(ctx context.Context) (auth aws.Auth, expires time.Time, err error) {
	var text []byte
	switch {
	case a.k.AWSContainerRelativeURI != "":
		text, err = a.container(ctx, containerHost+a.k.AWSContainerRelativeURI)
	case a.k.AWSContainerFullURI != "":
		text, err = a.container(ctx, a.k.AWSContainerFullURI)
	default:
		text, err = a.instance(ctx)
	}
	if err != nil {
		return auth, expires, err
	}
	var answer struct {
		AccessKeyID     string `json:"AccessKeyId"`
		SecretAccessKey hubspot.Secret
		Token           hubspot.Secret
		Expiration      time.Time
	}
	if err := json.Unmarshal(text, &answer); err != nil || answer.AccessKeyID == "" || answer.SecretAccessKey == "" {
		return auth, expires, &CredentialError{Problem: "AWS's endpoint answers without credentials", Cure: awsCure, Passing: true}
	}
	return aws.Auth{AccessKey: answer.AccessKeyID, SecretKey: answer.SecretAccessKey.Reveal(), SessionToken: answer.Token.Reveal()}, answer.Expiration, nil
}

// awsCure is the advice where no source has credentials.
const awsCure = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a shared credentials file, or give the container or instance a role"

func (a *awsCredentials) container(ctx context.Context, address string) ([]byte, error) {
	token, err := credential("AWS_CONTAINER_AUTHORIZATION_TOKEN", a.k.AWSContainerToken, a.k.AWSContainerTokenFile)
	if err != nil {
		return nil, err
	}
	header := http.Header{}
	if token != "" {
		header.Set("Authorization", token.Reveal())
	}
	return a.ask(ctx, http.MethodGet, address, header)
}

// instance asks the instance metadata service, version 2:
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html
func (a *awsCredentials) instance(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second) // outside AWS nobody answers
	defer cancel()
	session, err := a.ask(ctx, http.MethodPut, instanceHost+"/latest/api/token", http.Header{"X-Aws-Ec2-Metadata-Token-Ttl-Seconds": {"60"}})
	if err != nil {
		return nil, err
	}
	header := http.Header{"X-Aws-Ec2-Metadata-Token": {string(session)}}
	const roles = instanceHost + "/latest/meta-data/iam/security-credentials/"
	role, err := a.ask(ctx, http.MethodGet, roles, header)
	if err != nil {
		return nil, err
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(role)), "\n")
	return a.ask(ctx, http.MethodGet, roles+url.PathEscape(first), header)
}

func (a *awsCredentials) ask(ctx context.Context, method, address string, header http.Header) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header = header
	resp, err := a.client.Do(req)
	if err != nil {
		return nil, unreachable(req, err, awsCure)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, largestAnswer))
	if err != nil {
		return nil, unreachable(req, err, awsCure)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, &CredentialError{
			Problem: fmt.Sprintf("%s gives no AWS credentials (%d)", req.URL.Host, resp.StatusCode), Cure: awsCure, Passing: passing(resp.StatusCode),
		}
	}
	return body, nil
}

// validateAWS checks the variables of AWS.
func (k *Kafka) validateAWS(p *problems) {
	if (k.AWSAccessKeyID == "") != (k.AWSSecretAccessKey == "") {
		p.add("AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY: give both or none")
	}
	p.given("AWS_CONTAINER_AUTHORIZATION_TOKEN", k.AWSContainerToken, k.AWSContainerTokenFile)
	if uri := k.AWSContainerRelativeURI; uri != "" && !strings.HasPrefix(uri, "/") {
		p.add("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: %q does not begin with /", uri)
	}
	if uri := k.AWSContainerFullURI; uri != "" {
		if err := checkURL(uri); err != nil {
			p.add("AWS_CONTAINER_CREDENTIALS_FULL_URI: %v", err)
		} else if u, _ := url.Parse(uri); u.Scheme == "http" && !awsLocal(u.Hostname()) {
			p.add("AWS_CONTAINER_CREDENTIALS_FULL_URI: must use https, because %s is not this machine", u.Hostname())
		}
	}
	if k.AWSRegion != os.Getenv("AWS_REGION") {
		p.add("AWS_REGION: must be the same in the environment of the process, where the Kafka client reads it")
		return
	}
	// The Kafka client takes the region from a broker's name, or else from the
	// environment, and signs nothing without one.
	sign := aws.Auth{AccessKey: "x", SecretKey: "x"}.AsManagedStreamingIAMMechanism()
	for _, broker := range k.Brokers {
		if !brokerAddress(broker) {
			continue // a problem of its own
		}
		if _, _, err := sign.Authenticate(context.Background(), withPort(broker)); err != nil {
			p.add("AWS_REGION: is required, because %q of KAFKA_BROKERS names no region", broker)
		}
	}
}

// awsLocal reports whether AWS's clients send a container's token to the host
// without TLS.
func awsLocal(host string) bool {
	return loopback(host) || host == "169.254.170.2" || host == "169.254.170.23" || net.ParseIP(host).Equal(net.ParseIP("fd00:ec2::23"))
}
