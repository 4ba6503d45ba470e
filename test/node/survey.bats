# The survey: what the program reads from it, and that it changes nothing.
#
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2153,SC2154 # text for another bash; each test is a function of its own;
# variables that the helpers set or read

load master

setup() { start_master; }
teardown() { stop_master; }

@test "the survey is read by the model, shows no key and writes nothing" {
  local before facts
  mkdir -p "$(state)/backup/rollout-3" "$(state)/backup/rollout-4.new" "$ROOT/var/lib/etcd/cert/.etcd-rotation.new" "$(state)/journal"
  before=$(cd "$ROOT" && find . -printf '%i %T@ %C@ %p\n')
  script survey >"$FAKE/script"
  on_master bash -s <"$FAKE/script" >"$FAKE/stdout" 2>"$FAKE/stderr" 3>&-
  [ "$(cd "$ROOT" && find . -printf '%i %T@ %C@ %p\n')" = "$before" ]
  [ "$(grep -c PRIVATE "$FAKE/stdout")" = 0 ]
  diff "$FAKE/stderr" /dev/null
  facts=$(PATH=$BATS_TEST_DIRNAME/../../node_modules/.bin:$PATH node "$BATS_TEST_DIRNAME/parse-survey.ts" "$ROOT" <"$FAKE/stdout")
  diff <(printf '%s\n' "$facts") - <<EXPECTED
etcd healthy, leader true, api true, cluster 4242, version 3.4.23
processes etcd fresh, kube-apiserver fresh
flags --trusted-ca-file=$(at etcd-ca) --etcd-cafile=$(at apiserver-etcd-ca)
served 2379 CN=server old, 2380 CN=peer old
receipt etcd-rotation/production 7 it's "2026" \$HOME \`id\` \\ * complete false
backups 3
leftovers $ROOT/var/lib/etcd/cert/.etcd-rotation $(state)/journal
etcd-server present 4242:4243-less 644 CN=server old
etcd-server-key 600 matches its certificate true
lock undefined
EXPECTED
}

@test "the survey of a master that is down is complete, and says so" {
  kill -KILL "$(host_pid etcd)" "$(host_pid kube-apiserver)"
  until ! host_pid etcd 2>/dev/null && ! host_pid kube-apiserver 2>/dev/null; do sleep 0.05; done
  rm "$(at etcd-client)" "$(at etcd-client-key)"
  rm -r "$(state)"
  script survey >"$FAKE/script"
  on_master bash -s <"$FAKE/script" >"$FAKE/stdout" 2>/dev/null 3>&-
  [ "$(head -n 1 "$FAKE/stdout")" = 'survey 1' ] && [ "$(tail -n 1 "$FAKE/stdout")" = end ]
  cut -c 1-200 "$FAKE/stdout"
  grep -qx 'process etcd absent' "$FAKE/stdout"
  grep -qx 'etcd the unit etcd is not active' "$FAKE/stdout"
  grep -qx 'file 7 absent' "$FAKE/stdout"
  grep -qx 'api not-ready' "$FAKE/stdout"
  [ "$(grep -cx answers "$FAKE/stdout")" = 0 ]
  [ ! -e "$(state)" ]
}

@test "the files of a backup that is to be restored are told as those in place are, if they are as its manifest says" {
  local index kind expected
  call backup "BACKUP_DIR='$(state)/backup' ROLLOUT=3 TAKE_SNAPSHOT=0" >"$FAKE/stdout" 2>"$FAKE/stderr"
  printf 'changed\n' >>"$(state)/backup/rollout-3/files$(at etcd-peer)"
  script survey "BACKUP_DIR='$(state)/backup' RESTORE=3" >"$FAKE/script"
  on_master bash -s <"$FAKE/script" >"$FAKE/stdout" 2>/dev/null 3>&-
  while read -r _ index kind _; do
    case $kind in
      key) expected="saved $index $(awk -v index_="$index" '$1 == "file" && $2 == index_ { print $6 }' "$FAKE/stdout")" ;;
      *) expected="saved $index - $(sed -n "s/^pem $index //p" "$FAKE/stdout")" ;;
    esac
    if [ "$index" = "$(index_of etcd-peer)" ]; then expected=''; fi
    [ "$(grep "^saved $index " "$FAKE/stdout")" = "$expected" ]
  done <"$SUITE/rows"
  [ "$(grep -c '^saved ' "$FAKE/stdout")" = 10 ]
}

@test "a certificate file that is damaged, with a key behind it, shows no key" {
  { sed '$d' "$SUITE/old/server.pem" && cat "$SUITE/old/server-key.pem"; } >"$(at etcd-server)"
  script survey >"$FAKE/script"
  on_master bash -s <"$FAKE/script" >"$FAKE/stdout" 2>/dev/null 3>&-
  [ "$(grep -c -F -e PRIVATE -e "$(sed -n 2p "$SUITE/old/server-key.pem")" "$FAKE/stdout")" = 0 ]
}

@test "an argument of a process with a line break in it is one line of the survey" {
  on_master "$BATS_TEST_DIRNAME/fakes/systemctl" restart kubelet
  kill -KILL "$(host_pid kube-apiserver)"
  on_master setsid "$FAKE/exe/kube-apiserver" -c 'read -r _ <>"$0"' "$FAKE/fifo" $'--client-ca-file=/x.crt\nnot healthy' $'--y\nnot ready' </dev/null >/dev/null 2>&1 3>&- &
  until host_pid kube-apiserver >/dev/null 2>&1; do sleep 0.05; done
  script survey "FILE_PATH[11]=/a FILE_KIND[11]=authority FILE_SIGNER[11]=cluster-ca FILE_GROUP[11]=cluster-ca FILE_FLAG[11]='kube-apiserver --client-ca-file'" >"$FAKE/script"
  on_master bash -s <"$FAKE/script" >"$FAKE/stdout" 2>/dev/null 3>&-
  grep -qx 'path 11 /x.crt' "$FAKE/stdout"
  [ "$(grep -c '^not ' "$FAKE/stdout")" = 0 ]
}
