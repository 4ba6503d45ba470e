# What adoption asks a machine before there is a stack file: who it is, with which flags its control plane runs or would
# start, in which layout, and who etcd's members are. Reads only; public data only, one line per fact. MANIFEST_DIR is the kubelet's folder of static pods.

# arguments_of COMPONENT: one per line, of the running process, else of the unit or the manifest; nothing when it is not of this machine
arguments_of() {
  local pid
  pid=$(pid_of "$1")
  if [ -n "$pid" ]; then
    tr '\0' '\n' <"/proc/$pid/cmdline"
    return
  fi
  case $1 in
    etcd) if is_etcd_unit; then unit_arguments "$ETCD_UNIT"; else manifest_arguments "$MANIFEST_DIR/etcd.yaml"; fi ;;
    kubelet) unit_arguments "$KUBELET_UNIT" ;;
    *) manifest_arguments "$MANIFEST_DIR/$1.yaml" ;;
  esac
}

# manifest_arguments FILE: the flags of a static pod, whatever quotes they are in
manifest_arguments() {
  [ ! -r "$1" ] || sed -n "s/^ *- *[\"']\{0,1\}\(--*[a-z][^\"']*\)[\"']\{0,1\} *\$/\1/p" "$1"
}

# unit_arguments UNIT: its command as systemd has it, with the variables of its environment filled in
unit_arguments() {
  local text line
  text=$(systemctl show -p ExecStart "$1" 2>/dev/null | sed -n 's/^ExecStart={.* argv\[\]=\(.*\) ; ignore_errors=.*/\1/p' | head -n 1)
  [ -n "$text" ] || return 0
  while IFS= read -r line; do
    case $line in [A-Za-z_]*=*) text=$(fill_in "${line%%=*}" "${line#*=}" " $text ") ;; esac
  done < <(unit_environment "$1")
  printf '%s\n' "$text" | tr -s ' ' '\n' | sed '/^$/d'
}

# unit_environment UNIT: NAME=VALUE lines, a file's before the unit's own: the first that fills a variable in wins
unit_environment() {
  local file
  systemctl show -p EnvironmentFiles "$1" 2>/dev/null | sed -n 's/^EnvironmentFiles=\(.*\) (ignore_errors=.*/\1/p' | while IFS= read -r file; do
    [ ! -r "$file" ] || sed -e "s/=[\"']\(.*\)[\"'] *\$/=\1/" "$file"
  done
  systemctl show -p Environment "$1" 2>/dev/null | sed -e 's/^Environment=//' | tr ' ' '\n'
}

# fill_in NAME VALUE TEXT: TEXT with ${NAME}, and the word $NAME, as systemd does it
fill_in() {
  local text=$3 done='' pattern
  for pattern in "\${$1}" " \$$1 "; do
    while [[ $text == *"$pattern"* ]]; do
      done=$done${text%%"$pattern"*}
      case $pattern in ' '*) done="$done $2 " ;; *) done=$done$2 ;; esac
      text=${text#*"$pattern"}
    done
    text=$done$text
    done=''
  done
  printf '%s' "$text"
}

# flag_in FLAG: its value, from arguments on stdin
flag_in() {
  awk -v flag="$1" '
    wanted { print; exit }
    { sub(/^--?/, "--") }
    index($0, flag "=") == 1 { print substr($0, length(flag) + 2); exit }
    $0 == flag { wanted = 1 }'
}

# members: rows of etcd's own list, asked as this machine's kube-apiserver would; nothing when it is not told
members() {
  local api=$1 name
  ETCDCTL=$(etcdctl_path)
  [ -n "$ETCDCTL" ] || return 0
  for name in "${!ETCDCTL_@}"; do unset "$name"; done
  CLIENT_CA=$(printf '%s\n' "$api" | flag_in --etcd-cafile)
  CLIENT_CERT=$(printf '%s\n' "$api" | flag_in --etcd-certfile)
  CLIENT_KEY=$(printf '%s\n' "$api" | flag_in --etcd-keyfile)
  [ -n "$CLIENT_CERT" ] || return 0
  ctl "$(printf '%s\n' "$api" | flag_in --etcd-servers)" member list | while IFS= read -r name; do result "member $name"; done || :
}

main() {
  set -uo pipefail
  PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin
  local component text api='' layout=ack
  # a manifest that the kubelet runs: no unit does it then
  if [ -e "$MANIFEST_DIR/etcd.yaml" ] && [ -z "$(unit_pid "$ETCD_UNIT")" ]; then
    layout=kubeadm
    ETCD_UNIT=''
  fi
  result 'look 1'
  result "hostname $(uname -n)"
  result "layout $layout"
  for component in $COMPONENTS; do
    text=$(arguments_of "$component")
    [ "$component" != kube-apiserver ] || api=$text
    [ -z "$text" ] || result "arguments $component $(printf '%s' "$text" | one_line)"
  done
  members "$api"
  result 'end'
}
