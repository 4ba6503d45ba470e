# kube-apiserver, a static pod of the kubelet. Its manifest is never touched: an edit that the kubelet
# does not like makes it drop the pod without a word.

# is_api_ready [ADDRESS]: /readyz answers 200 to the client certificate that the API server itself uses for kubelets
is_api_ready() {
  local -a options=(-CAfile "$API_CA" -verify 5 -verify_return_error)
  [ ! -r "$API_CLIENT_KEY" ] || options+=(-cert "$API_CLIENT_CERT" -key "$API_CLIENT_KEY")
  [ "$(tls_status "${1:-$ADDRESS}" "$API_PORT" /readyz "${options[@]}")" = 200 ]
}

# is_new_api_ready OLD: a process other than OLD (an identity), and ready
is_new_api_ready() {
  has_new_process kube-apiserver "$1" && is_api_ready
}

# are_other_apis_ready: the rest of the control plane serves while this one does not
are_other_apis_ready() {
  local address
  for address in "${MEMBER_ADDRESSES[@]}"; do
    [ "$address" = "$ADDRESS" ] || is_api_ready "$address" || return 1
  done
}

# is_gone IDENTITY: that process has ended
is_gone() {
  local pid ticks
  pid=$(printf '%s' "$1" | cut -d ' ' -f 2)
  ticks=$(start_ticks "$pid") || return 0
  [ "$ticks" != "${1##* }" ]
}

# is_inside_kubelet: the container is in the kubelet's own cgroup
is_inside_kubelet() {
  grep -q "$KUBELET_UNIT.service" "/proc/$(pid_of kube-apiserver)/cgroup" 2>/dev/null
}

# signal_process SIGNAL IDENTITY: only while it is still that very process
signal_process() {
  is_gone "$2" || kill -s "$1" "$(printf '%s' "$2" | cut -d ' ' -f 2)" 2>/dev/null || :
}

# restart_api_server: SIGTERM, a bounded drain, SIGKILL (one SIGTERM alone drains far beyond the 10 s after which
# controller manager and scheduler lose their leases), then a kubelet restart, which forgets the crash back-off
restart_api_server() {
  local -r old=$(identity kube-apiserver) started=$SECONDS
  if [ -n "$old" ]; then
    say "restarting kube-apiserver (drain up to $DRAIN_SECONDS s)"
    signal_process TERM "$old"
    wait_until "$DRAIN_SECONDS" is_gone "$old" || signal_process KILL "$old"
    wait_until 10 is_gone "$old" || return 1
  else
    say 'starting kube-apiserver'
  fi
  timeout 60 systemctl restart "$KUBELET_UNIT" || return 1
  PROBLEM='kube-apiserver has no new process that is ready'
  wait_until "$GATE_SECONDS" is_new_api_ready "$old" || return 1
  record_start kube-apiserver || return 1
  say "kube-apiserver is ready again after $(seconds_since "$started") s"
}
