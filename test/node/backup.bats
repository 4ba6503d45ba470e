# The backup: whole or not there, never overwritten, and good enough to restore by hand.
#
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2153,SC2154 # text for another bash; tests are functions;
# variables that the helpers set or read

load master

setup() { start_master; }
teardown() { stop_master; }

folder() {
  printf '%s/backup/rollout-%s' "$(state)" "$1"
}

facts() {
  (cd "$ROOT" && find var/lib/etcd/cert etc -type f -printf '%U:%G %m %p\n' | LC_ALL=C sort &&
    sha256sum var/lib/etcd/cert/* etc/kubernetes/pki/etcd/*)
}

@test "a backup holds every file, its manifest restores a master by hand, and it is never overwritten" {
  local before kind sum owner mode path made
  rm "$(at etcd-client)"
  before=$(facts)
  step 'PHASE=backup TAKE_SNAPSHOT=1'
  expect_code 0
  [ "${OUT##*$'\n'}" = 'done attempt-7 backup master-1' ]
  [ "$(stat -c %a "$(folder 7)" "$(folder 7)/files")" = $'700\n700' ]
  [ "$(head -c 8 "$(folder 7)/snapshot.db")" = snapshot ]
  [ "$(head -n 4 "$(folder 7)/manifest")" = "attempt=attempt-7
rollout=7
rotation=it's \"2026\" \$HOME \`id\` \\ *
owner=etcd-rotation/production" ]
  [ "$(grep -c '^file ' "$(folder 7)/manifest")" = 10 ]
  grep -qxF "absent $(at etcd-client)" "$(folder 7)/manifest"
  made=$(find "$(folder 7)" -printf '%i %C@ %p\n')

  # the same attempt finds it, and so does another one that finds the same files; with other files it is not
  # touched
  step 'PHASE=backup'
  expect_code 0
  step 'PHASE=backup ATTEMPT=attempt-8'
  expect_code 0
  printf '\n' >>"$(at etcd-server)"
  step 'PHASE=backup ATTEMPT=attempt-8'
  expect_code 3
  expect_says 'belongs to another attempt'
  [ "$(find "$(folder 7)" -printf '%i %C@ %p\n')" = "$made" ]

  # the master loses everything; by hand, from the manifest alone
  find "$ROOT/var/lib/etcd/cert" "$ROOT/etc" -type f -delete
  while read -r kind sum owner mode path; do
    [ "$kind" = file ] || continue
    [ "$(sha256sum <"$(folder 7)/files$path")" = "$sum  -" ]
    cp "$(folder 7)/files$path" "$path"
    chown "${owner/UNKNOWN:UNKNOWN/4242:4243}" "$path"
    chmod "$mode" "$path"
  done <"$(folder 7)/manifest"
  [ "$(facts)" = "$before" ]
}

@test "a backup that was killed is not taken for a whole one" {
  IN_PROCESS=1 KILL_AT=20 step 'PHASE=backup'
  [ "$CODE" = 137 ]
  [ ! -e "$(folder 7)" ]
  [ -e "$(folder 7).new" ]
  [ "$(call 'backup_numbers')" = '' ]
  IN_PROCESS=1 step 'PHASE=backup'
  expect_code 0
  [ "$(call 'backup_numbers')" = 7 ]
  [ ! -e "$(folder 7).new" ]
}

@test "a disk that is too small, and a member that gives no snapshot, are refused" {
  mkdir -p "$(state)/backup"
  on_master mount -t tmpfs -o size=8M tmpfs "$(state)/backup"
  step 'PHASE=backup'
  expect_code 3
  expect_says '8192 KiB free; expected at least 65536 KiB'
  [ "$(on_master ls -A "$(state)/backup")" = '' ]
  on_master umount "$(state)/backup"
  printf '%s' "$((1 << 50))" >"$FAKE/db-size"
  step 'PHASE=backup TAKE_SNAPSHOT=1'
  expect_code 3
  expect_says 'KiB free; expected at least'
  : >"$FAKE/sick"
  step 'PHASE=backup TAKE_SNAPSHOT=1'
  expect_code 4
  expect_says 'nothing was changed'
  [ ! -e "$(folder 7)" ]
}

@test "a snapshot that is damaged is never taken, whatever etcd's tool says; an unread one is called so" {
  : >"$FAKE/help-for-status"
  : >"$FAKE/cut-snapshot"
  step 'PHASE=backup TAKE_SNAPSHOT=1'
  expect_code 3
  expect_says 'Cannot verify the etcd snapshot: it is damaged'
  [ ! -e "$(folder 7)" ]
  rm "$FAKE/cut-snapshot"
  step 'PHASE=backup TAKE_SNAPSHOT=1'
  expect_code 0
  expect_says 'snapshot is whole, and was not read: there is no etcdutl beside etcdctl'
}

@test "pruning keeps the original set, incomplete rollouts and the newest complete ones" {
  local number
  for number in 1 2 3 4 5 6 7; do
    mkdir -p "$(folder "$number")"
    printf 'complete=1\n' >"$(folder "$number")/receipt"
  done
  # the original set has no receipt; 6 was never completed
  rm "$(folder 1)/receipt"
  printf 'complete=0\n' >"$(folder 6)/receipt"
  call prune_backups
  [ "$(call 'backup_numbers' | sort -n | tr '\n' ' ')" = '1 4 5 6 7 ' ]
}

@test "of a series of failed tries the first snapshot stays, and all files do" {
  local number
  for number in 4 5 6; do
    mkdir -p "$(folder "$number")/files"
    : >"$(folder "$number")/snapshot.db"
  done
  # 4 was taken of a whole set; 5 and 6 in the middle of what 4 had begun
  printf 'complete=1\n' >"$(folder 4)/receipt"
  printf 'complete=0\n' >"$(folder 5)/receipt"
  printf 'complete=0\n' >"$(folder 6)/receipt"
  call drop_repeated_snapshots
  [ -e "$(folder 4)/snapshot.db" ]
  [ ! -e "$(folder 5)/snapshot.db" ]
  [ ! -e "$(folder 6)/snapshot.db" ]
  [ -d "$(folder 5)/files" ]
  [ -d "$(folder 6)/files" ]
}

@test "what is restored is the backup's, to the last byte, and nothing when it is damaged" {
  local id saved='RESTORE=7'
  printf '\n\n' >>"$(at etcd-server)"
  # and one whose last line has no end
  printf '%s' "$(cat "$(content_of old etcd-server-key)")" >"$(at etcd-server-key)"
  step 'PHASE=backup'
  expect_code 0
  for id in etcd-ca etcd-server etcd-server-key; do saved="$saved FILE_SAVED[$(index_of "$id")]=1"; done
  for id in etcd-ca etcd-server etcd-server-key; do cp "$(content_of new "$id")" "$(at "$id")"; done
  call 'PHASE=retire; load_saved; write_files' "$saved"
  for id in etcd-ca etcd-server etcd-server-key; do cmp "$(at "$id")" "$(folder 7)/files$(at "$id")"; done
  [ "$(tail -c 2 "$(at etcd-server)" | od -An -c | tr -d ' ')" = '\n\n' ]

  # what the step has besides comes behind it, on a line of its own
  cp "$(content_of new etcd-ca)" "$FAKE/kept.pem"
  printf '%s' "$(cat "$(content_of old etcd-ca)")" >"$(folder 7)/files$(at etcd-ca)"
  sum=$(sha256sum <"$(folder 7)/files$(at etcd-ca)" | cut -d ' ' -f 1)
  sed -i "s|^file [0-9a-f]* \(.* $(at etcd-ca)\)$|file $sum \1|" "$(folder 7)/manifest"
  call 'PHASE=retire; load_saved; write_files' "$saved"$'\n'"$(want etcd-ca "$FAKE/kept.pem")"
  cmp "$(at etcd-ca)" <(cat "$(content_of old etcd-ca)" "$FAKE/kept.pem")
  rm -rf "$(state)/journal"

  cp "$(content_of new etcd-ca)" "$(at etcd-ca)"
  printf '\n' >>"$(folder 7)/files$(at etcd-ca)"
  step "PHASE=retire $saved"
  expect_code 3
  expect_says "Cannot restore $(at etcd-ca)"
  cmp "$(at etcd-ca)" "$(content_of new etcd-ca)"
}

@test "the backup that restore names is not pruned" {
  local number
  for number in 1 2 3 4 5; do
    mkdir -p "$(folder "$number")"
    [ "$number" = 1 ] || printf 'complete=1\n' >"$(folder "$number")/receipt"
  done
  call 'PHASE=verify; prune_backups' 'RESTORE=2 KEEP=2'
  [ "$(call 'backup_numbers' | sort -n | tr '\n' ' ')" = '1 2 4 5 ' ]
}

@test "a folder for the backups that exists keeps its owner and mode, and what is in it stays open" {
  local -r shared="$ROOT/data disk"
  mkdir -p "$shared/etcd" && chown 4242:4243 "$shared" && chmod 755 "$shared"
  step "PHASE=backup BACKUP_DIR='$shared'"
  expect_code 0
  [ "$(stat -c '%u:%g %a' "$shared" "$shared/etcd" "$shared/rollout-7")" = \
    $'4242:4243 755\n0:0 755\n0:0 700' ]
  call '[ "$(backup_numbers)" = 7 ]' "BACKUP_DIR='$shared'"
  # one that is not there is root's alone
  step "PHASE=backup BACKUP_DIR='$shared/new'"
  expect_code 0
  [ "$(stat -c '%u:%g %a' "$shared/new")" = '0:0 700' ]
}
