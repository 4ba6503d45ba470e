# The survey of one master: read only, public data only, one line per fact. Every probe is bounded.

# fact WORDS...
fact() {
  printf '%s\n' "$*"
}

# one_line: stdin as base64 on one line
one_line() {
  base64 -w 0
}

# resolve_paths: Kubernetes' files lie where the running processes say
resolve_paths() {
  local i component found default
  local -A pids=()
  for i in "${!FILE_PATH[@]}"; do
    [ -n "${FILE_SIGNER[$i]}" ] || continue
    default=${FILE_PATH[$i]}
    if [ -n "${FILE_FLAG[$i]}" ]; then
      component=${FILE_FLAG[$i]%% *}
      [ -n "${pids[$component]+known}" ] || pids[$component]=$(pid_of "$component")
      found=${pids[$component]:+$(argument_of "${pids[$component]}" "${FILE_FLAG[$i]#* }")}
      [ -z "$found" ] || FILE_PATH[i]=$found
    elif [ "${FILE_KIND[$i]}" = authority-key ]; then
      # beside its certificate, unless a flag says otherwise
      found=${FILE_PATH[$(row_of "${FILE_GROUP[$i]}" authority)]}
      FILE_PATH[i]=${found%.*}.${default##*.}
    fi
    fact "path $i ${FILE_PATH[$i]}"
  done
  i=$(row_of cluster-ca authority)
  [ -z "$i" ] || API_CA=${FILE_PATH[$i]}
  i=$(row_of apiserver-kubelet-client cert)
  [ -z "$i" ] || { API_CLIENT_CERT=${FILE_PATH[$i]} && API_CLIENT_KEY=${FILE_PATH[$(row_of apiserver-kubelet-client key)]}; }
}

survey_file() {
  local -r i=$1
  local -r path=${FILE_PATH[$1]}
  local public='-' real stage
  if [ ! -e "$path" ]; then
    fact "file $i absent"
    return
  fi
  # of Kubernetes' keys only an authority's is asked for: whether it can sign
  case ${FILE_KIND[$i]}${FILE_SIGNER[$i]} in key | authority-key*) public=$(key_public_key <"$path") ;; esac
  can_be_read "$i" || fact "unreadable $i"
  real=$(real_path "$path")
  fact "file $i present $(stat -L -c '%U:%G %a' "$path") $public $real"
  # certificates only: a key never leaves its master
  case ${FILE_KIND[$i]} in
    key | authority-key) ;;
    kubeconfig) fact "pem $i $(certificate_in "$i" | one_line)" ;;
    *) fact "pem $i $(certificates_in "$path" | one_line)" ;;
  esac
  # what an interrupted step left behind
  stage=${real%/*}/.etcd-rotation
  ! compgen -G "$stage*" >/dev/null || fact "leftover $stage"
}

# certificates_in FILE: all of them, and nothing else
certificates_in() {
  sed -n '/-----BEGIN CERTIFICATE-----/,/-----END CERTIFICATE-----/p' "$1"
}

# survey_saved INDEX: the row's file in the backup that is to be restored
survey_saved() {
  local file
  file=$(saved_file "$1") || return 0
  case ${FILE_KIND[$1]} in
    key | authority-key) fact "saved $1 $(key_public_key <"$file")" ;;
    kubeconfig) fact "saved $1 - $(certificate_in "$1" "$file" | one_line)" ;;
    *) fact "saved $1 - $(certificates_in "$file" | one_line)" ;;
  esac
}

survey_process() {
  local now pid
  now=$(identity "$1")
  if [ -z "$now" ]; then
    fact "process $1 absent"
    return
  fi
  pid=$(printf '%s' "$now" | cut -d ' ' -f 2)
  if is_stale "$1"; then fact "process $1 stale $now"; else fact "process $1 fresh $now"; fi
  # the running process's arguments, one per line
  fact "arguments $1 $(tr '\0' '\n' <"/proc/$pid/cmdline" | one_line)"
}

survey_member() {
  local status problem
  # one that does not even say this says nothing, and each question would wait for it
  if [ -z "$(served_leaf "$ADDRESS" "$ETCD_CLIENT_PORT")" ] || ! status=$(ctl "$(client_url "$ADDRESS")" endpoint status -w fields); then
    if is_etcd_active; then fact "etcd no status from $(client_url "$ADDRESS")"; else fact "etcd $(no_etcd)"; fi
    return
  fi
  problem=$(etcd_problem)
  fact "etcd ${problem:-healthy}"
  # a healthy member has answered
  if [ -z "$problem" ] || member_answers "$ADDRESS"; then fact answers; fi
  fact "cluster $(printf '%s\n' "$status" | status_field ClusterID)"
  fact "version $(printf '%s\n' "$status" | status_field Version)"
  fact "database $(printf '%s\n' "$status" | status_field DBSize)"
  [ "$(printf '%s\n' "$status" | status_field Leader)" != "$(printf '%s\n' "$status" | status_field MemberID)" ] || fact leader
  ctl "$(client_url "$ADDRESS")" member list | while IFS= read -r row; do fact "member $(printf '%s' "$row" | one_line)"; done || :
}

survey_served() {
  local pem port
  for port in "$ETCD_CLIENT_PORT" "$ETCD_PEER_PORT" "$API_PORT" "$KUBELET_PORT"; do
    pem=$(served_leaf "$ADDRESS" "$port" || :)
    [ -z "$pem" ] || fact "served $port $(printf '%s\n' "$pem" | one_line)"
  done
}

# the other members that serve, as this one sees them: what is known of a master that cannot be reached over SSH
survey_reached() {
  local address
  for address in "${MEMBER_ADDRESSES[@]}"; do
    [ "$address" != "$ADDRESS" ] && is_peer_accepted_by "$address" && member_answers "$address" || continue
    fact "reaches $address"
  done
}

# established connections to etcd's client port from elsewhere: who else would notice a rotation
survey_clients() {
  command -v ss >/dev/null 2>&1 || return 0
  ss -Htn state established "( sport = :$ETCD_CLIENT_PORT )" 2>/dev/null | awk '{ sub(/:[0-9]+$/, "", $NF); gsub(/[][]|::ffff:/, "", $NF); print $NF }' |
    sort -u | while read -r address; do fact "client $address"; done
}

# survey_carrier WORDS
survey_carrier() {
  fact "carrier $1"
}

survey() {
  local i
  fact 'survey 1'
  resolve_paths
  fact "clock $(date +%s)"
  # side by side, each being a handshake or two; printed one after the other
  # (below 10: bash keeps its own copies from there on)
  exec 4< <(survey_process etcd) 5< <(survey_process kube-apiserver) 6< <(survey_member) 7< <(survey_served; [ "$TELL_REACH" = 0 ] || survey_reached) 8< <(survey_state)
  exec 3< <([ "$ADDRESS" != "${MEMBER_ADDRESSES[0]-}" ] || report_carriers survey_carrier)
  exec 9< <(for i in $COMPONENTS; do case $i in etcd | kube-apiserver) ;; *) survey_process "$i" ;; esac; done)
  for i in "${!FILE_PATH[@]}"; do
    survey_file "$i"
    [ "$RESTORE" = 0 ] || survey_saved "$i"
  done
  survey_clients
  cat <&4
  cat <&5
  cat <&6
  cat <&7
  cat <&8
  cat <&9
  cat <&3
  fact 'end'
}

survey_state() {
  if [ -f "$STATE_DIR/receipt" ]; then fact "receipt $(one_line <"$STATE_DIR/receipt")"; fi
  backup_numbers | while read -r i; do fact "backup $i"; done
  [ ! -d "$STATE_DIR/journal" ] || fact "leftover $STATE_DIR/journal"
  for i in lock claim; do
    [ ! -f "$STATE_DIR/$i" ] || flock -n "$STATE_DIR/$i" true || fact "$i $(head -n 1 "$STATE_DIR/$i" | one_line)"
  done
  if is_api_ready; then fact 'api ready'; else fact 'api not-ready'; fi
  df -Pk "$(dirname "$STATE_DIR")" | awk 'NR == 2 { print "free " $4 }'
}

main() {
  set -uo pipefail
  prepare_environment
  ETCD_USER=$(etcd_user)
  survey
}
