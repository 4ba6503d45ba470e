# etcd: health that means something, and restarts that keep quorum.

# ctl ENDPOINTS ARGS...: etcdctl as this master's kube-apiserver would connect, bounded; without its errors
ctl() {
  loud_ctl "$@" 2>/dev/null
}
loud_ctl() {
  local -r endpoints=$1
  shift
  # the one in a container has gone with it
  [ -x "$ETCDCTL" ] || ETCDCTL=$(etcdctl_path)
  ETCDCTL_API=3 timeout 15 "$ETCDCTL" --dial-timeout=2s --command-timeout=5s --endpoints="$endpoints" \
    --cacert="$CLIENT_CA" --cert="$CLIENT_CERT" --key="$CLIENT_KEY" "$@"
}

# client_url ADDRESS / client_urls ADDRESS...
client_url() {
  printf 'https://%s' "$(host_port "$1" "$ETCD_CLIENT_PORT")"
}
client_urls() {
  local address urls=''
  for address in "$@"; do urls=$urls,$(client_url "$address"); done
  printf '%s' "${urls#,}"
}

# member_answers ADDRESS: a linearizable read through that member succeeds, and nothing else: `endpoint
# health` of etcdctl 3.5 fails under any alarm as well. The key need not exist, and whoever may not read it
# has been answered: etcd looks at rights last.
member_answers() {
  local said
  said=$(loud_ctl "$(client_url "$1")" get /etcd-rotation/answers 2>&1) && return
  case $said in *'permission denied'*) ;; *) return 1 ;; esac
}

# serves_clients ADDRESS: that member's client port makes a handshake, with or without a quorum; an openssl
# takes a quarter of an etcdctl's time
serves_clients() {
  served_leaf "$1" "$ETCD_CLIENT_PORT" >/dev/null
}

# status_field FIELD: its values, one per line, from `endpoint status -w fields` on stdin
status_field() {
  local line
  while IFS= read -r line; do
    case $line in "\"$1\" : "*) line=${line#* : } && line=${line#\"} && printf '%s\n' "${line%\"}" ;; esac
  done
}

# status_of ADDRESS: that member's lines of `endpoint status -w fields` of several on stdin
status_of() {
  local -r last="\"Endpoint\" : \"$(client_url "$1")\""
  local line block=''
  while IFS= read -r line; do
    block=$block$line$'\n'
    case $line in
      "$last") printf '%s' "$block" && return ;;
      '"Endpoint" : '*) block='' ;;
    esac
  done
  return 1
}

# member_rows: the full membership, one row per member, healthy or not
member_rows() {
  ctl "$(client_urls "${MEMBER_ADDRESSES[@]}")" member list
}

# other_members COMMAND: the addresses for which it succeeds, asked side by side, but this one's and those
# that are out
other_members() {
  local address
  for address in "${MEMBER_ADDRESSES[@]}"; do
    [ "$address" = "$ADDRESS" ] || is_out etcd "$address" ||
      { ! "$1" "$address" || printf '%s\n' "$address"; } &
  done
  wait
}

# quorum_without_me: the healthy members but this one are still a quorum of the full membership; or, where
# some have been out since the run was planned, all others are healthy, so that quorum is back with this one
quorum_without_me() {
  local total healthy address out=0
  total=$(member_rows | wc -l)
  healthy=$(other_members member_answers | wc -l)
  for address in "${MEMBER_ADDRESSES[@]}"; do ! is_out etcd "$address" || out=$((out + 1)); done
  QUORUM_SEEN="$healthy other members answer, the cluster has $total"
  [ "$out" = 0 ] || QUORUM_SEEN="$QUORUM_SEEN, of which $out were out before"
  [ "$total" -gt 0 ] || return 1
  [ "$healthy" -lt "$((total / 2 + 1))" ] || return 0
  [ "$out" -gt 0 ] && [ "$((healthy + 1 + out))" -ge "$total" ]
}

# is_etcd_active: the unit is, or the static pod has a process
is_etcd_active() {
  if is_etcd_unit; then systemctl is-active --quiet "$ETCD_UNIT"; else [ -n "$(pid_of etcd)" ]; fi
}

# no_etcd: as etcd_problem says it
no_etcd() {
  if is_etcd_unit; then printf 'stopped the unit %s is not active' "$ETCD_UNIT" && return; fi
  printf 'stopped the static pod of etcd has no process'
}

