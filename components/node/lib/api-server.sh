# kube-apiserver, a static pod of the kubelet. Its manifest is never touched: an edit that the kubelet
# does not like makes it drop the pod without a word.

# is_api_ready [ADDRESS]: /readyz answers 200, or 401 where --anonymous-auth=false hides more than that
is_api_ready() {
  local -r address=${1:-$ADDRESS}
  local answer
  answer=$(api_status "$address" /readyz)
  # before 1.16 it is not known (k8s.io/apiserver pkg/server/config.go)
  [ "$answer" != 404 ] || answer=$(api_status "$address" /healthz)
  case $answer in 200 | 401) ;; *) return 1 ;; esac
}

# api_status ADDRESS PATH: the HTTP status of kube-apiserver's answer to the client certificate that it uses
# for kubelets itself; where that one is refused (it has expired), to nobody
api_status() {
  local -a options=(-CAfile "$API_CA" -verify 5 -verify_return_error)
  local answer=401
  if [ -r "$API_CLIENT_KEY" ]; then
    answer=$(tls_status "$1" "$API_PORT" "$2" "${options[@]}" -cert "$API_CLIENT_CERT" -key "$API_CLIENT_KEY")
  fi
  [ "$answer" != 401 ] || answer=$(tls_status "$1" "$API_PORT" "$2" "${options[@]}")
  printf '%s' "$answer"
}

# is_new_api_ready OLD: a process other than OLD (an identity), and ready
is_new_api_ready() {
  has_new_process kube-apiserver "$1" && is_api_ready
}

# are_other_apis_ready: the rest of the control plane, but what is out, serves while this one does not
are_other_apis_ready() {
  local address
  for address in "${MEMBER_ADDRESSES[@]}"; do
    [ "$address" = "$ADDRESS" ] || is_out kube-apiserver "$address" || is_api_ready "$address" || return 1
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

# is_kubelet_running: as a unit, or by its name
is_kubelet_running() {
  [ -n "$(pid_of kubelet)" ] || [ -n "$(host_pid_named kubelet)" ]
}

# signal_process SIGNAL IDENTITY: only while it is still that very process
signal_process() {
  is_gone "$2" || kill -s "$1" "$(printf '%s' "$2" | cut -d ' ' -f 2)" 2>/dev/null || :
}

# is_back_off_possible COMPONENT IDENTITY: the kubelet may make the next start of that process's container
# wait: it started it again itself, in the last ten minutes (kubelet's doBackOff; client-go util/flowcontrol
# Backoff forgets after twice its maximum of 5 minutes). It remembers nothing of a container that it never
# started again, nor of one that is older than itself.
is_back_off_possible() {
  local kubelet ticks uptime age
  ticks=${2##* }
  kubelet=$(identity kubelet)
  kubelet=${kubelet##* }
  read -r uptime _ </proc/uptime
  age=$((${uptime%.*} - ticks / $(getconf CLK_TCK)))
  [ -n "$kubelet" ] && [ "$kubelet" -lt "$ticks" ] && [ "$age" -lt 660 ] && has_started_again "$1"
}

# has_started_again COMPONENT: the kubelet numbers the logs of a container's starts from 0
has_started_again() {
  local log
  for log in /var/log/pods/kube-system_"$1"-*/"$1"/*.log; do
    case ${log##*/} in 0.log) ;; *) return 0 ;; esac
  done
  # without any log it may have
  [ ! -e "$log" ]
}

# end_process IDENTITY: SIGTERM, a bounded drain, SIGKILL; nothing for none
end_process() {
  [ -n "$1" ] || return 0
  signal_process TERM "$1"
  wait_until "$DRAIN_SECONDS" is_gone "$1" || signal_process KILL "$1"
  wait_until 10 is_gone "$1"
}

# restart_pods COMPONENT...: of static pods; they end in that order. The kubelet starts their containers again
# at once, unless it remembers an earlier start: then it is restarted, and has forgotten.
restart_pods() {
  local each must_forget=''
  local -A old=()
  for each in "$@"; do
    old[$each]=$(identity "$each")
    if [ -z "${old[$each]}" ] || is_back_off_possible "$each" "${old[$each]}"; then must_forget=1; fi
  done
  for each in "$@"; do
    PROBLEM="$each does not end" AILING=$each
    end_process "${old[$each]}" || return 1
  done
  for each in "$@"; do
    [ -n "$must_forget" ] || wait_until 4 has_new_process "$each" "${old[$each]}" || must_forget=1
  done
  [ -n "$must_forget" ] || return 0
  PROBLEM="systemctl restart $KUBELET_UNIT failed" AILING=kubelet
  timeout 60 systemctl restart "$KUBELET_UNIT"
}

# restart_api_server: with a drain (one SIGTERM alone drains far beyond the 10 s after which controller
# manager and scheduler lose their leases)
restart_api_server() {
  local -r old=$(identity kube-apiserver) started=$SECONDS
  say "${old:+re}starting kube-apiserver${old:+ (drain up to $DRAIN_SECONDS s)}"
  restart_pods kube-apiserver || return 1
  see_new_api "$old" || return 1
  say "kube-apiserver is ready again after $(seconds_since "$started") s"
}

# see_new_api OLD: it is ready and noted, in a process other than OLD (an identity)
see_new_api() {
  PROBLEM='kube-apiserver has no new process that is ready' AILING=kube-apiserver
  wait_until "$GATE_SECONDS" is_new_api_ready "$1" || return 1
  record_start kube-apiserver
}
