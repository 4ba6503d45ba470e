package remote

import (
	"fmt"
	"io"
	"net"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// login is one endpoint's client configuration; close ends its talk with the SSH agent.
type login struct {
	config *ssh.ClientConfig
	closer io.Closer
}

func (l login) close() {
	if l.closer != nil {
		_ = l.closer.Close()
	}
}

// newLogin reads keys and asks the agent: the private key is tried first, then the password, then
// the agent, where one is named.
func newLogin(target *endpoint) (login, error) {
	config := &ssh.ClientConfig{User: defaultUser, HostKeyCallback: ssh.InsecureIgnoreHostKey()}
	if target.User != nil {
		config.User = *target.User
	}
	if err := expectHostKey(config, target.HostKey); err != nil {
		return login{}, err
	}
	if target.PrivateKey != nil {
		signer, err := parsePrivateKey(*target.PrivateKey, target.PrivateKeyPassword)
		if err != nil {
			return login{}, err
		}
		config.Auth = append(config.Auth, ssh.PublicKeys(signer))
	}
	if target.Password != nil {
		config.Auth = append(config.Auth, ssh.Password(*target.Password), answerAll(*target.Password))
	}
	if target.AgentSocketPath == nil {
		return login{config: config}, nil
	}
	socket, err := net.Dial("unix", *target.AgentSocketPath)
	if err != nil {
		return login{}, err
	}
	config.Auth = append(config.Auth, ssh.PublicKeysCallback(agent.NewClient(socket).Signers))
	return login{config: config, closer: socket}, nil
}

// expectHostKey accepts only that key, in authorized_keys form, and asks the server for its kind:
// a server with several keys would otherwise show another one.
func expectHostKey(config *ssh.ClientConfig, hostKey *string) error {
	if hostKey == nil {
		return nil
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(*hostKey))
	if err != nil {
		return fmt.Errorf("failed to parse host key: %w", err)
	}
	config.HostKeyCallback = ssh.FixedHostKey(key)
	config.HostKeyAlgorithms = []string{key.Type()}
	if key.Type() == ssh.KeyAlgoRSA {
		config.HostKeyAlgorithms = []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSA}
	}
	return nil
}

func parsePrivateKey(pem string, password *string) (ssh.Signer, error) {
	if password != nil {
		return ssh.ParsePrivateKeyWithPassphrase([]byte(pem), []byte(*password))
	}
	return ssh.ParsePrivateKey([]byte(pem))
}

// answerAll gives the password to every question of a keyboard-interactive login.
func answerAll(password string) ssh.AuthMethod {
	return ssh.KeyboardInteractive(func(_, _ string, questions []string, _ []bool) ([]string, error) {
		answers := make([]string, len(questions))
		for index := range answers {
			answers[index] = password
		}
		return answers, nil
	})
}
