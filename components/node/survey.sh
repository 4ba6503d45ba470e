# The survey of one master: read only, public data only, one line per fact. Every probe is bounded.

# fact WORDS...
fact() {
  printf '%s\n' "$*"
}

# one_line: stdin as base64 on one line
one_line() {
  base64 | tr -d '\n'
}

survey_file() {
  local -r i=$1
  local -r path=${FILE_PATH[$1]}
  local public='-'
  if [ ! -e "$path" ]; then
    fact "file $i absent"
    return
  fi
  [ "${FILE_KIND[$i]}" != key ] || public=$(key_public_key <"$path")
  fact "file $i present $(stat -L -c '%U:%G %a' "$path") $public $(real_path "$path")"
  # certificates only: a key never leaves its master
  [ "${FILE_KIND[$i]}" = key ] || fact "pem $i $(sed -n '/-----BEGIN CERTIFICATE-----/,/-----END CERTIFICATE-----/p' "$path" | one_line)"
  # what an interrupted step left behind
  ! compgen -G "$(stage_of "$path")*" >/dev/null || fact "leftover $(stage_of "$path")"
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
  problem=$(etcd_problem)
  fact "etcd ${problem:-healthy}"
  if member_answers "$ADDRESS"; then fact answers; fi
  status=$(ctl "$(client_url "$ADDRESS")" endpoint status -w fields || :)
  fact "cluster $(printf '%s\n' "$status" | status_field ClusterID)"
  fact "version $(printf '%s\n' "$status" | status_field Version)"
  fact "database $(printf '%s\n' "$status" | status_field DBSize)"
  [ -z "$status" ] || [ "$(printf '%s\n' "$status" | status_field Leader)" != "$(printf '%s\n' "$status" | status_field MemberID)" ] || fact leader
  ctl "$(client_url "$ADDRESS")" member list | while IFS= read -r row; do fact "member $(printf '%s' "$row" | one_line)"; done || :
}

survey_served() {
  local pem port
  for port in "$ETCD_CLIENT_PORT" "$ETCD_PEER_PORT"; do
    pem=$(served_leaf "$ADDRESS" "$port" || :)
    [ -z "$pem" ] || fact "served $port $(printf '%s\n' "$pem" | one_line)"
  done
}

# established connections to etcd's client port from elsewhere: who else would notice a rotation
survey_clients() {
  command -v ss >/dev/null 2>&1 || return 0
  ss -Htn state established "( sport = :$ETCD_CLIENT_PORT )" 2>/dev/null | awk '{ sub(/:[0-9]+$/, "", $NF); gsub(/[][]|::ffff:/, "", $NF); print $NF }' |
    sort -u | while read -r address; do fact "client $address"; done
}

survey() {
  local i
  fact 'survey 1'
  fact "clock $(date +%s)"
  # side by side, each being a handshake or two; printed one after the other
  # (below 10: bash keeps its own copies from there on)
  exec 4< <(survey_process etcd) 5< <(survey_process kube-apiserver) 6< <(survey_member) 7< <(survey_served) 8< <(survey_state)
  for i in "${!FILE_PATH[@]}"; do survey_file "$i"; done
  survey_clients
  cat <&4
  cat <&5
  cat <&6
  cat <&7
  cat <&8
  fact 'end'
}

survey_state() {
  if [ -f "$STATE_DIR/receipt" ]; then fact "receipt $(one_line <"$STATE_DIR/receipt")"; fi
  backup_numbers | while read -r i; do fact "backup $i"; done
  [ ! -d "$STATE_DIR/journal" ] || fact "leftover $STATE_DIR/journal"
  if [ -f "$STATE_DIR/lock" ] && ! flock -n "$STATE_DIR/lock" true; then
    fact "lock $(head -n 1 "$STATE_DIR/lock" | one_line)"
  fi
  if is_api_ready; then fact 'api ready'; else fact 'api not-ready'; fi
  df -Pk "$(dirname "$STATE_DIR")" | awk 'NR == 2 { print "free " $4 }'
}

main() {
  set -uo pipefail
  prepare_environment
  survey
}
