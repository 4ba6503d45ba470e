# One changing script at a time, and what happens without a connection or with half a script.
#
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2153,SC2154 # text for another bash; tests are functions;
# variables that the helpers set or read

load master

setup() {
  start_master
  HOLD='phase_trust() { : >"$FAKE/inside"; until [ -e "$FAKE/go" ]; do sleep 0.05; done; }'
}
teardown() {
  # a test that fails would wait for what it has left open
  [ -z "${keeper-}" ] || kill "$keeper" 2>/dev/null || :
  stop_master
}

# hold: a step that keeps the lock until $FAKE/go exists
hold() {
  script step "$1" >"$FAKE/holder"
  on_master /usr/bin/setsid --wait bash -s <"$FAKE/holder" >"$FAKE/holder-out" 2>&1 3>&- &
  HOLDER=$!
  until [ -e "$FAKE/inside" ]; do sleep 0.05; done
}

@test "a second step waits; after the gate time it ends with 3 and names holder, stack and age" {
  hold "$HOLD"
  step "GATE_SECONDS=0 OWNER=other/stack"
  expect_code 3
  holder='etcd-rotation/production trust attempt-7'
  [[ $ERR =~ "Cannot lock $(state)/lock: held for "[0-9]+" s by pid "[0-9]+", $holder; wait" ]]
  # the waiting one did not wipe the holder's name
  grep -q '^[0-9]* etcd-rotation/production trust attempt-7 [0-9]*$' "$(state)/lock"
  (
    sleep 0.3
    : >"$FAKE/go"
  ) 3>&- &
  step "GATE_SECONDS=60 OWNER=etcd-rotation/production"
  expect_code 0
  wait "$HOLDER"
  [ "$(<"$FAKE/holder-out")" = 'done attempt-7 trust master-1' ]
}

@test "the model reads from a survey which step holds the lock" {
  hold "$HOLD"
  script survey >"$FAKE/script"
  on_master bash -s <"$FAKE/script" >"$FAKE/stdout" 2>/dev/null 3>&-
  : >"$FAKE/go"
  wait "$HOLDER"
  PATH=$BATS_TEST_DIRNAME/../../node_modules/.bin:$PATH \
    node "$BATS_TEST_DIRNAME/parse-survey.ts" "$ROOT" <"$FAKE/stdout" >"$FAKE/facts"
  grep -q ', at work trust attempt-7$' "$FAKE/facts"
}

@test "two surveys at one moment do not take each other for a step or a run" {
  step PHASE=settle
  printf '%s\n' '1795000000 etcd-rotation/production me@here pid 7' >"$(state)/claim"
  script survey >"$FAKE/script"
  # what flock runs: while the first survey looks at a lock, another one does
  printf '%s\n' '#!/bin/bash' '[ -z "${INSIDE-}" ] || exit 0' \
    'INSIDE=1 bash -s <"$FAKE/script" >>"$FAKE/others" 2>/dev/null' >"$FAKE/bin/true"
  chmod +x "$FAKE/bin/true"
  on_master bash -s <"$FAKE/script" >"$FAKE/first" 2>/dev/null 3>&-
  [ "$(grep -cx end "$FAKE/others")" = 2 ]
  diff <(grep -h -e '^lock ' -e '^claim ' "$FAKE/first" "$FAKE/others") /dev/null
}

@test "a child that outlives a killed step does not hold the lock" {
  hold 'phase_trust() { : >"$FAKE/inside"; printf "%s" "$$" >"$FAKE/main-pid"; sleep 1000; }'
  on_master bash -c 'kill -KILL "$(cat "$FAKE/main-pid")"'
  wait "$HOLDER" || :
  on_master bash -c 'for each in /proc/[0-9]*; do tr "\0" " " <"$each/cmdline"; done 2>/dev/null' |
    grep -q 'sleep 1000'
  step 'GATE_SECONDS=0'
  expect_code 0
}

@test "a step whose connection is gone in the middle finishes" {
  local code=0
  script step "$(want_set new etcd-ca apiserver-etcd-ca)"'
    real=$(declare -f write_files); eval "real_$real"
    write_files() { kill -HUP "$$"; kill -PIPE "$$"; : >"$FAKE/hung-up"; real_write_files; }' >"$FAKE/script"
  mkfifo "$FAKE/out"
  on_master /usr/bin/setsid --wait bash -s <"$FAKE/script" >"$FAKE/out" 2>&1 3>&- &
  # the only reader goes away at once
  : <"$FAKE/out"
  wait "$!" || code=$?
  [ "$code" = 0 ]
  [ -e "$FAKE/hung-up" ]
  cmp "$(at etcd-ca)" "$SUITE/new/ca.pem"
  cmp "$FAKE/loaded-etcd/2379" "$SUITE/new/ca.pem"
  grep -qx 'phase=trust' "$(state)/receipt"
  [ -z "$(leftovers)" ]
}

@test "a script that is cut anywhere before its last line runs nothing" {
  local i size before
  seed
  watch_commands
  script step "$(want_set new etcd-ca etcd-server etcd-server-key)" >"$FAKE/script"
  size=$(($(stat -c %s "$FAKE/script") - $(printf '}\n' | wc -c)))
  before=$(cd "$ROOT" && find . -printf '%i %C@ %p\n')
  : >"$FAKE/argv"
  for i in {1..25}; do
    head -c "$(((RANDOM * 32768 + RANDOM) % size))" "$FAKE/script" >"$FAKE/cut"
    on_master bash -s <"$FAKE/cut" >"$FAKE/stdout" 2>/dev/null 3>&- || :
    [ ! -s "$FAKE/stdout" ]
  done
  head -c "$size" "$FAKE/script" | on_master bash -s >"$FAKE/stdout" 2>/dev/null 3>&- || :
  [ ! -s "$FAKE/stdout" ]
  [ ! -s "$FAKE/argv" ]
  [ "$(cd "$ROOT" && find . -printf '%i %C@ %p\n')" = "$before" ]
}

