# Writing files so that a crash after any line leaves either the old bytes or the new ones,
# and so that the old ones can always be put back.
#
# $STATE_DIR/journal/<hash of path>/{path,data|absent}  what a step replaces, kept until its gate has passed
# <folder of the file>/.etcd-rotation.new/              files under their final names, moved when complete
# $STATE_DIR/staged                                     the list of these folders, once they are to be moved

# real_path PATH: where a write goes: links are followed, so that a moved folder stays moved
real_path() {
  local path=$1
  # most have no link anywhere, which needs no process to see
  case $path/ in
    [!/]* | *//* | */./* | */../*) ;;
    *)
      [ ! -d "${path%/*}/" ] || while [ -n "$path" ] && [ ! -L "$path" ]; do path=${path%/*}; done
      ;;
  esac
  if [ -n "$path" ]; then readlink -f -- "$1"; else printf '%s' "$1"; fi
}

# journal_add PATH: keeps what PATH holds now, unless an earlier run's older state is kept already
journal_add() {
  local -r journal=$STATE_DIR/journal
  local entry
  entry=$journal/$(printf '%s' "$1" | sha256sum | cut -c 1-16)
  [ ! -d "$entry" ] || return 0
  [ -d "$journal" ] || { install -d -m 700 "$journal" && flush "$STATE_DIR"; } || return 1
  [ -f "$journal/phase" ] || printf '%s\n' "$PHASE" |
    replace_file "$journal/phase.new" "$journal/phase" 600 || return 1
  rm -rf "$entry.new" && install -d -m 700 "$entry.new" || return 1
  printf '%s\n' "$1" >"$entry.new/path" || return 1
  if [ -e "$1" ]; then
    cp -a -- "$(real_path "$1")" "$entry.new/data" || return 1
  else
    : >"$entry.new/absent" || return 1
  fi
  flush "$entry.new"/* "$entry.new" && mv -T "$entry.new" "$entry" && flush "$journal"
}

# journal_drop: the gate has passed; gone in one rename, then erased
journal_drop() {
  local -r journal=$STATE_DIR/journal
  rm -rf "$journal.done"
  [ ! -d "$journal" ] || { mv -T "$journal" "$journal.done" && flush "$STATE_DIR" && rm -rf "$journal.done"; }
}

# journal_put_back: every file as it was before the first write of the step that failed
journal_put_back() {
  local entry path folder file
  local -a folders=()
  # what the failed step had staged must not go along with what is put back; the decision first
  rm -f "$STATE_DIR/staged" && flush "$STATE_DIR" || return 1
  for path in "${FILE_PATH[@]}"; do
    folder=$(stage_of "$path") || continue
    rm -rf "$folder" || return 1
  done
  for entry in "$STATE_DIR"/journal/*/; do
    [ -f "$entry/path" ] || continue
    case $entry in *.new/) continue ;; esac
    path=$(cat "$entry/path")
    # first: a renewal that is noted and gone would never be made again
    forget_renewal "$path" || return 1
    [ ! -f "$entry/absent" ] || { rm -f -- "$(real_path "$path")" || return 1; }
    [ -f "$entry/data" ] || continue
    cmp -s -- "$entry/data" "$path" && same_owner "$entry/data" "$path" && continue
    folder=$(stage_of "$path") && install -d -m 700 "$folder" || return 1
    file=$folder/$(basename "$(real_path "$path")")
    cp -a -- "$entry/data" "$file" && flush "$file" || return 1
    folders+=("$folder")
  done
  [ "${#folders[@]}" -eq 0 ] || commit_stages ${folders[@]+"${folders[@]}"}
}

# same_owner FILE FILE: equal owner, group and mode
same_owner() {
  [ "$(stat -L -c '%u %g %a' "$1" 2>/dev/null)" = "$(stat -L -c '%u %g %a' "$2" 2>/dev/null)" ]
}

# stage_of PATH: the staging folder beside PATH's real file
stage_of() {
  local real
  real=$(real_path "$1") || return 1
  printf '%s/.etcd-rotation.new' "${real%/*}"
}

# stage_content INDEX: stdin, complete and fsynced, under the file's final name in the staging folder; owner,
# group, mode, access list and label of an existing file are kept, unless its reader cannot read it; set
# before the content is there
stage_content() {
  local -r path=${FILE_PATH[$1]}
  local real draft
  real=$(real_path "$path") || return 1
  draft=$(stage_of "$path")
  install -d -m 700 "$draft" || return 1
  draft=$draft/$(basename "$real")
  (umask 077 && : >"$draft") || return 1
  if [ ! -e "$real" ]; then
    chown "${FILE_OWNER[$1]}" -- "$draft" && chmod "${FILE_MODE[$1]}" -- "$draft" || return 1
  else
    cp -a --attributes-only -- "$real" "$draft" || return 1
    if ! can_be_read "$1"; then
      chown "$ETCD_USER:" -- "$draft" && chmod "${FILE_MODE[$1]}" -- "$draft" || return 1
    fi
  fi
  case ${FILE_KIND[$1]} in
    kubeconfig) ! has_client "$real" || chmod o-rwx -- "$draft" || return 1 ;;
    key) chmod o-rwx -- "$draft" || return 1 ;;
  esac
  dd of="$draft" conv=fsync,notrunc status=none
}

