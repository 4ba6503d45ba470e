# Kubernetes' own certificates: made anew with real OpenSSL, and compared by its own word.
#
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2153,SC2154 # text for another bash; tests are functions;
# variables that the helpers set or read

load master

setup() {
  start_master
  PKI="$ROOT/etc/kubernetes/pki" CONF="$ROOT/etc/kubernetes"
  export DATA=$SUITE/data-kubernetes ROWS=$SUITE/rows-kubernetes
  authority apiserver-ca rsa:2048 /O=lab/CN=kubernetes
  authority front-proxy-ca ec /CN=front-proxy-ca
  leaf apiserver-ca apiserver rsa:2048 "/O=one/O=two/CN=kube apiserver, käse" $'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=serverAuth\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid,issuer:always\nsubjectAltName=IP:10.9.0.1,IP:fd00::1,DNS:kubernetes,URI:spiffe://cluster/ns\n1.2.3.4=DER:0402abcd\nnsComment=made by hand\ncertificatePolicies=1.2.3.5'
  leaf front-proxy-ca front-proxy-client ec /CN=front-proxy-client $'extendedKeyUsage=clientAuth'
  leaf apiserver-ca admin ec /O=system:masters/CN=kubernetes-admin $'keyUsage=digitalSignature\nextendedKeyUsage=clientAuth'
  kubeconfig "$CONF/admin.conf" admin
  chmod 640 "$CONF/admin.conf"
  rm "$PKI"/admin.{crt,key}
}
teardown() { stop_master; }

authority() {
  new_key "$2" "$PKI/$1.key"
  openssl req -x509 -new -key "$PKI/$1.key" -days 100 -subj "$3" -out "$PKI/$1.crt"
}

new_key() {
  case $1 in
    ec) openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 -pkeyopt ec_param_enc:named_curve -out "$2" ;;
    *) openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$2" 2>/dev/null ;;
  esac
}

# leaf AUTHORITY NAME KEY SUBJECT EXTENSIONS
leaf() {
  new_key "$3" "$PKI/$2.key"
  openssl req -new -utf8 -key "$PKI/$2.key" -subj "$4" -out "$PKI/request" 2>/dev/null
  openssl x509 -req -in "$PKI/request" -CA "$PKI/$1.crt" -CAkey "$PKI/$1.key" -CAcreateserial -days 20 -out "$PKI/$2.crt" -extfile <(printf '%s\n' "$5") 2>/dev/null
  rm -f "$PKI/request" "$PKI"/*.srl
}

kubeconfig() {
  printf '%s\n' 'apiVersion: v1' 'clusters:' "- {name: k, cluster: {server: \"https://10.9.0.1:6443\", certificate-authority-data: $(base64 -w0 <"$PKI/apiserver-ca.crt")}}" \
    'users:' '- name: admin' '  user:' "    client-certificate-data: \"$(base64 -w0 <"$PKI/$2.crt")\"" "    client-key-data: $(base64 -w0 <"$PKI/$2.key")" >"$1"
}

# said FILE: what must stay, by OpenSSL's own word
said() {
  openssl x509 -in "$1" -noout -subject -issuer -nameopt oneline,show_type
  openssl x509 -in "$1" -noout -ext basicConstraints,keyUsage,extendedKeyUsage,subjectAltName,certificatePolicies,nsComment 2>/dev/null
  openssl x509 -in "$1" -noout -text | grep -A 1 -e '1\.2\.3\.4' -e 'Public Key Algorithm' -e 'ASN1 OID' || :
}

embedded() {
  sed -n "s/.*$1: \"\{0,1\}\([A-Za-z0-9+/=]*\).*/\1/p" "$CONF/admin.conf" | base64 -d
}

renew='RENEW_GROUPS=(apiserver front-proxy-client admin.conf) VALIDITY_SECONDS=1576800000 RENEW_PURPOSE=abc/1'

