package remote

import (
	"net"
	"strconv"

	"github.com/pulumi/pulumi-go-provider/infer"
)

const (
	defaultUser           = "root"
	defaultPort           = 22
	defaultDialErrorLimit = 10
	defaultPerDialTimeout = 15
	unlimitedDialErrors   = -1
)

// endpoint is one SSH server and how to log in there.
type endpoint struct {
	User               *string  `pulumi:"user,optional"`
	Password           *string  `pulumi:"password,optional"`
	Host               *string  `pulumi:"host"`
	Port               *float64 `pulumi:"port,optional"`
	PrivateKey         *string  `pulumi:"privateKey,optional"`
	PrivateKeyPassword *string  `pulumi:"privateKeyPassword,optional"`
	AgentSocketPath    *string  `pulumi:"agentSocketPath,optional"`
	DialErrorLimit     *int     `pulumi:"dialErrorLimit,optional"`
	PerDialTimeout     *int     `pulumi:"perDialTimeout,optional"`
	HostKey            *string  `pulumi:"hostKey,optional"`
}

func (target *endpoint) address() string {
	port := strconv.Itoa(int(valueOr(target.Port, defaultPort)))
	return net.JoinHostPort(valueOr(target.Host, ""), port)
}

// Connection is the host that runs the command.
type Connection struct {
	endpoint
	Proxy *ProxyConnection `pulumi:"proxy,optional"`
}

// Annotate sets the defaults that the plug-in fills in by itself.
func (connection *Connection) Annotate(annotator infer.Annotator) {
	annotateEndpoint(annotator, &connection.endpoint)
}

// ProxyConnection is the bastion in front of that host.
type ProxyConnection struct{ endpoint }

// Annotate sets the defaults that the plug-in fills in by itself.
func (proxy *ProxyConnection) Annotate(annotator infer.Annotator) {
	annotateEndpoint(annotator, &proxy.endpoint)
}

func annotateEndpoint(annotator infer.Annotator, target *endpoint) {
	annotator.SetDefault(&target.User, defaultUser)
	annotator.SetDefault(&target.Port, defaultPort)
	annotator.SetDefault(&target.DialErrorLimit, defaultDialErrorLimit)
	annotator.SetDefault(&target.PerDialTimeout, defaultPerDialTimeout)
}
