# The script for workers, as it comes out of verify, on a worker of real files and a real process that stands
# for its kubelet.
#
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # tests are functions; variables of the helpers

setup() {
  WORKER="$BATS_TEST_TMPDIR/a worker"
  PKI="$WORKER/etc/kubernetes/pki" CONF="$WORKER/etc/kubernetes" STATE="$BATS_TEST_TMPDIR/state"
  mkdir -p "$PKI" "$WORKER/var/lib/kubelet" "$STATE"
  cp /bin/bash "$STATE/kubelet"
  # one key and subject, two certificates; a stranger with the same subject; one with the same key
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 -pkeyopt ec_param_enc:named_curve -out "$STATE/ca.key"
  openssl req -x509 -new -key "$STATE/ca.key" -days 3 -subj /O=lab/CN=kubernetes -out "$STATE/earlier.crt"
  openssl req -x509 -new -key "$STATE/ca.key" -days 9000 -subj /O=lab/CN=kubernetes -out "$STATE/renewed.crt"
  openssl req -x509 -new -newkey ec:<(openssl ecparam -name prime256v1) -nodes -keyout "$STATE/other.key" -days 9 -subj /O=lab/CN=kubernetes -out "$STATE/stranger.crt" 2>/dev/null
  openssl req -x509 -new -key "$STATE/ca.key" -days 9 -subj /CN=else -out "$STATE/same-key.crt"
  cp "$STATE/earlier.crt" "$PKI/ca.crt"
  kubeconfig "$CONF/kubelet.conf" "certificate-authority-data: $(base64 -w 0 <"$STATE/earlier.crt")" "$STATE/renewed.crt"
  printf '%s\n' 'kind: KubeletConfiguration' "# clientCAFile: /of/a/comment" 'authentication:' "  x509: {clientCAFile: \"$PKI/ca.crt\"}" >"$WORKER/var/lib/kubelet/config.yaml"
  start_kubelet "--config=$WORKER/var/lib/kubelet/config.yaml" --kubeconfig "$CONF/kubelet.conf" "--bootstrap-kubeconfig=$CONF/bootstrap.conf"
  mkdir "$STATE/bin"
  # systemd with one unit
  printf '%s\n' '#!/bin/bash' 'case "$*" in' \
    "'show -p MainPID kubelet') printf 'MainPID=%s\\n' \"\$(cat '$STATE/pid')\" ;;" \
    "'restart kubelet') [ ! -e '$STATE/does-not-start' ] && printf 'restart\\n' >>'$STATE/restarts' && cat '$STATE/next' >'$STATE/pid' ;;" \
    '*) exit 1 ;; esac' >"$STATE/bin/systemctl"
  chmod +x "$STATE/bin/systemctl"
  # another process that lives as long: what a restart leaves
  printf '%s' "$$" >"$STATE/next"
  make_script
}

teardown() {
  kill -KILL "$KUBELET"
  wait "$KUBELET" 2>/dev/null || :
}

# kubeconfig FILE CLUSTER-FIELD CLIENT-CERTIFICATE
kubeconfig() {
  printf '%s\n' 'apiVersion: v1' 'clusters:' "- {name: k, cluster: {server: \"https://10.9.0.9:6443\", $2}}" 'users:' '- name: node' '  user:' \
    "    client-certificate-data: $(base64 -w 0 <"$3")" '    client-key-data: "a2V5"' >"$1"
  chmod 640 "$1"
}

# start_kubelet ARGUMENTS...
start_kubelet() {
  mkfifo "$STATE/fifo"
  "$STATE/kubelet" -c 'read -r _ <>"$0"' "$STATE/fifo" "$@" 3>&- &
  KUBELET=$!
  printf '%s' "$KUBELET" >"$STATE/pid"
}

# make_script: as a master writes it
make_script() {
  env PATH="${TEST_PROGRAMS:+$TEST_PROGRAMS:}$PATH" bash -c "set -euo pipefail; . '$SUITE/functions'"'
    STATE_DIR=/var/lib/etcd-rotation KUBELET_UNIT=kubelet
    worker_script "$(cat "$1")"' - "$STATE/renewed.crt" | sed "s#/run/etcd-rotation-worker#'$STATE/pending'#; s/wait_until 30 /wait_until 0 /" >"$STATE/script"
}

