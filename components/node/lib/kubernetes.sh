# Kubernetes' own components: the renewed certificates as served, restarts, and who holds earlier ones.

# kubernetes_problem: the first renewed certificate that is not served or not accepted, in words
kubernetes_problem() {
  local -r headers=$'X-Remote-User: etcd-rotation\r\nX-Remote-Group: system:authenticated\r\n'
  local i own problem
  for i in "${!FILE_PATH[@]}"; do
    own=${FILE_GROUP[$i]} problem=''
    case ${FILE_KIND[$i]} in cert | kubeconfig) ;; *) continue ;; esac
    [ -n "${FILE_SIGNER[$i]}" ] && is_renewed "$own" || continue
    case $own in
      apiserver) problem=$(not_served "$API_PORT" "${FILE_PATH[$i]}") ;;
      # where nothing answers the kubelet has another port or address
      kubelet-server) ! is_kubelet_serving || problem=$(not_served "$KUBELET_PORT" "${FILE_PATH[$i]}") ;;
      apiserver-kubelet-client)
        is_kubelet_serving || continue
        problem=$(refusal 'the kubelet' "$i" "$(tls_status "$ADDRESS" "$KUBELET_PORT" /healthz \
          -cert <(certificate_in "$i") -key <(key_in "$i"))")
        ;;
      front-proxy-client)
        problem=$(refusal kube-apiserver "$i" "$(TLS_HEADERS=$headers tls_status "$ADDRESS" "$API_PORT" /api \
          -cert <(certificate_in "$i") -key <(key_in "$i"))")
        ;;
      *)
        # a pair of others shows nothing here, and neither does a kubeconfig without a certificate
        [ "${FILE_KIND[$i]}" = kubeconfig ] && has_client "${FILE_PATH[$i]}" || continue
        problem=$(refusal kube-apiserver "$i" "$(tls_status "$ADDRESS" "$API_PORT" /api \
          -CAfile "$API_CA" -verify 5 -verify_return_error -cert <(certificate_in "$i") -key <(key_in "$i"))")
        ;;
    esac
    [ -z "$problem" ] || { printf '%s' "$problem"; return; }
  done
}

# not_served PORT FILE: in words; nothing where the certificate in FILE is served on this master
not_served() {
  served_is_on_disk "$1" "$2" || printf '%s:%s does not serve %s' "$ADDRESS" "$1" "$2"
}

# refusal SERVER INDEX STATUS: in words; nothing where the certificate was accepted (200 or 403, not 401)
refusal() {
  case $3 in 200 | 403) ;; *) printf '%s answers %s to %s' "$1" "${3:-nothing}" "${FILE_PATH[$2]}" ;; esac
}

# is_kubernetes_well: keeps the reason in PROBLEM
is_kubernetes_well() {
  PROBLEM=$(kubernetes_problem)
  [ -z "$PROBLEM" ]
}

# restart_kubelet: containers go on
restart_kubelet() {
  local -r old=$(identity kubelet) served=$(served_leaf "$ADDRESS" "$KUBELET_PORT" || :)
  say 'restarting the kubelet (containers keep running)'
  PROBLEM="systemctl restart $KUBELET_UNIT failed"
  timeout 60 systemctl restart "$KUBELET_UNIT" || return 1
  PROBLEM='the kubelet has no new process'
  wait_until "$GATE_SECONDS" has_new_process kubelet "$old" || return 1
  PROBLEM="the kubelet does not serve on $ADDRESS:$KUBELET_PORT"
  # one that did not serve here before has another port or address
  [ -z "$served" ] || wait_until "$GATE_SECONDS" is_kubelet_serving || return 1
  record_start kubelet
}

# is_kubelet_serving: on its usual port
is_kubelet_serving() {
  [ -n "$(served_leaf "$ADDRESS" "$KUBELET_PORT")" ]
}

