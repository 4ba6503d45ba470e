# The survey: what the program reads from it, and that it changes nothing.
#
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2153,SC2154 # text for another bash; tests are functions;
# variables that the helpers set or read

load master

setup() { start_master; }
teardown() { stop_master; }

@test "the survey is read by the model, shows no key and writes nothing" {
  local before facts
  mkdir -p "$(state)/backup/rollout-3" "$(state)/backup/rollout-4.new" "$ROOT/var/lib/etcd/cert/.etcd-rotation.new" "$(state)/journal"
  touch -d @1764064800 "$(state)/receipt"
  before=$(cd "$ROOT" && find . -printf '%i %T@ %C@ %p\n')
  script survey >"$FAKE/script"
  on_master bash -s <"$FAKE/script" >"$FAKE/stdout" 2>"$FAKE/stderr" 3>&-
  [ "$(cd "$ROOT" && find . -printf '%i %T@ %C@ %p\n')" = "$before" ]
  [ "$(grep -c PRIVATE "$FAKE/stdout")" = 0 ]
  diff "$FAKE/stderr" /dev/null
  facts=$(PATH=$BATS_TEST_DIRNAME/../../node_modules/.bin:$PATH node "$BATS_TEST_DIRNAME/parse-survey.ts" "$ROOT" <"$FAKE/stdout")
  diff <(printf '%s\n' "$facts") - <<EXPECTED
etcd healthy, leader true, api true, cluster 4242, version 3.4.23, database 20480
processes etcd fresh, kube-apiserver fresh
flags --trusted-ca-file=$(at etcd-ca) --etcd-cafile=$(at apiserver-etcd-ca)
served 2379 CN=server old, 2380 CN=peer old
receipt etcd-rotation/production 7 it's "2026" \$HOME \`id\` \\ * complete false
backups 3
leftovers $ROOT/var/lib/etcd/cert/.etcd-rotation $(state)/journal
etcd-server present 4242:4243-less 644 CN=server old
etcd-server-key 600 matches its certificate true
recorded 1764064800, lock undefined, at work undefined undefined
EXPECTED
}

@test "the survey of a master that is down is complete, and says so" {
  kill_component etcd kube-apiserver
  rm "$(at etcd-client)" "$(at etcd-client-key)"
  rm -r "$(state)"
  script survey >"$FAKE/script"
  on_master bash -s <"$FAKE/script" >"$FAKE/stdout" 2>/dev/null 3>&-
  [ "$(head -n 1 "$FAKE/stdout")" = 'survey 1' ]
  [ "$(tail -n 1 "$FAKE/stdout")" = end ]
  cut -c 1-200 "$FAKE/stdout"
  [ "$(grep -c '^process etcd ' "$FAKE/stdout")" = 0 ]
  grep -qx 'etcd stopped the unit etcd is not active' "$FAKE/stdout"
  [ "$(grep -c '^file etcd-client ' "$FAKE/stdout")" = 0 ]
  grep -qx 'api not-ready' "$FAKE/stdout"
  [ "$(grep -cx answers "$FAKE/stdout")" = 0 ]
  [ ! -e "$(state)" ]
}

@test "the files of a backup that is to be restored are told as those in place are, if they are as its manifest says" {
  local id kind expected
  call backup "BACKUP_DIR='$(state)/backup' ROLLOUT=3 TAKE_SNAPSHOT=0" >"$FAKE/stdout" 2>"$FAKE/stderr"
  printf 'changed\n' >>"$(state)/backup/rollout-3/files$(at etcd-peer)"
  script survey "BACKUP_DIR='$(state)/backup' RESTORE=3" >"$FAKE/script"
  on_master bash -s <"$FAKE/script" >"$FAKE/stdout" 2>/dev/null 3>&-
  while read -r id _ kind _; do
    case $kind in
      key) expected="saved $id $(awk -v id="$id" '$1 == "file" && $2 == id { print $6 }' "$FAKE/stdout")" ;;
      *) expected="saved $id - $(sed -n "s/^pem $id //p" "$FAKE/stdout")" ;;
    esac
    if [ "$id" = etcd-peer ]; then expected=''; fi
    [ "$(grep "^saved $id " "$FAKE/stdout")" = "$expected" ]
  done <"$SUITE/rows"
  [ "$(grep -c '^saved ' "$FAKE/stdout")" = 10 ]
}

