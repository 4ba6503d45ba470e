# The probe of a claim: what it asks, what it leaves, and that nothing depends on it.
#
# shellcheck disable=SC2016,SC2030,SC2031,SC2154 # text for another bash; tests are functions; variables that
# the helpers set

load master

setup() {
  FAKE=$(mktemp -d "${BATS_TEST_TMPDIR}/fake state.XXXX")
  export FAKE
  PLACE="$FAKE/state"
  mkdir "$FAKE/bin" "$PLACE"
  ln -s "$BATS_TEST_DIRNAME/fakes/kept-openssl" "$FAKE/bin/openssl"
  printf 200 >"$FAKE/2379"
  printf 200 >"$FAKE/6443"
  : >"$FAKE/asked"
  mkfifo "$FAKE/open"
}
teardown() {
  [ -z "${KEEPER-}" ] || kill -KILL "$KEEPER" 2>/dev/null || :
  if [ -n "${BASE-}" ]; then stop_master; fi
}

# claim [ASSIGNMENTS]: a run that claims the master until $KEEPER ends; sets CLAIM_PID
claim() {
  local whole
  whole=$(<"$SUITE/claim.sh")
  printf '%s\n' "${whole%%@DATA@*}" "$(<"$DATA_OF_SUITE")" "STATE_DIR='$PLACE' PHASE=claim CLAIM=me" \
    "GATE_SECONDS=0 CLAIM_SECONDS=30 PROBE=1 ${1-}" "${whole##*@DATA@}" >"$FAKE/claim"
  rm -f "$FAKE/out"
  sleep 1000 3>&- >"$FAKE/open" &
  KEEPER=$!
  # shellcheck disable=SC2094 # the fifo keeps standard input open
  PATH=$FAKE/bin:$PATH bash -s < <(cat "$FAKE/claim" - <"$FAKE/open" 3>&-) >"$FAKE/out" 2>&1 3>&- &
  CLAIM_PID=$!
  soon test -s "$FAKE/out"
  [ "$(<"$FAKE/out")" = claimed ]
}
DATA_OF_SUITE=$SUITE/data

# soon COMMAND...: within some seconds it succeeds
soon() {
  local i
  for ((i = 0; i < 300; i++)); do
    if "$@"; then return 0; fi
    sleep 0.05
  done
  printf 'not within 15 s: %s\n' "$*"
  return 1
}
gone() { ! kill -0 "$1" 2>/dev/null; }
has_lines() { [ "$(wc -l <"$1")" -ge "$2" ]; }

# begin: as backup does
begin() {
  soon test -e "$PLACE/probe"
  printf 'step\n' >>"$PLACE/probe"
}

# until_tries COUNT: that many more lines of tries
until_tries() {
  soon has_lines "$PLACE/probe" $(($(wc -l <"$PLACE/probe") + $1))
}

# figures TARGET
figures() {
  local now
  mkdir -p "$FAKE/until now"
  { cat "$PLACE/probe" && printf 'step\n'; } >"$FAKE/until now/probe"
  read -r now _ </proc/uptime
  bash -c '. "$1"; STATE_DIR=$2; probe_figures "$3" "$4"' - \
    "$BATS_TEST_DIRNAME/../../components/node/lib/probe.sh" "$FAKE/until now" "$1" "$now"
}

# is_over: nothing of the probe is left
is_over() {
  local pid
  soon test ! -e "$PLACE/probe"
  while read -r pid; do soon gone "$pid"; done < <(cat "$FAKE"/connections-* 2>/dev/null)
}

end() {
  kill "$KEEPER"
  wait "$CLAIM_PID" || :
  is_over
}