# commit_stages FOLDER...: all or nothing: once the list is there, finish_stages finishes it after a crash
commit_stages() {
  local folder
  for folder in "$@"; do flush "$folder" "${folder%/*}" || return 1; done
  printf '%s\0' "$@" | replace_file "$STATE_DIR/staged.new" "$STATE_DIR/staged" 600 && finish_commit
}

# finish_commit: a folder's files by one mv (bad handshakes of 6,600: 3; by two mv: 22)
finish_commit() (
  [ -f "$STATE_DIR/staged" ] || return 0
  shopt -s dotglob nullglob
  while IFS= read -r -d '' folder; do
    files=("$folder"/*)
    [ "${#files[@]}" -eq 0 ] || mv -f -t "${folder%/*}" -- "${files[@]}" || return 1
  done <"$STATE_DIR/staged"
  while IFS= read -r -d '' folder; do
    # somebody has removed the place itself
    [ -d "${folder%/*}" ] || continue
    [ ! -d "$folder" ] || rmdir "$folder" && flush "${folder%/*}" || return 1
  done <"$STATE_DIR/staged"
  rm -f "$STATE_DIR/staged" && flush "$STATE_DIR"
)

# finish_stages: what an interrupted run had decided is finished, what it had only begun is erased
finish_stages() {
  local path folder
  local -A begun=()
  finish_commit || return 1
  for path in "${FILE_PATH[@]}"; do
    folder=$(stage_of "$path") || continue
    begun[$folder]=1
    # of a version that decided by this name
    [ ! -d "${folder%.new}" ] || commit_stages "${folder%.new}" || return 1
  done
  rm -rf "${!begun[@]}" "$STATE_DIR/staged.new" "$STATE_DIR/journal.done" "$STATE_DIR"/journal/*.new
}

# is_wanted INDEX: the file holds exactly the wanted content, for its reader to read
is_wanted() {
  printf '%s' "${FILE_CONTENT[$1]}" | cmp -s -- - "${FILE_PATH[$1]}" && can_be_read "$1"
}

# can_be_read INDEX [OWNER MODE]: by the user that its reader runs as
can_be_read() {
  local owner=${2:-} mode=${3:-}
  # root reads all; of a user who does not exist nothing is known
  [ "${FILE_READER[$1]}" = etcd ] && [ -n "$ETCD_USER" ] && [ "$ETCD_USER" != root ] || return 0
  [ -n "$owner" ] || read -r owner mode < <(stat -L -c '%U %a' "${FILE_PATH[$1]}")
  # most files, without a process more; the folder's rights are etcd's own
  case $owner$mode in "$ETCD_USER"[4567]??) return 0 ;; esac
  runuser -u "$ETCD_USER" -- test -r "${FILE_PATH[$1]}" 2>/dev/null
}

# is_written INDEX: this step has content for the file
is_written() {
  [ -n "${FILE_CONTENT[$1]:-}" ]
}

# write_files: each file with wanted content that it does not have yet; a pair at once. Sets WRITTEN.
write_files() {
  local i j
  local -a group
  WRITTEN=0
  for i in "${!FILE_PATH[@]}"; do
    is_written "$i" || continue
    # a key is written with its certificate, below
    [ "${FILE_KIND[$i]}" != key ] || continue
    group=("$i")
    for j in "${!FILE_PATH[@]}"; do
      [ "${FILE_KIND[$j]}" = key ] && [ "${FILE_GROUP[$j]}" = "${FILE_GROUP[$i]}" ] || continue
      ! is_written "$j" || group+=("$j")
    done
    group_is_wanted "${group[@]}" || write_group "${group[@]}" || return 1
    note_renewal "${FILE_GROUP[$i]}" || return 1
  done
}

# group_is_wanted INDEX...
group_is_wanted() {
  local i
  for i in "$@"; do is_wanted "$i" || return 1; done
}

# write_group INDEX...: a trust file, or a certificate and its key: what of it is not as wanted is journalled,
# staged, checked, renamed
write_group() {
  local i folder file certificate='' key='' written=' '
  local -a folders=()
  for i in "$@"; do
    is_wanted "$i" || { journal_add "${FILE_PATH[$i]}" && written="$written$i "; } || return 1
  done
  for i in "$@"; do
    file=${FILE_PATH[$i]}
    case $written in
      *" $i "*)
        printf '%s' "${FILE_CONTENT[$i]}" | stage_content "$i" || return 1
        folder=$(stage_of "$file")
        # the key's first: a reader that comes in between retries a pair that does not match
        folders=("$folder" ${folders[@]+"${folders[@]}"})
        file=$(real_path "$file")
        file=$folder/${file##*/}
        ;;
    esac
    case ${FILE_KIND[$i]} in
      cert) certificate=$file ;;
      key) key=$file ;;
      trust | authority) holds_only_certificates "$file" || return 1 ;;
    esac
  done
  if [ -n "$certificate" ]; then
    is_pair "$certificate" "$key" || return 1
  fi
  commit_stages ${folders[@]+"${folders[@]}"} || return 1
  for i in $written; do
    say "wrote ${FILE_PATH[$i]}"
    WRITTEN=$((WRITTEN + 1))
  done
}

# holds_only_certificates FILE: every PEM block parses, and there is at least one
# (etcd starts with an empty trust file and then refuses everybody; a broken second block is dropped silently)
holds_only_certificates() {
  local blocks parsed
  blocks=$(grep -c -e '-----BEGIN' "$1") || return 1
  parsed=$(trusted_names "$1" | wc -l)
  [ "$blocks" -gt 0 ] && [ "$blocks" -eq "$parsed" ]
}
