# The survey of one master: read only, public data only, one line per fact. Every probe is bounded.

source "${BASH_SOURCE%/*}/../lib/master.sh"
source "${BASH_SOURCE%/*}/../lib/backup.sh"
source "${BASH_SOURCE%/*}/../lib/clients.sh"
source "${BASH_SOURCE%/*}/../lib/survey-files.sh"

survey_process() {
  local now pid
  now=$(identity "$1")
  [ -n "$now" ] || return 0
  pid=${now#* }
  if is_stale "$1" "$now"; then result "process $1 stale $now"; else result "process $1 fresh $now"; fi
  case $1 in
    # wherever it has them from
    etcd) result "arguments etcd $(etcd_settings "${pid% *}" | one_line)" ;;
    *) result "arguments $1 $(tr '\0\n' '\037\037' <"/proc/${pid% *}/cmdline")" ;;
  esac
}

# survey_other_processes: of this master's components, without etcd and kube-apiserver
survey_other_processes() {
  local component
  for component in $COMPONENTS; do
    case $component in etcd | kube-apiserver) ;; *) survey_process "$component" ;; esac
  done
}

survey_member() {
  local -r url=$(client_url "$ADDRESS")
  local status='' leader size
  MEMBER_STATUS='' PROBLEM='unasked'
  # one that does not even serve says nothing, and each question would wait for it
  if survey_served "$ETCD_CLIENT_PORT"; then
    # nor does one that refuses whoever asks; a judgement asks for the status itself
    ! is_client_accepted || etcd_problem
    status=$MEMBER_STATUS
    [ -n "$status" ] || status=$(ctl "$url" endpoint status -w fields) || :
  fi
  if [ -z "$status" ]; then
    if is_etcd_active; then
      result "etcd silent no status from $url"
    else
      result "etcd $(no_etcd)"
    fi
    return
  fi
  [ "$PROBLEM" != unasked ] || etcd_problem
  # a healthy member has answered
  if [ -z "$PROBLEM" ] || member_answers "$ADDRESS"; then result answers; fi
  [ -n "$PROBLEM" ] || PROBLEM=$(etcd_alarm)
  result "etcd ${PROBLEM:-healthy}"
  result "cluster $(printf '%s\n' "$status" | status_field ClusterID)"
  result "version $(printf '%s\n' "$status" | status_field Version)"
  size=$(printf '%s\n' "$status" | status_field DBSize)
  case $size in '' | *[!0-9]*) ;; *) result "database $size" ;; esac
  leader=$(printf '%s\n' "$status" | status_field Leader)
  [ "$leader" != "$(printf '%s\n' "$status" | status_field MemberID)" ] || result leader
  ctl "$url" member list | while IFS= read -r row; do result "member $row"; done || :
}

# survey_served PORT: false where nothing is
survey_served() {
  local pem
  pem=$(served_leaf "$ADDRESS" "$1" | one_line)
  [ -n "$pem" ] && result "served $1 $pem"
}

survey_others() {
  local port
  for port in "$ETCD_PEER_PORT" "$API_PORT" "$KUBELET_PORT"; do survey_served "$port" || :; done
  [ "$TELL_REACH" = 0 ] || survey_reached
}

# survey_reached: the members that serve, as this one sees them, for masters that SSH cannot reach
survey_reached() {
  local address
  for address in "${MEMBER_ADDRESSES[@]}"; do
    [ "$address" != "$ADDRESS" ] && is_peer_accepted_by "$address" && member_answers "$address" || continue
    result "reaches $address"
  done
}

# established connections to etcd's client port from elsewhere: who else would notice a rotation
survey_clients() {
  command -v ss >/dev/null 2>&1 || return 0
  ss -tn state established "( sport = :$ETCD_CLIENT_PORT )" 2>/dev/null |
    awk 'NR > 1 { sub(/:[0-9]+$/, "", $NF); gsub(/[][]|::ffff:/, "", $NF); print $NF }' |
    sort -u | while read -r address; do result "client $address"; done
}

