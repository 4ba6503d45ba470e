# A master of three: what it asks of the other members and their API servers before and after it changes
# anything.
#
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2153,SC2154 # text for another bash; tests are functions;
# variables that the helpers set or read

load master

setup() { start_three; }
teardown() { stop_master; }

facts() {
  (cd "$ROOT" && find var/lib/etcd etc -printf '%y %U:%G %m %p\n' | LC_ALL=C sort &&
    sha256sum var/lib/etcd/cert/* etc/kubernetes/pki/etcd/*)
}

# refused CODE TEXT ASSIGNMENTS: the step ends with CODE, says TEXT, and has changed and restarted nothing
refused() {
  local before
  before=$(facts)
  step "$THREE"$'\n'"$3"
  expect_code "$1"
  expect_says "$2"
  [ "$(facts)" = "$before" ]
  [ "$(<"$FAKE/events")" = '' ]
  [ -z "$(leftovers)" ]
}

# trust_both: as after trust, on this master
trust_both() {
  step "$THREE"$'\n'"$(want_both)"
  expect_code 0
  : >"$FAKE/events"
}

@test "with two others that answer, etcd and kube-apiserver restart once each" {
  step "$THREE"$'\n'"$(want_both)"
  expect_code 0
  expect_says 'restarting etcd, with kube-apiserver'
  [ "$(<"$FAKE/events")" = $'start etcd\nstart kube-apiserver' ]
}

@test "the load balancer is waited for before the first restart, and not again" {
  step "$THREE PAUSE_SECONDS=60"$'\n'"$(want_both)"'
    sleep() { case $1 in ??.*) printf "wait\n" >>"$FAKE/events" ;; *) command sleep "$1" ;; esac; }'
  expect_code 0
  [ "$(<"$FAKE/events")" = $'wait\nstart etcd\nstart kube-apiserver' ]
}

@test "one other member that is down: no restart" {
  rm -r "$FAKE/members/10.9.0.3"
  refused 3 'a restart would lose quorum: 1 other members answer, the cluster has 3' "$(want_both)"
}

@test "one other API server that is not ready: no restart" {
  rm "$FAKE/members/10.9.0.2/api-ready"
  refused 3 'another one is not ready' "$(want_both)"
}

@test "a member that goes down while the files are written: no restart, and they are put back" {
  local before
  before=$(facts)
  step "$THREE"$'\n'"$(want_both)"'
    real=$(declare -f write_files); eval "real_$real"
    write_files() { real_write_files && mv "$FAKE/members/10.9.0.3" "$FAKE/gone"; }'
  expect_code 5
  expect_says 'a restart would lose quorum: 1 other members answer, the cluster has 3'
  [ "$(facts)" = "$before" ]
  [ "$(<"$FAKE/events")" = '' ]
}

@test "a put-back asks for quorum before it restarts an etcd that answers, however ill it is otherwise" {
  # it runs with another file than the one that is back, and no peer of it accepts its leaf
  cp "$SUITE/stranger/ca.pem" "$FAKE/loaded-etcd/2379"
  cp "$SUITE/new/ca.pem" "$(at etcd-ca)"
  member_has 10.9.0.2 old new
  call 'is_stale etcd && ! is_etcd_healthy && member_answers "$ADDRESS"' "$THREE"
  mv "$FAKE/members/10.9.0.3" "$FAKE/gone"
  call '! put_back_restart etcd
    [ "$PROBLEM" = "a restart would lose quorum: 1 other members answer, the cluster has 3" ]' "$THREE"
  [ "$(<"$FAKE/events")" = '' ]
  mv "$FAKE/gone" "$FAKE/members/10.9.0.3"
  call 'put_back_restart etcd || :' "$THREE"
  [ "$(<"$FAKE/events")" = 'start etcd' ]
  # one that does not answer has nothing to lose
  rm -r "$FAKE/members/10.9.0.3"
  : >"$FAKE/no-quorum"
  cp "$SUITE/stranger/ca.pem" "$FAKE/loaded-etcd/2379"
  call 'put_back_restart etcd || :' "$THREE"
  [ "$(<"$FAKE/events")" = $'start etcd\nstart etcd' ]
}

@test "an API server that goes along with etcd is needed where another one is not ready: neither restarts" {
  local -r lost='real=$(declare -f write_files); eval "real_$real"
    write_files() { real_write_files && rm "$FAKE/members/10.9.0.3/api-ready"; }'
  step "$THREE GATE_SECONDS=1"$'\n'"$(want_both)"$'\n'"$lost"
  expect_code 5
  expect_says 'another one is not ready'
  [ "$(<"$FAKE/events")" = '' ]
}

@test "a kubelet that does not run would not start kube-apiserver again: nothing is restarted" {
  : >"$FAKE/kubelet-does-not-start"
  kill_component kubelet
  refused 3 'the kubelet does not run, and nothing else starts a static pod again' \
    "$(want_set new apiserver-etcd-ca)"
  refused 3 'the kubelet does not run' "$(want_both)"
  # etcd needs none
  step "$THREE"$'\n'"$(want_set new etcd-ca)"
  expect_code 0
  [ "$(<"$FAKE/events")" = 'start etcd' ]
}

@test "an alarm refuses the step" {
  printf 'memberID:1 alarm:NOSPACE \n' >"$FAKE/alarms"
  refused 4 'an alarm is raised' "$(want_both)"
}

@test "another member that this one does not trust is ill health" {
  member_has 10.9.0.2 stranger old
  refused 4 'no peer handshake with 10.9.0.2:2380' "$(want_both)"
}

@test "another member that knows no leader is no ill health of this one, whom it does not trust either" {
  member_has 10.9.0.3 stranger old
  printf 0 >"$FAKE/members/10.9.0.3/leader"
  call 'is_etcd_healthy' "$THREE"
  rm "$FAKE/members/10.9.0.3/leader"
  call '! is_etcd_healthy && [ "$PROBLEM" = "no peer handshake with 10.9.0.3:2380" ]' "$THREE"
}

@test "another cluster, a learner and one that lags are ill health" {
  printf 4243 >"$FAKE/cluster-id"
  refused 4 'cluster id 4243, expected 4242' "$(want_both)"
  printf 4242 >"$FAKE/cluster-id"
  printf true >"$FAKE/learner"
  refused 4 'the member is a learner' "$(want_both)"
  rm "$FAKE/learner"
  printf 5010 >"$FAKE/members/10.9.0.3/applied"
  refused 4 'applied index 10, 10.9.0.3 has 5010' "$(want_both)"
  printf 5009 >"$FAKE/members/10.9.0.3/applied"
  step "$THREE"$'\n'"$(want_both)"
  expect_code 0
}

@test "a member without quorum is ill health, and a survey still tells its figures" {
  : >"$FAKE/no-quorum"
  refused 4 'no linearizable read through https://10.9.0.1:2379' "$(want_both)"
  script survey "$THREE" >"$FAKE/script"
  on_master bash -s <"$FAKE/script" >"$FAKE/stdout" 2>/dev/null 3>&-
  grep -qx 'etcd silent no linearizable read through https://10.9.0.1:2379' "$FAKE/stdout"
  grep -qx 'version 3.4.23' "$FAKE/stdout"
  [ "$(grep -cx answers "$FAKE/stdout")" = 0 ]
}

# survey_of_three [ASSIGNMENTS]: what it prints is in $FAKE/stdout, what etcdctl was asked in $FAKE/argv
survey_of_three() {
  script survey "$THREE TELL_REACH=0"$'\n'"${1:-}" >"$FAKE/script"
  : >"$FAKE/argv"
  on_master bash -s <"$FAKE/script" >"$FAKE/stdout" 2>/dev/null 3>&-
  [ "$(tail -n 1 "$FAKE/stdout")" = end ]
}

@test "a survey of a healthy member starts etcdctl four times" {
  survey_of_three
  diff <(sed -n 's/^etcdctl .*-key.pem //p' "$FAKE/argv") \
    <(printf '%s\n' 'get /etcd-rotation/answers' 'endpoint status -w fields' 'alarm list' 'member list')
  diff <(grep -x -e 'etcd .*' -e answers -e 'cluster .*' -e 'version .*' -e 'database .*' -e leader \
    "$FAKE/stdout") - <<EXPECTED
answers
etcd healthy
cluster 4242
version 3.4.23
database 20480
leader
EXPECTED
  [ "$(grep -c '^member ' "$FAKE/stdout")" = 3 ]
}

@test "a survey asks a member that refuses it once more, and no further" {
  cp "$SUITE/stranger/ca.pem" "$FAKE/loaded-etcd/2379"
  survey_of_three 'ctl() { printf "%s\n" "${*:2}" >>"$FAKE/asked"; return 1; }'
  [ "$(<"$FAKE/asked")" = 'endpoint status -w fields' ]
  grep -qx 'etcd silent no status from https://10.9.0.1:2379' "$FAKE/stdout"
  # its own word goes before a handshake that was lost
  survey_of_three 'is_etcd_active() { false; }'
  [ "$(grep -x -e answers -e 'etcd .*' -e 'database .*' "$FAKE/stdout" | tr '\n' ' ')" = \
    'answers etcd stopped the unit etcd is not active database 20480 ' ]
}

@test "a survey tells the figures of an etcd that answers without its unit" {
  survey_of_three 'is_etcd_active() { false; }'
  diff <(grep -x -e 'etcd .*' -e answers -e 'cluster .*' -e 'database .*' -e leader "$FAKE/stdout") \
    - <<EXPECTED
answers
etcd stopped the unit etcd is not active
cluster 4242
database 20480
leader
EXPECTED
}

@test "a step that is held writes and restarts nothing" {
  local before
  before=$(facts)
  step "$THREE HELD=1 PHASE=retire"$'\n'"$(want_trust new)"
  expect_code 0
  [ "$OUT" = $'held master-1\ndone attempt-7 retire master-1' ]
  [ "$(facts)" = "$before" ]
  [ "$(<"$FAKE/events")" = '' ]
}

@test "settle ends at a process that is stale: exit 4, and restarts nothing" {
  step "$THREE PHASE=settle"
  expect_code 0
  cp "$SUITE/new/ca.pem" "$(at etcd-ca)"
  step "$THREE PHASE=settle"
  expect_code 4
  expect_says 'etcd runs with files that have changed since its start'
  cp "$SUITE/old/ca.pem" "$(at etcd-ca)"
  cp "$SUITE/new/ca.pem" "$(at apiserver-etcd-ca)"
  step "$THREE PHASE=settle"
  expect_code 4
  expect_says 'kube-apiserver runs with files that have changed since its start'
  [ "$(<"$FAKE/events")" = '' ]
}

@test "a leader hands over to the heir that comes first and answers, before its restart" {
  rm -r "$FAKE/members/10.9.0.3"
  call 'hand_over_leadership' "$THREE"
  [ "$(<"$FAKE/leader")" = 2 ]
  printf 1 >"$FAKE/leader"
  mkdir "$FAKE/members/10.9.0.3"
  member_has 10.9.0.3 old
  : >"$FAKE/members/10.9.0.3/api-ready"
  : >"$FAKE/argv"
  step "$THREE"$'\n'"$(want_set new etcd-ca)"
  expect_code 0
  [ "$(<"$FAKE/leader")" = 3 ]
  # the move, then the restart
  [ "$(grep -oE 'move-leader 3|restart --no-block etcd' "$FAKE/argv" | uniq)" = \
    $'move-leader 3\nrestart --no-block etcd' ]
}

@test "a follower hands nothing over" {
  printf 2 >"$FAKE/leader"
  step "$THREE"$'\n'"$(want_set new etcd-ca)"
  expect_code 0
  [ "$(<"$FAKE/leader")" = 2 ]
}

@test "issue waits for every member to accept the new leaves, on both ports" {
  trust_both
  member_has 10.9.0.2 old old new
  # its client port accepts them, its peer port does not
  member_has 10.9.0.3 old old new
  cp "$SUITE/old/peer-ca.pem" "$FAKE/members/10.9.0.3/trust.2380"
  refused 3 '10.9.0.3:2380 does not accept a peer leaf of the wanted authority yet' "PHASE=issue
$(want_pairs new)"
  member_has 10.9.0.3 old old new
  cp "$SUITE/old/ca.pem" "$FAKE/members/10.9.0.3/trust.2379"
  refused 3 '10.9.0.3:2379 does not accept a leaf of the wanted authority yet' "PHASE=issue
$(want_pairs new)"
  member_has 10.9.0.3 old old new
  step "$THREE PHASE=issue"$'\n'"$(want_pairs new)"
  expect_code 0
  [ "$(<"$FAKE/events")" = '' ]
}

@test "issue waits for the master's own clock" {
  trust_both
  members_have old old new
  refused 3 'the new leaves are not valid yet by the clock of master-1' "CLOCK_SECONDS=0 PHASE=issue
$(want_pairs new)"'
    date() { case $* in +%s) printf 1000000000 ;; *) command date "$@" ;; esac; }'
}

@test "retire waits for every member to serve the new leaves, on both ports" {
  local -r retire=PHASE=retire$'\n'$(want_trust new)
  trust_both
  members_have new old new
  step "$THREE PHASE=issue"$'\n'"$(want_pairs new)"
  expect_code 0
  cp "$SUITE/old/peer.pem" "$FAKE/members/10.9.0.2/served.2380"
  refused 3 '10.9.0.2:2380 does not serve a leaf of the wanted authority' "$retire"
  member_has 10.9.0.2 new old new
  cp "$SUITE/old/server.pem" "$FAKE/members/10.9.0.3/served.2379"
  refused 3 '10.9.0.3:2379 does not serve a leaf of the wanted authority' "$retire"
  member_has 10.9.0.3 new old new
  # and for its own client's leaf
  cp "$SUITE/old/client.pem" "$(at apiserver-etcd-client)"
  refused 3 'is not a leaf of the wanted authority' "$retire"
  cp "$SUITE/new/client.pem" "$(at apiserver-etcd-client)"
  step "$THREE $retire"
  expect_code 0
  [ "$(<"$FAKE/events")" = $'start etcd\nstart kube-apiserver' ]
}

# rotated: this master and the others have the new set, and a backup holds the old one
rotated() {
  step "$THREE PHASE=backup TAKE_SNAPSHOT=1"
  expect_code 0
  trust_both
  members_have new old new
  step "$THREE PHASE=issue"$'\n'"$(want_pairs new)"
  expect_code 0
  step "$THREE PHASE=retire"$'\n'"$(want_trust new)"
  expect_code 0
  members_have new
  : >"$FAKE/events"
}

@test "verify says what is served, that the old authority is refused, and completes the receipt" {
  rotated
  step "$THREE PHASE=verify"$'\n'"$(want_all new)"
  expect_code 0
  grep -qx 'refused master-1 1' <<<"$OUT"
  [ "$(grep -c '^served master-1 ' <<<"$OUT")" = 5 ]
  served=$(openssl x509 -in "$SUITE/new/server.pem" -outform DER | sha256sum | cut -d ' ' -f 1)
  grep -q "^served master-1 etcd-server $served " <<<"$OUT"
  grep -qx 'complete=1' "$(state)/receipt"
  [ "$(<"$FAKE/events")" = '' ]
  # nothing of its own is left in etcd
  [ ! -e "$FAKE/value" ]
}

@test "a handshake that is lost ends no phase: each gate asks again" {
  local -r patient='HEALTH_SECONDS=60 GATE_SECONDS=60'
  trust_both
  members_have new old new
  mkdir "$FAKE/lossy"
  step "$THREE PHASE=issue $patient"$'\n'"$(want_pairs new)"
  expect_code 0
  step "$THREE PHASE=retire $patient"$'\n'"$(want_trust new)"
  expect_code 0
  members_have new
  step "$THREE PHASE=verify $patient"$'\n'"$(want_all new)"
  expect_code 0
  [ "$(grep -c '^served master-1 ' <<<"$OUT")" = 5 ]
}

@test "verify fails while a leaf of the retired authority is still accepted" {
  rotated
  # the process names what it should, and accepts more
  cat "$SUITE"/{old,new}/ca.pem >"$FAKE/loaded-etcd/2379"
  step "$THREE PHASE=verify"$'\n'"$(want_all new)"$'\n''etcd_names_match() { :; }'
  expect_code 4
  expect_says '10.9.0.1:2379 still accepts a leaf of a retired authority'
  grep -qx 'complete=0' "$(state)/receipt"
}

@test "verify fails with another file than the wanted one, and with a leaf that is not served" {
  rotated
  step "$THREE PHASE=verify"$'\n'"$(want_trust new)"$'\n'"$(want_set old etcd-server)"
  expect_code 4
  expect_says "$(at etcd-server) is not the wanted file"
  cp "$SUITE/old/server.pem" "$FAKE/serves-other"
  step "$THREE PHASE=verify"$'\n'"$(want_trust new)"
  expect_code 4
  expect_says '10.9.0.1:2379 does not serve'
}

@test "a snapshot that etcd's own tool finds damaged ends the backup" {
  : >"$FAKE/damaged-snapshot"
  step "$THREE PHASE=backup TAKE_SNAPSHOT=1"
  expect_code 3
  expect_says 'Cannot verify the etcd snapshot'
  [ ! -e "$(state)/backup/rollout-7" ]
}

@test "put-back removes what was not there before" {
  rm "$(at etcd-client)" "$(at etcd-client-key)"
  trust_both
  members_have old old new
  cp "$SUITE/old/server.pem" "$FAKE/serves-other"
  step "$THREE PHASE=issue"$'\n'"$(want_pairs new)"
  expect_code 5
  [ ! -e "$(at etcd-client)" ]
  [ ! -e "$(at etcd-client-key)" ]
  cmp "$(at etcd-server)" "$SUITE/old/server.pem"
}

@test "a file system with less than 16 MiB is not written to" {
  local -r folder=$(dirname "$(at apiserver-etcd-ca)")
  cp -a "$folder" "$FAKE/kept"
  on_master mount -t tmpfs -o size=8M tmpfs "$folder"
  on_master cp -a "$FAKE/kept/." "$folder"
  step "$THREE"$'\n'"$(want_both)"
  expect_code 3
  expect_says "Cannot write to $folder: 81"
  [ "$(<"$FAKE/events")" = '' ]
  on_master umount "$folder"
}

@test "what is written is fsynced before it is renamed, and nobody else may read what the step makes" {
  watch_commands
  umask 022
  trust_both
  # each content goes through one dd
  [ "$(grep -c '^dd of=' "$FAKE/argv")" -ge 3 ]
  [ "$(grep '^dd of=' "$FAKE/argv" | grep -vc 'conv=fsync')" = 0 ]
  [ -z "$(find "$(state)" -perm /077)" ]
}

@test "in a recovery a write that fails is put back with exit 5, and nothing is started" {
  local before
  before=$(facts)
  kill_component etcd
  : >"$FAKE/events"
  step "$THREE OUT_COMPONENTS=(etcd@10.9.0.1 kube-apiserver@10.9.0.1)"$'\n'"$(want_both)"'
    real=$(declare -f write_files); eval "real_$real"
    write_files() { real_write_files && return 1; }'
  expect_code 5
  expect_says 'the previous files are back, and nothing was started'
  [ "$(facts)" = "$before" ]
  [ "$(<"$FAKE/events")" = '' ]
}

@test "settling a recovery starts what is out, and leaves alone what serves" {
  local -r all_out="OUT_COMPONENTS=($(printf 'etcd@10.9.0.%s kube-apiserver@10.9.0.%s ' 1 1 2 2 3 3))"
  step "$THREE PHASE=settle $all_out"
  expect_code 0
  [ "$(<"$FAKE/events")" = '' ]
  kill_component etcd
  mkdir -p "$(state)/backup/rollout-7"
  step "$THREE PHASE=settle $all_out"
  expect_code 0
  [ "$(<"$FAKE/events")" = 'start etcd' ]
  [ -d "$(state)/backup/rollout-7/data/member" ]
}

@test "where one of three is out, etcd restarts while the third answers, and nobody waits for the one out" {
  rm -r "$FAKE/members/10.9.0.3"
  step "$THREE OUT_COMPONENTS=(etcd@10.9.0.3 kube-apiserver@10.9.0.3)"$'\n'"$(want_both)"
  expect_code 0
  [ "$(<"$FAKE/events")" = $'start etcd\nstart kube-apiserver' ]
}

@test "where one of three is out and the third is down since: no restart" {
  rm -r "$FAKE/members/10.9.0.3" "$FAKE/members/10.9.0.2"
  call '! may_restart etcd
    seen="0 other members answer, the cluster has 3, of which 1 were out before"
    [ "$PROBLEM" = "a restart would lose quorum: $seen" ]' \
    "$THREE OUT_COMPONENTS=(etcd@10.9.0.3 kube-apiserver@10.9.0.3)"
}

@test "an API server that is out gets its files in trust, and starts after issue; etcd restarts in trust" {
  step "$THREE OUT_COMPONENTS=(kube-apiserver@10.9.0.1)"$'\n'"$(want_both)"
  expect_code 0
  [ "$(<"$FAKE/events")" = 'start etcd' ]
  members_have old old new
  step "$THREE PHASE=issue OUT_COMPONENTS=(kube-apiserver@10.9.0.1)"$'\n'"$(want_pairs new)"
  expect_code 0
  [ "$(<"$FAKE/events")" = $'start etcd\nstart kube-apiserver' ]
}

@test "a member that is out gets its files in trust, and starts after issue, before the others' new leaves" {
  local -r out='OUT_COMPONENTS=(etcd@10.9.0.1 kube-apiserver@10.9.0.1)'
  kill_component etcd kube-apiserver
  mkdir -p "$(state)/backup/rollout-7"
  step "$THREE $out"$'\n'"$(want_both)"
  expect_code 0
  [ "$(<"$FAKE/events")" = '' ]
  members_have old old new
  step "$THREE PHASE=issue $out"$'\n'"$(want_pairs new)"
  expect_code 0
  [ "$(<"$FAKE/events")" = $'start etcd\nstart kube-apiserver' ]
  cmp "$FAKE/loaded-etcd/2379" <(cat "$SUITE"/{old,new}/ca.pem)
  [ -d "$(state)/backup/rollout-7/data/member" ]
  # where nobody is left to be out of step with, settle does
  kill_component etcd
  : >"$FAKE/events"
  all=$(printf 'etcd@10.9.0.%s kube-apiserver@10.9.0.%s ' 1 1 2 2 3 3)
  step "$THREE PHASE=issue OUT_COMPONENTS=($all)"$'\n'"$(want_pairs new)"
  expect_code 0
  [ "$(<"$FAKE/events")" = '' ]
}

@test "settle starts nothing where issue has: what does not work then is ill" {
  kill_component etcd
  step "$THREE PHASE=settle"
  expect_code 4
  [ "$(<"$FAKE/events")" = '' ]
}