@test "another owner's master is refused with 3, takeOver accepts it, an unknown phase is 2" {
  local before
  before=$(cd "$ROOT" && find . -name lock -prune -o -printf '%i %C@ %p\n')
  step "OWNER=other/stack"
  expect_code 3
  owner=etcd-rotation/production
  expect_says "its receipt belongs to $owner; to take it over set takeOver: $owner"
  step "PHASE=everything"
  expect_code 2
  expect_says "Cannot run phase 'everything'"
  after=$(cd "$ROOT" && find . -name lock -prune -o -printf '%i %C@ %p\n')
  [ "$(printf '%s\n' "$after" | grep -v 'var/lib/etcd-rotation$')" = \
    "$(printf '%s\n' "$before" | grep -v 'var/lib/etcd-rotation$')" ]
  step "OWNER=other/stack TAKE_OVER=etcd-rotation/production"
  expect_code 0
  grep -qx 'owner=other/stack' "$(state)/receipt"
}

# claim NAME [SECONDS]: a run that claims the master, until its standard input ends; says what came out of it
claim() {
  local whole
  whole=$(<"$SUITE/claim.sh")
  printf '%s\n' "${whole%%@DATA@*}" \
    "STATE_DIR='$(state)' MASTER=master-1 PHASE=claim CLAIM='$1 me@here pid 7'" \
    "PROBE=0 GATE_SECONDS=0 CLAIM_SECONDS=${2:-30}" "${whole##*@DATA@}" >"$FAKE/claim-$1"
  # shellcheck disable=SC2094 # the fifo keeps standard input open
  { cat "$FAKE/claim-$1"; cat "$FAKE/open-$1"; } | on_master bash -s >"$FAKE/claim-$1.out" 2>&1 3>&-
}

@test "a run claims the master until its connection ends; another one is told who it is" {
  mkfifo "$FAKE/open-first" "$FAKE/open-second"
  claim first &
  first=$!
  sleep 1000 3>&- >"$FAKE/open-first" &
  keeper=$!
  until [ -s "$FAKE/claim-first.out" ]; do sleep 0.05; done
  [ "$(<"$FAKE/claim-first.out")" = claimed ]
  : >"$FAKE/open-second" 3>&- &
  claim second 1
  [[ $(<"$FAKE/claim-second.out") =~ ^'taken '[0-9]+' first me@here pid 7'$ ]]
  kill "$keeper"
  wait "$first"
  : >"$FAKE/open-second" 3>&- &
  claim second 1
  [ "$(<"$FAKE/claim-second.out")" = claimed ]
}

@test "a claim leaves the functions of its run, and a step begins with none but these" {
  local before
  printf 'exit 77\n' >"$(state)/functions"
  mkfifo "$FAKE/open-first"
  : >"$FAKE/open-first" 3>&- &
  claim first
  [ "$(<"$FAKE/claim-first.out")" = claimed ]
  cmp "$(state)/functions" "$SUITE/functions"
  [ "$(stat -c %a "$(state)/functions")" = 600 ]
  [ -z "$(leftovers)" ]
  step "$(want_set new etcd-ca apiserver-etcd-ca)"
  expect_code 0
  # of another program, cut off, or gone
  for change in 'printf ":\n" >>' 'truncate -s 20000' 'rm'; do
    eval "$change \"\$(state)/functions\""
    before=$(facts_of)
    step 'PHASE=settle'
    expect_code 3
    expect_says "Cannot begin: $(state)/functions is not what this run has left there;"
    expect_says 'left there; nothing was changed. Run pulumi up again'
    [ "$(facts_of)" = "$before" ]
  done
}

@test "a claim that cannot leave the functions ends, and says why" {
  mkdir -p "$(state)/functions.new"
  mkfifo "$FAKE/open-first"
  : >"$FAKE/open-first" 3>&- &
  claim first || code=$?
  [ "$code" = 3 ]
  # in place of "claimed"
  [[ $(<"$FAKE/claim-first.out") == *"Cannot write $(state)/functions: "* ]]
  [ "$(grep -cx claimed "$FAKE/claim-first.out")" = 0 ]
}

@test "a run that has gone silent loses its claim" {
  mkfifo "$FAKE/open-first"
  sleep 1000 3>&- >"$FAKE/open-first" &
  keeper=$!
  claim first 1 &
  first=$!
  until [ -s "$FAKE/claim-first.out" ]; do sleep 0.05; done
  [ "$(<"$FAKE/claim-first.out")" = claimed ]
  # its connection is still open
  until flock -n "$(state)/claim" true; do sleep 0.05; done
  kill "$keeper"
  wait "$first"
}

@test "a step of a run that has lost its claim to another one does nothing" {
  printf '%s\n' '1795000000 other/stack you@there pid 9' >"$(state)/claim"
  step "CLAIM='etcd-rotation/production me@here pid 7' PHASE=settle"
  expect_code 3
  expect_says 'Cannot work on master-1: it has since been claimed by other/stack you@there pid 9'
  step "CLAIM='other/stack you@there pid 9' PHASE=settle"
  expect_code 0
}
