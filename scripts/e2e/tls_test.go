//go:build e2e

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// authority signs certificates of one test.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	last int64 // serial number
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, dir: t.TempDir()}
	a.cert, a.key = a.sign("ca", true)
	return a
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

// sign writes name.crt and name.key.
func (a *authority) sign(name string, isCA bool) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	a.last++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(a.last), Subject: pkix.Name{CommonName: name}, IsCA: isCA, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	parent, signer := a.cert, a.key
	if isCA {
		template.KeyUsage = x509.KeyUsageCertSign
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(name+".crt", "CERTIFICATE", der)
	a.write(name+".key", "PRIVATE KEY", keyDER)
	return cert, key
}

func (a *authority) write(name, kind string, der []byte) {
	a.t.Helper()
	if err := os.WriteFile(a.file(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// redis-cli --tls talks to a cluster whose every port is TLS; clients without a
// certificate are turned away, and a new certificate is taken while nodes run.
func TestTLS(t *testing.T) {
	ca := newAuthority(t)
	ca.sign("node", false)
	ca.sign("client", false)
	c := newCluster(t, 3,
		"--tls-cert-file", ca.file("node.crt"), "--tls-key-file", ca.file("node.key"), "--tls-ca-cert-file", ca.file("ca.crt"), "--tls-cluster", "yes")
	ports := make([]string, len(c.nodes))
	for i, n := range c.nodes {
		ports[i] = strconv.Itoa(freePort(t))
		n.args = append(n.args, "--tls-port", ports[i])
		n.start()
	}
	c.waitReady()
	cli := func(port string, args ...string) string {
		return redisCLI(t, append([]string{"-p", port, "--tls", "--cacert", ca.file("ca.crt"), "--cert", ca.file("client.crt"), "--key", ca.file("client.key")}, args...)...)
	}
	for i, port := range ports {
		if out := cli(port, "SET", "by:"+port, "tls"); out != "OK" {
			t.Errorf("SET on node %d: %q", i+1, out)
		}
		if out := cli(ports[(i+1)%3], "GET", "by:"+port); out != "tls" {
			t.Errorf("GET of what node %d wrote: %q", i+1, out)
		}
	}
	anonymous := []string{"-p", ports[0], "--tls", "--cacert", ca.file("ca.crt"), "PING"}
	if out := redisCLI(t, anonymous...); strings.Contains(out, "PONG") {
		t.Errorf("a client without a certificate was served: %q", out)
	}
	if out := cli(ports[0], "CONFIG", "SET", "tls-auth-clients", "optional"); out != "OK" {
		t.Errorf("tls-auth-clients optional: %q", out)
	}
	if out := redisCLI(t, anonymous...); out != "PONG" {
		t.Errorf("a client without a certificate, where it is optional: %q", out)
	}

	renewed, _ := ca.sign("renewed", false)
	if out := cli(ports[0], "CONFIG", "SET", "tls-cert-file", ca.file("renewed.crt"), "tls-key-file", ca.file("renewed.key")); out != "OK" {
		t.Errorf("a new certificate: %q", out)
	}
	conn, err := tls.Dial("tcp", "127.0.0.1:"+ports[0], &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if shown := conn.ConnectionState().PeerCertificates[0]; !shown.Equal(renewed) {
		t.Errorf("the node shows the certificate of %s", shown.Subject)
	}
}
