package connector

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/hubspot-cdc/connector/internal/regular"
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

// handshakeError says that a TCP connection came about and TLS on it did not.
type handshakeError struct{ err error }

func (e *handshakeError) Error() string { return "TLS handshake: " + e.err.Error() }
func (e *handshakeError) Unwrap() error { return e.err }

// ignored reports whether the other side closed the connection, or waited, when
// TLS began: so does a broker that does not speak TLS.
func (e *handshakeError) ignored() bool {
	return errors.Is(e.err, io.EOF) || errors.Is(e.err, io.ErrUnexpectedEOF) || errors.Is(e.err, syscall.ECONNRESET) || errors.Is(e.err, context.DeadlineExceeded)
}

// How long a connection may take, and how long TLS on it: less than a check waits
// for the brokers.
const (
	dialPatience = 10 * time.Second
	tlsPatience  = 4 * time.Second
)

// dialTLS opens connections with TLS.
func dialTLS(config *tls.Config) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		raw, err := (&net.Dialer{Timeout: dialPatience}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		c := config.Clone()
		if host, _, err := net.SplitHostPort(address); err == nil {
			c.ServerName = host
		}
		limited, cancel := context.WithTimeout(ctx, tlsPatience)
		defer cancel()
		conn := tls.Client(raw, c)
		if err := conn.HandshakeContext(limited); err != nil {
			_ = raw.Close() // err says more
			if errors.Is(ctx.Err(), context.Canceled) {
				return nil, ctx.Err()
			}
			return nil, &handshakeError{err}
		}
		return conn, nil
	}
}

// tlsConfig reads PEM files. Each may be absent, but a certificate needs its key.
// names is what their variables begin with.
func tlsConfig(names, ca, cert, key string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		pem, err := regular.Read(ca)
		if err != nil {
			return nil, fmt.Errorf("%s_CA_FILE: %w", names, err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s_CA_FILE: %s holds no certificate", names, ca)
		}
	}
	if cert != "" || key != "" {
		pair, err := keyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("%[1]s_CERT_FILE, %[1]s_KEY_FILE: %[2]w", names, err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

func keyPair(cert, key string) (tls.Certificate, error) {
	certPEM, err := regular.Read(cert)
	if err != nil {
		return tls.Certificate{}, err
	}
	keyPEM, err := regular.Read(key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(certPEM, keyPEM)
}
