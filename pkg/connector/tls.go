package connector

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

func (k *Kafka) tls() (*tls.Config, error) {
	if !k.TLS {
		if k.CAFile != "" || k.CertFile != "" || k.KeyFile != "" {
			return nil, errors.New("KAFKA_TLS_ENABLED: must be true for the files of KAFKA_TLS_* to be used")
		}
		return nil, nil
	}
	return tlsConfig("KAFKA_TLS", k.CAFile, k.CertFile, k.KeyFile)
}

// tlsConfig reads PEM files. Each may be absent, but a certificate needs its key.
// names is what their variables begin with.
func tlsConfig(names, ca, cert, key string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, fmt.Errorf("%s_CA_FILE: %w", names, err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s_CA_FILE: %s holds no certificate", names, ca)
		}
	}
	if cert != "" || key != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("%[1]s_CERT_FILE, %[1]s_KEY_FILE: %[2]w", names, err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
