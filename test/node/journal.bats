# A kill after every single command that writes, and what the next run makes of it.
#
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2153,SC2154 # text for another bash; tests are functions;
# variables that the helpers set or read

load master

setup() {
  export DATA=$SUITE/data-few ROWS=$SUITE/rows-few IN_PROCESS=1
  FAST='GATE_SECONDS=0 HEALTH_SECONDS=0'
}

# kill_points WORKER WORKERS: its share of all points (or of $KILL_POINTS, to look at a few), each tried
# twice: the next run fails its gate, the next run passes. The two sets change roles each time that a run has
# passed.
kill_points() (
  set -eu
  local -r worker=$1 workers=$2
  local from=old to=new swap count done_points=0
  n=0 mismatching=0
  # bats notes every line for its traces: a tenth of the time, and fail_at says where
  trap - DEBUG
  start_master
  trap stop_master EXIT
  # how many commands write
  step "$FAST"$'\n'"$(wanted "$to")"
  expect_code 0
  count=$(<"$FAKE/count")
  swap=$from from=$to to=$swap
  wc -w <<<"${KILL_POINTS:-$(seq 1 "$count")}" >"$RESULTS/count"
  for n in ${KILL_POINTS:-$(seq 1 "$count")}; do
    [ $((n % workers)) = "$worker" ] || continue
    # the next run fails: what was there before the killed one is back
    original=$(facts)
    kill_at "$n" "$to"
    cp "$(content_of "$to" etcd-ca)" "$FAKE/bad-trust"
    if [ ! -d "$(state)/journal" ] && [ "$(facts)" != "$original" ]; then
      # the gate had passed and only cleaning up was left: this is the master's state now
      original=$(facts)
      step "$FAST"$'\n'"$(wanted "$to")"
      expect_code 4
      rm "$FAKE/bad-trust"
      swap=$from from=$to to=$swap
    else
      step "$FAST"$'\n'"$(wanted "$to")"
      expect_code 5
      rm "$FAKE/bad-trust"
    fi
    expect_facts "$original"
    [ -z "$(leftovers)" ] || fail_at "leftovers: $(leftovers)"
    # the next run passes: what was wanted is there
    kill_at "$n" "$to"
    step "$FAST"$'\n'"$(wanted "$to")"
    expect_code 0
    expect_pair "$to"
    cmp "$(at etcd-ca)" "$(content_of "$to" etcd-ca)"
    [ -z "$(leftovers)" ] || fail_at "leftovers: $(leftovers)"
    swap=$from from=$to to=$swap
    done_points=$((done_points + 1))
    printf '%s %s\n' "$done_points" "$mismatching" >"$RESULTS/worker-$worker"
  done
)

wanted() {
  want_set "$1" etcd-ca etcd-server etcd-server-key
}

