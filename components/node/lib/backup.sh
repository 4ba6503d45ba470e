# The backup: every file of the layout with owner and mode, and on one healthy master a snapshot of etcd.
# $BACKUP_DIR/rollout-<n>/{manifest,receipt,files/<path>,journal/,snapshot.db}

# backup: created aside, fsynced, renamed; an existing one is never overwritten
backup() {
  local -r target=$BACKUP_DIR/rollout-$ROLLOUT
  local i path
  if [ -d "$target" ]; then
    [ "$(sed -n 's/^attempt=//p' "$target/manifest")" = "$ATTEMPT" ] || holds_these_files "$target" ||
      fail "$EXIT_PRECONDITION" "Cannot back up: $target exists already and belongs to another attempt;" \
        "run pulumi up again"
    say "backup $target exists"
    return 0
  fi
  # one that is there is somebody's, with other things in it; the backups themselves are closed
  [ -d "$BACKUP_DIR" ] || install -d -m 700 "$BACKUP_DIR" ||
    fail "$EXIT_PRECONDITION" "Cannot create $BACKUP_DIR"
  # whatever rollout it was that a kill interrupted here
  rm -rf "$BACKUP_DIR"/rollout-*.new
  [ "$TAKE_SNAPSHOT" != 1 ] || drop_repeated_snapshots
  require_snapshot_space
  install -d -m 700 "$target.new" "$target.new/files" || fail "$EXIT_PRECONDITION" "Cannot create $target.new"
  {
    printf 'attempt=%s\nrollout=%s\nrotation=%s\nowner=%s\n' "$ATTEMPT" "$ROLLOUT" "$ROTATION" "$OWNER"
    for i in "${!FILE_PATH[@]}"; do
      path=${FILE_PATH[$i]}
      # never written, so never put back: no second copy of it
      [ "${FILE_KIND[$i]}" != authority-key ] || continue
      [ -e "$path" ] || { printf 'absent %s\n' "$path"; continue; }
      install -d -m 700 "$target.new/files$(dirname "$path")" &&
        cp -a -- "$(real_path "$path")" "$target.new/files$path" ||
        fail "$EXIT_PRECONDITION" "Cannot copy $path to $target.new"
      printf 'file %s %s %s\n' \
        "$(sha256sum <"$path" | cut -d ' ' -f 1)" "$(stat -L -c '%U:%G %a' "$path")" "$path"
    done
  } >"$target.new/manifest" || fail "$EXIT_PRECONDITION" "Cannot copy the files of the layout to $target.new"
  [ ! -f "$STATE_DIR/receipt" ] || cp -a "$STATE_DIR/receipt" "$target.new/receipt"
  [ ! -d "$STATE_DIR/journal" ] || cp -a "$STATE_DIR/journal" "$target.new/journal"
  [ "$TAKE_SNAPSHOT" != 1 ] || snapshot "$target.new/snapshot.db"
  flush_tree "$target.new" && mv -T "$target.new" "$target" && flush "$BACKUP_DIR" ||
    fail "$EXIT_PRECONDITION" "Cannot rename $target.new"
  say "backup in $target"
}

# holds_these_files BACKUP: it has the files of now, since its attempt ended before it changed anything
holds_these_files() {
  local i path
  for i in "${!FILE_PATH[@]}"; do
    path=${FILE_PATH[$i]}
    [ "${FILE_KIND[$i]}" != authority-key ] || continue
    if [ -e "$path" ]; then
      cmp -s -- "$path" "$1/files$path" || return 1
    else
      [ ! -e "$1/files$path" ] || return 1
    fi
  done
}

# snapshot FILE: of this healthy member; whole, and read by etcd's own tool where there is one
snapshot() {
  local tool status
  say 'taking an etcd snapshot'
  require_etcdctl
  ETCDCTL_API=3 timeout "$GATE_SECONDS" "$ETCDCTL" --endpoints="$(client_url "$ADDRESS")" \
    --cacert="$CLIENT_CA" --cert="$CLIENT_CERT" --key="$CLIENT_KEY" snapshot save "$1" >/dev/null 2>&1 ||
    fail "$EXIT_PRECONDITION" "Cannot take an etcd snapshot from $(client_url "$ADDRESS");" \
      "nothing was changed"
  is_snapshot_whole "$1" ||
    fail "$EXIT_PRECONDITION" "Cannot verify the etcd snapshot: it is damaged;" \
      "expected the SHA-256 at its end; nothing was changed"
  tool=${ETCDCTL%etcdctl}etcdutl
  [ -x "$tool" ] || tool=$ETCDCTL
  status=$(ETCDCTL_API=3 "$tool" snapshot status "$1" 2>&1) ||
    fail "$EXIT_PRECONDITION" "Cannot verify the etcd snapshot: $status"
  # HASH, REVISION, KEYS, SIZE; etcdctl of 3.6 prints its help and succeeds
  status=$(printf '%s\n' "$status" | grep -E '^[0-9a-f]+, [0-9]+, ') ||
    status='is whole, and was not read: there is no etcdutl beside etcdctl'
  say "snapshot $status"
}

