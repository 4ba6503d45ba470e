# The six phases on one master. Each proves its own preconditions live, whatever was done before it.

source "${BASH_SOURCE%/*}/../lib/master.sh"
source "${BASH_SOURCE%/*}/../lib/lock.sh"
source "${BASH_SOURCE%/*}/../lib/apply.sh"
source "${BASH_SOURCE%/*}/../lib/backup.sh"
source "${BASH_SOURCE%/*}/../lib/recovery.sh"
source "${BASH_SOURCE%/*}/../lib/renewal.sh"
source "${BASH_SOURCE%/*}/../lib/worker-authority.sh"
source "${BASH_SOURCE%/*}/../lib/verify.sh"
source "${BASH_SOURCE%/*}/../lib/probe.sh"

phase_backup() {
  begin_probe 2>/dev/null || :
  # all masters do this before any is changed: a rollout never starts on a cluster that is not well
  require_health
  # fails before anything is changed where a stopped member's data could not be copied later
  ! is_out etcd || [ -n "$(identity etcd)" ] || find_stopped_data
  backup
  sign_authorities || fail "$EXIT_PRECONDITION" "Cannot write $STATE_DIR/receipt"
  sign_crosses
  receipt_put 0 || fail "$EXIT_PRECONDITION" "Cannot write $STATE_DIR/receipt"
}

phase_trust() {
  require_health
  apply_files
}

phase_issue() {
  require_valid_here
  require_health
  require_wanted_accepted
  is_out kube-apiserver || ! is_stale kube-apiserver ||
    fail "$EXIT_PRECONDITION" "Cannot issue:" \
      "kube-apiserver has not been restarted since its trust file changed; run the whole rollout: pulumi up"
  # an API server that is out cannot be ready before Kubernetes' certificates are right
  apply_renewals
  # a process of old, with a leaf that the others accept, would refuse theirs when they are new
  if is_out kube-apiserver && is_any_member_left; then start_what_is_out; fi
}

phase_settle() {
  local component
  for component in etcd kube-apiserver; do
    is_out "$component" || ! is_stale "$component" || fail "$EXIT_UNHEALTHY" \
      "Cannot settle: $component runs with files that have changed since its start; run pulumi up again"
  done
  if is_out kube-apiserver; then start_what_is_out; else require_health; fi
  receipt_put 0 || fail "$EXIT_PRECONDITION" "Cannot write $STATE_DIR/receipt"
}

phase_retire() {
  require_health
  require_wanted_served
  apply_renewals
}

# write_all: all files of a master that is not a member yet, where nothing runs and nothing is started
write_all() {
  local -r stop="${ETCD_UNIT:+systemctl stop $ETCD_UNIT}${ETCD_MANIFEST:+mv $ETCD_MANIFEST /root/}"
  [ -z "$(identity etcd)" ] ||
    fail "$EXIT_PRECONDITION" "Cannot write files only: etcd runs on $MASTER;" \
      "expected none before it has joined. Stop it ($stop), or remove masters[$MASTER].joining," \
      "then run pulumi up again"
  require_valid_here
  apply_files
}

# apply_renewals: the files of this phase, and new certificates for RENEW_GROUPS among them
apply_renewals() {
  make_renewals
  apply_files
  note_kept_groups || fail "$EXIT_PRECONDITION" "Cannot write $STATE_DIR/receipt"
}

phase_verify() {
  require_health
  leave_leaves_alone
  verify
  prune_backups
  receipt_put 1 || fail "$EXIT_PRECONDITION" "Cannot write $STATE_DIR/receipt"
}

# leave_leaves_alone: once all have retired, what stands behind the leaves has served its purpose
leave_leaves_alone() {
  has_more_than_leaves || return 0
  # retire has been here; what verify writes restarts nothing
  require_wanted trust
  ! is_stale kube-apiserver || refuse 'kube-apiserver has not read its files since they changed'
  require_wanted_accepted
  apply_files
}

