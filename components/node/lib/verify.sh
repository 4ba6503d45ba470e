# Verification by what is served and accepted, not by what lies on disk.

# verify: fails the step with the first thing that is not as wanted
verify() {
  local i component pem
  require_wanted
  for component in $COMPONENTS; do
    is_expected "$component" || continue
    ! is_stale "$component" || refuse "$component has not read its files since they changed"
  done
  wait_until "$HEALTH_SECONDS" are_leaves_served || refuse "$PROBLEM"
  etcd_names_match || refuse 'etcd accepts other authorities than the wanted ones'
  wait_until "$HEALTH_SECONDS" is_client_accepted || refuse "$ADDRESS:$ETCD_CLIENT_PORT refuses $CLIENT_CERT"
  verify_old_is_refused
  wait_until "$HEALTH_SECONDS" is_written_and_read || refuse "$PROBLEM"
  wait_until "$HEALTH_SECONDS" is_kubernetes_well || refuse "$PROBLEM"
  # as served, which was seen above
  report_served etcd-server <"$SERVER_CERT"
  report_served etcd-peer <"$PEER_CERT"
  report_served etcd-client <"$CLIENT_CERT"
  # a leaf ends with its authority at the latest
  report_served etcd-ca <"$SERVER_CA"
  report_served etcd-peer-ca <"$PEER_CA"
  for i in "${!FILE_PATH[@]}"; do
    case ${FILE_KIND[$i]} in
      cert | kubeconfig | authority)
        [ -n "${FILE_SIGNER[$i]}" ] && pem=$(certificate_in "$i") && [ -n "$pem" ] || continue
        printf '%s\n' "$pem" | report_served "${FILE_GROUP[$i]}"
        ;;
    esac
  done
  report_listings
  [ "$ADDRESS" = "${MEMBER_ADDRESSES[0]}" ] || return 0
  write_worker_script || refuse "cannot write $STATE_DIR/worker-authority"
  report_carriers report_carrier || :
}

# require_wanted [KIND]: the files, or those of that kind, are as wanted
require_wanted() {
  local i
  for i in "${!FILE_PATH[@]}"; do
    [ "${1:-${FILE_KIND[$i]}}" = "${FILE_KIND[$i]}" ] && is_written "$i" || continue
    is_wanted "$i" || refuse "${FILE_PATH[$i]} is not the wanted file"
  done
}

# report_carrier KIND NAME END WORDS
report_carrier() {
  result "carrier $4"
}

# refuse WORDS...
refuse() {
  fail "$EXIT_UNHEALTHY" "Cannot verify: $*; run pulumi up again"
}

# verify_old_is_refused: a client leaf from a backup that is not under the wanted authority gets no answer
verify_old_is_refused() {
  local folder certificate key tried=0
  for folder in "$BACKUP_DIR"/rollout-*/; do
    certificate=$folder/files$CLIENT_CERT
    key=$folder/files$CLIENT_KEY
    [ -f "$certificate" ] && [ -f "$key" ] && is_pair "$certificate" "$key" || continue
    ! is_issued_by "$CLIENT_CA" <"$certificate" || continue
    tried=$((tried + 1))
    [ -z "$(tls_status "$ADDRESS" "$ETCD_CLIENT_PORT" /version -cert "$certificate" -key "$key")" ] ||
      refuse "$ADDRESS:$ETCD_CLIENT_PORT still accepts a leaf of a retired authority"
  done
  result "refused $MASTER $tried"
}

# is_written_and_read: through this member, under a key of our own; keeps the reason in PROBLEM
is_written_and_read() {
  local -r name=/etcd-rotation/verify/$MASTER url=$(client_url "$ADDRESS")
  local read alarm
  PROBLEM="no write through $url"
  ctl "$url" put "$name" "$ATTEMPT" >/dev/null || {
    alarm=$(etcd_alarm)
    PROBLEM=$PROBLEM${alarm:+: ${alarm#* }}
    return 1
  }
  PROBLEM="no read through $url"
  read=$(ctl "$url" get --print-value-only "$name") || return 1
  PROBLEM="no delete through $url"
  ctl "$url" del "$name" >/dev/null || return 1
  PROBLEM="read '$read' through $url, wrote '$ATTEMPT'"
  [ "$read" = "$ATTEMPT" ]
}

# report_served ROLE: fingerprint and end of the certificate on stdin
report_served() {
  result "served $MASTER $1 $(fingerprint_and_end)"
}

# report_listings: the three listings of the official page, a line per certificate
report_listings() {
  local pattern file
  for pattern in ${LISTINGS[@]+"${LISTINGS[@]}"}; do
    # unquoted on purpose: the pattern is a glob of the layout table
    for file in $pattern; do
      grep -q -e '-----BEGIN CERTIFICATE' "$file" 2>/dev/null || continue
      result "listing $MASTER $file $(real_path "$file") $(fingerprint_and_end <"$file")"
    done
  done
}
