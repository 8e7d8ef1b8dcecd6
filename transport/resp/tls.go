package resp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/quorate/quorate/transport/config"
)

// tlsFiles is what the tls-* directives say. It is read when a listener with TLS
// is opened, and again when one of them is set, so that certificates are renewed
// without a restart.
type tlsFiles struct {
	current atomic.Pointer[tls.Config]
}

func (f *tlsFiles) config() *tls.Config { return f.current.Load() }

func (f *tlsFiles) load(conf *config.Config) error {
	c, err := readTLS(conf)
	if err == nil {
		f.current.Store(c)
	}
	return err
}

// followTLS takes the tls-* directives when they change, while a listener needs them.
func (s *Server) followTLS() {
	for _, name := range []string{"tls-cert-file", "tls-key-file", "tls-ca-cert-file", "tls-ca-cert-dir", "tls-auth-clients", "tls-protocols"} {
		s.config.OnSet(name, func(string) error {
			if !s.listensTLS() {
				return nil
			}
			if err := s.tls.load(s.config); err != nil {
				return fmt.Errorf("the new TLS files are not used: %w", err)
			}
			return nil
		})
	}
}

func readTLS(conf *config.Config) (*tls.Config, error) {
	certFile, keyFile := conf.String("tls-cert-file"), conf.String("tls-key-file")
	if certFile == "" || keyFile == "" {
		return nil, errors.New("TLS needs tls-cert-file and tls-key-file")
	}
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	c := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	if err := restrictVersions(c, conf.String("tls-protocols")); err != nil {
		return nil, err
	}
	roots, err := readRoots(conf.String("tls-ca-cert-file"), conf.String("tls-ca-cert-dir"))
	if err != nil {
		return nil, err
	}
	c.ClientCAs = roots
	switch conf.String("tls-auth-clients") {
	case "yes":
		if roots == nil {
			return nil, errors.New("tls-auth-clients yes needs tls-ca-cert-file or tls-ca-cert-dir; write tls-auth-clients no to take clients without a certificate")
		}
		c.ClientAuth = tls.RequireAndVerifyClientCert
	case "optional":
		c.ClientAuth = tls.VerifyClientCertIfGiven
	}
	return c, nil
}

// restrictVersions takes a list such as "TLSv1.2 TLSv1.3"; empty is both.
func restrictVersions(c *tls.Config, list string) error {
	versions := map[string]uint16{"tlsv1.2": tls.VersionTLS12, "tlsv1.3": tls.VersionTLS13}
	var wanted []uint16
	for _, word := range strings.Fields(strings.ToLower(list)) {
		v, ok := versions[word]
		if !ok {
			return fmt.Errorf("tls-protocols: %q is not supported; write TLSv1.2, TLSv1.3 or both", word)
		}
		wanted = append(wanted, v)
	}
	if len(wanted) > 0 {
		c.MinVersion, c.MaxVersion = slices.Min(wanted), slices.Max(wanted)
	}
	return nil
}

func readRoots(file, dir string) (*x509.CertPool, error) {
	files := []string{}
	if file != "" {
		files = append(files, file)
	}
	if dir != "" {
		found, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			return nil, err
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		return nil, nil
	}
	pool := x509.NewCertPool()
	any := false
	for _, name := range files {
		pem, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		any = pool.AppendCertsFromPEM(pem) || any
	}
	if !any {
		return nil, fmt.Errorf("no certificate of an authority in %s", strings.Join(files, ", "))
	}
	return pool, nil
}