@test "new keys, the same subjects, names, uses and everything else; owners and modes stay; no key without its certificate" {
  watch_commands
  cp -r "$CONF" "$FAKE/before"
  embedded client-certificate-data >"$FAKE/before/admin.crt"
  chown 77:78 "$PKI/apiserver.key"
  call 'make_renewals; [ "$KEPT_GROUPS" = "" ]; write_files' "$renew"
  diff <(said "$FAKE/before/pki/apiserver.crt") <(said "$PKI/apiserver.crt")
  diff <(said "$FAKE/before/pki/front-proxy-client.crt") <(said "$PKI/front-proxy-client.crt")
  embedded client-certificate-data >"$FAKE/admin.crt"
  diff <(said "$FAKE/before/admin.crt") <(said "$FAKE/admin.crt")
  call "is_pair '$PKI/apiserver.crt' '$PKI/apiserver.key' && is_pair '$PKI/front-proxy-client.crt' '$PKI/front-proxy-client.key'"
  embedded client-key-data >"$FAKE/admin.key"
  call "is_pair '$FAKE/admin.crt' '$FAKE/admin.key'"
  [ "$(sha256sum <"$FAKE/before/pki/apiserver.key")" != "$(sha256sum <"$PKI/apiserver.key")" ]
  openssl verify -CAfile "$PKI/apiserver-ca.crt" "$PKI/apiserver.crt" "$FAKE/admin.crt"
  openssl verify -CAfile "$PKI/front-proxy-ca.crt" "$PKI/front-proxy-client.crt"
  # never beyond its authority, backdated by minutes, another serial number
  [ "$(openssl x509 -in "$PKI/apiserver.crt" -noout -enddate)" = "$(openssl x509 -in "$PKI/apiserver-ca.crt" -noout -enddate)" ]
  openssl x509 -in "$PKI/apiserver.crt" -noout -checkend $((99 * 86400))
  [ "$(openssl x509 -in "$PKI/apiserver.crt" -noout -serial)" != "$(openssl x509 -in "$FAKE/before/pki/apiserver.crt" -noout -serial)" ]
  [ "$(date -d "$(openssl x509 -in "$PKI/apiserver.crt" -noout -startdate | cut -d = -f 2)" +%s)" -le "$(($(date +%s) - 290))" ]
  [ "$(stat -c '%u:%g %a' "$PKI/apiserver.key" "$CONF/admin.conf" | tr '\n' ' ')" = '77:78 600 0:0 640 ' ]
  # everything else in the kubeconfig is as it was
  diff <(sed 's/\(client-[a-z]*-data\): .*/\1/' "$FAKE/before/admin.conf") <(sed 's/\(client-[a-z]*-data\): .*/\1/' "$CONF/admin.conf")
  [ "$(grep -c '^renewed\.[a-z.-]*=abc/1$' "$(state)/receipt")" = 3 ]
  [ "$(grep -c PRIVATE "$FAKE/argv")" = 0 ]
  on_master test -d /run/etcd-rotation
  [ -z "$(on_master grep -rl PRIVATE /run)" ]
}

@test "keepKeys keeps them" {
  cp "$PKI/apiserver.key" "$FAKE/before.key"
  call 'make_renewals; write_files' "$renew KEEP_KEYS=1"
  [ "$(openssl pkey -in "$FAKE/before.key" -pubout)" = "$(openssl pkey -in "$PKI/apiserver.key" -pubout)" ]
  call "is_pair '$PKI/apiserver.crt' '$PKI/apiserver.key'"
}

