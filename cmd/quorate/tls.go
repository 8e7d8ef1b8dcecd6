package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/quorate/quorate/transport/config"
)

// clusterTLS returns the TLS of the node-to-node port, nil if tls-cluster is
// off. Both sides prove themselves by certificates of one authority.
func clusterTLS(conf *config.Config) (*tls.Config, error) {
	if !conf.Bool("tls-cluster") {
		return nil, nil
	}
	file := func(own, shared string) string {
		if path := conf.String(own); path != "" {
			return path
		}
		return conf.String(shared)
	}
	cert, key := file("cluster-tls-cert-file", "tls-cert-file"), file("cluster-tls-key-file", "tls-key-file")
	ca := file("cluster-tls-ca-cert-file", "tls-ca-cert-file")
	if cert == "" || key == "" || ca == "" {
		return nil, errors.New("tls-cluster yes needs cluster-tls-cert-file, cluster-tls-key-file and cluster-tls-ca-cert-file, or their tls- kin")
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("certificate of the node-to-node port: %w", err)
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, fmt.Errorf("authority of the node-to-node port: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", ca)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{pair}, RootCAs: pool, ClientCAs: pool,
		ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13,
	}, nil
}
