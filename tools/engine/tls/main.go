// Command pulumi-resource-tls is HashiCorp's tls provider behind Pulumi's bridge: the same code as
// the official plug-in's, without its generated documentation.
package main

import (
	"context"

	"github.com/hashicorp/terraform-provider-tls/shim"
	pf "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge/tokens"
)

// version is the one that the Node SDK asks for; with any other the engine would warn in every run.
// The provider inside is HashiCorp's 4.0.4, which knows all that this program uses.
const version = "5.6.1"

// schema stays empty of resources: the Node SDK carries its own, and the engine asks for none.
const schema = `{"name":"tls","version":"` + version + `"}`

func main() {
	info := tfbridge.ProviderInfo{
		P:            pf.ShimProvider(shim.New()),
		Name:         "tls",
		Version:      version,
		MetadataInfo: tfbridge.NewProviderMetadata([]byte("{}")),
	}
	info.MustComputeTokens(tokens.SingleModule("tls_", "index", tokens.MakeStandard("tls")))
	pf.Main(context.Background(), "tls", info, pf.ProviderMetadata{PackageSchema: []byte(schema)})
}