@test "an authority is signed anew with its own key, subject and key identifier, and printed; kubeconfigs get it" {
  local -r identifier=subjectKeyIdentifier
  cp -r "$CONF" "$FAKE/before"
  call 'sign_authorities' 'SIGN_AUTHORITIES=(cluster-ca) VALIDITY_SECONDS=1576800000' 2>/dev/null | sed -n 's/^authority cluster-ca //p' >"$FAKE/signed.crt"
  cmp "$FAKE/before/pki/apiserver-ca.crt" "$PKI/apiserver-ca.crt"
  diff <(said "$PKI/apiserver-ca.crt") <(said "$FAKE/signed.crt")
  [ "$(openssl x509 -in "$PKI/apiserver-ca.crt" -noout -ext "$identifier")" = "$(openssl x509 -in "$FAKE/signed.crt" -noout -ext "$identifier")" ]
  case $(openssl x509 -in "$FAKE/signed.crt" -noout -enddate) in *' 2076 GMT') ;; *) false ;; esac
  # both accept what the other has signed
  openssl verify -CAfile "$FAKE/signed.crt" <(embedded client-certificate-data)
  call 'make_renewals; write_files' "$renew $(want cluster-ca "$FAKE/signed.crt")"
  openssl verify -CAfile "$FAKE/before/pki/apiserver-ca.crt" "$PKI/apiserver.crt"
  cmp "$PKI/apiserver-ca.crt" "$FAKE/signed.crt"
  cmp <(embedded certificate-authority-data) "$FAKE/signed.crt"
  case $(openssl x509 -in "$PKI/apiserver.crt" -noout -enddate) in *' 2076 GMT') ;; *) false ;; esac
}

@test "a bundle that begins with somebody else's authority: ours signs, and theirs stays; what is behind a leaf stays byte for byte" {
  local -r extra=$'# made by the console\n'
  authority console ec /CN=console
  cp "$PKI/apiserver-ca.crt" "$FAKE/own.crt"
  { cat "$PKI/console.crt" && cat "$FAKE/own.crt"; } >"$PKI/apiserver-ca.crt"
  { printf '%s' "$extra" && sed 's/$/\r/' "$PKI/console.crt" && cat "$FAKE/own.crt" && printf 'no line end'; } >"$FAKE/behind"
  cat "$FAKE/behind" >>"$PKI/apiserver.crt"
  call 'sign_authorities' 'SIGN_AUTHORITIES=(cluster-ca) VALIDITY_SECONDS=1576800000' 2>/dev/null | sed -n 's/^authority cluster-ca //p' >"$FAKE/signed.crt"
  diff <(said "$FAKE/own.crt") <(said "$FAKE/signed.crt")
  { cat "$PKI/console.crt" && cat "$FAKE/signed.crt"; } >"$FAKE/bundle.crt"
  call 'make_renewals; [ "$KEPT_GROUPS" = "" ]; write_files' "$renew $(want cluster-ca "$FAKE/bundle.crt")"
  cmp "$PKI/apiserver-ca.crt" "$FAKE/bundle.crt"
  openssl verify -CAfile "$FAKE/signed.crt" "$PKI/apiserver.crt"
  cmp <(embedded certificate-authority-data) "$FAKE/signed.crt"
  # an earlier certificate of our authority behind the leaf is the renewed one, and nothing else has changed
  cmp <(sed '1,/-----END CERTIFICATE/d' "$PKI/apiserver.crt") <(printf '%s' "$extra" && sed 's/$/\r/' "$PKI/console.crt" && cat "$FAKE/signed.crt" && printf 'no line end\n')
  call 'write_worker_script'
  grep -qxF "RENEWED_PEM=$(printf '%q' "$(<"$FAKE/signed.crt")")" "$(state)/worker-authority"
}

@test "a kubeconfig without a client's certificate gets the authority's renewed one, and stays for others to read" {
  sed -i '/client-/d' "$CONF/admin.conf" && chmod 644 "$CONF/admin.conf"
  cp "$CONF/admin.conf" "$FAKE/admin.conf"
  call 'sign_authorities' 'SIGN_AUTHORITIES=(cluster-ca) VALIDITY_SECONDS=1576800000' 2>/dev/null | sed -n 's/^authority cluster-ca //p' >"$FAKE/signed.crt"
  [ "$(call 'certificate_in "$(row_of admin.conf kubeconfig)"')" = "$(cat "$PKI/apiserver-ca.crt")" ]
  call 'make_renewals; [ "$KEPT_GROUPS" = "" ]; write_files; PROBLEM=$(kubernetes_problem); printf "%s" "$PROBLEM"' "RENEW_GROUPS=(admin.conf) VALIDITY_SECONDS=1576800000 RENEW_PURPOSE=abc/1 $(want cluster-ca "$FAKE/signed.crt")"
  cmp <(embedded certificate-authority-data) "$FAKE/signed.crt"
  diff <(sed 's/-data: .*//' "$FAKE/admin.conf") <(sed 's/-data: .*//' "$CONF/admin.conf")
  [ "$(stat -c %a "$CONF/admin.conf")" = 644 ]
}

