# The end of a recovery: what was out on this master is started with its new files. Without quorum in settle,
# on all masters together; while a quorum answers in issue, before the others' leaves are replaced.

# start_what_is_out: copies a stopped member's data, then starts etcd, kube-apiserver and what is stale
start_what_is_out() {
  local old api component
  old=$(identity etcd)
  api=$(identity kube-apiserver)
  # one that answers has nothing to gain from a kill, however ill it is otherwise
  if is_out etcd && {
    [ -z "$old" ] || is_stale etcd || ! wait_until "$HEALTH_SECONDS" member_answers "$ADDRESS"
  }; then
    [ -n "$old" ] || copy_stopped_data
    say 'starting etcd'
    kill_etcd "$old"
    begin_etcd || fail "$EXIT_UNHEALTHY" 'Cannot start etcd'
    wait_until "$GATE_SECONDS" is_new_etcd_answering "$old" ||
      fail "$EXIT_UNHEALTHY" "Cannot $PHASE: etcd does not answer. See $(etcd_logs) on $MASTER," \
        "then run pulumi up again"
    record_start etcd || fail "$EXIT_PRECONDITION" "Cannot write $STATE_DIR/receipt"
    say 'etcd answers'
    # one that is not ready is restarted below
    is_etcd_unit || see_new_api "$api" || :
  fi
  if is_stale kube-apiserver || ! is_api_ready; then
    restart_api_server ||
      fail "$EXIT_UNHEALTHY" "Cannot $PHASE: $PROBLEM. See the logs of kube-apiserver on $MASTER," \
        "then run pulumi up again"
  fi
  for component in $COMPONENTS; do
    case $component in etcd | kube-apiserver) continue ;; esac
    is_expected "$component" && is_stale "$component" || continue
    restart_component "$component" ||
      fail "$EXIT_UNHEALTHY" "Cannot $PHASE: $PROBLEM. See journalctl -u $KUBELET_UNIT on $MASTER," \
        "then run pulumi up again"
  done
  OUT_COMPONENTS=()
  # judged last, so that kube-apiserver has had its turn
  wait_until "$GATE_SECONDS" is_etcd_healthy ||
    fail "$EXIT_UNHEALTHY" "Cannot $PHASE: etcd is not healthy: $PROBLEM. See $(etcd_logs) on $MASTER," \
      "then run pulumi up again"
}

# is_new_etcd_answering OLD: a process other than OLD (an identity), and a read through it succeeds
is_new_etcd_answering() {
  has_new_process etcd "$1" && member_answers "$ADDRESS"
}

# copy_stopped_data: a crash copy of the whole data folder, links followed, kept beside the backup
copy_stopped_data() {
  local -r target=$BACKUP_DIR/rollout-$ROLLOUT/data
  local copy need free
  [ ! -d "$target" ] || return 0
  find_stopped_data
  # a kill may have left a part of one
  rm -rf "$BACKUP_DIR"/rollout-*/data.new
  for copy in "$BACKUP_DIR"/rollout-*/data; do
    # the member has not run since that one was taken
    [ -d "$copy" ] || continue
    [ -n "$(find -L "${STOPPED_DATA[@]}" -newermc "$copy" -print | head -n 1)" ] || return 0
  done
  # 1 GiB more: etcd itself needs room for its next write-ahead log
  need=$(($(du -skLc "${STOPPED_DATA[@]}" | tail -n 1 | cut -f 1) + 1048576))
  free=$(df -Pk "$BACKUP_DIR" | awk 'NR == 2 { print $4 }')
  [ "$free" -ge "$need" ] ||
    fail "$EXIT_PRECONDITION" "Cannot copy ${STOPPED_DATA[*]} to $target: $free KiB free;" \
      "expected at least $need KiB; nothing was started. Make room there, then run pulumi up again"
  say "copying the stopped member's data to $target (a crash copy)"
  if ! copy_data_to "$target.new" || ! mv -T "$target.new" "$target"; then
    rm -rf "$target.new"
    fail "$EXIT_PRECONDITION" "Cannot copy ${STOPPED_DATA[*]} to $target; nothing was started"
  fi
}

# copy_data_to FOLDER: STOPPED_DATA as one data folder, flushed
copy_data_to() {
  cp -aL -- "${STOPPED_DATA[0]}" "$1" || return 1
  if [ "${#STOPPED_DATA[@]}" -gt 1 ]; then
    rm -rf "$1/member/wal" && cp -aL -- "${STOPPED_DATA[1]}" "$1/member/wal" || return 1
  fi
  touch "$1" && flush_tree "$1"
}

# find_stopped_data: sets STOPPED_DATA to the folder of the member's data and, where it has one of its own,
# that of its write-ahead log, as etcd itself would find them; ends the step without them
find_stopped_data() {
  local settings folder file name wal
  settings=$(etcd_settings "")
  folder=$(etcd_folder)
  file=$(etcd_setting config-file)
  name=$(etcd_setting name)
  STOPPED_DATA=("$(folder_setting data-dir "${name:-default}.etcd")")
  wal=$(folder_setting wal-dir)
  [ -z "$wal" ] || STOPPED_DATA+=("$wal")
  [ -d "${STOPPED_DATA[0]}/member" ] && [ -d "${wal:-/}" ] ||
    fail "$EXIT_PRECONDITION" "Cannot copy the data of etcd, which is stopped:" \
      "by ${file:-${ETCD_UNIT:-$ETCD_MANIFEST}} it is in ${STOPPED_DATA[*]};" \
      "expected a member's data there; nothing was started. If it is elsewhere, link it there;" \
      "if it is lost, restore it or replace the member; then run pulumi up again"
}

# etcd_setting NAME: of find_stopped_data's etcd
etcd_setting() {
  printf '%s\n' "$settings" | flag_in "--$1"
}

# folder_setting NAME [DEFAULT]: the same, of a path, which the working directory goes before
folder_setting() {
  local path
  path=$(etcd_setting "$1")
  path=${path:-${2:-}}
  case $path in /* | '') printf '%s' "$path" ;; *) printf '%s/%s' "$folder" "$path" ;; esac
}
