# The renewed certificate of the cluster authority for workers, which this program does not reach: a script
# that a person runs there as root. It holds public certificates only, and needs what a master needs: bash,
# coreutils, OpenSSL, systemd.

# write_worker_script: as $STATE_DIR/worker-authority, where the authority is managed
write_worker_script() {
  local i
  i=$(row_of cluster-ca authority)
  [ -n "$i" ] || return 0
  worker_script "$(certificate_in "$i")" |
    replace_file "$STATE_DIR/worker-authority.new" "$STATE_DIR/worker-authority" 600
}

# worker_script PEM: the script that brings that certificate; one group, so that bash runs all or nothing
worker_script() {
  printf '%s\n' "# On a worker, as root: ssh root@WORKER bash -s <$STATE_DIR/worker-authority" \
    "# authority $(printf '%s\n' "$1" | fingerprint)" '{'
  printf '%s=%q\n' KUBELET_UNIT "$KUBELET_UNIT" RENEWED_PEM "$1"
  declare -f renew_worker worker_fail has_kubelet kubelet_trust path_in authorities_in with_renewed \
    subject_and_key require_same_authority write_renewed replace_like restart_worker is_worker_well \
    kubelet_health warn_of_client unit_pid argument_of kubeconfig_value end_of flush wait_until
  printf '%s\n' 'renew_worker </dev/null' '}'
}

# What follows runs on the worker, with RENEWED_PEM (PEM) and KUBELET_UNIT.

# renew_worker: RENEWED_PEM in place of its earlier certificates, wherever this worker's kubelet trusts one
renew_worker() {
  # stays until the kubelet has been started again, so that an interrupted run is finished by the next one
  local -r pending=/run/etcd-rotation-worker
  local pid kubeconfig trust kind file old new
  set -euo pipefail
  umask 077
  PATH=$PATH:/usr/sbin:/sbin
  trap '' HUP PIPE
  [ "$(id -u)" = 0 ] || worker_fail 'Cannot renew the authority: not root; expected root'
  # one that is started again and again is between two starts now and then
  wait_until 30 has_kubelet || worker_fail "Cannot find the kubelet: the unit $KUBELET_UNIT does not run;" \
    "expected it to. Start it, then run this again"
  pid=$(unit_pid "$KUBELET_UNIT")
  kubeconfig=$(argument_of "$pid" --kubeconfig)
  trust=$(kubelet_trust "$pid" | sort -u)
  [ "$(unit_pid "$KUBELET_UNIT")" = "$pid" ] ||
    worker_fail 'Cannot tell what the kubelet trusts: it has been restarted since; run this again'
  [ -n "$trust" ] || worker_fail 'Cannot find what the kubelet trusts;' \
    'expected --kubeconfig, or clientCAFile in the file of --config'
  # all are looked at before the first is written
  while read -r kind file; do require_same_authority "$kind" "$file"; done < <(printf '%s\n' "$trust")
  while read -r kind file; do
    old=$(authorities_in "$kind" "$file")
    new=$(printf '%s\n' "$old" | with_renewed)
    [ "$old" != "$new" ] || continue
    : >"$pending"
    write_renewed "$kind" "$file" "$new" || worker_fail "Cannot write $file; run this again"
    # a connection that is gone must not stop this
    printf 'replaced the certificate of the authority in %s\n' "$file" 2>/dev/null || :
  done < <(printf '%s\n' "$trust")
  if [ -e "$pending" ]; then
    restart_worker ||
      worker_fail "Cannot restart the kubelet: it is not well after that; see journalctl -u $KUBELET_UNIT"
    rm -f "$pending"
  else
    printf 'nothing to replace\n' 2>/dev/null || :
  fi
  warn_of_client "$kubeconfig"
}

# worker_fail WORDS...
worker_fail() {
  printf '%s: %s\n' "$(uname -n)" "$*" >&2
  exit 3
}

has_kubelet() {
  [ -n "$(unit_pid "$KUBELET_UNIT")" ]
}

# kubelet_trust PID: files by which this kubelet trusts the authority: "pem", "kubeconfig" or "unclear" FILE
kubelet_trust() {
  local config file named
  config=$(argument_of "$1" --config)
  file=$(argument_of "$1" --client-ca-file)
  [ -n "$file" ] || [ -z "$config" ] || file=$(path_in "$config" clientCAFile)
  [ -z "$file" ] || printf 'pem %s\n' "$file"
  for file in "$(argument_of "$1" --kubeconfig)" "$(argument_of "$1" --bootstrap-kubeconfig)"; do
    [ -n "$file" ] && grep -q certificate-authority "$file" 2>/dev/null || continue
    named=$(path_in "$file" certificate-authority)
    if [ -n "$(kubeconfig_value certificate-authority-data <"$file")" ]; then
      printf 'kubeconfig %s\n' "$file"
    elif [ -n "$named" ]; then
      printf 'pem %s\n' "$named"
    else
      printf 'unclear %s\n' "$file"
    fi
  done
}

# authorities_in KIND FILE: the PEM text in it
authorities_in() {
  case $1 in
    kubeconfig) kubeconfig_value certificate-authority-data <"$2" | base64 -d 2>/dev/null ;;
    *) cat -- "$2" ;;
  esac
}

