# Settling a recovery: every master's files are right, so all are started together.

# settle_recovery: a crash copy of a stopped member's data, then etcd (killed: a stopping leader wastes up to 11 s on
# handing over to members that also stop), then kube-apiserver
settle_recovery() {
  local old
  old=$(identity etcd)
  if [ -z "$old" ] || is_stale etcd || ! is_etcd_healthy; then
    [ -n "$old" ] || copy_stopped_data
    say 'starting etcd together with the other masters'
    systemctl kill -s KILL "$ETCD_UNIT" 2>/dev/null || :
    systemctl reset-failed "$ETCD_UNIT" 2>/dev/null || :
    systemctl restart --no-block "$ETCD_UNIT" || fail "$EXIT_UNHEALTHY" 'Cannot start etcd'
    wait_until "$GATE_SECONDS" is_new_etcd_healthy "$old" ||
      fail "$EXIT_UNHEALTHY" "Cannot settle: etcd is not healthy: $PROBLEM. See journalctl -u $ETCD_UNIT on $MASTER, then run pulumi up again"
    record_start etcd
    say 'etcd is healthy'
  fi
  if is_stale kube-apiserver || ! is_api_ready; then
    restart_api_server || fail "$EXIT_UNHEALTHY" "Cannot settle: $PROBLEM. See the logs of kube-apiserver on $MASTER, then run pulumi up again"
  fi
}

# copy_stopped_data: a crash copy, not a snapshot; kept beside the backup
copy_stopped_data() {
  local -r target=$BACKUP_DIR/rollout-$ROLLOUT/data
  local data
  data=$(etcd_data_folder)
  [ -n "$data" ] && [ -d "$data" ] && [ ! -d "$target" ] || return 0
  say "copying the stopped member's data to $target (a crash copy)"
  rm -rf "$target.new"
  cp -a -- "$data" "$target.new" && sync && mv -T "$target.new" "$target" ||
    fail "$EXIT_PRECONDITION" "Cannot copy $data to $target; nothing was started"
}

# etcd_data_folder: --data-dir of the unit, relative to its working directory
etcd_data_folder() {
  local folder
  folder=$(systemctl show -p ExecStart "$ETCD_UNIT" | grep -o -e '--data-dir[= ][^ ]*' | head -n 1 | sed 's/^--data-dir[= ]//')
  case $folder in
    /* | '') printf '%s' "$folder" ;;
    *) printf '%s/%s' "$(systemctl show -p WorkingDirectory "$ETCD_UNIT" | cut -d = -f 2 | sed 's,/*$,,')" "$folder" ;;
  esac
}
