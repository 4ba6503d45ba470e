# The one operation behind trust, issue and retire: write these files atomically, then restart exactly what
# is stale, in layout order, each followed by its gate; when a gate fails, put everything back.

# apply_files: needs FILE_CONTENT; exits 3 before any change when a restart would not be safe
apply_files() {
  local component
  require_free_space
  require_safe_restarts
  record_fresh_components ||
    fail "$EXIT_PRECONDITION" "Cannot write $STATE_DIR/receipt: $(df -h "$STATE_DIR" | tail -n 1)"
  write_files || put_back 'a file could not be written'
  for component in $PHASE_COMPONENTS; do
    restart_stale "$component" || put_back "${AILING:+$AILING: }${PROBLEM:-not healthy}"
  done
  # a phase that has found nothing to do has only looked, and has done so when it began
  [ "$PHASE$WRITTEN$RESTARTED" != trust00 ] || [ -d "$STATE_DIR/journal" ] || return 0
  pass_gate || put_back "$PROBLEM"
  journal_drop || fail "$EXIT_UNHEALTHY" "Cannot remove $STATE_DIR/journal"
}

# require_safe_restarts: whatever this step is going to restart can be restarted, or nothing is written
require_safe_restarts() {
  local component
  for component in $PHASE_COMPONENTS; do
    ! is_out "$component" && needs_restart "$component" || continue
    is_expected "$component" || continue
    may_restart "$component" || fail "$EXIT_PRECONDITION" "Cannot start $PHASE: $PROBLEM; nothing was changed"
  done
}

# needs_restart COMPONENT: it is stale already, or a file that it reads only at its start is going to change
needs_restart() {
  local i
  for i in "${!FILE_PATH[@]}"; do
    reads_at_start "$1" "$i" && is_written "$i" || continue
    is_wanted "$i" || return 0
  done
  is_stale "$1"
}

# record_fresh_components: before the first write, so that a put-back does not make readers look stale. Sets
# RAN_BEFORE and STALE_BEFORE.
record_fresh_components() {
  local component now
  local -a records=()
  for component in $PHASE_COMPONENTS; do
    ! is_out "$component" && now=$(identity "$component") && [ -n "$now" ] || continue
    RAN_BEFORE="$RAN_BEFORE $component"
    if is_stale "$component" "$now"; then
      STALE_BEFORE="$STALE_BEFORE $component"
    else
      records+=("component.$component" "$(start_record "$component" "$now")")
    fi
  done
  receipt_put 0 ${records[@]+"${records[@]}"}
}

# restart_stale COMPONENT: at most one restart
restart_stale() {
  PROBLEM='' AILING=$1
  if is_out "$1" || ! is_stale "$1"; then return 0; fi
  is_expected "$1" || return 0
  case $1 in etcd | kube-apiserver) wait_for_balancer ;; esac
  may_restart "$1" || return 1
  case $1 in etcd | kube-apiserver) RESTARTED=1 ;; esac
  restart_component "$1"
}

# restart_component COMPONENT
restart_component() {
  case $1 in
    etcd) if takes_api_along; then restart_etcd along; else restart_etcd; fi ;;
    kube-apiserver) restart_api_server ;;
    kubelet) restart_kubelet ;;
    *) restart_controller "$1" ;;
  esac
}

# may_restart COMPONENT: proven now, whatever was planned
may_restart() {
  if [ "$1" != etcd ] || takes_api_along; then
    if is_inside_kubelet; then
      PROBLEM="the container of kube-apiserver runs inside $KUBELET_UNIT.service,"
      PROBLEM="$PROBLEM so that a kubelet restart would end every pod; expected a cgroup of its own"
      return 1
    fi
    if ! wait_until "$HEALTH_SECONDS" is_kubelet_running; then
      PROBLEM='the kubelet does not run, and nothing else starts a static pod again'
      return 1
    fi
  fi
  # with three and more a restart is no outage, whatever is allowed
  [ "$ALLOW_OUTAGE" != 1 ] || [ "${#MEMBER_ADDRESSES[@]}" -gt 2 ] || return 0
  if [ "$1" = etcd ]; then
    quorum_without_me || { PROBLEM="a restart would lose quorum: $QUORUM_SEEN"; return 1; }
    takes_api_along || return 0
  fi
  case $1 in etcd | kube-apiserver) ;; *) return 0 ;; esac
  if ! wait_until "$GATE_SECONDS" are_other_apis_ready; then
    PROBLEM='a restart would leave fewer API servers than one less than all: another one is not ready'
    return 1
  fi
}

# pass_gate: what worked here works; what is out is not waited for
pass_gate() {
  PROBLEM='' AILING=etcd
  if ! is_out etcd; then
    wait_until "$GATE_SECONDS" is_etcd_healthy || return 1
    # etcd reads its leaves at each handshake
    if [ "$PHASE" = issue ]; then wait_until "$HEALTH_SECONDS" are_leaves_served || return 1; fi
  fi
  PROBLEM='kube-apiserver is not ready' AILING=kube-apiserver
  is_out kube-apiserver || wait_until "$GATE_SECONDS" is_api_ready || return 1
  # kube-apiserver looks for new files at least once a minute
  if [ "$PHASE" = retire ]; then wait_until "$GATE_SECONDS" is_kubernetes_well || return 1; fi
  PROBLEM=''
}