# survey_carrier KIND NAME END WORDS
survey_carrier() {
  result "carrier $1 $2 $3 $4"
}

survey() {
  local -a REAL_PATHS=()
  result 'survey 1'
  resolve_paths
  result "clock $(date +%s)"
  # side by side, each being a handshake or two; printed one after the other
  # (below 10: bash keeps its own copies from there on)
  exec 4< <(survey_process etcd) 5< <(survey_process kube-apiserver)
  exec 6< <(survey_member) 7< <(survey_others) 8< <(survey_state)
  exec 3< <([ "$ADDRESS" != "${MEMBER_ADDRESSES[0]-}" ] || report_carriers survey_carrier)
  exec 9< <(survey_other_processes; survey_holders)
  survey_files
  survey_clients
  survey_strangers
  cat /dev/fd/{4,5,6,7,8,9,3}
  result 'end'
}

# survey_kubernetes: its version, by the image in kube-apiserver's manifest, else as it answers
survey_kubernetes() {
  local -r image='image: *[^@ ]*\(kube-apiserver\|hyperkube\)[^:@ ]*'
  local version
  local -a options=()
  version=$(sed -n "s/^ *$image:\(v[0-9][^\"'@ ]*\).*/\2/p" "$API_MANIFEST" 2>/dev/null | head -n 1)
  if [ -z "$version" ]; then
    [ ! -r "$API_CLIENT_KEY" ] || options=(-cert "$API_CLIENT_CERT" -key "$API_CLIENT_KEY")
    version=$(printf 'GET /version HTTP/1.0\r\n\r\n' |
      timeout 5 openssl s_client -quiet -connect "$(host_port "$ADDRESS" "$API_PORT")" \
        ${options[@]+"${options[@]}"} 2>/dev/null | sed -n 's/.*"gitVersion": *"\([^"]*\)".*/\1/p')
  fi
  [ -z "$version" ] || result "kubernetes $version"
}

survey_state() {
  if [ -f "$STATE_DIR/receipt" ]; then
    result "receipt $(one_line <"$STATE_DIR/receipt")"
    result "recorded $(stat -c %Y "$STATE_DIR/receipt")"
  fi
  backup_numbers | while read -r i; do result "backup $i"; done
  survey_earlier
  [ ! -d "$STATE_DIR/journal" ] || result "leftover $STATE_DIR/journal"
  is_free lock || result "lock $(head -n 1 "$STATE_DIR/lock")"
  is_free claim || result "claim $(head -n 1 "$STATE_DIR/claim")"
  survey_kubernetes
  if is_api_ready; then result 'api ready'; else result 'api not-ready'; fi
}

# is_free NAME: nobody holds that lock
is_free() {
  [ ! -f "$STATE_DIR/$1" ] || flock -n -s "$STATE_DIR/$1" true
}

# refuse_recorded_input: sudo's log_input would write the keys that come over standard input to a disk; of
# several entries the last counts, and one of bash's own before all
refuse_recorded_input() {
  local said last
  [ -n "${SUDO_USER:-}" ] && said=$(timeout 10 sudo -n -l -U "$SUDO_USER" 2>/dev/null) || return 0
  case $said in *Defaults!*/bash*'!log_input'*) return 0 ;; esac
  last=$(printf '%s\n' "$said" | sed '/^$/,$d' | grep -ow -e '!log_input' -e log_input | tail -n 1) || :
  [ "$last" = log_input ] || return 0
  printf '%s: Cannot send keys by sudo: it records the standard input of %s (log_input); ' \
    "$MASTER" "$SUDO_USER" >&2
  printf 'expected Defaults:%s !log_input in sudoers. Add that line (visudo)\n' "$SUDO_USER" >&2
  exit "$EXIT_PRECONDITION"
}

main() {
  set -uo pipefail
  prepare_environment
  refuse_recorded_input
  require_etcdctl
  ETCD_USER=$(etcd_user)
  survey
}