@test "an RDN of several values stays one, of an authority and of what it signs" {
  new_key ec "$PKI/apiserver-ca.key"
  openssl req -x509 -new -key "$PKI/apiserver-ca.key" -days 100 -multivalue-rdn -subj '/O=alibaba cloud+O=hangzhou/CN=kubernetes' -out "$PKI/apiserver-ca.crt" 2>/dev/null
  leaf apiserver-ca apiserver ec '/O=one+OU=two/CN=kube-apiserver' 'extendedKeyUsage=serverAuth'
  subject() { openssl x509 -in "$1" -noout -subject -issuer -nameopt RFC2253; }
  cp "$PKI/apiserver.crt" "$FAKE/before.crt"
  call 'sign_authorities' 'SIGN_AUTHORITIES=(cluster-ca) VALIDITY_SECONDS=1576800000' 2>/dev/null | sed -n 's/^authority cluster-ca //p' >"$FAKE/signed.crt"
  diff <(subject "$PKI/apiserver-ca.crt") <(subject "$FAKE/signed.crt")
  call 'make_renewals; [ "$KEPT_GROUPS" = "" ]; write_files' "RENEW_GROUPS=(apiserver) VALIDITY_SECONDS=1576800000 RENEW_PURPOSE=abc/1 $(want cluster-ca "$FAKE/signed.crt")"
  diff <(subject "$FAKE/before.crt") <(subject "$PKI/apiserver.crt")
  case $(subject "$PKI/apiserver.crt") in *CN=kube-apiserver,O*=*+O*) ;; *) false ;; esac
  openssl verify -CAfile "$FAKE/signed.crt" "$PKI/apiserver.crt"
}

@test "what cannot be made like the present one stays, and is noted; what is put back is not noted as renewed" {
  leaf apiserver-ca apiserver ec /CN=kube-apiserver $'extendedKeyUsage=serverAuth\nnsCaRevocationUrl=http://x'
  cp "$PKI/apiserver.crt" "$FAKE/apiserver.crt"
  call 'make_renewals; write_files; note_kept_groups; note_renewal front-proxy-client' "$renew" 2>"$FAKE/said"
  cmp "$FAKE/apiserver.crt" "$PKI/apiserver.crt"
  grep -q 'apiserver stays: it cannot be made anew' "$FAKE/said"
  grep -qx 'renewed.apiserver=abc/1 kept' "$(state)/receipt"
  grep -qx 'renewed.admin.conf=abc/1' "$(state)/receipt"
  call 'journal_put_back'
  [ "$(grep '^renewed' "$(state)/receipt")" = 'renewed.apiserver=abc/1 kept' ]
}

@test "a certificate that openssl makes with another subject than the present one's is not taken" {
  leaf apiserver-ca apiserver ec /CN=kube-apiserver/O=lab 'extendedKeyUsage=serverAuth'
  cp "$PKI/apiserver.crt" "$FAKE/apiserver.crt"
  # one that does not keep the order of a name
  call 'openssl() { [ "$1" != ca ] || set -- "${@/#-preserveDN/-batch}"; command openssl "$@"; }; make_renewals; [ "$KEPT_GROUPS" = " apiserver" ]; write_files' \
    "RENEW_GROUPS=(apiserver) VALIDITY_SECONDS=1576800000 RENEW_PURPOSE=abc/1"
  cmp "$FAKE/apiserver.crt" "$PKI/apiserver.crt"
}