# has_more_than_leaves: a file begins with the wanted leaf, and goes on
has_more_than_leaves() {
  local i
  for i in "${!FILE_PATH[@]}"; do
    [ "${FILE_KIND[$i]}" = cert ] && is_written "$i" && ! is_wanted "$i" || continue
    [ "$(fingerprint <"${FILE_PATH[$i]}")" != "$(printf '%s' "${FILE_CONTENT[$i]}" | fingerprint)" ] ||
      return 0
  done
  return 1
}

# require_health: ill health of what is not out is always an error, never a reason to write files only
require_health() {
  is_out etcd || require_etcdctl
  # an interrupted step may have left a journal: then this step is what brings the master back
  [ ! -d "$STATE_DIR/journal" ] || return 0
  is_out etcd || wait_until "$HEALTH_SECONDS" is_etcd_sound ||
    fail "$EXIT_UNHEALTHY" "Cannot start $PHASE: etcd is not healthy: $PROBLEM; nothing was changed." \
      "See $(etcd_logs) on $MASTER"
  is_out kube-apiserver || wait_until "$HEALTH_SECONDS" is_api_ready ||
    fail "$EXIT_UNHEALTHY" "Cannot start $PHASE: kube-apiserver is not ready on $ADDRESS:$API_PORT;" \
      "nothing was changed"
}

# require_valid_here: nothing is backdated, so a master whose clock is behind waits until its own clock agrees
require_valid_here() {
  wait_until "$CLOCK_SECONDS" are_leaves_valid ||
    fail "$EXIT_PRECONDITION" "Cannot issue: the new leaves are not valid yet by the clock of $MASTER" \
      "($(date -u)); nothing was changed. Set the clock (timedatectl), then run pulumi up again"
}

# are_leaves_valid: every wanted certificate, and what stands behind it, has begun by this master's clock
are_leaves_valid() {
  local i begin
  for i in "${!FILE_PATH[@]}"; do
    [ "${FILE_KIND[$i]}" = cert ] && is_written "$i" || continue
    while IFS= read -r begin; do
      [ "$(date -u -d "$begin" +%s)" -le "$(date +%s)" ] || return 1
    done < <(openssl crl2pkcs7 -nocrl -certfile <(printf '%s' "${FILE_CONTENT[$i]}") |
      openssl pkcs7 -print_certs -text -noout | sed -n 's/^ *Not Before *: //p')
  done
}

# wanted_leaf GROUP KIND: the wanted PEM of that leaf
wanted_leaf() {
  local i
  for i in "${!FILE_PATH[@]}"; do
    if [ "${FILE_GROUP[$i]}" = "$1" ] && [ "${FILE_KIND[$i]}" = "$2" ]; then
      printf '%s' "${FILE_CONTENT[$i]}"
      return
    fi
  done
}

# require_wanted_accepted: every member that is not out accepts a wanted leaf on both ports
require_wanted_accepted() {
  local address
  for address in "${MEMBER_ADDRESSES[@]}"; do
    ! is_out etcd "$address" || continue
    wait_until "$HEALTH_SECONDS" accepts_wanted "$address" "$ETCD_CLIENT_PORT" api-client ||
      fail "$EXIT_PRECONDITION" "Cannot $PHASE: $address:$ETCD_CLIENT_PORT" \
        "does not accept a leaf of the wanted authority yet; run the whole rollout: pulumi up." \
        "If that ends here too, set crossCertificates: never"
    wait_until "$HEALTH_SECONDS" accepts_wanted "$address" "$ETCD_PEER_PORT" peer ||
      fail "$EXIT_PRECONDITION" "Cannot $PHASE: $address:$ETCD_PEER_PORT" \
        "does not accept a peer leaf of the wanted authority yet; run the whole rollout: pulumi up." \
        "If that ends here too, set crossCertificates: never"
  done
}

# accepts_wanted ADDRESS PORT GROUP: the leaf goes through pipes, so that a kill leaves nothing on a disk
accepts_wanted() {
  [ "$(tls_status "$1" "$2" /version -cert <(wanted_leaf "$3" cert) -chainCAfile <(wanted_leaf "$3" cert) \
    -key <(wanted_leaf "$3" key))" = 200 ]
}