# with_renewed: the PEM text on stdin with RENEWED_PEM for each certificate that has its subject and key; 1
# where none has, 2 where one ends later
with_renewed() {
  local line block='' found=1 later=0 wanted
  wanted=$(printf '%s\n' "$RENEWED_PEM" | subject_and_key) || :
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in -----BEGIN\ CERTIFICATE-----*) block=$line$'\n' && continue ;; esac
    if [ -z "$block" ]; then
      printf '%s\n' "$line"
      continue
    fi
    block=$block$line$'\n'
    case $line in -----END\ CERTIFICATE-----*) ;; *) continue ;; esac
    if [ "$(printf '%s' "$block" | subject_and_key)" = "$wanted" ]; then
      found=0
      [ "$(printf '%s' "$block" | end_of)" -le "$(printf '%s\n' "$RENEWED_PEM" | end_of)" ] || later=1
      [ "$(printf '%s' "$block" | openssl x509)" = "$RENEWED_PEM" ] || block=$RENEWED_PEM$'\n'
    fi
    printf '%s' "$block"
    block=''
  done
  printf '%s' "$block"
  [ "$later" = 0 ] || return 2
  return "$found"
}

# subject_and_key: of the certificate on stdin
subject_and_key() {
  openssl x509 -noout -subject -nameopt RFC2253 -pubkey 2>/dev/null
}

# require_same_authority KIND FILE
require_same_authority() {
  local subject
  [ "$1" != unclear ] || worker_fail "Cannot tell which authority $2 trusts;" \
    "expected one certificate-authority-data or certificate-authority; nothing was changed"
  [ -f "$2" ] || worker_fail "Cannot read $2: it is not there;" \
    "expected the file that the kubelet is configured with; nothing was changed"
  authorities_in "$1" "$2" | with_renewed >/dev/null || case $? in
    2)
      worker_fail "Cannot renew the authority in $2: the certificate there ends later than this one;" \
        "expected an earlier one. Use the command that pulumi up prints now; nothing was changed"
      ;;
    *)
      subject=$(printf '%s\n' "$RENEWED_PEM" | openssl x509 -noout -subject -nameopt RFC2253) || :
      worker_fail "Cannot renew the authority in $2: no certificate there has the subject and key" \
        "of the masters' authority ($subject); expected the same one; nothing was changed"
      ;;
  esac
}

# write_renewed KIND FILE PEM
write_renewed() {
  local embedded text
  case $1 in
    kubeconfig)
      embedded=$(kubeconfig_value certificate-authority-data <"$2")
      # the x keeps the last line's end
      text=$(cat -- "$2" && printf x) || return 1
      text=${text%x}
      # base64 has nothing that a pattern would read as its own
      printf '%s' "${text//$embedded/$(printf '%s\n' "$3" | base64 -w 0)}" | replace_like "$2"
      ;;
    *) printf '%s\n' "$3" | replace_like "$2" ;;
  esac
}

# replace_like FILE: stdin in its place, with its owner, mode and label; a link stays one
replace_like() {
  local real new
  real=$(readlink -f -- "$1") || return 1
  new=$real.etcd-rotation
  rm -f -- "$new"
  (umask 077 && : >"$new") || return 1
  chcon --reference="$real" -- "$new" 2>/dev/null || :
  chown --reference="$real" -- "$new" && chmod --reference="$real" -- "$new" &&
    dd of="$new" conv=fsync,notrunc status=none && mv -f -- "$new" "$real" && flush "$(dirname "$real")"
}

# restart_worker: containers go on
restart_worker() {
  local -r old=$(unit_pid "$KUBELET_UNIT") health=$(kubelet_health)
  printf 'restarting the kubelet; containers keep running\n'
  timeout 60 systemctl restart "$KUBELET_UNIT" || return 1
  wait_until 60 is_worker_well "$old" "$health"
}

# is_worker_well PID HEALTH: a process other than PID is healthy, or at least as healthy as HEALTH
is_worker_well() {
  local health
  has_kubelet && [ "$(unit_pid "$KUBELET_UNIT")" != "$1" ] || return 1
  health=$(kubelet_health)
  [ "$health" = ok ] || [ "$health" = "$2" ]
}

# kubelet_health: what it answers on its usual port for that; nothing where it has another
kubelet_health() {
  timeout 5 bash -c 'exec 3<>/dev/tcp/127.0.0.1/10248 &&
    printf "GET /healthz HTTP/1.0\r\n\r\n" >&3 && tail -n 1 <&3' 2>/dev/null || :
}

# warn_of_client KUBECONFIG: where the kubelet's own certificate has ended, which nothing here can renew
warn_of_client() {
  local pem file end
  [ -f "$1" ] || return 0
  pem=$(kubeconfig_value client-certificate-data <"$1" | base64 -d 2>/dev/null || :)
  file=$(path_in "$1" client-certificate)
  [ -n "$pem" ] || [ ! -f "$file" ] || pem=$(openssl x509 -in "$file" 2>/dev/null || :)
  [ -n "$pem" ] && ! printf '%s\n' "$pem" | openssl x509 -noout -checkend 0 >/dev/null 2>&1 || return 0
  end=$(printf '%s\n' "$pem" | openssl x509 -noout -enddate) || :
  printf "the kubelet's own certificate has expired (%s): this node stays NotReady until it joins again\n" \
    "$end" >&2
}