@test "the leaves of all backups are told, each once, and no authority and no key" {
  call backup "BACKUP_DIR='$(state)/backup' ROLLOUT=3 TAKE_SNAPSHOT=0" 2>/dev/null
  call backup "BACKUP_DIR='$(state)/backup' ROLLOUT=4 TAKE_SNAPSHOT=0" 2>/dev/null
  cp "$(content_of new etcd-peer)" "$(state)/backup/rollout-4/files$(at etcd-peer)"
  rm "$(state)/backup/rollout-3/files$(at etcd-client)"
  script survey "BACKUP_DIR='$(state)/backup'" >"$FAKE/script"
  on_master bash -s <"$FAKE/script" >"$FAKE/stdout" 2>/dev/null 3>&-
  diff <(grep '^earlier ' "$FAKE/stdout") <(
    for file in "$SUITE"/old/{server,peer,client}.pem "$(content_of new etcd-peer)"; do printf 'earlier %s\n' "$(tr '\n' '\037' <"$file")"; done | LC_ALL=C sort
  )
}

# version_said: the line of the survey
version_said() {
  script survey "API_MANIFEST='$FAKE/manifest'" >"$FAKE/script"
  on_master bash -s <"$FAKE/script" 2>/dev/null 3>&- | grep '^kubernetes' || :
}

@test "the version of Kubernetes is told by the image of kube-apiserver, whether it runs or not, else by its own word" {
  local image
  [ "$(version_said)" = '' ]
  printf 'v1.16.9-aliyun.1' >"$FAKE/api-version"
  [ "$(version_said)" = 'kubernetes v1.16.9-aliyun.1' ]
  for image in 'registry.local:5000/acs/kube-apiserver@sha256:0123' 'registry.local:5000/acs/kube-apiserver' 'acs/other:v1.2.3'; do
    printf '  containers:\n  - name: kube-apiserver\n    image: %s\n' "$image" >"$FAKE/manifest"
    [ "$(version_said)" = 'kubernetes v1.16.9-aliyun.1' ]
  done
  : >"$FAKE/api-not-ready"
  for image in 'registry.local:5000/acs/kube-apiserver:v1.18.8-aliyun.1' '"acs/kube-apiserver:v1.18.8-aliyun.1"' "'acs/hyperkube-amd64:v1.18.8-aliyun.1' # the same" acs/kube-apiserver:v1.18.8-aliyun.1@sha256:0123; do
    printf '  - image: acs/proxy:v1.2.3\n  - image: %s\n    image: %s\n' x "$image" >"$FAKE/manifest"
    [ "$(version_said)" = 'kubernetes v1.18.8-aliyun.1' ]
  done
}

@test "who is connected to etcd is told, each once, by an ss that knows only the options of 2013" {
  printf '%s\n' '#!/bin/bash' 'case $* in *-[!-]*H*) exit 255 ;; esac' \
    'printf "%-6s %-6s %26s %26s\n" Recv-Q Send-Q "Local Address:Port" "Peer Address:Port" 0 0 10.9.0.1:2379 10.9.0.7:40000 0 0 10.9.0.1:2379 10.9.0.7:40001 0 0 ::ffff:10.9.0.1:2379 ::ffff:10.9.0.8:40000' >"$FAKE/bin/ss"
  chmod +x "$FAKE/bin/ss"
  script survey >"$FAKE/script"
  on_master bash -s <"$FAKE/script" >"$FAKE/stdout" 2>/dev/null 3>&-
  diff <(grep '^client ' "$FAKE/stdout") <(printf 'client 10.9.0.%s\n' 7 8)
}

@test "a certificate file that is damaged, with a key behind it, shows no key" {
  { sed '$d' "$SUITE/old/server.pem" && cat "$SUITE/old/server-key.pem"; } >"$(at etcd-server)"
  script survey >"$FAKE/script"
  on_master bash -s <"$FAKE/script" >"$FAKE/stdout" 2>/dev/null 3>&-
  [ "$(grep -c -F -e PRIVATE -e "$(sed -n 2p "$SUITE/old/server-key.pem")" "$FAKE/stdout")" = 0 ]
}

