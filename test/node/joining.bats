# A master that is no member yet: files only.
#
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2153,SC2154 # text for another bash; tests are functions;
# variables that the helpers set or read

load master

setup() { start_master; }
teardown() { stop_master; }

@test "all files are written and nothing is started" {
  kill_component etcd kube-apiserver
  rm "$ROOT"/var/lib/etcd/cert/* "$ROOT"/etc/kubernetes/pki/etcd/*
  : >"$FAKE/events"
  step "PHASE=issue JOINING=1 OUT_COMPONENTS=(etcd@10.9.0.1 kube-apiserver@10.9.0.1)
$(want_set new etcd-ca etcd-server etcd-server-key)"
  expect_code 0
  [ ! -s "$FAKE/events" ]
  cmp "$(at etcd-ca)" "$SUITE/new/ca.pem"
  [ -s "$(at etcd-server-key)" ]
  [ -z "$(leftovers)" ]
}

@test "where etcd runs nothing is written: exit 3" {
  local before
  before=$(sha256sum "$ROOT"/var/lib/etcd/cert/*)
  step "PHASE=issue JOINING=1 OUT_COMPONENTS=(etcd@10.9.0.1 kube-apiserver@10.9.0.1)
$(want_set new etcd-ca etcd-server etcd-server-key)"
  expect_code 3
  expect_says 'Cannot write files only: etcd runs on master-1; expected none before it has joined'
  [ "$(sha256sum "$ROOT"/var/lib/etcd/cert/*)" = "$before" ]
}