@test "nothing is asked until backup begins; then both, over one connection each; the key goes at the end" {
  claim
  sleep 1.2
  [ ! -s "$FAKE/asked" ]
  begin
  until_tries 8
  end
  [ "$(wc -l <"$FAKE/connections-2379")" = 1 ]
  [ "$(wc -l <"$FAKE/connections-6443")" = 1 ]
  key=$(printf /etcd-rotation/probe/master-1 | base64)
  [ "$(grep -c '^GET /readyz $' "$FAKE/asked")" -ge 3 ]
  [ "$(grep -c "^POST /v3/kv/txn {\"success\":\[{\"requestPut\":{\"key\":\"$key\",\"value\":\"MA==\"}}" \
    "$FAKE/asked")" -ge 3 ]
  [ "$(tail -n 1 "$FAKE/asked")" = "POST /v3/kv/deleterange {\"key\":\"$key\"}" ]
  [ "$(grep -c 'PRIVATE KEY' "$FAKE/argv")" = 0 ]
}

@test "an update that changes nothing asks nothing, and one with probe: off has none" {
  claim
  sleep 0.7
  end
  [ ! -s "$FAKE/asked" ]
  claim PROBE=0
  [ ! -e "$PLACE/probe" ]
  end
}

@test "a cut connection is made anew at once; while nobody answers tries fail, and the gap is counted" {
  claim
  begin
  until_tries 4
  # whose connection is cut, and can be made anew
  kill "$(tail -n 1 "$FAKE/connections-2379")"
  until_tries 4
  read -r state tries failures gap _ < <(figures etcd)
  [ "$state $failures" = 'answers 0' ]
  [ "$tries" -ge 3 ] && [ "$gap" -lt 1000 ]
  rm "$FAKE/2379"
  kill "$(tail -n 1 "$FAKE/connections-2379")"
  until_tries 8
  printf 200 >"$FAKE/2379"
  until_tries 4
  read -r state tries failures gap _ < <(figures etcd)
  [ "$state" = answers ]
  [ "$failures" -ge 3 ] && [ "$failures" -lt "$tries" ]
  [ "$gap" -ge 1500 ] && [ "$gap" -lt 6000 ]
  outage=$gap
  read -r state _ failures gap _ < <(figures kube-apiserver)
  [ "$state $failures" = 'answers 0' ]
  # on a busy machine its own tries come late, too
  [ "$gap" -lt "$outage" ]
  end
}

@test "an answer that does not come ends the try after three seconds; the next has its own connection" {
  claim
  begin
  until_tries 4
  printf hang >"$FAKE/2379"
  soon grep -q 'etcd 000$' "$PLACE/probe"
  printf 200 >"$FAKE/2379"
  soon has_lines "$FAKE/connections-2379" 2
  until_tries 4
  read -r state _ failures gap _ < <(figures etcd)
  [ "$state $failures" = 'answers 1' ]
  [ "$gap" -ge 2500 ] && [ "$gap" -lt 7000 ]
  end
}

@test "where etcd does not let it write it says so once, deletes nothing, and goes on with the API server" {
  printf 403 >"$FAKE/2379"
  claim
  begin
  until_tries 6
  [ "$(grep -c ' etcd ' "$PLACE/probe")" = 1 ]
  [[ $(figures etcd) == 'refused 1 1 '* ]]
  [[ $(figures kube-apiserver) == 'answers '* ]]
  end
  [ "$(grep -c deleterange "$FAKE/asked")" = 0 ]
}

@test "a key that was perhaps written, without an answer in time, goes at the end too" {
  printf hang >"$FAKE/2379"
  claim
  begin
  soon grep -q 'etcd 000$' "$PLACE/probe"
  printf 200 >"$FAKE/2379.new"
  mv "$FAKE/2379.new" "$FAKE/2379"
  kill "$KEEPER"
  wait "$CLAIM_PID" || :
  is_over
  [[ $(tail -n 1 "$FAKE/asked") == 'POST /v3/kv/deleterange '* ]]
}

@test "an etcd that is out from the beginning is silent, and an API server that hides its health is ready" {
  rm "$FAKE/2379"
  printf 401 >"$FAKE/6443"
  claim
  begin
  until_tries 8
  [[ $(figures etcd) == 'silent '* ]]
  read -r state _ failures _ < <(figures kube-apiserver)
  [ "$state $failures" = 'answers 0' ]
  end
}

@test "the claim killed: the probe ends by itself, and its key goes" {
  claim
  begin
  until_tries 4
  kill -KILL "$CLAIM_PID"
  wait "$CLAIM_PID" || :
  kill "$KEEPER"
  is_over
  [[ $(tail -n 1 "$FAKE/asked") == 'POST /v3/kv/deleterange '* ]]
}

@test "the probe killed: no connection stays, the claim lives on, and the next one begins anew" {
  local pid
  claim
  begin
  until_tries 4
  for pid in /proc/[0-9]*; do
    [ "$(readlink "$pid/fd/7" 2>/dev/null)" != "$PLACE/probe" ] || kill -KILL "${pid#/proc/}"
  done
  while read -r pid; do soon gone "$pid"; done < <(cat "$FAKE"/connections-*)
  kill -0 "$CLAIM_PID"
  kill "$KEEPER"
  wait "$CLAIM_PID"
  [ -s "$PLACE/probe" ]
  claim
  soon test ! -s "$PLACE/probe"
  begin
  until_tries 4
  end
}

@test "a folder that cannot be written stops no claim" {
  mkdir "$PLACE/probe"
  claim
  kill -0 "$CLAIM_PID"
  kill "$KEEPER"
  wait "$CLAIM_PID"
  [ ! -s "$FAKE/asked" ]
}

@test "gaps: one that ends in a later step counts there whole, and the probe's own sleep is none" {
  printf '%s\n' step '100.00 100.02 etcd 200' '100.52 100.53 etcd 000' step \
    '101.03 101.04 etcd 503' '104.50 104.52 etcd 200' '900.00 900.04 etcd 200' '1 2 etcd' step >"$PLACE/probe"
  run bash -c '. "$1"; STATE_DIR=$2; probe_figures etcd 910.04' - \
    "$BATS_TEST_DIRNAME/../../components/node/lib/probe.sh" "$PLACE"
  [ "$output" = 'answers 3 1 4500 805520 40' ]
}

@test "a step says what it has seen since the one before; one without a probe says nothing of it" {
  start_master
  step
  expect_code 0
  [ "$OUT" = 'done attempt-7 trust master-1' ]
  printf '%s\n' step '100.00 100.02 etcd 200' '100.52 100.56 etcd 200' '100.52 100.53 kube-apiserver 500' \
    >"$(state)/probe"
  step
  expect_code 0
  [[ ${OUT//$'\n'/;} =~ ^'probe master-1 etcd answers 2 0 540 '[0-9]+' 40;probe master-1 '\
'kube-apiserver silent 1 1 10 '[0-9]+' 0;done attempt-7 trust master-1'$ ]]
  step
  [ "$OUT" = 'done attempt-7 trust master-1' ]
  # what comes while it says so is the next one's
  printf '%s\n' step '100.00 100.02 etcd 200' >"$(state)/probe"
  step 'figures_of=$(declare -f probe_figures); eval "first_$figures_of"
    probe_figures() {
      printf "101.00 109.00 etcd 200\n" >>"$STATE_DIR/probe"
      first_probe_figures "$@"
    }'
  [[ $OUT == *'etcd answers 1 0 20 '* ]]
  step
  [[ $OUT == *'etcd answers 2 0 '* ]]
  # backup begins it; here nobody answers it
  : >"$(state)/probe"
  step
  [ ! -s "$(state)/probe" ]
  step PHASE=backup
  expect_code 0
  [ "$(head -n 1 "$(state)/probe")" = step ]
}
