# A gate that fails: what was there before comes back, with the processes that read it.
#
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2153,SC2154 # text for another bash; tests are functions;
# variables that the helpers set or read

load master

setup() { start_master; }
teardown() { stop_master; }

facts() {
  (cd "$ROOT" && find var/lib/etcd etc -printf '%y %U:%G %m %p\n' | LC_ALL=C sort &&
    sha256sum var/lib/etcd/cert/* etc/kubernetes/pki/etcd/*)
}

@test "an etcd that the new trust file makes unhealthy gets the old one back: exit 5" {
  local before
  before=$(facts)
  cp "$SUITE/new/ca.pem" "$FAKE/bad-trust"
  : >"$FAKE/events"
  step "$(want_set new etcd-ca apiserver-etcd-ca)"
  expect_code 5
  expect_says 'the previous files are back and master-1 is healthy'
  [ "$(facts)" = "$before" ]
  # kube-apiserver had gone along
  [ "$(<"$FAKE/events")" = $'start etcd\nstart kube-apiserver\nstart etcd\nstart kube-apiserver' ]
  cmp "$FAKE/loaded-etcd/2379" "$SUITE/old/ca.pem"
  [ -z "$(leftovers)" ]
  case $OUT in *done*) false ;; esac
}

@test "still unhealthy with the old files: exit 6, the journal stays, and a run with a good gate goes on" {
  local before
  before=$(facts)
  : >"$FAKE/sick-after-restart"
  step "$(want_set new etcd-ca)"
  expect_code 6
  expect_says "They are kept in $(state)/journal"
  [ "$(facts)" = "$before" ]
  cmp "$(state)"/journal/*/data "$SUITE/old/ca.pem"
  rm "$FAKE/sick" "$FAKE/sick-after-restart"
  step "$(want_set new etcd-ca)"
  expect_code 0
  cmp "$(at etcd-ca)" "$SUITE/new/ca.pem"
  cmp "$FAKE/loaded-etcd/2379" "$SUITE/new/ca.pem"
  [ -z "$(leftovers)" ]
}

@test "a precondition that is not met ends the step before a change: exit 3 without quorum, 4 in ill health" {
  local before
  before=$(facts)
  # a member of three, of which no other answers
  step "$(want_set new etcd-ca)"$'\n'"ALLOW_OUTAGE=0 MEMBER_ADDRESSES=(10.9.0.1 10.9.0.2 10.9.0.3)"
  expect_code 3
  expect_says 'a restart would lose quorum: 0 other members answer'
  [ "$(facts)" = "$before" ]
  : >"$FAKE/sick"
  step "$(want_set new etcd-ca)"
  expect_code 4
  expect_says 'nothing was changed'
  [ "$(facts)" = "$before" ]
  [ ! -e "$(state)/journal" ]
}

@test "an etcd that does not start again is put back, and said" {
  : >"$FAKE/etcd-does-not-start"
  step "$(want_set new etcd-ca)"
  expect_code 6
  rm "$FAKE/etcd-does-not-start"
  step "$(want_set new etcd-ca)"
  expect_code 0
  cmp "$FAKE/loaded-etcd/2379" "$SUITE/new/ca.pem"
}

# failing COMMANDS: run after the files have been written, in place of what follows if they fail
failing() {
  printf '%s\n' 'real=$(declare -f write_files); eval "real_$real"' \
    "write_files() { real_write_files && $1; }"
}

@test "what has failed decides where one is told to look" {
  local -r pods='/var/log/pods/kube-system_kube-apiserver-*/ and journalctl -u kubelet'
  step "$(want_set new etcd-ca)"$'\n'"$(failing false)"
  expect_code 5
  expect_says 'a file could not be written; the previous files are back'
  expect_says 'master-1 is healthy. See the lines above and df -h there,'
  # kube-apiserver, which goes along with etcd, and comes back with the files
  step "$(want_set new etcd-ca apiserver-etcd-ca)"$'\n'"$(failing ': >"$FAKE/api-not-ready"')"'
    real=$(declare -f journal_put_back); eval "real_$real"
    journal_put_back() { rm "$FAKE/api-not-ready"; real_journal_put_back; }'
  expect_code 5
  expect_says 'kube-apiserver: kube-apiserver has no new process that is ready; the previous files are back'
  expect_says "master-1 is healthy. See $pods there,"
  step "$(want_set new etcd-ca apiserver-etcd-ca)"$'\n'"$(failing ': >"$FAKE/api-not-ready"')"
  expect_code 6
  expect_says "See $pods there,"
  rm "$FAKE/api-not-ready"
  # one that does not even end
  step "$(want_set new apiserver-etcd-ca)"$'\n''end_process() { return 1; }'
  expect_code 5
  expect_says 'Cannot finish trust: kube-apiserver: kube-apiserver does not end; putting back'
  # and etcd, which kube-apiserver has gone along with
  : >"$FAKE/etcd-does-not-start"
  step "$(want_set new etcd-ca apiserver-etcd-ca)"
  expect_code 6
  expect_says 'etcd: no new process: the unit etcd is failed, its last result failed; putting back'
  expect_says 'See journalctl -u etcd there,'
}

@test "a start that cannot be noted is no ill health of etcd, and is said" {
  step "$(want_set new etcd-ca)"$'\n'"$(failing 'mkdir "$STATE_DIR/receipt.new"')"
  expect_code 6
  expect_says "Cannot finish trust: cannot write $(state)/receipt; putting back"
  expect_says "is still unhealthy: cannot write $(state)/receipt. They are kept in"
  expect_says 'See the lines above and df -h there,'
  rmdir "$(state)/receipt.new"
  step "$(want_set new etcd-ca)"
  expect_code 0
}

@test "issue puts back leaves that etcd does not serve" {
  step "PHASE=trust"$'\n'"$(want_both)"
  expect_code 0
  cp "$SUITE/old/server.pem" "$FAKE/serves-other"
  step "PHASE=issue"$'\n'"$(want_leaves new)"
  expect_code 5
  cmp "$(at etcd-server)" "$SUITE/old/server.pem"
  cmp "$(at etcd-server-key)" "$SUITE/old/server-key.pem"
  rm "$FAKE/serves-other"
  step "PHASE=issue"$'\n'"$(want_leaves new)"
  expect_code 0
  [ "${OUT##*$'\n'}" = 'done attempt-7 issue master-1' ]
}

@test "a process that serves is not restarted into files that it has never run with" {
  : >"$FAKE/events"
  # somebody changed the file under a running etcd, and the step that would have mended it is put back
  cp "$SUITE/stranger/ca.pem" "$(at etcd-ca)"
  call 'is_stale etcd'
  call "STALE_BEFORE=' etcd'; put_back_restart etcd"
  [ "$(<"$FAKE/events")" = '' ]
  # one that had run with what is back is restarted
  call "put_back_restart etcd" || :
  [ "$(<"$FAKE/events")" = 'start etcd' ]
}

@test "the load balancer's time counts from when the step began, and only before its first restart" {
  local -r began='read -r BEGAN _ </proc/uptime; sleep() { printf "%s " "$1"; }; RESTARTED=0 PAUSE_SECONDS=9'
  run call "$began; wait_for_balancer"
  [[ $output =~ (8\.[0-9]{2}|9\.00) ]]
  # what the step did before has its part in it
  [ -z "$(call "$began; BEGAN=\$((\${BEGAN%.*} - 9)).00; wait_for_balancer")" ]
  [ -z "$(call "$began; PAUSE_SECONDS=0; wait_for_balancer")" ]
  [ -z "$(call "$began; RESTARTED=1; wait_for_balancer")" ]
}

@test "allowOutage takes no check away where there are three members" {
  call 'may_restart etcd'
  call '! may_restart etcd
    [ "$PROBLEM" = "a restart would lose quorum: 0 other members answer, the cluster has 1" ]' \
    'MEMBER_ADDRESSES=(10.9.0.1 10.9.0.2 10.9.0.3)'
}

@test "a kubelet that ran before the step, and is gone when its files are back, is started with these" {
  local -r kubelet='FILE_RESTARTS[0]="etcd kubelet"
    real=$(declare -f identity); eval "real_$real"
    identity() {
      [ "$1" = kubelet ] || { real_identity "$1"; return; }
      [ -e "$FAKE/kubelet-gone" ] || printf "boot 1 5000"
    }
    restart_kubelet() {
      printf "start kubelet\n" >>"$FAKE/events"
      : >"$FAKE/kubelet-gone"
      PROBLEM="the kubelet has no new process"
      return 1
    }'
  : >"$FAKE/events"
  step "PHASE_COMPONENTS='etcd kubelet'"$'\n'"$(want_set new etcd-ca)"$'\n'"$kubelet"
  expect_code 6
  expect_says 'and master-1 is still unhealthy: the kubelet has no new process'
  [ "$(grep -c 'start kubelet' "$FAKE/events")" = 2 ]
  # one that did not run is left alone
  : >"$FAKE/events"
  step "PHASE_COMPONENTS='etcd kubelet'"$'\n'"$(want_set new etcd-ca)"$'\n'"$kubelet"
  expect_code 0
  [ "$(<"$FAKE/events")" = 'start etcd' ]
}

@test "a clock that is set ends no wait early, and makes none longer" {
  # bash counts its SECONDS by that clock
  call 'tries=0; third() { tries=$((tries + 1)); SECONDS=$((SECONDS + 3600)); [ "$tries" = 3 ]; }
    wait_until 60 third'
  run call 'never() { SECONDS=$((SECONDS - 3600)); tries=$((tries + 1)); [ "$tries" = 50 ]; }
    tries=0; ! wait_until 1 never'
  [ "$status" = 0 ]
}

@test "settings of etcdctl in the environment, and a path without it" {
  call 'export ETCDCTL_CACERT=/elsewhere; prepare_environment; [ -z "${ETCDCTL_CACERT+x}" ]'
  run call 'command() { return 1; }; prepare_environment; require_etcdctl'
  [ "$status" = 3 ]
  case $output in *'Cannot find etcdctl in '*) ;; *) false ;; esac
}