# is_snapshot_whole FILE: etcd sends the SHA-256 of a snapshot behind it; `snapshot status` does not look at
# that (tried: etcd 3.4, 3.5)
is_snapshot_whole() {
  local sum
  sum=$(head -c -32 "$1" | sha256sum | cut -d ' ' -f 1)
  [ "$sum" = "$(tail -c 32 "$1" | od -An -v -tx1 | tr -d ' \n')" ]
}

# drop_repeated_snapshots: of a series of failed tries only the first one's stays; a backup holds the receipt
# from before its rollout, so one with an incomplete receipt was taken in a series. Its files stay.
drop_repeated_snapshots() {
  local receipt
  for receipt in "$BACKUP_DIR"/rollout-*/receipt; do
    [ -f "$receipt" ] && ! grep -qx 'complete=1' "$receipt" || continue
    rm -f "${receipt%/receipt}/snapshot.db"
  done
}

# require_snapshot_space: 64 MiB for the files; the database, as large as it is, and 512 MiB for etcd itself
require_snapshot_space() {
  local free need=65536 size
  if [ "$TAKE_SNAPSHOT" = 1 ]; then
    size=$(ctl "$(client_url "$ADDRESS")" endpoint status -w fields | status_field DBSize) ||
      fail "$EXIT_PRECONDITION" "Cannot take an etcd snapshot from $(client_url "$ADDRESS"): no answer;" \
        "nothing was changed. See $(etcd_logs) on $MASTER, then run pulumi up again"
    need=$((need + ${size:-0} / 1024 + 524288))
  fi
  free=$(df -Pk "$BACKUP_DIR" | awk 'NR == 2 { print $4 }')
  [ "$free" -ge "$need" ] ||
    fail "$EXIT_PRECONDITION" "Cannot back up to $BACKUP_DIR: $free KiB free; expected at least $need KiB"
}

# saved_file INDEX: the row's file in the backup to restore; nothing unless it is as the manifest says
saved_file() {
  local -r folder=$BACKUP_DIR/rollout-$RESTORE
  local kind sum path found
  [ "$RESTORE" != 0 ] && [ -f "$folder/files${FILE_PATH[$1]}" ] || return 1
  found=$(sha256sum <"$folder/files${FILE_PATH[$1]}" | cut -d ' ' -f 1)
  while read -r kind sum _ _ path; do
    [ "$kind" = file ] && [ "$path" = "${FILE_PATH[$1]}" ] && [ "$sum" = "$found" ] || continue
    printf '%s' "$folder/files$path"
    return 0
  done <"$folder/manifest"
  return 1
}

# load_saved: the rows to restore are wanted byte for byte, followed by what the step has to add
load_saved() {
  local i file content
  for i in "${!FILE_PATH[@]}"; do
    [ -n "${FILE_SAVED[$i]}" ] || continue
    file=$(saved_file "$i") ||
      fail "$EXIT_PRECONDITION" "Cannot restore ${FILE_PATH[$i]}: $BACKUP_DIR/rollout-$RESTORE on $MASTER" \
        "does not have it as its manifest says; nothing was changed. Remove restore, then run pulumi up again"
    # to the last byte: a substitution would drop the newlines at the end
    IFS= read -r -d '' content <"$file" || :
    if [ -n "${FILE_CONTENT[$i]}" ] && [ "${content: -1}" != $'\n' ]; then content=$content$'\n'; fi
    FILE_CONTENT[i]=$content${FILE_CONTENT[$i]}
    # what comes back is not what was renewed here
    [ -z "${FILE_SIGNER[$i]}" ] || is_wanted "$i" || forget_renewal "${FILE_PATH[$i]}" ||
      fail "$EXIT_PRECONDITION" "Cannot write $STATE_DIR/receipt"
  done
}

# prune_backups: keeps the original set, the one to restore, the last $KEEP that served whole, and later ones
prune_backups() {
  local number receipt kept=0
  local -a numbers=()
  while read -r number; do numbers+=("$number"); done < <(backup_numbers | sort -rn)
  for number in ${numbers[@]+"${numbers[@]}"}; do
    # a backup holds the receipt from before its rollout; the original set has none
    receipt=$BACKUP_DIR/rollout-$number/receipt
    [ -f "$receipt" ] && [ "$number" != "$RESTORE" ] || continue
    if [ "$kept" -ge "$KEEP" ]; then
      say "removing backup rollout-$number"
      # renamed first: what is half removed is no backup any more, and the next rollout erases it
      mv -T "$BACKUP_DIR/rollout-$number" "$BACKUP_DIR/rollout-$number.new" &&
        rm -rf "$BACKUP_DIR/rollout-$number.new"
    elif grep -qx 'complete=1' "$receipt"; then
      kept=$((kept + 1))
    fi
  done
}

# backup_numbers: of the complete backups on this master
backup_numbers() {
  local folder
  for folder in "$BACKUP_DIR"/rollout-*; do
    case ${folder##*/rollout-} in '' | *[!0-9]*) ;; *) printf '%s\n' "${folder##*/rollout-}" ;; esac
  done
}
