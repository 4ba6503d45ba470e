# The survey of one master: read only, public data only, one line per fact. Every probe is bounded.

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
    result "path $i ${FILE_PATH[$i]}"
  done
  i=$(row_of cluster-ca authority)
  [ -z "$i" ] || API_CA=${FILE_PATH[$i]}
  i=$(row_of apiserver-kubelet-client cert)
  [ -z "$i" ] || { API_CLIENT_CERT=${FILE_PATH[$i]} && API_CLIENT_KEY=${FILE_PATH[$(row_of apiserver-kubelet-client key)]}; }
}

# survey_files: what can be asked of all of them at once is
survey_files() {
  local i rights path
  local -a present=()
  local -A found=()
  for i in "${!FILE_PATH[@]}"; do [ ! -e "${FILE_PATH[$i]}" ] || present+=("${FILE_PATH[$i]}"); done
  [ "${#present[@]}" -eq 0 ] ||
    while IFS=$'\037' read -r rights path; do found[$path]=$rights; done < <(stat -L -c $'%U:%G %a\037%n' -- ${present[@]+"${present[@]}"} 2>/dev/null)
  for i in "${!FILE_PATH[@]}"; do
    survey_file "$i" "${found[${FILE_PATH[$i]}]-}"
    [ "$RESTORE" = 0 ] || survey_saved "$i"
  done
}

# survey_file INDEX OWNER:GROUP_MODE: nothing where it is not there
survey_file() {
  local -r i=$1
  local -r path=${FILE_PATH[$1]}
  local public='-' real
  if [ -z "$2" ]; then
    result "file $i absent"
    return
  fi
  # of Kubernetes' keys only an authority's is asked for: whether it can sign
  case ${FILE_KIND[$i]}${FILE_SIGNER[$i]} in key | authority-key*) public=$(key_public_key <"$path") ;; esac
  can_be_read "$i" "${2%%:*}" "${2##* }" || result "unreadable $i"
  real=$(real_path "$path")
  result "file $i present $2 $public $real"
  # certificates only: a key never leaves its master
  case ${FILE_KIND[$i]} in
    key | authority-key) ;;
    kubeconfig) result "pem $i $(certificate_in "$i" | one_line)" ;;
    *) result "pem $i $(certificates_in "$path")" ;;
  esac
  # what an interrupted step left behind
  ! compgen -G "${real%/*}/.etcd-rotation*" >/dev/null || result "leftover ${real%/*}/.etcd-rotation"
}

# certificates_in FILE: all of them, and nothing else, as one_line has it; of a file that is damaged no key either
certificates_in() {
  local line inside=''
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in *'PRIVATE KEY'*) inside='' ;; *'-----BEGIN CERTIFICATE-----'*) inside=1 ;; esac
    [ -z "$inside" ] || printf '%s\037' "$line"
    case $line in *'-----END CERTIFICATE-----'*) inside='' ;; esac
  done <"$1"
}

# survey_saved INDEX: the row's file in the backup that is to be restored
survey_saved() {
  local file
  file=$(saved_file "$1") || return 0
  case ${FILE_KIND[$1]} in
    key | authority-key) result "saved $1 $(key_public_key <"$file")" ;;
    kubeconfig) result "saved $1 - $(certificate_in "$1" "$file" | one_line)" ;;
    *) result "saved $1 - $(certificates_in "$file")" ;;
  esac
}

survey_process() {
  local now pid
  now=$(identity "$1")
  if [ -z "$now" ]; then
    result "process $1 absent"
    return
  fi
  pid=${now#* }
  if is_stale "$1" "$now"; then result "process $1 stale $now"; else result "process $1 fresh $now"; fi
  result "arguments $1 $(tr '\0\n' '\037\037' <"/proc/${pid% *}/cmdline")"
}

survey_member() {
  local status problem
  # one that does not even serve says nothing, and each question would wait for it
  if ! survey_served "$ETCD_CLIENT_PORT" || ! status=$(ctl "$(client_url "$ADDRESS")" endpoint status -w fields); then
    if is_etcd_active; then result "etcd no status from $(client_url "$ADDRESS")"; else result "etcd $(no_etcd)"; fi
    return
  fi
  problem=$(etcd_problem "$status")
  result "etcd ${problem:-healthy}"
  # a healthy member has answered
  if [ -z "$problem" ] || member_answers "$ADDRESS"; then result answers; fi
  result "cluster $(printf '%s\n' "$status" | status_field ClusterID)"
  result "version $(printf '%s\n' "$status" | status_field Version)"
  result "database $(printf '%s\n' "$status" | status_field DBSize)"
  [ "$(printf '%s\n' "$status" | status_field Leader)" != "$(printf '%s\n' "$status" | status_field MemberID)" ] || result leader
  ctl "$(client_url "$ADDRESS")" member list | while IFS= read -r row; do result "member $row"; done || :
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

# the other members that serve, as this one sees them: what is known of a master that cannot be reached over SSH
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
  ss -Htn state established "( sport = :$ETCD_CLIENT_PORT )" 2>/dev/null | awk '{ sub(/:[0-9]+$/, "", $NF); gsub(/[][]|::ffff:/, "", $NF); print $NF }' |
    sort -u | while read -r address; do result "client $address"; done
}

# survey_carrier WORDS
survey_carrier() {
  result "carrier $1"
}

survey() {
  local i
  result 'survey 1'
  resolve_paths
  result "clock $(date +%s)"
  # side by side, each being a handshake or two; printed one after the other
  # (below 10: bash keeps its own copies from there on)
  exec 4< <(survey_process etcd) 5< <(survey_process kube-apiserver) 6< <(survey_member) 7< <(survey_others) 8< <(survey_state)
  exec 3< <([ "$ADDRESS" != "${MEMBER_ADDRESSES[0]-}" ] || report_carriers survey_carrier)
  exec 9< <(for i in $COMPONENTS; do case $i in etcd | kube-apiserver) ;; *) survey_process "$i" ;; esac; done)
  survey_files
  survey_clients
  cat /dev/fd/{4,5,6,7,8,9,3}
  result 'end'
}

survey_state() {
  if [ -f "$STATE_DIR/receipt" ]; then result "receipt $(one_line <"$STATE_DIR/receipt")"; fi
  backup_numbers | while read -r i; do result "backup $i"; done
  [ ! -d "$STATE_DIR/journal" ] || result "leftover $STATE_DIR/journal"
  for i in lock claim; do
    [ ! -f "$STATE_DIR/$i" ] || flock -n "$STATE_DIR/$i" true || result "$i $(head -n 1 "$STATE_DIR/$i" | one_line)"
  done
  if is_api_ready; then result 'api ready'; else result 'api not-ready'; fi
  df -Pk "${STATE_DIR%/*}" | awk 'NR == 2 { print "free " $4 }'
}

main() {
  set -uo pipefail
  prepare_environment
  ETCD_USER=$(etcd_user)
  survey
}