# restart_controller COMPONENT: kube-controller-manager or kube-scheduler; the kubelet starts it again, with
# the file of today in its mount. Another master's leads meanwhile.
restart_controller() {
  local -r old=$(identity "$1")
  local port=10257 answer
  [ "$1" != kube-scheduler ] || port=10259
  answer=$(tls_status 127.0.0.1 "$port" /healthz)
  say "restarting $1"
  signal_process TERM "$old"
  wait_until 10 is_gone "$old" || signal_process KILL "$old"
  if ! wait_until 10 is_gone "$old"; then
    PROBLEM="$1 does not end"
    return 1
  fi
  # a kubelet that restarts forgets the back-off
  wait_until 15 has_new_process "$1" "$old" || timeout 60 systemctl restart "$KUBELET_UNIT" || return 1
  PROBLEM="$1 has no new process that is healthy"
  wait_until "$GATE_SECONDS" is_new_controller_healthy "$1" "$old" "$port" "$answer" || return 1
  record_start "$1"
}

# is_new_controller_healthy COMPONENT OLD PORT ANSWER: the new process answers 200, or what the old one
# answered (nothing, where it serves elsewhere)
is_new_controller_healthy() {
  local answer
  has_new_process "$1" "$2" || return 1
  answer=$(tls_status 127.0.0.1 "$3" /healthz)
  [ "$answer" = 200 ] || [ "$answer" = "$4" ]
}

# report_carriers COMMAND: for each that may hold an earlier certificate of cluster-ca COMMAND is run with its
# kind (worker, config-map, other), its name or -, the end in seconds since 1970, and in words what to run.
# Nothing where the authority has not been renewed.
report_carriers() {
  local i pem earlier first kubeconfig authority fingerprint nodes name address held last=none end ends bring
  i=$(row_of cluster-ca authority)
  [ -n "$i" ] || return 0
  authority=${FILE_PATH[$i]}
  pem=$(certificate_in "$i")
  fingerprint=$(printf '%s\n' "$pem" | fingerprint)
  earlier=$(earlier_authorities "$i")
  [ -n "$earlier" ] || return 0
  end=$(end_among "$earlier" '')
  first=$(ends_on "$end")
  "$1" other - "$end" \
    "kubeconfigs that embed an earlier certificate of cluster-ca: $first; give them $authority"
  i=$(row_of admin.conf kubeconfig)
  if [ -z "$i" ] || ! command -v kubectl >/dev/null; then
    "$1" other - "$end" \
      "workers are not known, since $MASTER has no kubectl with an admin.conf; their certificates: $first"
    return 0
  fi
  kubeconfig=${FILE_PATH[$i]}
  # in a recovery nothing else would wait for it
  if ! is_api_ready || ! nodes=$(worker_nodes "$kubeconfig"); then
    "$1" other - "$end" \
      "workers are not known, since kube-apiserver did not list the nodes; their certificates: $first"
    return 0
  fi
  while IFS='|' read -r name address held; do
    # a node chooses its address, and root's shell runs these words; of two addresses the first
    address=${address%% *}
    case $name in '' | *[!a-z0-9.-]*) continue ;; esac
    case $address in *[!0-9A-Fa-f.:]*) address='' ;; esac
    [ "$held" != "$fingerprint" ] || continue
    case " ${MEMBER_ADDRESSES[*]} " in *" ${address:-none} "*) continue ;; esac
    # nearly always the same for all, and there may be thousands
    if [ "$held" != "$last" ]; then
      end=$(end_among "$earlier" "$held") && ends=$(ends_on "$end") && last=$held
    fi
    if has_worker_script "$fingerprint"; then
      bring="run on $MASTER: ssh root@${address:-$name} bash -s <$STATE_DIR/worker-authority"
      bring="$bring && kubectl --kubeconfig $kubeconfig annotate node $name"
      bring="$bring --overwrite etcd-rotation/cluster-ca=$fingerprint"
    else
      bring="run pulumi up with another kubernetes.rotation first: $MASTER has no command for this authority"
    fi
    "$1" worker "$name" "$end" "worker $name: $ends; $bring"
  done < <(printf '%s\n' "$nodes")
  report_config_map "$1" kube-public cluster-info kubeconfig
  report_config_map "$1" kube-system kube-proxy 'kubeconfig\.conf'
}

