# etcd as a static pod: found by its process, restarted by way of the kubelet, its own etcdctl where the
# master has none.
#
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2153,SC2154 # text for another bash; tests are functions;
# variables that the helpers set or read

load master

readonly POD="ETCD_UNIT= ETCD_MANIFEST='/nonexistent/etcd.yaml'"

setup() {
  start_master
  : >"$FAKE/etcd-is-pod"
  : >"$FAKE/events"
  : >"$FAKE/argv"
}
teardown() { stop_master; }

# no_unit_asked: systemd knows nothing of an etcd here, so nobody has asked
no_unit_asked() {
  ! grep -E '^systemctl .*etcd' "$FAKE/argv"
}

@test "new trust restarts it once, with a new process, and systemd is not asked for it" {
  local old
  old=$(<"$FAKE/etcd.pid")
  step "$POD"$'\n'"$(want_set new etcd-ca apiserver-etcd-ca)"
  expect_code 0
  [ "$(<"$FAKE/etcd.pid")" != "$old" ]
  # kube-apiserver comes along, and is not restarted again
  [ "$(<"$FAKE/events")" = $'start etcd\nstart kube-apiserver' ]
  cmp "$FAKE/loaded-etcd/2379" "$SUITE/new/ca.pem"
  no_unit_asked
  grep -qx 'systemctl restart kubelet' "$FAKE/argv"
  # the receipt is of the new processes
  grep -q "^component.etcd=[^ ]* $(<"$FAKE/etcd.pid") " "$(state)/receipt"
  grep -q "^component.kube-apiserver=[^ ]* $(<"$FAKE/kube-apiserver.pid") " "$(state)/receipt"
}

@test "one that the new trust file makes unhealthy gets the old one back, and its logs are named: exit 5" {
  cp "$SUITE/new/ca.pem" "$FAKE/bad-trust"
  step "$POD"$'\n'"$(want_set new etcd-ca)"
  expect_code 5
  expect_says 'See /var/log/pods/kube-system_etcd-*/etcd there'
  [ "$(<"$FAKE/events")" = $'start etcd\nstart kube-apiserver\nstart etcd\nstart kube-apiserver' ]
  cmp "$FAKE/loaded-etcd/2379" "$SUITE/old/ca.pem"
  [ -z "$(leftovers)" ]
  no_unit_asked
}

@test "no restart without quorum, and none when a kubelet restart would end every pod: exit 3" {
  step "$POD"$'\n'"$(want_set new etcd-ca)"$'\n'"ALLOW_OUTAGE=0 MEMBER_ADDRESSES=(10.9.0.1 10.9.0.2 10.9.0.3)"
  expect_code 3
  expect_says 'a restart would lose quorum: 0 other members answer'
  [ ! -s "$FAKE/events" ]
  call 'is_inside_kubelet() { return 0; }
    ! may_restart etcd
    case $PROBLEM in *"a kubelet restart would end every pod"*) ;; *) false ;; esac' "$POD"
}

@test "one that is down is said to be down, and is started at once in a recovery" {
  kill_component etcd
  call 'etcd_problem
    [ "$PROBLEM" = "stopped the static pod of etcd has no process" ]
    [ "$(no_new_etcd)" = "no new process of the static pod" ]' "$POD"
  call 'kill_etcd ""; begin_etcd; wait_until 5 is_new_etcd_answering ""' "$POD"
  [ "$(<"$FAKE/events")" = $'start etcd\nstart kube-apiserver' ]
  no_unit_asked
}

@test "the back-off of etcd's container is told by its own logs" {
  call 'has_started_again() { [ "$1" = etcd ]; }
    identity() { printf "boot 1 1"; }
    getconf() { printf 100; }
    is_back_off_possible etcd "boot 2 $(awk "{ print int(\$1 * 100) }" /proc/uptime)"' "$POD"
  call 'has_started_again() { return 1; }
    identity() { printf "boot 1 1"; }
    ! is_back_off_possible etcd "boot 2 9999999999"' "$POD"
}

@test "without etcdctl on the master the container's is used; without any, while etcd runs, exit 3" {
  mkdir "$FAKE/programs"
  printf '#!/bin/sh\n' >"$FAKE/programs/etcdctl"
  chmod +x "$FAKE/programs/etcdctl"
  # a process that sees another folder there than the master does
  on_master unshare --mount bash -c 'mount --bind "$FAKE/programs" /usr/local/bin && : >"$FAKE/mounted" &&
    exec sleep infinity' 3>&- &
  until [ -e "$FAKE/mounted" ]; do sleep 0.02; done
  call 'command() { return 1; }
    pid_of() { pgrep -x sleep -n; }
    prepare_environment
    [ "$ETCDCTL" = "/proc/$(pid_of etcd)/root/usr/local/bin/etcdctl" ] && [ -x "$ETCDCTL" ]' "$POD"
  step "$POD; etcdctl_path() { :; }"
  expect_code 3
  expect_says 'Cannot find etcdctl'
  kill_component etcd
  call 'etcdctl_path() { :; }; require_etcdctl; [ -z "$ETCDCTL" ]' "$POD"
}

@test "a container that ends meanwhile is searched for etcdctl again; a step without etcd needs none" {
  call 'etcdctl_path() { if [ -e "$FAKE/again" ]; then printf found; else : >"$FAKE/again"; fi; }
    prepare_environment
    require_etcdctl
    [ "$ETCDCTL" = found ]' "$POD"
  step "$POD; etcdctl_path() { :; }; OUT_COMPONENTS=(etcd@10.9.0.1 kube-apiserver@10.9.0.1)
$(want_set new etcd-ca)"
  expect_code 0
  cmp "$(at etcd-ca)" "$SUITE/new/ca.pem"
}
