# Kubernetes' own components: the renewed certificates as they are served and accepted, restarts, and who holds earlier ones.

# kubernetes_problem: the first thing that is wrong with the renewed certificates as they are served and accepted
kubernetes_problem() {
  local i own problem
  for i in "${!FILE_PATH[@]}"; do
    own=${FILE_GROUP[$i]} problem=''
    case ${FILE_KIND[$i]} in cert | kubeconfig) [ -n "${FILE_SIGNER[$i]}" ] && is_renewed "$own" || continue ;; *) continue ;; esac
    case $own in
      apiserver) served_is_on_disk "$API_PORT" "${FILE_PATH[$i]}" || { printf '%s:%s does not serve %s' "$ADDRESS" "$API_PORT" "${FILE_PATH[$i]}"; return; } ;;
      # where nothing answers the kubelet has another port or address
      kubelet-server) ! is_kubelet_serving || served_is_on_disk "$KUBELET_PORT" "${FILE_PATH[$i]}" || { printf '%s:%s does not serve %s' "$ADDRESS" "$KUBELET_PORT" "${FILE_PATH[$i]}"; return; } ;;
      apiserver-kubelet-client)
        is_kubelet_serving || continue
        problem=$(refusal 'the kubelet' "$i" "$(tls_status "$ADDRESS" "$KUBELET_PORT" /healthz -cert <(certificate_in "$i") -key <(key_in "$i"))")
        ;;
      front-proxy-client)
        problem=$(refusal kube-apiserver "$i" "$(TLS_HEADERS=$'X-Remote-User: etcd-rotation\r\nX-Remote-Group: system:authenticated\r\n' \
          tls_status "$ADDRESS" "$API_PORT" /api -cert <(certificate_in "$i") -key <(key_in "$i"))")
        ;;
      *)
        problem=$(refusal kube-apiserver "$i" "$(tls_status "$ADDRESS" "$API_PORT" /api -CAfile "$API_CA" -verify 5 -verify_return_error \
          -cert <(certificate_in "$i") -key <(key_in "$i"))")
        ;;
    esac
    [ -z "$problem" ] || { printf '%s' "$problem"; return; }
  done
}

# refusal SERVER INDEX STATUS: in words; nothing for an answer to a certificate that was accepted, which 403 is, and 401 is not
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
  timeout 60 systemctl restart "$KUBELET_UNIT" || { PROBLEM="systemctl restart $KUBELET_UNIT failed"; return 1; }
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

# restart_controller COMPONENT: kube-controller-manager or kube-scheduler; the kubelet starts it again, with the file of today
# in its mount. Another master's leads meanwhile.
restart_controller() {
  local -r old=$(identity "$1")
  local port=10257 answer
  [ "$1" != kube-scheduler ] || port=10259
  answer=$(tls_status 127.0.0.1 "$port" /healthz)
  say "restarting $1"
  signal_process TERM "$old"
  wait_until 10 is_gone "$old" || signal_process KILL "$old"
  wait_until 10 is_gone "$old" || { PROBLEM="$1 does not end"; return 1; }
  # a kubelet that restarts forgets the back-off
  wait_until 15 has_new_process "$1" "$old" || timeout 60 systemctl restart "$KUBELET_UNIT" || return 1
  PROBLEM="$1 has no new process that is healthy"
  wait_until "$GATE_SECONDS" is_new_controller_healthy "$1" "$old" "$port" "$answer" || return 1
  record_start "$1"
}

# is_new_controller_healthy COMPONENT OLD PORT ANSWER: the new process answers 200, or what the old one answered (nothing, where
# it serves elsewhere)
is_new_controller_healthy() {
  local answer
  has_new_process "$1" "$2" || return 1
  answer=$(tls_status 127.0.0.1 "$3" /healthz)
  [ "$answer" = 200 ] || [ "$answer" = "$4" ]
}

# report_carriers: who holds an earlier certificate of a renewed authority: valid until its own end, since the key is the same
report_carriers() {
  local i folder end='' each kubeconfig name
  i=$(row_of cluster-ca authority)
  [ -n "$i" ] || return 0
  for folder in "$BACKUP_DIR"/rollout-*/files; do
    [ -f "$folder${FILE_PATH[$i]}" ] && ! cmp -s -- "$folder${FILE_PATH[$i]}" "${FILE_PATH[$i]}" || continue
    each=$(end_of <"$folder${FILE_PATH[$i]}") || continue
    [ -n "$end" ] && [ "$end" -le "$each" ] || end=$each
  done
  [ -n "$end" ] || return 0
  end=$(date -u -d "@$end" +%Y-%m-%d)
  result "carrier $MASTER kubeconfigs and workers that embed the earlier certificate of cluster-ca are valid until $end; give them ${FILE_PATH[$i]}"
  kubeconfig=$(row_of admin.conf kubeconfig)
  [ -n "$kubeconfig" ] && command -v kubectl >/dev/null || return 0
  kubeconfig=${FILE_PATH[$kubeconfig]}
  timeout 10 kubectl --kubeconfig "$kubeconfig" get nodes -o 'jsonpath={range .items[*]}{.metadata.name}{" "}{.status.addresses[?(@.type=="InternalIP")].address}{"\n"}{end}' 2>/dev/null |
    while read -r name each; do
      case " ${MEMBER_ADDRESSES[*]} " in *" $each "*) continue ;; esac
      result "carrier worker $name until $end; run on $MASTER: scp ${FILE_PATH[$i]} root@$each:/etc/kubernetes/pki/ca.crt"
    done || :
  each=$(timeout 10 kubectl --kubeconfig "$kubeconfig" get configmap cluster-info -n kube-public -o 'jsonpath={.data.kubeconfig}' 2>/dev/null |
    kubeconfig_value certificate-authority-data | base64 -d 2>/dev/null || :)
  [ -z "$each" ] || [ "$(printf '%s\n' "$each" | fingerprint)" = "$(fingerprint <"${FILE_PATH[$i]}")" ] ||
    result "carrier ConfigMap kube-public/cluster-info until $end; run on $MASTER: kubectl -n kube-public edit configmap cluster-info"
}
