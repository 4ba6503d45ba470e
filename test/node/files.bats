# Writing: what changes, what does not, and what is refused.
#
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2153,SC2154 # text for another bash; tests are functions;
# variables that the helpers set or read

load master

setup() { start_master; }
teardown() { stop_master; }

everything() {
  want_set "$1" etcd-ca etcd-peer-ca apiserver-etcd-ca etcd-server etcd-server-key etcd-peer etcd-peer-key \
    apiserver-etcd-client apiserver-etcd-client-key
}

inodes() {
  (cd "$ROOT" && find var/lib/etcd etc -printf '%i %T@ %C@ %p\n')
}

@test "unchanged files are not touched and nothing restarts" {
  local before events
  before=$(inodes)
  events=$(<"$FAKE/events")
  step "$(everything old)"
  expect_code 0
  [ "$(inodes)" = "$before" ]
  [ "$(<"$FAKE/events")" = "$events" ]
  [ -z "$(leftovers)" ]
  [ "${OUT##*$'\n'}" = 'done attempt-7 trust master-1' ]
}

@test "a new set is written with the old owners and modes, links stay, and each component restarts once" {
  local moved="$ROOT/data disk" id
  # a moved folder with a link in its place, a linked file, and owners and modes of their own
  mkdir "$moved"
  mv "$ROOT/var/lib/etcd/cert" "$moved/cert"
  ln -s "$moved/cert" "$ROOT/var/lib/etcd/cert"
  mv "$(at apiserver-etcd-ca)" "$moved/api-ca.pem"
  ln -s "$moved/api-ca.pem" "$(at apiserver-etcd-ca)"
  chown 77:78 "$(at etcd-peer)" "$(at etcd-server-key)"
  chmod 640 "$(at etcd-peer)" "$(at etcd-server-key)"
  : >"$FAKE/events"
  step "$(everything new)"
  expect_code 0
  while read -r id _; do
    [ "$id" != etcd-client ] && [ "$id" != etcd-client-key ] || continue
    cmp "$(at "$id")" "$(content_of new "$id")"
  done <"$ROWS"
  [ -L "$ROOT/var/lib/etcd/cert" ]
  [ -L "$(at apiserver-etcd-ca)" ]
  [ ! -L "$(at etcd-ca)" ]
  [ "$(stat -L -c '%u:%g %a' "$(at etcd-peer)" "$(at etcd-server-key)" "$(at etcd-ca)" \
    "$(at etcd-peer-key)" "$(at apiserver-etcd-client-key)")" = \
    $'77:78 640\n77:78 640\n4242:4243 644\n4242:4243 600\n0:0 600' ]
  # the client leaf without wanted content is as it was
  cmp "$(at etcd-client)" "$(content_of old etcd-client)"
  [ "$(<"$FAKE/events")" = $'start etcd\nstart kube-apiserver' ]
  [ -z "$(leftovers)" ]
}

@test "a file that is not there gets the row's owner and mode, and a key that others can read loses that" {
  rm "$(at etcd-server)" "$(at etcd-peer-ca)"
  chmod 644 "$(at etcd-server-key)"
  cp "$(content_of old etcd-server)" "$FAKE/served"
  printf 'SERVER_CERT=%q\n' "$FAKE/served" >>"$FAKE/paths"
  step "$(everything old)"
  expect_code 0
  step "$(everything new)"
  [ "$(stat -c '%u:%g %a' "$(at etcd-server)" "$(at etcd-peer-ca)" "$(at etcd-server-key)")" = \
    $'4242:4243 644\n4242:4243 644\n4242:4243 640' ]
}

@test "a key that does not match its certificate is refused before any rename" {
  local before
  before=$(inodes)
  step "$(want etcd-server "$SUITE/new/server.pem")
$(want etcd-server-key "$SUITE/stranger/server-key.pem")"
  expect_code 5
  [ "$(inodes | grep -v 'var/lib/etcd/cert$')" = "$(printf '%s\n' "$before" | grep -v 'var/lib/etcd/cert$')" ]
  [ -z "$(leftovers)" ]
}

@test "a certificate without its key in the same step is refused" {
  step "$(want etcd-server "$SUITE/new/server.pem")"
  expect_code 5
  cmp "$(at etcd-server)" "$SUITE/old/server.pem"
  [ -z "$(leftovers)" ]
}

@test "trust files that are empty, garbage or half garbage are refused" {
  local bad=$BATS_TEST_TMPDIR/bad.pem before
  before=$(inodes | grep '\.pem$')
  printf '\n' >"$bad"
  step "$(want etcd-ca "$bad")"
  expect_code 5
  printf 'not a certificate\n' >"$bad"
  step "$(want etcd-ca "$bad")"
  expect_code 5
  cat "$SUITE/new/ca.pem" - >"$bad" < <(printf -- '-----%s-----\n' 'BEGIN CERTIFICATE' 'END CERTIFICATE' |
    sed '1a AAAA')
  step "$(want etcd-ca "$bad")"
  expect_code 5
  [ "$(inodes | grep '\.pem$')" = "$before" ]
  [ -z "$(leftovers)" ]
}

@test "a folder that is missing is refused before any change" {
  rm -rf "$ROOT/etc/kubernetes/pki/etcd"
  mkdir -p "$FAKE/elsewhere"
  cp "$SUITE/old/ca.pem" "$FAKE/elsewhere/ca.pem"
  step "$(want_set new etcd-ca apiserver-etcd-ca)"
  expect_code 3
  expect_says "$ROOT/etc/kubernetes/pki/etcd"
  cmp "$(at etcd-ca)" "$SUITE/old/ca.pem"
}

