# Leaves with a cross-certificate behind them: whoever trusts the old authority alone accepts them, and so
# does who trusts the new one alone. Against the real openssl but for s_client, whose rules the fake keeps.
#
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2153,SC2154 # text for another bash; tests are functions;
# variables that the helpers set or read

load master

setup() { start_three; }
teardown() { stop_master; }

# issue: as in a rollout; the others have done the same
issue() {
  step "$THREE PHASE=trust"
  expect_code 0
  step "$THREE PHASE=issue"$'\n'"$(want_pairs cross)"
  expect_code 0
  members_have cross old
}

@test "trust and issue restart nothing, and members that trust the old authority alone accept the leaves" {
  issue
  cmp "$(at etcd-server)" "$SUITE/cross/server.pem"
  cmp "$(at etcd-peer)" "$SUITE/cross/peer.pem"
  step "$THREE PHASE=settle"
  expect_code 0
  [ "$(<"$FAKE/events")" = '' ]
  [ -z "$(leftovers)" ]
}

@test "without the cross-certificate no member accepts them, and nothing is written" {
  step "$THREE PHASE=issue"$'\n'"$(want_pairs new)"
  expect_code 3
  expect_says 'does not accept a leaf of the wanted authority yet'
  cmp "$(at etcd-server)" "$SUITE/old/server.pem"
}

@test "issue waits for the master's own clock where the cross-certificate begins later than the leaf" {
  step "$THREE PHASE=issue CLOCK_SECONDS=0"$'\n'"$(want_pairs cross)"'
    openssl() {
      case $* in
        *pkcs7*-text*)
          command openssl "$@" |
            awk "/Not Before/ && seen++ { print \"Not Before: Jan  1 00:00:00 2099 GMT\"; next } { print }"
          ;;
        *) command openssl "$@" ;;
      esac
    }'
  expect_code 3
  expect_says 'the new leaves are not valid yet by the clock of master-1'
  cmp "$(at etcd-server)" "$SUITE/old/server.pem"
}

@test "retire restarts etcd and kube-apiserver once, and those that have not retired accept this one" {
  issue
  step "$THREE PHASE=retire"$'\n'"$(want_trust new)"
  expect_code 0
  [ "$(<"$FAKE/events")" = $'start etcd\nstart kube-apiserver' ]
}

@test "verify takes the cross-certificates away when every member accepts the leaf alone, without a restart" {
  local inode
  step "$THREE PHASE=backup TAKE_SNAPSHOT=1"
  issue
  step "$THREE PHASE=retire"$'\n'"$(want_trust new)"
  members_have cross new
  : >"$FAKE/events"
  inode=$(stat -c %i "$(at etcd-server-key)")
  step "$THREE PHASE=verify"$'\n'"$(want_all new)"
  expect_code 0
  for id in {etcd-{server,peer,client},apiserver-etcd-client}{,-key}; do
    cmp "$(at "$id")" "$(content_of new "$id")"
  done
  # the key stays the file that it was
  [ "$(stat -c %i "$(at etcd-server-key)")" = "$inode" ]
  grep -qx 'refused master-1 1' <<<"$OUT"
  grep -qx 'complete=1' "$(state)/receipt"
  [ "$(<"$FAKE/events")" = '' ]
  [ -z "$(leftovers)" ]
}

@test "verify leaves them where a member has not retired, or where this master has not" {
  issue
  step "$THREE PHASE=verify"$'\n'"$(want_all new)"
  expect_code 4
  expect_says "$(at etcd-ca) is not the wanted file"
  cmp "$(at etcd-server)" "$SUITE/cross/server.pem"
  step "$THREE PHASE=retire"$'\n'"$(want_trust new)"
  expect_code 0
  member_has 10.9.0.2 cross new
  step "$THREE PHASE=verify"$'\n'"$(want_all new)"
  expect_code 3
  expect_says 'Cannot verify: 10.9.0.3:2379 does not accept a leaf of the wanted authority yet'
  cmp "$(at etcd-server)" "$SUITE/cross/server.pem"
  cmp "$(at apiserver-etcd-client)" "$SUITE/cross/client.pem"
}

@test "verify that fails after it has written puts the cross-certificates back" {
  issue
  step "$THREE PHASE=retire"$'\n'"$(want_trust new)"
  members_have cross new
  step "$THREE PHASE=verify"$'\n'"$(want_all new)"'
    pass_gate() { PROBLEM=made; return "$((BROKEN = ! ${BROKEN:-0}))"; }'
  expect_code 5
  cmp "$(at etcd-server)" "$SUITE/cross/server.pem"
  [ -z "$(leftovers)" ]
}

# cross KEY_FILE: assignments for a backup that signs both new authorities
cross() {
  printf 'CROSS_ROLE=(etcd etcd-peer) CROSS_KEY=(%q %q)\n' "$1" "$SUITE/old/peer-ca-key.pem"
  printf 'CROSS_SIGNER=(%q %q)\n' "$(<"$SUITE/old/ca.pem")" "$(<"$SUITE/old/peer-ca.pem")"
  printf 'CROSS_WANTED=(%q %q)\n' "$(<"$SUITE/new/ca.pem")" "$(<"$SUITE/new/peer-ca.pem")"
}

# signed ROLE: what backup has printed
signed() {
  sed -n "s/^authority $1 //p" <<<"$OUT"
}

@test "backup signs the new authorities with keys that lie on the master: names, uses and identifiers stay" {
  step "$THREE PHASE=backup"$'\n'"$(cross "$SUITE/old/ca-key.pem")"
  expect_code 0
  for pair in etcd/ca/server etcd-peer/peer-ca/peer; do
    IFS=/ read -r role authority leaf <<<"$pair"
    signed "$role" >"$FAKE/made"
    openssl verify -CAfile "$SUITE/old/$authority.pem" -untrusted "$FAKE/made" "$SUITE/new/$leaf.pem"
    for part in -subject -pubkey '-ext basicConstraints,subjectKeyIdentifier,keyUsage'; do
      # shellcheck disable=SC2086 # words
      openssl x509 -in "$SUITE/new/$authority.pem" -noout $part >"$FAKE/expected"
      # shellcheck disable=SC2086 # words
      openssl x509 -in "$FAKE/made" -noout $part | diff "$FAKE/expected" -
    done
    [ "$(openssl x509 -in "$FAKE/made" -noout -enddate)" = \
      "$(openssl x509 -in "$SUITE/old/$authority.pem" -noout -enddate)" ]
    # a master whose clock is behind accepts it too
    begin=$(date -d "$(openssl x509 -in "$FAKE/made" -noout -startdate | cut -d = -f 2)" +%s)
    [ "$begin" -le "$(($(date +%s) - 300))" ]
  done
  [ "$(grep -c 'PRIVATE KEY' <<<"$OUT$ERR")" = 0 ]
}

@test "a key that is not the authority's signs nothing, and backup says what that means" {
  step "$THREE PHASE=backup"$'\n'"$(cross "$SUITE/new/ca-key.pem")"
  expect_code 0
  expect_says "openssl cannot with $SUITE/new/ca-key.pem"
  [ -z "$(signed etcd)" ]
  [ -n "$(signed etcd-peer)" ]
}