# are_leaves_served: etcd serves what is on disk, on both ports
are_leaves_served() {
  PROBLEM="$ADDRESS:$ETCD_CLIENT_PORT does not serve $SERVER_CERT"
  served_is_on_disk "$ETCD_CLIENT_PORT" "$SERVER_CERT" || return 1
  PROBLEM="$ADDRESS:$ETCD_PEER_PORT does not serve $PEER_CERT"
  served_is_on_disk "$ETCD_PEER_PORT" "$PEER_CERT" || return 1
}

# served_is_on_disk PORT FILE
served_is_on_disk() {
  [ "$(served_leaf "$ADDRESS" "$1" | fingerprint)" = "$(fingerprint <"$2")" ]
}

# require_wanted_served: before retire, every member serves leaves under the wanted authorities
require_wanted_served() {
  local address
  for address in "${MEMBER_ADDRESSES[@]}"; do
    wait_until "$HEALTH_SECONDS" serves_wanted "$address" "$ETCD_CLIENT_PORT" server-trust ||
      fail "$EXIT_PRECONDITION" "Cannot retire: $address:$ETCD_CLIENT_PORT" \
        "does not serve a leaf of the wanted authority; run the whole rollout: pulumi up"
    wait_until "$HEALTH_SECONDS" serves_wanted "$address" "$ETCD_PEER_PORT" peer-trust ||
      fail "$EXIT_PRECONDITION" "Cannot retire: $address:$ETCD_PEER_PORT" \
        "does not serve a leaf of the wanted authority; run the whole rollout: pulumi up"
  done
  # what this master's own clients hold, on disk and not only in memory
  is_issued_by <(wanted_leaf server-trust trust) <"$CLIENT_CERT" ||
    fail "$EXIT_PRECONDITION" "Cannot retire: $CLIENT_CERT is not a leaf of the wanted authority;" \
      "run the whole rollout: pulumi up"
}

# serves_wanted ADDRESS PORT GROUP: what is served there is under the wanted trust file of that group
serves_wanted() {
  served_leaf "$1" "$2" | is_issued_by <(wanted_leaf "$3" trust)
}

main() {
  set -euo pipefail
  umask 077
  # once begun, a step finishes or puts back, with or without its connection
  trap '' HUP PIPE
  # seconds since the boot, with two decimals
  read -r BEGAN _ </proc/uptime
  RESTARTED=0 WRITTEN=0 PROBLEM='' AILING='' QUORUM_SEEN='' KEPT_GROUPS='' LINKED_GROUPS=''
  STALE_BEFORE='' RAN_BEFORE=''
  prepare_environment
  ETCD_USER=$(etcd_user)
  case $PHASE in
    backup | trust | issue | settle | retire | verify) with_lock run_phase ;;
    *)
      fail "$EXIT_USAGE" "Cannot run phase '$PHASE':" \
        "expected backup, trust, issue, settle, retire or verify"
      ;;
  esac
}

run_phase() {
  local owner
  if [ "$HELD" = 1 ]; then
    say "held before $PHASE: old and new authorities are trusted; pulumi preview says what it waits for"
    result "held $MASTER"
    result "done $ATTEMPT $PHASE $MASTER"
    return
  fi
  owner=$(receipt_get owner)
  [ -z "$owner" ] || [ "$owner" = "$OWNER" ] || [ "$owner" = "$TAKE_OVER" ] ||
    fail "$EXIT_PRECONDITION" "Cannot work on $MASTER: its receipt belongs to $owner;" \
      "to take it over set takeOver: $owner"
  rm -rf "$SCRATCH_DIR"
  finish_stages || fail "$EXIT_UNHEALTHY" 'Cannot finish the files that an interrupted run had staged'
  load_saved
  if [ "$JOINING" = 1 ]; then write_all; else "phase_$PHASE"; fi
  report_probe 2>/dev/null || :
  result "done $ATTEMPT $PHASE $MASTER"
}