# etcd_problem: sets PROBLEM to what is wrong with this member, a code and words, or to nothing when it is
# healthy; and MEMBER_STATUS to what it says of itself, if it was asked. /health alone stays true with bad
# peer certificates, hence the handshakes.
etcd_problem() {
  local -r url=$(client_url "$ADDRESS")
  local statuses status cluster address own_applied applied
  local -a others=()
  is_etcd_active || { PROBLEM=$(no_etcd); return; }
  PROBLEM="silent no linearizable read through $url"
  member_answers "$ADDRESS" || return 0
  # one that is down would be waited for
  while IFS= read -r address; do others+=("$address"); done < <(other_members serves_clients)
  statuses=$(ctl "$(client_urls "$ADDRESS" ${others[@]+"${others[@]}"})" endpoint status -w fields) || :
  PROBLEM="silent no status from $url"
  # those that serve and do not answer may have taken all of its time
  MEMBER_STATUS=$(printf '%s\n' "$statuses" | status_of "$ADDRESS") ||
    MEMBER_STATUS=$(ctl "$url" endpoint status -w fields) || return 0
  cluster=$(printf '%s\n' "$MEMBER_STATUS" | status_field ClusterID)
  PROBLEM="other-cluster cluster id $cluster, expected $CLUSTER_ID"
  [ -z "$CLUSTER_ID" ] || [ "$cluster" = "$CLUSTER_ID" ] || return 0
  PROBLEM='learner the member is a learner'
  [ "$(printf '%s\n' "$MEMBER_STATUS" | status_field IsLearner)" != true ] || return 0
  own_applied=$(printf '%s\n' "$MEMBER_STATUS" | status_field RaftAppliedIndex)
  for address in ${others[@]+"${others[@]}"}; do
    # one that does not answer, or knows no leader, is that member's problem; the quorum rule counts it
    status=$(printf '%s\n' "$statuses" | status_of "$address") || continue
    [ "$(printf '%s\n' "$status" | status_field Leader)" != 0 ] || continue
    PROBLEM="peer-refused no peer handshake with $address:$ETCD_PEER_PORT"
    is_peer_accepted_by "$address" || return 0
    applied=$(printf '%s\n' "$status" | status_field RaftAppliedIndex)
    [ -n "$own_applied" ] && [ -n "$applied" ] || continue
    # 5000 entries: etcd sends a snapshot beyond them (--experimental-snapshot-catchup-entries)
    PROBLEM="lagging applied index $own_applied, $address has $applied"
    [ "$((applied - own_applied))" -lt 5000 ] || return 0
  done
  PROBLEM=''
}

# is_client_accepted: by a new connection, since kube-apiserver keeps its own and readyz proves no leaf
is_client_accepted() {
  [ "$(tls_status "$ADDRESS" "$ETCD_CLIENT_PORT" /version -cert "$CLIENT_CERT" -key "$CLIENT_KEY" \
    -CAfile "$CLIENT_CA" -verify 5 -verify_return_error)" = 200 ]
}

# is_peer_accepted_by ADDRESS: that member accepts this one's peer certificate, and this one's trust file its
is_peer_accepted_by() {
  [ "$(tls_status "$1" "$ETCD_PEER_PORT" /version -CAfile "$PEER_CA" -cert "$PEER_CERT" \
    -chainCAfile "$PEER_CERT" -key "$PEER_KEY" -verify 5 -verify_return_error)" = 200 ]
}

