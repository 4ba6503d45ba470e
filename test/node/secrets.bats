# Keys: never in output, arguments or files that stay behind.
#
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2153,SC2154 # text for another bash; tests are functions;
# variables that the helpers set or read

load master

setup() {
  start_master
  watch_commands
  mkdir "$FAKE/tmp"
  export TMPDIR="$FAKE/tmp"
}
teardown() { stop_master; }

# seen_in PLACES...: names of files that hold a line of a key of the new or old set
seen_in() {
  local set leaf
  for set in old new; do
    for leaf in server peer client; do sed -n 2p "$SUITE/$set/$leaf-key.pem"; done
  done >"$BATS_TEST_TMPDIR/lines"
  grep -rlF -f "$BATS_TEST_TMPDIR/lines" "$@" | LC_ALL=C sort
}

# everything SET
everything() {
  want_set "$1" etcd-ca etcd-peer-ca apiserver-etcd-ca
  want_leaves "$1"
}

@test "a whole issue step shows no key and leaves none outside its place" {
  step "PHASE=trust"$'\n'"$(want_both)"
  expect_code 0
  : >"$FAKE/argv"
  step "PHASE=issue"$'\n'"$(want_leaves new)"
  expect_code 0
  # the step did ask openssl and did write, by name
  grep -q '^openssl s_client' "$FAKE/argv"
  grep -q '^dd of=' "$FAKE/argv"
  grep -q '^cmp ' "$FAKE/argv"
  [ -z "$(seen_in "$FAKE/argv" "$FAKE/stdout" "$FAKE/stderr")" ]
  [ "$(cat "$FAKE/argv" "$FAKE/stdout" "$FAKE/stderr" | grep -c -e 'PRIVATE')" = 0 ]
  [ -z "$(ls -A "$FAKE/tmp")" ]
  [ "$(seen_in "$ROOT")" = "$(printf '%s\n' "$(at apiserver-etcd-client-key)" \
    "$(at etcd-peer-key)" "$(at etcd-client-key)" "$(at etcd-server-key)" | LC_ALL=C sort)" ]
}

@test "a killed step leaves keys only in folders that nobody else can enter; the next start removes them" {
  local set count file folder
  seed
  export IN_PROCESS=1
  step "$(everything new)"
  expect_code 0
  # how many commands write
  count=$(<"$FAKE/count")
  for set in old new old; do
    KILL_AT=$((RANDOM % count + 1)) step "$(everything "$set")"
    expect_code 137
    while IFS= read -r file; do
      case $file in
        */cert/*-key.pem | */etcd/*-key.pem) [ "$(stat -c %a "$file")" = 600 ] ;;
        *)
          folder=$(dirname "$file")
          [ "$(stat -c %a "$folder")" = 700 ] || [ "$(stat -c %a "$(dirname "$folder")")" = 700 ]
          ;;
      esac
    done < <(seen_in "$ROOT")
    [ -z "$(ls -A "$FAKE/tmp")" ]
    step "$(everything "$set")"
    expect_code 0
    [ -z "$(leftovers)" ]
    [ "$(seen_in "$ROOT" | wc -l)" = 4 ]
  done
}