@test "an authority that cannot be made like the present one stays, and nothing waits for it" {
  new_key ec "$PKI/apiserver-ca.key"
  openssl req -x509 -new -key "$PKI/apiserver-ca.key" -days 100 -subj /CN=kubernetes -addext nsCaRevocationUrl=http://x -out "$PKI/apiserver-ca.crt"
  [ "$(call 'sign_authorities' 'SIGN_AUTHORITIES=(cluster-ca front-proxy-ca) VALIDITY_SECONDS=1576800000 RENEW_PURPOSE=abc/1' 2>"$FAKE/said" | cut -d ' ' -f 2 | sort -u)" = front-proxy-ca ]
  grep -q 'cluster-ca stays: openssl cannot make' "$FAKE/said"
  grep -qx 'renewed.cluster-ca=abc/1 kept' "$(state)/receipt"
}

@test "a link to another kubeconfig is renewed with it, once, and put back as it was" {
  mkdir -p "$ROOT/root/.kube"
  ln -s "$CONF/admin.conf" "$ROOT/root/.kube/config"
  cp "$CONF/admin.conf" "$FAKE/admin.conf"
  call 'make_renewals; write_files; note_kept_groups; [ -L "${FILE_PATH[$(row_of root-kubeconfig kubeconfig)]}" ]; journal_put_back' "${renew/admin.conf/admin.conf root-kubeconfig}"
  cmp "$CONF/admin.conf" "$FAKE/admin.conf"
}

@test "a file that is not there makes nobody stale, and a component that reads nothing is fresh" {
  local kubelet
  # the fake master has no kubelet unit: a process that stands for it
  kubelet='identity() { printf "boot 1 5000"; }; newest_change() { printf 0; }'
  call "$kubelet; ! is_stale kubelet"
  call "$kubelet; record_start kubelet; rm -f '$ROOT/var/lib/kubelet/pki/kubelet.crt'; ! is_stale kubelet"
}