# is_etcd_healthy: keeps the reason in PROBLEM
is_etcd_healthy() {
  etcd_problem
  PROBLEM=${PROBLEM#* }
  [ -z "$PROBLEM" ]
}

# etcd_alarm: a code and words; nothing while none is raised. Its members serve on, whatever their files: no
# step begins under an alarm, and no gate looks for one, since to put files back would only restart more.
etcd_alarm() {
  local alarms
  if ! alarms=$(ctl "$(client_url "$ADDRESS")" alarm list); then
    printf 'silent no answer to alarm list from %s' "$(client_url "$ADDRESS")"
    return
  fi
  [ -z "$alarms" ] || printf 'alarm an alarm is raised (etcdctl alarm list)'
}

# is_etcd_sound: healthy, and no alarm is raised; keeps the reason in PROBLEM
is_etcd_sound() {
  is_etcd_healthy || return 1
  PROBLEM=$(etcd_alarm)
  PROBLEM=${PROBLEM#* }
  [ -z "$PROBLEM" ]
}

# etcd_names_match: the running process names exactly the authorities that its trust files hold, wherever it
# names any: one that has only begun to start, or hangs, names none
etcd_names_match() {
  names_match "$ETCD_CLIENT_PORT" "$SERVER_CA" && names_match "$ETCD_PEER_PORT" "$PEER_CA"
}
names_match() {
  local names
  names=$(accepted_names "$ADDRESS" "$1" | uniq)
  [ -z "$names" ] || [ "$names" = "$(trusted_names "$2" | uniq)" ]
}

# hand_over_leadership: to the first heir that answers (etcd itself would pick blindly), in one move
hand_over_leadership() {
  local status leader address target
  status=$(ctl "$(client_url "$ADDRESS")" endpoint status -w fields) || return 0
  leader=$(printf '%s\n' "$status" | status_field Leader)
  [ "$leader" = "$(printf '%s\n' "$status" | status_field MemberID)" ] || return 0
  for address in ${HEIR_ADDRESSES[@]+"${HEIR_ADDRESSES[@]}"}; do
    member_answers "$address" || continue
    target=$(member_rows | grep -F "$(client_url "$address")" | cut -d , -f 1)
    [ -n "$target" ] || continue
    if ctl "$(client_url "$ADDRESS")" move-leader "$target" >/dev/null; then
      say "leadership handed to $address"
      return 0
    fi
  done
}

# unit_property NAME: of etcd's unit, as systemd knows it
unit_property() {
  systemctl show -p "$1" "$ETCD_UNIT" 2>/dev/null | cut -d = -f 2 || :
}

# no_new_etcd: in words
no_new_etcd() {
  if is_etcd_unit; then
    printf 'no new process: the unit %s is %s, its last result %s' \
      "$ETCD_UNIT" "$(unit_property SubState)" "$(unit_property Result)"
  else
    printf 'no new process of the static pod'
  fi
}

# is_new_etcd_healthy OLD: a process other than OLD (an identity), and healthy
is_new_etcd_healthy() {
  has_new_process etcd "$1" || { PROBLEM=$(no_new_etcd); return 1; }
  is_etcd_healthy
}

# begin_etcd: a new process, not waited for: `systemctl restart` alone would wait for quorum (Type=notify). As
# a static pod with this master's kube-apiserver, which ends first: it has no other etcd, and a kubelet that
# starts would wait for its answers (measured: etcd back after 38 s).
begin_etcd() {
  if is_etcd_unit; then
    systemctl reset-failed "$ETCD_UNIT" 2>/dev/null || :
    systemctl restart --no-block "$ETCD_UNIT"
  else
    restart_pods kube-apiserver etcd
  fi
}

# kill_etcd OLD: a stopping leader wastes up to 11 s on handing over to members that also stop
kill_etcd() {
  if ! is_etcd_unit; then signal_process KILL "$1" && return; fi
  systemctl kill -s KILL "$ETCD_UNIT" 2>/dev/null || :
}

# takes_api_along: this master's kube-apiserver restarts with etcd: beside a static pod it has no other etcd,
# and one that is stale too drains and starts while etcd does
takes_api_along() {
  is_etcd_unit || return 0
  case " $PHASE_COMPONENTS " in *' kube-apiserver '*) ;; *) return 1 ;; esac
  ! is_out kube-apiserver && is_stale kube-apiserver
}

# restart_etcd [ALONG]: with kube-apiserver where ALONG is given or etcd is a static pod. Leaves no doubt that
# a new process answers: right after a restart the old one still does
restart_etcd() {
  local -r old=$(identity etcd) api=$(identity kube-apiserver) started=$SECONDS
  local along=${1:-}
  is_etcd_unit || along=1
  if [ "${#MEMBER_ADDRESSES[@]}" -gt 1 ]; then hand_over_leadership; fi
  say "restarting etcd${along:+, with kube-apiserver (drain up to $DRAIN_SECONDS s)}"
  PROBLEM=$(no_new_etcd)
  begin_etcd || return 1
  if [ -n "$along" ] && is_etcd_unit; then restart_pods kube-apiserver || return 1; fi
  AILING=etcd
  wait_until "$GATE_SECONDS" is_new_etcd_healthy "$old" || return 1
  record_start etcd || return 1
  [ -z "$along" ] || is_out kube-apiserver || see_new_api "$api" || return 1
  say "etcd is healthy again after $(seconds_since "$started") s"
}