# renew: the script, as an SSH server would start it. Sets CODE, OUT, ERR.
renew() {
  CODE=0
  env -i PATH="$STATE/bin:${TEST_PROGRAMS:+$TEST_PROGRAMS:}$PATH" bash -s <"$STATE/script" >"$STATE/out" 2>"$STATE/err" || CODE=$?
  cat "$STATE/err"
  OUT=$(<"$STATE/out") ERR=$(<"$STATE/err")
}

embedded() {
  sed -n 's/.*certificate-authority-data: \([A-Za-z0-9+/=]*\).*/\1/p' "$1" | base64 -d
}

restarts() {
  touch "$STATE/restarts"
  wc -l <"$STATE/restarts"
}

@test "the file and the kubeconfig get the renewed certificate, with owner and mode; the kubelet starts once; the next run does nothing" {
  chown 77:78 "$PKI/ca.crt"
  cp "$CONF/kubelet.conf" "$STATE/before.conf"
  renew
  [ "$CODE" = 0 ]
  cmp "$PKI/ca.crt" "$STATE/renewed.crt"
  cmp <(embedded "$CONF/kubelet.conf") "$STATE/renewed.crt"
  diff <(sed 's/certificate-authority-data: [^}]*//' "$STATE/before.conf") <(sed 's/certificate-authority-data: [^}]*//' "$CONF/kubelet.conf")
  [ "$(stat -c '%u:%g %a' "$PKI/ca.crt" "$CONF/kubelet.conf" | tr '\n' ' ')" = '77:78 644 0:0 640 ' ]
  [ "$OUT" = "replaced the certificate of the authority in $CONF/kubelet.conf
replaced the certificate of the authority in $PKI/ca.crt
restarting the kubelet; containers keep running" ]
  [ "$ERR" = '' ]
  [ "$(restarts)" = 1 ]
  [ "$(find "$WORKER" -type f | wc -l)" = 3 ]
  printf '%s' "$KUBELET" >"$STATE/pid"
  renew
  [ "$CODE $OUT" = '0 nothing to replace' ]
  [ "$(restarts)" = 1 ]
}

@test "others in a file of several stay byte for byte, and a link stays a link; a kubeconfig may name a file beside it" {
  { printf 'words\n' && cat "$STATE/stranger.crt" "$STATE/earlier.crt" "$STATE/same-key.crt"; } >"$WORKER/bundle"
  ln -sf "$WORKER/bundle" "$PKI/ca.crt"
  kubeconfig "$CONF/kubelet.conf" 'certificate-authority: pki/ca.crt' "$STATE/renewed.crt"
  renew
  [ "$CODE" = 0 ]
  cmp "$WORKER/bundle" <(printf 'words\n' && cat "$STATE/stranger.crt" "$STATE/renewed.crt" "$STATE/same-key.crt")
  [ -L "$PKI/ca.crt" ]
}

@test "another authority, in the file or in the bootstrap's kubeconfig: an error that names it, and nothing is changed" {
  local each
  for each in stranger same-key; do
    cp "$STATE/$each.crt" "$PKI/ca.crt"
    renew
    [ "$CODE" = 3 ]
    [[ "$ERR" == *"Cannot renew the authority in $PKI/ca.crt: no certificate there has the subject and key of the masters' authority"* ]]
    cmp <(embedded "$CONF/kubelet.conf") "$STATE/earlier.crt"
  done
  cp "$STATE/earlier.crt" "$PKI/ca.crt"
  kubeconfig "$CONF/bootstrap.conf" "certificate-authority-data: $(base64 -w 0 <"$STATE/stranger.crt")" "$STATE/renewed.crt"
  renew
  [ "$CODE" = 3 ]
  [[ "$ERR" == *"Cannot renew the authority in $CONF/bootstrap.conf"* ]]
  cmp "$PKI/ca.crt" "$STATE/earlier.crt"
  [ "$(restarts)" = 0 ]
}

@test "a kubeconfig of two clusters, a file that is not there, a kubelet that does not run: an error, and nothing is changed" {
  sed -i '/clusters:/{n;p}' "$CONF/kubelet.conf"
  renew
  [ "$CODE" = 3 ]
  [[ "$ERR" == *"Cannot tell which authority $CONF/kubelet.conf trusts"* ]]
  cmp "$PKI/ca.crt" "$STATE/earlier.crt"
  kubeconfig "$CONF/kubelet.conf" 'certificate-authority: /not/there' "$STATE/renewed.crt"
  renew
  [ "$CODE" = 3 ]
  [[ "$ERR" == *'Cannot read /not/there'* ]]
  printf 0 >"$STATE/pid"
  renew
  [ "$CODE" = 3 ]
  [[ "$ERR" == *'Cannot find the kubelet: the unit kubelet does not run'* ]]
  cmp "$PKI/ca.crt" "$STATE/earlier.crt"
}

@test "a kubelet that does not start, or a run that was cut: the next run starts it, though the files are right by then" {
  : >"$STATE/does-not-start"
  renew
  [ "$CODE" = 3 ]
  [[ "$ERR" == *'Cannot restart the kubelet'* ]]
  cmp "$PKI/ca.crt" "$STATE/renewed.crt"
  rm "$STATE/does-not-start"
  renew
  [ "$CODE $OUT" = '0 restarting the kubelet; containers keep running' ]
  [ "$(restarts)" = 1 ]
}

@test "a certificate that ends later than the script's is not replaced by it" {
  openssl req -x509 -new -key "$STATE/ca.key" -days 9999 -subj /O=lab/CN=kubernetes -out "$PKI/ca.crt"
  cp "$PKI/ca.crt" "$STATE/later.crt"
  renew
  [ "$CODE" = 3 ]
  [[ "$ERR" == *"Cannot renew the authority in $PKI/ca.crt: the certificate there ends later than this one"* ]]
  cmp "$PKI/ca.crt" "$STATE/later.crt"
  cmp <(embedded "$CONF/kubelet.conf") "$STATE/earlier.crt"
  [ "$(restarts)" = 0 ]
}

@test "a connection that is gone does not stop it between the files and the restart" {
  env -i PATH="$STATE/bin:${TEST_PROGRAMS:+$TEST_PROGRAMS:}$PATH" bash -s <"$STATE/script" 2>/dev/null | true
  cmp "$PKI/ca.crt" "$STATE/renewed.crt"
  cmp <(embedded "$CONF/kubelet.conf") "$STATE/renewed.crt"
  [ "$(restarts)" = 1 ]
}

@test "it says so where the kubelet's own certificate has expired; a transfer that is cut runs nothing" {
  faketime() { date -u -d "$1" +%Y%m%d%H%M%SZ; }
  mkdir "$STATE/past" && : >"$STATE/past/index"
  printf '%s\n' '[ca]' 'default_ca=c' '[c]' "database=$STATE/past/index" "new_certs_dir=$STATE/past" 'rand_serial=yes' 'default_md=sha256' 'policy=p' '[p]' 'commonName=supplied' >"$STATE/past/config"
  openssl req -new -key "$STATE/ca.key" -subj /CN=node -out "$STATE/past/request"
  openssl ca -batch -notext -config "$STATE/past/config" -in "$STATE/past/request" -cert "$STATE/renewed.crt" -keyfile "$STATE/ca.key" \
    -startdate "$(faketime '3 days ago')" -enddate "$(faketime '1 day ago')" -out "$STATE/past.crt" 2>/dev/null
  kubeconfig "$CONF/kubelet.conf" "certificate-authority-data: $(base64 -w 0 <"$STATE/earlier.crt")" "$STATE/past.crt"
  for ((cut = 2; cut < 40; cut++)); do
    head -c "-$cut" "$STATE/script" >"$STATE/cut"
    env -i PATH="$STATE/bin:${TEST_PROGRAMS:+$TEST_PROGRAMS:}$PATH" bash -s <"$STATE/cut" 2>/dev/null || :
  done
  cmp "$PKI/ca.crt" "$STATE/earlier.crt"
  renew
  [ "$CODE" = 0 ]
  [[ "$ERR" == *"the kubelet's own certificate has expired"* ]]
  cmp "$PKI/ca.crt" "$STATE/renewed.crt"
}