# has_worker_script FINGERPRINT: the script that is there brings that certificate. An earlier rollout's would
# bring an earlier one, and a master that was not the first has none.
has_worker_script() {
  local line
  { IFS= read -r line && IFS= read -r line; } 2>/dev/null <"$STATE_DIR/worker-authority" &&
    [ "$line" = "# authority $1" ]
}

# worker_nodes KUBECONFIG: "NAME|ADDRESS|FINGERPRINT" of each node that is no master
worker_nodes() {
  local -r address='{.status.addresses[?(@.type=="InternalIP")].address}'
  local -r held='{.metadata.annotations.etcd-rotation/cluster-ca}'
  ask_kubernetes "$1" get nodes -l '!node-role.kubernetes.io/control-plane,!node-role.kubernetes.io/master' \
    -o "jsonpath={range .items[*]}{.metadata.name}|$address|$held{\"\\n\"}{end}"
}

# ask_kubernetes KUBECONFIG WORDS...: kubectl's answer
ask_kubernetes() {
  timeout 10 kubectl --kubeconfig "$@" 2>/dev/null
}

# report_config_map COMMAND NAMESPACE NAME FIELD: a ConfigMap whose kubeconfig has an earlier certificate
report_config_map() {
  local -r field=certificate-authority-data kubectl="kubectl --kubeconfig $kubeconfig"
  local embedded end renew
  embedded=$(ask_kubernetes "$kubeconfig" get configmap "$3" -n "$2" -o "jsonpath={.data.$4}" |
    kubeconfig_value "$field" | base64 -d 2>/dev/null) || return 0
  printf '%s\n' "$embedded" | is_earlier_than "$pem" || return 0
  end=$(printf '%s\n' "$embedded" | end_of)
  renew="sed \"s#$field: [A-Za-z0-9+/=]*#$field: \$(base64 -w 0 <$authority)#\""
  renew="$kubectl get configmap $3 -n $2 -o yaml | $renew | $kubectl replace -f -"
  "$1" config-map "$2/$3" "$end" "ConfigMap $2/$3: $(ends_on "$end"); run on $MASTER: $renew"
}

# is_earlier_than PEM: the certificate on stdin is another one, of the same key
is_earlier_than() {
  local other key
  other=$(cat)
  key=$(printf '%s\n' "$1" | certificate_public_key)
  [ "$(printf '%s\n' "$other" | certificate_public_key)" = "$key" ] &&
    [ "$(printf '%s\n' "$other" | fingerprint)" != "$(printf '%s\n' "$1" | fingerprint)" ]
}

# earlier_authorities INDEX: "FINGERPRINT END" of each certificate in the backups that it has replaced
earlier_authorities() {
  local -r now=$(certificate_in "$1")
  local folder each pem
  for folder in "$BACKUP_DIR"/rollout-*/files; do
    each=$folder${FILE_PATH[$1]}
    [ -f "$each" ] && ! cmp -s -- "$each" "${FILE_PATH[$1]}" || continue
    pem=$(certificate_in "$1" "$each") && printf '%s\n' "$pem" | is_earlier_than "$now" || continue
    printf '%s %s\n' "$(printf '%s\n' "$pem" | fingerprint)" "$(printf '%s\n' "$pem" | end_of)"
  done | sort -u
}

# end_among EARLIER FINGERPRINT: when that certificate ends; else the first end of the earlier ones
end_among() {
  local end
  end=$(printf '%s\n' "$1" | awk -v fingerprint="$2" '$1 == fingerprint { print $2 }')
  [ -n "$end" ] || end=$(printf '%s\n' "$1" | cut -d ' ' -f 2 | sort -n | head -n 1)
  printf '%s' "$end"
}

# ends_on SECONDS: in words
ends_on() {
  if [ "$1" -gt "$(date +%s)" ]; then printf 'valid until '; else printf 'expired on '; fi
  date -u -d "@$1" +%Y-%m-%d
}

# is_renewed GROUP: by this program, so that it answers for it
is_renewed() {
  case $(receipt_get "renewed.$1") in '' | *' kept') return 1 ;; esac
}