@test "settings that etcd has from its environment are told, and nothing else of it" {
  on_master env ETCD_PEER_CERT_FILE=/env/peer.pem ETCD_TRUSTED_CA_FILE=/env/ca.pem ETCD_ROOT_PASSWORD=hunter2 "$BATS_TEST_DIRNAME/fakes/systemctl" restart --no-block etcd
  script survey >"$FAKE/script"
  on_master bash -s <"$FAKE/script" 2>/dev/null 3>&- | grep '^arguments etcd ' | tr '\037' '\n' >"$FAKE/stdout"
  grep -qx -- '--peer-cert-file=/env/peer.pem' "$FAKE/stdout"
  [ "$(grep -m 1 -e '--trusted-ca-file=' "$FAKE/stdout")" = "--trusted-ca-file=$(at etcd-ca)" ]
  [ "$(grep -c -e hunter2 -e PATH= "$FAKE/stdout")" = 0 ]
}

@test "an argument of a process with a line break in it is one line of the survey" {
  on_master "$BATS_TEST_DIRNAME/fakes/systemctl" restart kubelet
  kill_component kube-apiserver
  on_master setsid "$FAKE/exe/kube-apiserver" -c 'read -r _ <>"$0"' "$FAKE/fifo" $'--client-ca-file=/x.crt\nnot healthy' $'--y\nnot ready' </dev/null >/dev/null 2>&1 3>&- &
  until host_pid kube-apiserver >/dev/null 2>&1; do sleep 0.05; done
  script survey "FILE_ID[11]=cluster-ca FILE_PATH[11]=/a FILE_KIND[11]=authority FILE_SIGNER[11]=cluster-ca FILE_GROUP[11]=cluster-ca FILE_FLAG[11]='kube-apiserver --client-ca-file' FILE_FIELD[11]='' FILE_LATER[11]=''" >"$FAKE/script"
  on_master bash -s <"$FAKE/script" >"$FAKE/stdout" 2>/dev/null 3>&-
  grep -qx 'path cluster-ca /x.crt' "$FAKE/stdout"
  [ "$(grep -c '^not ' "$FAKE/stdout")" = 0 ]
}

@test "a name with line breaks makes no fact of its own" {
  local -r odd=$ROOT/var/lib/etcd/cert/$'x\netcd forged\nleader\nend\nca.pem'
  mkdir -p "${odd%/*}"
  mv "$(at etcd-ca)" "$odd"
  ln -s "$odd" "$(at etcd-ca)"
  script survey >"$FAKE/script"
  on_master bash -s <"$FAKE/script" >"$FAKE/stdout" 2>/dev/null 3>&-
  grep -q "^file [a-z-]* .* readable .* ${odd%%$'\n'*} etcd forged leader end ca.pem\$" "$FAKE/stdout"
  [ "$(grep -c '^etcd ' "$FAKE/stdout")" = 1 ]
  [ "$(grep -cx end "$FAKE/stdout")" = 1 ]
  [ "$(grep -cx leader "$FAKE/stdout")" = 1 ]
}

@test "input that sudo records is refused, and the line that the message names excludes it" {
  local entry
  for entry in 'log_input, iolog_dir=/x' 'env_reset,\n    log_input' '!log_input, log_input'; do
    printf '#!/bin/bash\n[ "$*" = "-n -l -U ops" ] || exit 1\nprintf "Matching Defaults entries for ops on m:\\n    %%b\\n\\nUser ops may run:\\n    ALL\\n" "%s"\n' "$entry" >"$FAKE/bin/sudo"
    chmod +x "$FAKE/bin/sudo"
    script survey SUDO_USER=ops >"$FAKE/script"
    run on_master bash -s <"$FAKE/script"
    [ "$status" = 3 ]
    case $output in *'it records the standard input of ops (log_input); expected Defaults:ops !log_input'*) ;; *) false ;; esac
  done
  for entry in 'env_reset' 'log_input, iolog_dir=/x, !log_input' 'log_input\n\nRunas and Command-specific defaults for ops:\n    Defaults!/bin/bash !log_input' 'env_reset\n\nDefaults!/bin/other log_input'; do
    printf '#!/bin/bash\nprintf "Matching Defaults entries for ops on m:\\n    %%b\\n\\nUser ops may run:\\n    ALL\\n" "%s"\n' "$entry" >"$FAKE/bin/sudo"
    call refuse_recorded_input "SUDO_USER=ops; $(sed -n '/^refuse_recorded_input()/,/^}/p' "$BATS_TEST_DIRNAME/../../components/node/bin/survey.sh")"
  done
}
