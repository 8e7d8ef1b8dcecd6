package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// writeCertificate makes a certificate that vouches for itself, and its key.
func writeCertificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return writePEM(t, "CERTIFICATE", cert), writePEM(t, "PRIVATE KEY", der)
}

func writePEM(t *testing.T, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestClusterTLS(t *testing.T) {
	cert, key := writeCertificate(t)
	empty := writePEM(t, "NOTHING", nil)
	if c, err := clusterTLS(parse(t, "--tls-cert-file "+cert)); c != nil || err != nil {
		t.Errorf("without tls-cluster: %v, %v", c, err)
	}
	for name, line := range map[string]string{
		"own files":    "--cluster-tls-cert-file " + cert + " --cluster-tls-key-file " + key + " --cluster-tls-ca-cert-file " + cert,
		"shared files": "--tls-cert-file " + cert + " --tls-key-file " + key + " --tls-ca-cert-file " + cert,
		"own above shared": "--tls-cert-file nosuch --cluster-tls-cert-file " + cert + " --tls-key-file " + key +
			" --tls-ca-cert-file " + cert,
	} {
		c, err := clusterTLS(parse(t, "--tls-cluster yes "+line))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if c.ClientAuth != tls.RequireAndVerifyClientCert || c.ClientCAs == nil || c.RootCAs == nil || c.MinVersion != tls.VersionTLS13 {
			t.Errorf("%s: both sides must prove themselves: %+v", name, c)
		}
	}
	for line, want := range map[string]string{
		"--tls-cert-file nosuch --tls-key-file " + key + " --tls-ca-cert-file " + cert:             "certificate of the node-to-node port",
		"--tls-cert-file " + cert + " --tls-key-file " + cert + " --tls-ca-cert-file " + cert:      "certificate of the node-to-node port",
		"--tls-cert-file " + cert + " --tls-key-file " + key + " --tls-ca-cert-file nosuch":        "authority of the node-to-node port",
		"--tls-cert-file " + cert + " --tls-key-file " + key + " --tls-ca-cert-file " + empty:      "holds no certificate",
		"--cluster-tls-cert-file " + cert + " --tls-key-file " + key + " --tls-cert-file " + empty: "needs cluster-tls-cert-file",
	} {
		_, err := clusterTLS(parse(t, "--tls-cluster yes "+line))
		fails(t, err, want)
	}
}
