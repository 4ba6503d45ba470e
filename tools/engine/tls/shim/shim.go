// Package shim hands out HashiCorp's tls provider, whose constructor is internal to its module.
//
// Go decides by import path who may import an internal package; hence this module's path, which
// lies under the provider's.
package shim

import (
	"github.com/hashicorp/terraform-plugin-framework/provider"
	tls "github.com/hashicorp/terraform-provider-tls/internal/provider"
)

// New returns HashiCorp's tls provider.
func New() provider.Provider {
	return tls.New()
}