# facts: bytes, owners and modes of what a step may write
facts() {
  (cd "$ROOT" && find var/lib/etcd etc -printf '%y %U:%G %m %p\n' | LC_ALL=C sort &&
    sha256sum var/lib/etcd/cert/* etc/kubernetes/pki/etcd/*)
}

expect_facts() {
  [ "$(facts)" = "$1" ] || {
    diff <(printf '%s\n' "$1") <(facts) || :
    fail_at 'the original is not back'
  }
}

fail_at() {
  printf 'kill point %s: %s\nstderr: %s\n' "${n:-}" "$1" "$ERR"
  return 1
}

# kill_at N SET: the step towards SET, killed after the N-th writing command
kill_at() {
  KILL_AT=$1 step "$FAST"$'\n'"$(wanted "$2")"
  [ "$CODE" = 137 ] || fail_at "ended with $CODE before it could be killed"
  pair_matches || mismatching=$((mismatching + 1))
  expect_no_open_keys
}

# pair_matches: certificate and key on disk are of one set
pair_matches() {
  local set
  for set in old new; do
    cmp -s "$(at etcd-server)" "$SUITE/$set/server.pem" || continue
    if cmp -s "$(at etcd-server-key)" "$SUITE/$set/server-key.pem"; then return 0; fi
  done
  return 1
}

expect_pair() {
  cmp "$(at etcd-server)" "$SUITE/$1/server.pem" && cmp "$(at etcd-server-key)" "$SUITE/$1/server-key.pem"
}

# expect_no_open_keys: no key, in place, staged or kept, can be read by group or others
expect_no_open_keys() {
  local open
  open=$(grep -rlZ -e 'PRIVATE KEY' "$ROOT" | xargs -0r stat -c '%a %n' | grep -v '^600 ' || :)
  [ -z "$open" ] || fail_at "readable keys: $open"
}

@test "after a kill at any write, a failing gate brings the original back and a passing one the wanted" {
  local worker code=0
  local -a pids=()
  export RESULTS=$BATS_TEST_TMPDIR
  for worker in 0 1; do
    kill_points "$worker" 2 >"$RESULTS/log-$worker" 2>&1 3>&- &
    pids+=("$!")
  done
  for worker in 0 1; do
    wait "${pids[$worker]}" || { code=1; tail -n 20 "$RESULTS/log-$worker"; }
  done
  [ "$code" = 0 ]
  printf '# %s kill points, each with two endings; pairs that did not match on disk: %s\n' \
    "$(<"$RESULTS/count")" \
    "$(cat "$RESULTS"/worker-* | awk '{ sum += $2 } END { print sum }')" >&3
  # a certificate and its key change in one rename command: no kill falls in between
  [ "$(cat "$RESULTS"/worker-* | awk '{ points += $1; pairs += $2 } END { print points, pairs }')" = \
    "$(<"$RESULTS/count") 0" ]
}

@test "certificate and key in two folders: nothing in between; killed at any write, a pair is there again" {
  local n count moved to=new between=0
  start_master
  watch_commands
  key=$ROOT/var/lib/keys/server.pem
  mkdir "${key%/*}" && mv "$(at etcd-server-key)" "$key"
  moved="PHASE=issue
OUT_COMPONENTS=(etcd@10.9.0.1 kube-apiserver@10.9.0.1)
FILE_PATH[$(index_of etcd-server-key)]='$key'"
  IN_PROCESS='' step "$moved"$'\n'"$(want_set new etcd-server etcd-server-key)"
  expect_code 0
  cmp "$key" "$SUITE/new/server-key.pem"
  [ "$(grep -A 1 -F "mv -f -t ${key%/*}" "$FAKE/argv" | tail -n 1 | cut -d ' ' -f 1-4)" = \
    "mv -f -t $(dirname "$(at etcd-server)" | cut -d ' ' -f 1)" ]
  step "$moved"$'\n'"$(want_set old etcd-server etcd-server-key)"
  expect_code 0
  count=$(<"$FAKE/count")
  for ((n = 1; n <= count; n++)); do
    KILL_AT=$n step "$moved"$'\n'"$(want_set "$to" etcd-server etcd-server-key)"
    [ "$CODE" = 137 ] || fail_at "ended with $CODE before it could be killed"
    is_pair_of old || is_pair_of new || between=$((between + 1))
    expect_no_open_keys
    call 'finish_stages; journal_drop' "$moved"
    [ -z "$(find "$ROOT" \( -name '.etcd-rotation*' -o -name 'staged*' \) -print)" ] ||
      fail_at "leftovers: $(leftovers)"
    if is_pair_of new; then to=old; else is_pair_of old && to=new || fail_at 'no pair'; fi
  done
  [ "$between" = 1 ]
}

# is_pair_of SET: certificate and key, which lies in $key
is_pair_of() {
  cmp -s "$(at etcd-server)" "$SUITE/$1/server.pem" && cmp -s "$key" "$SUITE/$1/server-key.pem"
}

@test "a kill before a write, and a second kill during the next run, change nothing of that" {
  local i original first second
  seed
  start_master
  original=$(facts)
  cp "$SUITE/new/ca.pem" "$FAKE/bad-trust"
  for i in 1 2 3 4 5; do
    # before the gate's end: a journal that is gone has nothing to bring back
    first=$((RANDOM % 44 + 8)) second=$((RANDOM % 44 + 8))
    KILL_BEFORE=$first step "$FAST"$'\n'"$(wanted new)"
    [ "$CODE" = 137 ]
    expect_no_open_keys
    KILL_AT=$second step "$FAST"$'\n'"$(wanted new)"
    # one that finds much of the work done may have put back before its moment comes
    [ "$CODE" = 137 ] || [ "$CODE" = 5 ]
    expect_no_open_keys
    step "$FAST"$'\n'"$(wanted new)"
    n="$first, then $second"
    expect_code 5
    expect_facts "$original"
    [ -z "$(leftovers)" ] || fail_at "leftovers: $(leftovers)"
  done
  rm "$FAKE/bad-trust"
  stop_master
}

teardown() {
  stop_master
}
