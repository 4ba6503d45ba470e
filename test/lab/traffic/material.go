package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"gopkg.in/yaml.v3"
)

// pairRetry is how long a swap of certificate and key may leave the pair unmatched before it is read again.
const pairRetry = 20 * time.Millisecond

// material is what one TLS handshake needs.
type material struct {
	certificate tls.Certificate
	authorities *x509.CertPool
	serverName  string
}

// source reads its files anew for every handshake; unchanged bytes are not parsed again, to spare the machine.
type source struct {
	read   func() ([][]byte, error)
	parse  func([][]byte) (*material, error)
	mutex  sync.Mutex
	bytes  [][]byte
	parsed *material
}

func (s *source) load() (*material, error) {
	loaded, err := s.loadOnce()
	if err != nil {
		time.Sleep(pairRetry)
		return s.loadOnce()
	}
	return loaded, nil
}

func (s *source) loadOnce() (*material, error) {
	content, err := s.read()
	if err != nil {
		return nil, err
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.parsed != nil && equal(s.bytes, content) {
		return s.parsed, nil
	}
	parsed, err := s.parse(content)
	if err != nil {
		return nil, err
	}
	s.bytes, s.parsed = content, parsed
	return parsed, nil
}

func equal(a, b [][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

// fileSource reads a certificate, its key and the trust file.
func fileSource(cert, key, authorities string) *source {
	return &source{
		read: func() ([][]byte, error) { return readAll(cert, key, authorities) },
		parse: func(content [][]byte) (*material, error) {
			return parsePEM(content[0], content[1], content[2])
		},
	}
}

// kubeconfigSource reads a kubeconfig whose certificates are embedded.
func kubeconfigSource(path string) *source {
	return &source{
		read:  func() ([][]byte, error) { return readAll(path) },
		parse: func(content [][]byte) (*material, error) { return parseKubeconfig(content[0]) },
	}
}

func readAll(paths ...string) ([][]byte, error) {
	var content [][]byte
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		content = append(content, text)
	}
	return content, nil
}

func parsePEM(cert, key, authorities []byte) (*material, error) {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("cannot use the client certificate: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authorities) {
		return nil, errors.New("cannot use the trust file: no certificate in it")
	}
	return &material{certificate: pair, authorities: pool}, nil
}

func parseKubeconfig(text []byte) (*material, error) {
	var config struct {
		Clusters []struct {
			Cluster struct {
				Authorities string `yaml:"certificate-authority-data"`
				ServerName  string `yaml:"tls-server-name"`
			}
		}
		Users []struct {
			User struct {
				Certificate string `yaml:"client-certificate-data"`
				Key         string `yaml:"client-key-data"`
			}
		}
	}
	if err := yaml.Unmarshal(text, &config); err != nil {
		return nil, fmt.Errorf("cannot read the kubeconfig: %w", err)
	}
	if len(config.Clusters) != 1 || len(config.Users) != 1 {
		return nil, fmt.Errorf("cannot read the kubeconfig: %d clusters and %d users; expected one of each", len(config.Clusters), len(config.Users))
	}
	var parts [3][]byte
	for i, data := range []string{config.Users[0].User.Certificate, config.Users[0].User.Key, config.Clusters[0].Cluster.Authorities} {
		part, err := base64.StdEncoding.DecodeString(data)
		if err != nil || len(part) == 0 {
			return nil, errors.New("cannot read the kubeconfig: expected embedded certificates in base64")
		}
		parts[i] = part
	}
	parsed, err := parsePEM(parts[0], parts[1], parts[2])
	if err == nil {
		parsed.serverName = config.Clusters[0].Cluster.ServerName
	}
	return parsed, err
}

// curves are the cheapest that every server here speaks.
var curves = []tls.CurveID{tls.X25519, tls.CurveP256}

// tlsConfig is for one connection to host, with the material as it is now.
func (m *material) tlsConfig(host string) *tls.Config {
	name := host
	if m.serverName != "" {
		name = m.serverName
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, CurvePreferences: curves,
		ServerName: name, RootCAs: m.authorities, Certificates: []tls.Certificate{m.certificate},
	}
}

// liveTLSConfig reads the source anew at each handshake of a long-lived client.
func liveTLSConfig(from *source, addresses []string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, CurvePreferences: curves,
		// The verification that this turns off is done below, against the trust file as it is now.
		InsecureSkipVerify: true,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			m, err := from.load()
			if err != nil {
				return nil, err
			}
			return &m.certificate, nil
		},
		VerifyConnection: func(state tls.ConnectionState) error {
			m, err := from.load()
			if err != nil {
				return err
			}
			leaf := state.PeerCertificates[0]
			options := x509.VerifyOptions{Roots: m.authorities, Intermediates: x509.NewCertPool()}
			for _, certificate := range state.PeerCertificates[1:] {
				options.Intermediates.AddCert(certificate)
			}
			if _, err = leaf.Verify(options); err != nil {
				return err
			}
			// The state names no server when it was dialled by address.
			for _, address := range addresses {
				if err = leaf.VerifyHostname(address); err == nil {
					return nil
				}
			}
			return err
		},
	}
}
