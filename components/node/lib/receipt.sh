# The receipt: what was done on this master, for whom, and which files each running process has read.

# receipt_get KEY: its value, or nothing
receipt_get() {
  local line
  [ -f "$STATE_DIR/receipt" ] || return 0
  while IFS= read -r line; do
    case $line in "$1="*) printf '%s' "${line#*=}" && return ;; esac
  done <"$STATE_DIR/receipt"
}

# receipt_put COMPLETE [KEY VALUE]...: writes the whole receipt anew; what is noted of components and renewals
# stays, but for each KEY, which gets VALUE or, where that is empty, goes
receipt_put() {
  local -r file=$STATE_DIR/receipt complete=$1
  local line i keys=' '
  shift
  for ((i = 1; i <= $#; i += 2)); do keys="$keys${!i} "; done
  install -d -m 700 "$STATE_DIR" || return 1
  {
    printf 'version=1\nowner=%s\ncluster=%s\nrollout=%s\n' "$OWNER" "$CLUSTER_ID" "$ROLLOUT"
    printf 'attempt=%s\nrotation=%s\nauthorities=%s\n' "$ATTEMPT" "$ROTATION" "$AUTHORITIES"
    printf 'phase=%s\ncomplete=%s\n' "$PHASE" "$complete"
    if [ -f "$file" ]; then
      while IFS= read -r line; do
        case $keys in *" ${line%%=*} "*) continue ;; esac
        case $line in component.* | renewed.*) printf '%s\n' "$line" ;; esac
      done <"$file"
    fi
    while [ $# -gt 0 ]; do
      [ -z "$2" ] || printf '%s=%s\n' "$1" "$2"
      shift 2
    done
  } | replace_file "$file.new" "$file" 600
}

# replace_file TEMPORARY FILE MODE: stdin becomes FILE: written aside, fsynced, renamed
replace_file() {
  (umask 077 && : >"$1") && chmod "$3" "$1" && dd of="$1" conv=fsync,notrunc status=none &&
    mv -f "$1" "$2" && flush "$(dirname "$2")"
}

# flush PATH...: each file or folder to its disk, and no other's: one that hangs elsewhere (NFS) is none of
# this master's files. dd syncs what it has as its output, however that was opened; count=0 would not get so
# far. sync FILE is coreutils 8.24.
flush() {
  local path
  for path in "$@"; do dd if=/dev/null conv=fsync status=none 1<"$path" || return 1; done
}

# flush_tree FOLDER: with all that is in it
flush_tree() {
  local path
  while IFS= read -r -d '' path; do
    flush "$path" || return 1
  done < <(find "$1" \( -type f -o -type d \) -print0)
}

# reads_at_start COMPONENT INDEX: that file, and only when it starts
reads_at_start() {
  case " ${FILE_RESTARTS[$2]} " in *" $1 "*) ;; *) return 1 ;; esac
  # a file of Kubernetes that is not there is none of this master's
  [ -z "${FILE_SIGNER[$2]}" ] || [ -e "${FILE_PATH[$2]}" ]
}

# reads_nothing COMPONENT: no managed file
reads_nothing() {
  local i
  for i in "${!FILE_PATH[@]}"; do ! reads_at_start "$1" "$i" || return 1; done
}

# is_among ROWS INDEX: ROWS are all, those new in this program (later), or those that are not (early)
is_among() {
  case $1${FILE_LATER[$2]} in later | early1) return 1 ;; esac
}

# start_digest COMPONENT [ROWS]: one hash over the files that COMPONENT reads only at its start
start_digest() {
  local i sum path digest
  local -a paths=()
  for i in "${!FILE_PATH[@]}"; do
    ! reads_at_start "$1" "$i" || ! is_among "${2:-all}" "$i" || paths+=("${FILE_PATH[$i]}")
  done
  digest=$(sha256sum -- ${paths[@]+"${paths[@]}"} 2>/dev/null </dev/null |
    while read -r sum path; do printf '%s %s  -\n' "$path" "$sum"; done | sha256)
  printf '%s' "${digest:0:32}"
}

# record_start COMPONENT: notes that its current process has read the files as they are now; keeps in PROBLEM
# why it could not, which is no component's ill health
record_start() {
  receipt_put 0 "component.$1" "$(start_record "$1" "$(identity "$1")")" && return
  PROBLEM="cannot write $STATE_DIR/receipt" AILING=''
  return 1
}

# start_record COMPONENT IDENTITY: which process it is, and what it has read
start_record() {
  printf '%s %s' "$2" "$(start_digest "$1")"
}

# is_stale COMPONENT [IDENTITY]: its process may not have read what is now on disk; in doubt, true
is_stale() {
  local now record ticks rows=all
  now=${2-$(identity "$1")}
  [ -n "$now" ] || return 0
  ! reads_nothing "$1" || return 1
  record=$(receipt_get "component.$1")
  # a record of this very process decides
  case $record in
    "$now "*)
      [ "$record" != "$now $(start_digest "$1")" ] || return 1
      # one from before some rows were managed says nothing of their files
      [ "$record" = "$now $(start_digest "$1" early)" ] || return 0
      rows=later
      ;;
  esac
  if [ "$1" = etcd ] && ! etcd_names_match; then return 0; fi
  ticks=${now##* }
  [ "$(newest_change "$1" "$rows")" -ge "$(start_epoch "$ticks")" ]
}

# newest_change COMPONENT [ROWS]: seconds since 1970 of the latest change to what it reads at its start, links
# on the way included (not the time of modification: cp -p and a put-back keep that one)
newest_change() {
  local i path newest=0 changed
  local -a names=() targets=()
  for i in "${!FILE_PATH[@]}"; do
    reads_at_start "$1" "$i" && is_among "${2:-all}" "$i" || continue
    path=${FILE_PATH[$i]}
    while [ -n "$path" ]; do
      if [ "$path" = "${FILE_PATH[$i]}" ] || [ -L "$path" ]; then
        names+=("$path")
        # a folder changes with every file in it; only the link to it counts
        [ -d "$path" ] || targets+=("$path")
      fi
      case $path in */*) path=${path%/*} ;; *) path='' ;; esac
    done
  done
  [ "${#names[@]}" -gt 0 ] || { printf 0 && return; }
  while read -r changed; do
    [ "$changed" -le "$newest" ] || newest=$changed
  done < <({
    stat -c %Z -- ${names[@]+"${names[@]}"} && stat -L -c %Z -- ${targets[@]+"${targets[@]}"}
  } 2>/dev/null || printf '9999999999\n')
  printf '%s' "$newest"
}
