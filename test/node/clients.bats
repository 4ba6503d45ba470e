# Clients of etcd besides Kubernetes: what the survey tells of them, and the command that is printed for a
# Secret, run as printed.
#
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # tests are functions; variables of the helpers

load master

setup() {
  start_master
  CONF="$FAKE/admin.conf"
  : >"$CONF"
  : >"$FAKE/secrets"
  # stands for kubectl: the Secrets of $FAKE/secrets as the template prints them, KEY FILE a line below each
  # name; one of them in full, and what replaces it
  cat >"$FAKE/bin/kubectl" <<'KUBECTL'
#!/bin/bash
printf 'kubectl %s\n' "$*" >>"$FAKE/argv"
case $* in
  *"get secrets --all-namespaces"*)
    [ ! -e "$FAKE/hangs" ] || exec sleep 600
    mark=$(printf '%s\n' "$*" | grep -oE '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}' | head -n 1)
    while read -r key file; do
      case $key in
        */*) secret=$key ;;
        *) printf '\n%s\037Secret %s\037%s\n' "$mark" "$secret" "$key" && cat "$file" ;;
      esac
    done <"$FAKE/secrets"
    ;;
  *"get secret "*) cat "$FAKE/secret.json" ;;
  *"replace -f -") cat >"$FAKE/replaced.json" ;;
esac
KUBECTL
  chmod +x "$FAKE/bin/kubectl"
}
teardown() { stop_master; }

# survey [ASSIGNMENTS]: into $FAKE/stdout
survey() {
  script survey "ADMIN_CONF='$CONF'; ${1:-}" >"$FAKE/script"
  on_master bash -s <"$FAKE/script" >"$FAKE/stdout" 2>"$FAKE/stderr" 3>&-
}

# clients: as the model reads them, with the commands
clients() {
  PATH=$BATS_TEST_DIRNAME/../../node_modules/.bin:$PATH node "$BATS_TEST_DIRNAME/client-commands.ts" "$ROOT" <"$FAKE/stdout"
}

# holdings: the holder and the name of each, and whether a certificate or a private key is told
holdings() {
  sed -n -e 's/^holder //p' "$FAKE/stdout" | awk -F '\037' '{ print $1 ": " $2 ($4 == "" ? "" : ", certificate") ($3 == "-" ? "" : ", key") }'
}

# json: the Secret as kubectl prints it
json() {
  printf '%s\n' '{' '    "apiVersion": "v1",' '    "data": {' "        \"ca.pem\": \"$1\"," '        "other": "aGVsbG8=",' "        \"tls.crt\": \"$2\"," \
    "        \"tls.key\": \"$3\"" '    },' '    "kind": "Secret",' '    "metadata": {' '        "labels": {' '            "tls.key": "a-label"' '        }' '    }' '}'
}

@test "of all Secrets those with a certificate of etcd are told, without a key, and the printed command brings one the files of the master" {
  local key
  {
    printf '\n\037\n'
    cat "$SUITE/old/client.pem"
    printf '\037Secret kube-system/forged\037a\nholder Secret kube-system/forged\037a\037-\037\n'
    cat "$SUITE/old/client-key.pem"
  } >"$FAKE/odd.pem"
  printf '%s\n' 'web/tls' "tls.crt $SUITE/new/client.pem" "tls.key $SUITE/new/client-key.pem" \
    'monitoring/etcd-client' "ca.pem $(at etcd-ca)" "tls.crt $SUITE/old/client.pem" "tls.key $SUITE/old/client-key.pem" \
    'backup/combined' "all.pem $FAKE/odd.pem" \
    'tenant/public' "tls.crt $SUITE/old/server.pem" "tls.key $SUITE/new/client-key.pem" >"$FAKE/secrets"
  watch_commands
  survey
  diff "$FAKE/stderr" /dev/null
  diff <(holdings) - <<'EXPECTED'
Secret monitoring/etcd-client: ca.pem, certificate
Secret monitoring/etcd-client: tls.crt, certificate
Secret monitoring/etcd-client: tls.key, key
Secret backup/combined: all.pem, certificate, key
Secret tenant/public: tls.crt, certificate
Secret tenant/public: tls.key, key
EXPECTED
  [ "$(grep -c PRIVATE "$FAKE/stdout")" = 0 ]
  [ "$(cat "$FAKE/stdout" "$FAKE/argv" | grep -c -F -e "$(sed -n 2p "$SUITE/old/client-key.pem")")" = 0 ]
  # who has only what everybody can see holds nothing up, and is brought no key
  [ "$(clients | sed 's/ get .*//')" = "Secret monitoring/etcd-client true
cat $(at apiserver-etcd-ca) $(at apiserver-etcd-client) $(at apiserver-etcd-client-key) >/dev/null && kubectl --kubeconfig $CONF
Secret backup/combined true

Secret tenant/public false" ]
}