# put_back REASON: the journal's bytes, the restarts that they need, the gate again; always ends the step
put_back() {
  local -r cause=$(logs_of "$AILING")
  say "Cannot finish $PHASE: $1; putting back what was there before"
  if [ ! -d "$STATE_DIR/journal" ]; then
    fail "$EXIT_UNHEALTHY" "nothing had been changed; see $cause on $MASTER, then run pulumi up again"
  fi
  # a journal of a retire step that was killed has more readers than this phase
  [ "$(cat "$STATE_DIR/journal/phase" 2>/dev/null)" != retire ] || PHASE_COMPONENTS=$COMPONENTS
  journal_put_back ||
    fail "$EXIT_PUT_BACK_UNHEALTHY" "Cannot finish $PHASE: $1;" \
      "and the previous files could not be put back. They are kept in $STATE_DIR/journal:" \
      "see df -h on $MASTER, then run pulumi up again"
  if is_out etcd; then
    journal_drop || :
    fail "$EXIT_PUT_BACK" "Cannot finish $PHASE: $1; the previous files are back, and nothing was started." \
      "Fix the cause on $MASTER, then run pulumi up again"
  fi
  if put_back_restarts && pass_gate; then
    journal_drop || :
    fail "$EXIT_PUT_BACK" "Cannot finish $PHASE: $1; the previous files are back and $MASTER is healthy." \
      "See $cause there, fix the cause, then run pulumi up again"
  fi
  fail "$EXIT_PUT_BACK_UNHEALTHY" "Cannot finish $PHASE: $1; the previous files are back," \
    "and $MASTER is still unhealthy: ${PROBLEM:-unknown}. They are kept in $STATE_DIR/journal." \
    "See $(logs_of "$AILING") there, fix the cause, then run pulumi up again"
}

# logs_of COMPONENT: where its words are, to go after "See"; of none, what a write has said
logs_of() {
  case $1 in
    '') printf 'the lines above and df -h' ;;
    etcd) etcd_logs ;;
    kubelet) printf 'journalctl -u %s' "$KUBELET_UNIT" ;;
    *) printf '/var/log/pods/kube-system_%s-*/ and journalctl -u %s' "$1" "$KUBELET_UNIT" ;;
  esac
}

# put_back_restarts: of every component that this phase may have restarted
put_back_restarts() {
  local component
  for component in $PHASE_COMPONENTS; do put_back_restart "$component" || return 1; done
}

# put_back_restart COMPONENT: so that it runs with the files that are back. One that is out already may be
# restarted at once; one that serves only when the others can do without it.
put_back_restart() {
  AILING=$1
  if is_out "$1" || ! is_stale "$1"; then return 0; fi
  case $1 in
    etcd)
      if was_stale etcd && is_etcd_healthy; then return 0; fi
      # a member that answers is one of a quorum, however ill it is otherwise
      ! member_answers "$ADDRESS" || may_restart etcd || return 1
      restart_etcd
      ;;
    kube-apiserver)
      if is_api_ready; then
        ! was_stale kube-apiserver || return 0
        may_restart kube-apiserver || return 1
      fi
      restart_api_server
      ;;
    # with the other files it may have ended
    *) ! is_expected "$1" && ! did_run "$1" || restart_component "$1" ;;
  esac
}

# was_stale COMPONENT: before this step, so that its process never used the files that are back
was_stale() {
  case "$STALE_BEFORE " in *" $1 "*) return 0 ;; *) return 1 ;; esac
}

# did_run COMPONENT: before this step
did_run() {
  case "$RAN_BEFORE " in *" $1 "*) return 0 ;; *) return 1 ;; esac
}

# require_free_space: 16 MiB on every file system that is written to, so that there is room to put back
require_free_space() {
  local i real path free
  local -a folders=("$STATE_DIR")
  for i in "${!FILE_PATH[@]}"; do
    is_written "$i" || continue
    real=$(real_path "${FILE_PATH[$i]}") ||
      fail "$EXIT_PRECONDITION" "Cannot write ${FILE_PATH[$i]}: its folder is missing"
    folders+=("$(dirname "$real")")
  done
  for path in "${folders[@]}"; do
    [ -w "$path" ] || fail "$EXIT_PRECONDITION" "Cannot write to $path: it is missing or read-only"
    free=$(df -Pk "$path" | awk 'NR == 2 { print $4 }')
    [ "$free" -ge 16384 ] ||
      fail "$EXIT_PRECONDITION" "Cannot write to $path: $free KiB free; expected at least 16384 KiB"
  done
}

# wait_for_balancer: its time to notice that the master before this one is back, since this step has begun;
# the only unconditional wait
wait_for_balancer() {
  local now left
  [ "$RESTARTED" = 0 ] && [ "$PAUSE_SECONDS" != 0 ] || return 0
  read -r now _ </proc/uptime
  left=$((PAUSE_SECONDS * 100 + 10#${BEGAN/./} - 10#${now/./}))
  [ "$left" -gt 0 ] || return 0
  say "waiting for the load balancer: $PAUSE_SECONDS s after the master before this one"
  sleep "$((left / 100)).$(printf '%02d' "$((left % 100))")"
}
