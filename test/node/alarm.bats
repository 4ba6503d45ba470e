# An alarm of etcd, as when its database is full: the members serve on, and `endpoint health` of etcdctl 3.5
# fails.
#
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2153,SC2154 # text for another bash; tests are functions;
# variables that the helpers set or read

load master

setup() { start_master; }
teardown() { stop_master; }

raise_alarm() {
  printf 'memberID:1 alarm:NOSPACE \n' >"$FAKE/alarms"
}

@test "a member under an alarm answers, and the survey names the alarm" {
  raise_alarm
  mkdir -p "$FAKE"/members/10.9.0.{2,3}
  call 'member_answers 10.9.0.1'
  [ "$(call 'other_members member_answers' 'MEMBER_ADDRESSES=(10.9.0.{1..4})' | sort | tr '\n' ' ')" = \
    '10.9.0.2 10.9.0.3 ' ]
  script survey >"$FAKE/script"
  on_master bash -s <"$FAKE/script" >"$FAKE/stdout" 2>/dev/null 3>&-
  grep -qx 'etcd alarm an alarm is raised (etcdctl alarm list)' "$FAKE/stdout"
  grep -qx answers "$FAKE/stdout"
}

@test "a step in the middle of which an alarm is raised ends: nothing is put back, and etcd restarts once" {
  : >"$FAKE/alarm-after-restart"
  : >"$FAKE/events"
  step "$(want_set new etcd-ca apiserver-etcd-ca)"
  expect_code 0
  cmp "$(at etcd-ca)" "$SUITE/new/ca.pem"
  [ "$(<"$FAKE/events")" = $'start etcd\nstart kube-apiserver' ]
}

@test "a recovery under an alarm starts what is down, once, and leaves what answers alone" {
  raise_alarm
  : >"$FAKE/events"
  step 'PHASE=settle OUT_COMPONENTS=(etcd@10.9.0.1 kube-apiserver@10.9.0.1)'
  expect_code 0
  [ -z "$(<"$FAKE/events")" ]
  on_master bash -c 'kill -KILL "$(cat "$FAKE/etcd.pid")"'
  mkdir -p "$(state)/backup/rollout-7"
  step 'PHASE=settle OUT_COMPONENTS=(etcd@10.9.0.1 kube-apiserver@10.9.0.1)'
  expect_code 0
  [ "$(<"$FAKE/events")" = 'start etcd' ]
}

@test "a write that an alarm forbids is refused with that reason" {
  raise_alarm
  [ "$(call 'is_written_and_read || printf "%s" "$PROBLEM"')" = \
    'no write through https://10.9.0.1:2379: an alarm is raised (etcdctl alarm list)' ]
}

@test "a member that forbids a read to this client has answered" {
  : >"$FAKE/denies-reads"
  call 'member_answers 10.9.0.1'
  : >"$FAKE/sick"
  if call 'member_answers 10.9.0.1'; then return 1; fi
}
