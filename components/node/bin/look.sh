# What adoption asks a machine before there is a stack file: who it is, with which flags its control plane
# runs or would start, in which layout, and who etcd's members are. Reads only; public data only, one line per
# fact. MANIFEST_DIR is the kubelet's folder of static pods.

source "${BASH_SOURCE%/*}/../lib/output.sh"
source "${BASH_SOURCE%/*}/../lib/process.sh"
source "${BASH_SOURCE%/*}/../lib/arguments.sh"
source "${BASH_SOURCE%/*}/../lib/tls.sh"
source "${BASH_SOURCE%/*}/../lib/etcd.sh"

# arguments_of COMPONENT: one per line, of the process, else of the unit or the manifest; or nothing
arguments_of() {
  local pid
  pid=$(pid_of "$1")
  if [ "$1" = etcd ]; then
    etcd_settings "$pid"
    return
  fi
  if [ -n "$pid" ]; then
    tr '\0' '\n' <"/proc/$pid/cmdline"
    return
  fi
  case $1 in
    kubelet) unit_arguments "$KUBELET_UNIT" ;;
    *) manifest_arguments "$MANIFEST_DIR/$1.yaml" ;;
  esac
}

# members: rows of etcd's own list, read with kube-apiserver's client certificate; nothing without an answer
members() {
  local api=$1 name
  ETCDCTL=$(etcdctl_path)
  [ -n "$ETCDCTL" ] || return 0
  for name in "${!ETCDCTL_@}"; do unset "$name"; done
  CLIENT_CA=$(printf '%s\n' "$api" | flag_in --etcd-cafile)
  CLIENT_CERT=$(printf '%s\n' "$api" | flag_in --etcd-certfile)
  CLIENT_KEY=$(printf '%s\n' "$api" | flag_in --etcd-keyfile)
  [ -n "$CLIENT_CERT" ] || return 0
  ctl "$(printf '%s\n' "$api" | flag_in --etcd-servers)" member list |
    while IFS= read -r name; do result "member $name"; done || :
}

main() {
  set -uo pipefail
  PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin
  local component text api='' layout=ack
  # a manifest that the kubelet runs: no unit does it then
  ETCD_MANIFEST=$MANIFEST_DIR/etcd.yaml
  if [ -e "$ETCD_MANIFEST" ] && [ -z "$(unit_pid "$ETCD_UNIT")" ]; then
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