@test "the authority under the names that running processes have for it, each file once; none beside it where they name its own" {
  local rows
  cp "$PKI/apiserver-ca.crt" "$PKI/ca.crt"
  ln -s ca.crt "$PKI/link.crt"
  printf '%s\n' 'authentication: {x509: {clientCAFile: pki/link.crt}}' >"$CONF/kubelet.yaml"
  # survey ROOT_CA SIGNING_CERT: the paths of the rows that it tells
  survey() {
    script survey "pid_of() { printf 1; }; argument_of() { case \$2 in --root-ca-file) printf '%s' '$1' ;; --cluster-signing-cert-file) printf '%s' '$2' ;; --config) printf '%s' '$CONF/kubelet.yaml' ;; esac; }" >"$FAKE/script"
    on_master bash -s <"$FAKE/script" 2>/dev/null 3>&- | sed -n 's/^path //p' >"$FAKE/paths-told"
    for row in root-ca signing-ca kubelet-ca; do grep "^$row " "$FAKE/paths-told"; done
  }
  [ "$(survey "$PKI/ca.crt" "$PKI/ca.crt")" = "root-ca $PKI/ca.crt
signing-ca $ROOT/nonexistent
kubelet-ca $ROOT/nonexistent" ]
  [ "$(survey "$PKI/apiserver-ca.crt" "$PKI/front-proxy-ca.crt")" = "root-ca $ROOT/nonexistent
signing-ca $ROOT/nonexistent
kubelet-ca $CONF/pki/link.crt" ]
}

@test "a record from before a file was looked after says nothing of it: its time does; one with it decides by content" {
  local -r index=$(index_of root-ca) kubelet='identity() { printf "boot 1 5000"; }; start_epoch() { printf 100; };'
  local -r row="FILE_PATH[$index]='$PKI/ca.crt'"
  # at SECONDS: whether the kubelet is stale when the file has changed at that time, and what a path is asked
  # by is that file's alone
  at() { call "$kubelet"' newest_change() { [ "${2:-}" = later ] || printf 9; printf '"$1"'; }; if is_stale kubelet; then printf stale; else printf fresh; fi' "$row"; }
  call "$kubelet record_start kubelet" "FILE_PATH[$index]=/nonexistent"
  cp "$PKI/apiserver-ca.crt" "$PKI/ca.crt"
  [ "$(at 99)" = fresh ]
  [ "$(at 100)" = stale ]
  call "$kubelet record_start kubelet" "$row"
  [ "$(at 100)" = fresh ]
  printf '\n' >>"$PKI/ca.crt"
  [ "$(at 99)" = stale ]
  cp "$PKI/apiserver-ca.crt" "$PKI/ca.crt"
  printf '\n' >>"$PKI/apiserver-ca.crt"
  [ "$(at 99)" = stale ]
}

@test "certificates and kubeconfigs that no row has are told once, by their real path, and no key is" {
  mkdir -p "$CONF/deep/er" "$ROOT/var/lib/etcd/cert"
  cp "$PKI/apiserver.crt" "$CONF/deep/er/copy.pem"
  cat "$PKI/apiserver.key" >>"$CONF/deep/er/copy.pem"
  ln -s deep/er/copy.pem "$CONF/link.pem"
  ln -s / "$CONF/everything"
  cp "$CONF/admin.conf" "$CONF/mine.conf"
  head -c 100000 /dev/zero | cat "$PKI/apiserver.crt" - >"$CONF/large.pem"
  printf 'nothing\n' >"$CONF/audit-policy.yaml"
  script survey >"$FAKE/script"
  on_master bash -s <"$FAKE/script" 2>/dev/null 3>&- >"$FAKE/stdout"
  diff <(sed -n 's/^stranger \([^\o037]*\).*/\1/p' "$FAKE/stdout" | sort) <(printf '%s\n' "$CONF/deep/er/copy.pem" "$CONF/mine.conf")
  diff <(grep -F "stranger $CONF/mine.conf" "$FAKE/stdout" | tr '\037' '\n' | sed '1d; /^$/d') <(embedded client-certificate-data)
  [ "$(grep -c -F -e PRIVATE -e "$(sed -n 2p "$PKI/apiserver.key")" "$FAKE/stdout")" = 0 ]
}

@test "private keys beside etcd's that no row has are told by their public ones, and what is none stops nothing" {
  local -r folder=$ROOT/var/lib/etcd/cert
  mkdir -p "$folder/deep" "$CONF/deep"
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:named_curve >"$folder/ca-key.pem" 2>/dev/null
  openssl pkey -in "$folder/ca-key.pem" -aes128 -passout pass:words -out "$folder/encrypted-key.pem"
  openssl ec -in "$folder/ca-key.pem" -aes128 -passout pass:words -out "$folder/old-encrypted-key.pem" 2>/dev/null
  cp "$folder/ca-key.pem" "$CONF/deep/elsewhere-key.pem"
  ln -s "$CONF/deep/elsewhere-key.pem" "$folder/link-key.pem"
  openssl genrsa 2048 2>/dev/null | cat "$PKI/apiserver.crt" - >"$folder/deep/with its certificate.pem"
  head -c 100000 /dev/zero | cat "$folder/ca-key.pem" - >"$folder/large-key.pem"
  printf -- '-----BEGIN PRIVATE KEY-----\nnothing\n' >"$folder/broken-key.pem"
  mkfifo "$folder/pipe-key.pem"
  script survey >"$FAKE/script"
  on_master bash -s <"$FAKE/script" 2>/dev/null 3>&- >"$FAKE/stdout"
  [ "$(tail -n 1 "$FAKE/stdout")" = end ]
  diff <(sed -n 's/^stranger-key //p' "$FAKE/stdout" | sort) <(
    for file in "$folder/ca-key.pem" "$folder/deep/with its certificate.pem"; do
      printf '%s\037' "$file" && openssl pkey -in "$file" -pubout | paste -s -d $'\037'
    done | sort
  )
  grep -qF "stranger $folder/deep/with its certificate.pem" "$FAKE/stdout"
  [ "$(grep -c -F -e PRIVATE -e "$(sed -n 2p "$folder/ca-key.pem")" "$FAKE/stdout")" = 0 ]
}

# listing FILE REAL-FILE: the line
listing() {
  printf 'listing master-1 %s %s %s %s' "$1" "$PKI/$2" "$(openssl x509 -in "$PKI/$2" -outform DER | sha256sum | cut -d ' ' -f 1)" "$(openssl x509 -in "$PKI/$2" -noout -enddate | cut -d = -f 2)"
}

@test "the official listings name each certificate with where it lies, its hash and its end, and no key" {
  ln -s apiserver.crt "$PKI/a-link.crt"
  cp "$PKI/apiserver.key" "$PKI/a-key.crt"
  call "cd '$PKI'; LISTINGS=('a*.crt'); report_listings" >"$FAKE/stdout"
  diff "$FAKE/stdout" - <<EXPECTED
$(listing a-link.crt apiserver.crt)
$(listing apiserver-ca.crt apiserver-ca.crt)
$(listing apiserver.crt apiserver.crt)
EXPECTED
}

@test "a kubeconfig that embeds nothing, or two users, is left alone" {
  printf 'users: [{user: {client-certificate: /var/lib/kubelet/pki/kubelet-client-current.pem}}]\n' >"$CONF/admin.conf"
  call 'make_renewals; [ "$KEPT_GROUPS" = " admin.conf" ]' "$renew"
  kubeconfig "$CONF/admin.conf" front-proxy-client
  sed '/client-/p' "$CONF/admin.conf" >"$CONF/twice" && mv "$CONF/twice" "$CONF/admin.conf"
  call 'make_renewals; [ "$KEPT_GROUPS" = " admin.conf" ]' "$renew"
}

@test "who holds an earlier certificate: workers until they are noted as done, ConfigMaps that embed it, each with its day and a command" {
  local -r folder="$(state)/backup" authority="$PKI/apiserver-ca.crt"
  local first second now nodes="$FAKE/nodes"
  # stands for kubectl: the nodes, and ConfigMaps as they are in $FAKE
  printf '%s\n' '#!/bin/bash' 'case "$*" in *"get nodes"*) cat "$FAKE/nodes" ;; *"get configmap"*) cat "$FAKE/$5" 2>/dev/null ;; esac' >"$FAKE/bin/kubectl"
  chmod +x "$FAKE/bin/kubectl"
  printf 'm1|10.9.0.1|\nw1|10.9.0.21|\nw2||\n' >"$nodes"
  local -r stubs='printf_line() { printf "%s\n" "$4" && printf "%s\n" "$1 $2 $3" >>"$FAKE/fields"; }; is_api_ready() { :; }'
  carriers() { call 'report_carriers printf_line' "$stubs"; }
  [ "$(carriers)" = '' ]
  for each in 1 2; do
    mkdir -p "$folder/rollout-$each/files$PKI"
    cp "$authority" "$folder/rollout-$each/files$authority"
    openssl req -x509 -new -key "$PKI/apiserver-ca.key" -days "$((each * 1000))" -subj /O=lab/CN=kubernetes -out "$authority"
  done
  # another authority, which has ended: nobody's earlier one
  mkdir -p "$folder/rollout-3/files$PKI"
  openssl req -x509 -new -key "$PKI/front-proxy-ca.key" -days 1 -subj /O=lab/CN=kubernetes -out "$folder/rollout-3/files$authority"
  first=$(call "fingerprint <'$folder/rollout-1/files$authority'") second=$(call "fingerprint <'$folder/rollout-2/files$authority'") now=$(call "fingerprint <'$authority'")
  printf '%s\n' 'clusters:' '- cluster:' "    certificate-authority-data: $(base64 -w 0 <"$folder/rollout-2/files$authority")" >"$FAKE/cluster-info"
  # the second certificate ends after 1000 days, the first after 100
  local -r early="valid until $(date -u -d "$(openssl x509 -in "$folder/rollout-1/files$authority" -noout -enddate | cut -d = -f 2)" +%Y-%m-%d)"
  local -r late="valid until $(date -u -d "$(openssl x509 -in "$folder/rollout-2/files$authority" -noout -enddate | cut -d = -f 2)" +%Y-%m-%d)"
  local -r conf="$CONF/admin.conf" script="$(state)/worker-authority"
  # what an earlier rollout wrote brings an earlier certificate
  call "worker_script \"\$(cat '$folder/rollout-2/files$authority')\" >'$script'"
  [[ "$(carriers)" == *"worker w1: $early; run pulumi up with another kubernetes.rotation first: master-1 has no command for this authority"* ]]
  call "worker_script \"\$(cat '$authority')\" >'$script'"
  carriers >"$FAKE/said"
  [ "$(sed -n 1p "$FAKE/said")" = "kubeconfigs that embed an earlier certificate of cluster-ca: $early; give them $authority" ]
  [ "$(sed -n 2p "$FAKE/said")" = "worker w1: $early; run on master-1: ssh root@10.9.0.21 bash -s <$script && kubectl --kubeconfig $conf annotate node w1 --overwrite etcd-rotation/cluster-ca=$now" ]
  [[ "$(sed -n 3p "$FAKE/said")" == "worker w2: $early; run on master-1: ssh root@w2 bash -s <"* ]]
  [[ "$(sed -n 4p "$FAKE/said")" == "ConfigMap kube-public/cluster-info: $late; run on master-1: kubectl --kubeconfig $conf get configmap cluster-info -n kube-public -o yaml | sed "* ]]
  [ "$(wc -l <"$FAKE/said")" = 4 ]
  # and so a survey says it
  PROGRAM=survey carriers | diff "$FAKE/said" -
  local -r end="$(date -u -d "$(openssl x509 -in "$folder/rollout-1/files$authority" -noout -enddate | cut -d = -f 2)" +%s)"
  diff <(tail -n 4 "$FAKE/fields" | cut -d ' ' -f 1-3 | head -n 3) <(printf '%s\n' "other - $end" "worker w1 $end" "worker w2 $end")
  [[ "$(tail -n 1 "$FAKE/fields")" == 'config-map kube-public/cluster-info '* ]]
  # noted as done: with the certificate of today, and with the second one
  printf 'm1|10.9.0.1|\nw1|10.9.0.21|%s\nw2||%s\n' "$now" "$second" >"$nodes"
  rm "$FAKE/cluster-info"
  carriers >"$FAKE/said"
  [[ "$(sed -n 2p "$FAKE/said")" == "worker w2: $late; run on "* ]]
  [ "$(wc -l <"$FAKE/said")" = 2 ]
  # what a node says of itself is no command, one of two kinds is enough, and a master is none by either
  printf '%s\n' 'w1|x$(touch owned);true|' 'w2|10.9.0.22 fd00::22|' 'm1|10.9.0.1 fd00::1|' 'w 3|10.9.0.23|' 'W4;id|10.9.0.24|' >"$nodes"
  carriers >"$FAKE/said"
  [[ "$(sed -n 2p "$FAKE/said")" == *"; run on master-1: ssh root@w1 bash -s <"* ]]
  [[ "$(sed -n 3p "$FAKE/said")" == *"; run on master-1: ssh root@10.9.0.22 bash -s <"* ]]
  [ "$(wc -l <"$FAKE/said")" = 3 ]
  # expired, by a clock that is ahead
  [[ "$(call 'report_carriers printf_line' "$stubs"'; date() { case "$*" in +%s) command date -d "+200 days" +%s ;; *) command date "$@" ;; esac; }')" == *"cluster-ca: expired on ${early#valid until }; give"* ]]
  # a kube-apiserver that does not answer
  printf '%s\n' '#!/bin/bash' 'exit 1' >"$FAKE/bin/kubectl"
  [[ "$(carriers)" == *"workers are not known, since kube-apiserver did not list the nodes; their certificates: $early" ]]
}