@test "the printed command takes the files that are there when it runs, changes nothing else, and stops where one is missing" {
  local key
  # printed for a root without a space in its name, as on every real master
  printf '%s\n' 'monitoring/etcd-client' "ca.pem $(at etcd-ca)" "tls.crt $SUITE/old/client.pem" "tls.key $SUITE/old/client-key.pem" >"$FAKE/secrets"
  survey
  ln -s "$ROOT" "$BASE/root" && ln -s "$CONF" "$BASE/conf"
  sed -i "s|^kubeconfig .*|kubeconfig $BASE/conf|" "$FAKE/stdout"
  ROOT=$BASE/root clients | sed -n 2p >"$FAKE/command"
  json b2xk b2xk b2xk >"$FAKE/secret.json"
  cp "$SUITE/new/client.pem" "$(at apiserver-etcd-client)"
  cp "$SUITE/new/client-key.pem" "$(at apiserver-etcd-client-key)"
  cat "$SUITE/new/ca.pem" >>"$(at apiserver-etcd-ca)"
  watch_commands
  : >"$FAKE/argv"
  on_master bash "$FAKE/command" 3>&-
  key=$(base64 -w 0 "$SUITE/new/client-key.pem")
  diff "$FAKE/replaced.json" <(json "$(base64 -w 0 "$(at apiserver-etcd-ca)")" "$(base64 -w 0 "$SUITE/new/client.pem")" "$key")
  [ "$(grep -c -F -e "${key:40:40}" "$FAKE/argv")" = 0 ]
  rm "$FAKE/replaced.json" "$(at apiserver-etcd-client-key)"
  on_master bash "$FAKE/command" 2>/dev/null 3>&- && return 1
  [ ! -e "$FAKE/replaced.json" ]
}

@test "a kube-apiserver that does not answer, or no kubectl, is told, and holds the survey up for seconds only" {
  : >"$FAKE/hangs"
  survey 'ask_kubernetes() { timeout 0.2 kubectl --kubeconfig "$@"; }'
  grep -qx 'holders-cut since kube-apiserver did not list them within 10 s' "$FAKE/stdout"
  [ "$(tail -n 1 "$FAKE/stdout")" = end ]
  rm "$CONF"
  survey
  grep -qx "holders-cut since master-1 has no kubectl with $CONF" "$FAKE/stdout"
}

@test "what a namespace has too much of is cut, and told, and no other namespace's with it" {
  local i
  for i in {1..60}; do printf 'a/s%s\ntls.crt %s\n' "$i" "$SUITE/old/server.pem"; done >"$FAKE/secrets"
  printf 'monitoring/etcd-client\ntls.crt %s\ntls.key %s\n' "$SUITE/old/client.pem" "$SUITE/old/client-key.pem" >>"$FAKE/secrets"
  survey
  [ "$(grep -c '^holder Secret a/' "$FAKE/stdout")" = 50 ]
  [ "$(grep -c '^holder Secret monitoring/' "$FAKE/stdout")" = 2 ]
  grep -qx 'holders-cut since there is too much of Secret a' "$FAKE/stdout"
}

@test "a process with a connection is told by its name and unit, as old and new iproute2 have it, with the files that it names" {
  local api inside old
  for old in '' old; do
    printf '#!/bin/bash\nread -r _ <>"$FAKE/fifo"\n' >"$FAKE/exe/scraper$old"
    chmod +x "$FAKE/exe/scraper$old"
  done
  # relative, absolute and in its environment; and what is no file, or none of etcd's
  on_master env KEY="$SUITE/old/client-key.pem" bash -c 'cd "$1" && shift && exec "$@"' - "$SUITE/old" "$FAKE/exe/scraper" --cert=client.pem /nonexistent "$SUITE/new/ca.pem" </dev/null >/dev/null 2>&1 3>&- &
  on_master "$FAKE/exe/scraperold" </dev/null >/dev/null 2>&1 3>&- &
  until on_master pgrep -f exe/scraperold >/dev/null && on_master pgrep -f 'exe/scraper --cert' >/dev/null; do sleep 0.05; done
  api=$(on_master pgrep -x kube-apiserver) inside=$(on_master pgrep -f 'bash .*exe/scraper --cert') old=$(on_master pgrep -f 'bash .*exe/scraperold')
  printf '%s\n' '#!/bin/bash' 'case $* in *dport*) ;; *) exit 0 ;; esac' \
    "printf '%s\n' 'Recv-Q Send-Q Local Peer' '0 0 10.9.0.1:5 10.9.0.1:2379 users:((\"kube-apiserver\",pid=$api,fd=9))' \
    '0 0 10.9.0.1:6 10.9.0.2:2379 users:((\"scraper\",pid=$inside,fd=3))' '0 0 [::1]:7 [::ffff:10.9.0.3]:2379 users:((\"scraperold\",$old,3))'" >"$FAKE/bin/ss"
  chmod +x "$FAKE/bin/ss"
  survey
  [ "$(sed -n 's/^connected process \(.*\) in .*/\1/p' "$FAKE/stdout" | sort)" = $'scraper\nscraperold' ]
  [ "$(holdings | sed 's/ in [^:]*:/:/' | LC_ALL=C sort)" = "process scraper: $SUITE/old/client-key.pem, key
process scraper: client.pem, certificate" ]
  [ "$(grep -c PRIVATE "$FAKE/stdout")" = 0 ]
  [[ "$(clients)" == *'process scraper in '*' on master-1 true'* ]]
}
