package main

import (
	"net/http"
	"testing"
)

// What kube-apiserver 1.30 answers on /readyz.
func TestAnAPIServerThatHoldsOnlyEtcdAgainstItselfStillServes(t *testing.T) {
	for _, each := range []struct {
		name   string
		status int
		body   string
		want   state
	}{
		{"ready", http.StatusOK, "ok", up},
		{"a change of etcd's leader", http.StatusInternalServerError, "[+]ping ok\n[-]etcd failed: reason withheld\n[+]etcd-readiness ok\nreadyz check failed\n", unhealthy},
		{"drains", http.StatusInternalServerError, "[+]ping ok\n[-]etcd failed: reason withheld\n[-]shutdown failed: reason withheld\n", down},
		{"starts", http.StatusInternalServerError, "[+]etcd ok\n[-]poststarthook/rbac/bootstrap-roles failed: not finished\n", down},
		{"asks who is there", http.StatusUnauthorized, "Unauthorized", down},
	} {
		if got := apiState(each.status, each.body); got != each.want {
			t.Errorf("%s: %s, wanted %s", each.name, got, each.want)
		}
	}
}