@test "the data block brings every character over, and a last line without its end" {
  local odd=$BATS_TEST_TMPDIR/odd.pem
  { printf '# it'"'"'s "odd" $HOME `id` \\ *\n'; printf '%s' "$(cat "$SUITE/new/ca.pem")"; } >"$odd"
  step "$(want etcd-ca "$odd")"
  expect_code 0
  cmp "$(at etcd-ca)" "$odd"
  grep -qxF 'rotation=it'"'"'s "2026" $HOME `id` \ *' "$(state)/receipt"
}

@test "a file that its reader cannot read gets that owner and the row's mode, although its content is right" {
  printf nobody >"$FAKE/etcd-user"
  chown root:root "$(at etcd-server-key)" && chmod 600 "$(at etcd-server-key)"
  chmod 711 "$BASE" "$ROOT" "$ROOT"/var/lib
  script survey >"$FAKE/script"
  on_master bash -s <"$FAKE/script" >"$FAKE/stdout" 2>/dev/null 3>&-
  [ "$(sed -n 's/^file \([a-z-]*\) [^ ]* [^ ]* unreadable .*/\1/p' "$FAKE/stdout")" = "etcd-server-key
etcd-peer-key" ]
  step "PHASE=issue
OUT_COMPONENTS=(etcd@10.9.0.1 kube-apiserver@10.9.0.1)
$(want_set old etcd-server etcd-server-key)"
  expect_code 0
  [ "$(stat -c '%U %a' "$(at etcd-server-key)")" = 'nobody 600' ]
  [ "$(stat -c '%u %a' "$(at etcd-server)")" = '4242 644' ]
}

@test "the real path of a file: what readlink says, whether it has links, dots or no folder" {
  ln -s "$ROOT/var" "$ROOT/link"
  for path in "$(at etcd-ca)" "${ROOT}/link/lib/etcd/cert/ca.pem" "$ROOT/var/../var/lib/etcd/cert/ca.pem" \
    "$ROOT//var/lib/etcd/cert/ca.pem" relative.pem ./a/relative.pem "$ROOT/nowhere/at/all" /ca.pem; do
    call "[ \"\$(real_path '$path' || printf failed)\" = \"\$(readlink -f -- '$path' || printf failed)\" ]"
  done
}

@test "no disk but those of its own files is waited for: each file and folder is synced by itself" {
  # as coreutils 8.22 has it: no operands; a dead NFS mount would hold up the rest
  printf '#!/bin/bash\nprintf "%%s\\n" "sync $*" >>"$FAKE/synced"\n[ $# -eq 0 ]\n' >"$FAKE/bin/sync"
  chmod +x "$FAKE/bin/sync"
  step 'PHASE=backup'
  expect_code 0
  step "$(everything new)"
  expect_code 0
  [ ! -e "$FAKE/synced" ]
  call 'flush "$STATE_DIR" "$STATE_DIR/receipt" && ! flush "$STATE_DIR/nowhere" 2>/dev/null'
}

@test "a file whose real name begins with a dot is written, and put back" {
  local -r folder="$ROOT/etc/kubernetes/pki/etcd"
  mv "$(at apiserver-etcd-ca)" "$folder/.hidden"
  ln -s .hidden "$(at apiserver-etcd-ca)"
  step "$(want_set new apiserver-etcd-ca)"
  expect_code 0
  [ -L "$(at apiserver-etcd-ca)" ]
  cmp "$folder/.hidden" "$SUITE/new/ca.pem"
  [ -z "$(leftovers)" ]
  # put back: a certificate without its key ends the step
  step "$(want_set old apiserver-etcd-ca && want_set new etcd-server)"
  expect_code 5
  cmp "$folder/.hidden" "$SUITE/new/ca.pem"
  [ -z "$(leftovers)" ]
}

@test "what an earlier version had decided to rename is finished, what it had only begun is erased" {
  local -r folder="$ROOT/var/lib/etcd/cert"
  mkdir "$folder/.etcd-rotation" "$folder/.etcd-rotation.new"
  cp "$SUITE/new/server.pem" "$folder/.etcd-rotation/$(basename "$(at etcd-server)")"
  cp "$SUITE/new/server-key.pem" "$folder/.etcd-rotation/$(basename "$(at etcd-server-key)")"
  cp "$SUITE/new/ca.pem" "$folder/.etcd-rotation.new/$(basename "$(at etcd-ca)")"
  # a list whose folder somebody has removed since is done with
  printf '%s\0' "$ROOT/nowhere/.etcd-rotation.new" >"$(state)/staged"
  call finish_stages
  [ ! -e "$(state)/staged" ]
  cmp "$(at etcd-server)" "$SUITE/new/server.pem"
  cmp "$(at etcd-server-key)" "$SUITE/new/server-key.pem"
  cmp "$(at etcd-ca)" "$SUITE/old/ca.pem"
  [ -z "$(leftovers)" ]
}

@test "an access list stays, and its reader reads the new file" {
  local before
  setfacl -m u:77:r "$(at etcd-server-key)" || skip 'no access lists here'
  before=$(getfacl -cn "$(at etcd-server-key)")
  step "$(everything new)"
  expect_code 0
  cmp "$(at etcd-server-key)" "$(content_of new etcd-server-key)"
  [ "$(getfacl -cn "$(at etcd-server-key)")" = "$before" ]
}
