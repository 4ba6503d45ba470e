# What a master keeps of earlier sets: lists it, read only, or removes one backup under the steps' lock.
# $BACKUP_DIR/rollout-<n>/{manifest,receipt,files/<path>,snapshot.db,data/}: see components/node/lib/backup.sh

source "${BASH_SOURCE%/*}/../lib/output.sh"
source "${BASH_SOURCE%/*}/../lib/receipt.sh"
source "${BASH_SOURCE%/*}/../lib/lock.sh"
source "${BASH_SOURCE%/*}/../lib/backup.sh"

list_backups() {
  local -r receipt=$STATE_DIR/receipt
  local number folder rotation
  if [ -f "$receipt" ]; then
    rotation=$(value_in "$receipt" rotation)
    result "present $(value_in "$receipt" rollout) $(value_in "$receipt" complete) $rotation"
  fi
  [ ! -d "$STATE_DIR/journal" ] || result "leftover $STATE_DIR/journal"
  for folder in "$BACKUP_DIR"/rollout-*.new; do
    [ ! -d "$folder" ] || result "leftover $folder"
  done
  while read -r number; do
    describe_backup "$BACKUP_DIR/rollout-$number" "$number"
  done < <(backup_numbers | sort -n)
  result "end $MASTER"
}

# describe_backup FOLDER NUMBER
describe_backup() {
  local kind sum path files=0 rotation
  result "backup $2"
  if [ ! -f "$1/manifest" ]; then
    result "damaged $2 manifest"
    return 0
  fi
  result "taken $2 $(stat -c %Y "$1/manifest")"
  while read -r kind sum _ _ path; do
    [ "$kind" = file ] || continue
    files=$((files + 1))
    [ "$(sum_of "$1/files$path")" = "$sum" ] || result "damaged $2 $path"
  done <"$1/manifest"
  result "files $2 $files"
  # the receipt from before that rollout tells whose set this is; the original set has none
  if [ -f "$1/receipt" ]; then
    rotation=$(value_in "$1/receipt" rotation)
    result "receipt $2 $(value_in "$1/receipt" complete) $rotation"
  fi
  if [ -f "$1/snapshot.db" ]; then
    result "snapshot $2 $(stat -c %s "$1/snapshot.db")"
    snapshot_status "$1/snapshot.db" "$2"
  fi
  [ ! -d "$1/data" ] || result "data-kib $2 $(du -sk "$1/data" | cut -f 1)"
}

# value_in FILE KEY: of `key=value` lines
value_in() {
  sed -n "s/^$2=//p" "$1" | head -n 1
}

# sum_of FILE: its SHA-256, or nothing
sum_of() {
  [ ! -f "$1" ] || sha256sum <"$1" | cut -d ' ' -f 1
}

# snapshot_status FILE NUMBER: its hash and revision, if etcd's tool reads them (etcdctl 3.6 prints its help)
snapshot_status() {
  local said=''
  if ! is_snapshot_whole "$1"; then
    :
  elif command -v etcdutl >/dev/null 2>&1; then
    said=$(etcdutl snapshot status "$1" -w fields 2>/dev/null) || said=
  elif command -v etcdctl >/dev/null 2>&1; then
    said=$(ETCDCTL_API=3 etcdctl snapshot status "$1" -w fields 2>/dev/null) || said=
  else
    return 0
  fi
  if [ -z "$said" ]; then
    result "damaged $2 snapshot.db"
    return 0
  fi
  printf '%s\n' "$said" |
    sed -n -e "s/^\"Hash\" : /snapshot-hash $2 /p" -e "s/^\"Revision\" : /snapshot-revision $2 /p"
}

# purge_backup: renamed first, so that what is half removed is no backup any more
purge_backup() {
  local -r target=$BACKUP_DIR/rollout-$PURGED
  if [ ! -d "$target" ]; then
    result absent
    return 0
  fi
  rm -rf "$target.new"
  mv -T "$target" "$target.new" && flush "$BACKUP_DIR" ||
    fail "$EXIT_PRECONDITION" "Cannot rename $target; nothing was removed. See df -h $BACKUP_DIR"
  rm -rf "$target.new" ||
    fail "$EXIT_PRECONDITION" "Cannot remove $target.new; the next rollout removes it"
  result removed
}

main() {
  local name
  set -euo pipefail
  umask 077
  # a connection that is gone must not stop the work half-way
  trap '' HUP PIPE
  PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin
  # etcdctl refuses them beside its flags
  for name in "${!ETCDCTL_@}"; do unset "$name"; done
  case $ACTION in
    list) list_backups ;;
    purge) with_lock purge_backup ;;
    *) fail "$EXIT_USAGE" "Cannot do \"$ACTION\"; expected list or purge" ;;
  esac
}
