# Settling a recovery: every master's files are right, so all are started together.

# settle_recovery: a crash copy of a stopped member's data, then etcd (killed), then kube-apiserver and what else has new files
settle_recovery() {
  local old api component
  old=$(identity etcd)
  api=$(identity kube-apiserver)
  # one that answers has nothing to gain from a kill, however ill it is otherwise
  if [ -z "$old" ] || is_stale etcd || ! wait_until "$HEALTH_SECONDS" member_answers "$ADDRESS"; then
    [ -n "$old" ] || copy_stopped_data
    say 'starting etcd together with the other masters'
    kill_etcd "$old"
    begin_etcd || fail "$EXIT_UNHEALTHY" 'Cannot start etcd'
    wait_until "$GATE_SECONDS" is_new_etcd_answering "$old" ||
      fail "$EXIT_UNHEALTHY" "Cannot settle: etcd does not answer. See $(etcd_logs) on $MASTER, then run pulumi up again"
    record_start etcd
    say 'etcd answers'
    # one that is not ready is restarted below
    is_etcd_unit || see_new_api "$api" || :
  fi
  if is_stale kube-apiserver || ! is_api_ready; then
    restart_api_server || fail "$EXIT_UNHEALTHY" "Cannot settle: $PROBLEM. See the logs of kube-apiserver on $MASTER, then run pulumi up again"
  fi
  for component in $COMPONENTS; do
    case $component in etcd | kube-apiserver) continue ;; esac
    is_expected "$component" && is_stale "$component" || continue
    restart_component "$component" || fail "$EXIT_UNHEALTHY" "Cannot settle: $PROBLEM. See journalctl -u $KUBELET_UNIT on $MASTER, then run pulumi up again"
  done
  # judged last, so that kube-apiserver has had its turn
  wait_until "$GATE_SECONDS" is_etcd_healthy ||
    fail "$EXIT_UNHEALTHY" "Cannot settle: etcd is not healthy: $PROBLEM. See $(etcd_logs) on $MASTER, then run pulumi up again"
}

# is_new_etcd_answering OLD: a process other than OLD (an identity), and a read through it succeeds
is_new_etcd_answering() {
  has_new_process etcd "$1" && member_answers "$ADDRESS"
}

# copy_stopped_data: a crash copy, not a snapshot; kept beside the backup
copy_stopped_data() {
  local -r target=$BACKUP_DIR/rollout-$ROLLOUT/data
  local data copy need free
  data=$(etcd_data_folder)
  [ -n "$data" ] && [ -d "$data" ] && [ ! -d "$target" ] || return 0
  # a kill may have left a part of one
  rm -rf "$BACKUP_DIR"/rollout-*/data.new
  for copy in "$BACKUP_DIR"/rollout-*/data; do
    # the member has not run since that one was taken
    [ ! -d "$copy" ] || [ -n "$(find "$data" -newermc "$copy" -print | head -n 1)" ] || return 0
  done
  # 1 GiB more: etcd itself needs room for its next write-ahead log
  need=$(($(du -sk "$data" | cut -f 1) + 1048576))
  free=$(df -Pk "$BACKUP_DIR" | awk 'NR == 2 { print $4 }')
  [ "$free" -ge "$need" ] ||
    fail "$EXIT_PRECONDITION" "Cannot copy $data to $target: $free KiB free; expected at least $need KiB; nothing was started. Make room there, then run pulumi up again"
  say "copying the stopped member's data to $target (a crash copy)"
  cp -a -- "$data" "$target.new" && touch "$target.new" && sync && mv -T "$target.new" "$target" || {
    rm -rf "$target.new"
    fail "$EXIT_PRECONDITION" "Cannot copy $data to $target; nothing was started"
  }
}

# etcd_data_folder: --data-dir of the unit, relative to its working directory, or of the static pod, which has it at the same place
etcd_data_folder() {
  local folder
  folder=$(if is_etcd_unit; then systemctl show -p ExecStart "$ETCD_UNIT"; else cat "$ETCD_MANIFEST"; fi | grep -o -e '--data-dir[= ][^ ]*' | head -n 1 | sed 's/^--data-dir[= ]//')
  case $folder in
    /* | '') printf '%s' "$folder" ;;
    *) printf '%s/%s' "$(systemctl show -p WorkingDirectory "$ETCD_UNIT" | cut -d = -f 2 | sed 's,/*$,,')" "$folder" ;;
  esac
}
