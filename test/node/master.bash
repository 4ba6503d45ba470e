# A master for the tests: real files under a root with a space in its name, real processes in namespaces of
# its own, and fakes for systemd, etcdctl and (but for REAL_TLS) the servers behind openssl s_client.

# start_master: a new one, with the old set, everything running and healthy. Sets ROOT, FAKE, MASTER_PID.
# The arguments of systemctl, etcdctl and openssl are in $FAKE/argv.
start_master() {
  local -r here=$BATS_TEST_DIRNAME
  local base=/dev/shm id owner mode path
  [ -w "$base" ] || base=$BATS_TEST_TMPDIR
  # in memory: each write is fsynced, and a disk would be most of the time
  BASE=$(mktemp -d "$base/etcd-rotation.XXXXXX")
  ROOT="$BASE/a master"
  FAKE="$BASE/fake state"
  mkdir -p "$ROOT" "$FAKE"/{bin,exe,members,unit,data/member} \
    "$ROOT"/var/lib/etcd/cert "$ROOT"/etc/kubernetes/pki/etcd "$ROOT"/var/lib/etcd-rotation
  chmod 700 "$ROOT"/var/lib/etcd-rotation
  install -m 600 "$SUITE/functions" "$ROOT"/var/lib/etcd-rotation/functions
  cp /bin/bash "$FAKE/exe/etcd"
  cp /bin/bash "$FAKE/exe/kube-apiserver"
  cp /bin/bash "$FAKE/exe/kubelet"
  mkfifo "$FAKE/fifo"
  ln -s "$here/fakes/command" "$FAKE/bin/systemctl"
  ln -s "$here/fakes/etcdctl" "$here/fakes/openssl" "$FAKE/bin/"
  printf '0\n' >"$FAKE/count"
  printf 4242 >"$FAKE/cluster-id"
  printf 1 >"$FAKE/leader"
  printf 20480 >"$FAKE/db-size"
  : >"$FAKE/member-list"
  list_member 10.9.0.1 10.9.0.1-name-1
  : >"$FAKE/argv"
  printf 'WorkingDirectory=%s\n' "$FAKE" >"$FAKE/unit/WorkingDirectory"
  printf 'ExecStart={ path=/usr/bin/etcd ; argv[]=%s ; ignore_errors=no ; pid=0 }\n' \
    '/usr/bin/etcd --data-dir=data' >"$FAKE/unit/ExecStart"
  DATA=${DATA:-$SUITE/data} ROWS=${ROWS:-$SUITE/rows}
  while read -r id _ _ owner mode path; do
    path=${path/@ROOT@/$ROOT}
    install -o "${owner%:*}" -g "${owner#*:}" -m "$mode" "$(content_of old "$id")" "$path"
  done <"$SUITE/rows"
  {
    printf 'ADDRESS=10.9.0.1\n'
    printf '%s=%q\n' SERVER_CA "$(at etcd-ca)" SERVER_CERT "$(at etcd-server)" \
      PEER_CA "$(at etcd-peer-ca)" PEER_CERT "$(at etcd-peer)" CLIENT_CA "$(at apiserver-etcd-ca)"
  } >"$FAKE/paths"
  unshare --pid --fork --mount-proc --net --uts --kill-child "$here/fakes/init" "$FAKE" 10.9.0.1/32 \
    </dev/null >/dev/null 2>&1 3>&- &
  UNSHARE_PID=$!
  until [ -p "$FAKE/wait" ]; do sleep 0.02; done
  MASTER_PID=$(cat "/proc/$UNSHARE_PID/task/$UNSHARE_PID/children")
  MASTER_PID=${MASTER_PID% }
  on_master "$here/fakes/systemctl" restart --no-block etcd
  on_master "$here/fakes/systemctl" restart kubelet
  call 'record_start etcd; record_start kube-apiserver'
  printf '0\n' >"$FAKE/count"
  : >"$FAKE/argv"
}

# watch_commands: from now on the arguments of every external command of the scripts are in $FAKE/argv, too:
# for tests that look there, since it takes another process for each
watch_commands() {
  local name
  for name in awk base64 od basename cat chcon chmod chown cmp cp cut date dd df dirname flock getconf grep \
    head install mv readlink rm rmdir sed sha256sum sort stat tail timeout tr uniq wc; do
    ln -s "$BATS_TEST_DIRNAME/fakes/command" "$FAKE/bin/$name"
  done
}

# start_three: a master, and two more whose etcd and kube-apiserver answer, all with the old set; sets THREE,
# assignments for a step
start_three() {
  local address
  start_master
  for address in 10.9.0.2 10.9.0.3; do
    mkdir "$FAKE/members/$address"
    : >"$FAKE/members/$address/api-ready"
    member_has "$address" old
    list_member "$address" "$address-name"
  done
  # shellcheck disable=SC2034 # the tests use it
  THREE='ALLOW_OUTAGE=0 MEMBER_ADDRESSES=(10.9.0.1 10.9.0.2 10.9.0.3) HEIR_ADDRESSES=(10.9.0.3 10.9.0.2)'
  : >"$FAKE/events"
}

# list_member ADDRESS NAME: as `etcdctl member list` prints it
list_member() {
  printf '%s, started, %s, https://%s:2380, https://%s:2379, false\n' "${1##*.}" "$2" "$1" "$1" \
    >>"$FAKE/member-list"
}

# member_has ADDRESS SET [TRUSTED_SET...]: what that member serves, and whom it accepts: SET, when no other is
# named
member_has() {
  local -r member=$FAKE/members/$1 served=$2
  local set
  shift
  [ $# -eq 1 ] || shift
  cp "$SUITE/$served/server.pem" "$member/served.2379"
  cp "$SUITE/$served/peer.pem" "$member/served.2380"
  : >"$member/trust.2379"
  : >"$member/trust.2380"
  for set in "$@"; do
    cat "$SUITE/$set/ca.pem" >>"$member/trust.2379"
    cat "$SUITE/$set/peer-ca.pem" >>"$member/trust.2380"
  done
}

# members_have SET [TRUSTED_SET...]: both others
members_have() {
  member_has 10.9.0.2 "$@"
  member_has 10.9.0.3 "$@"
}

# call COMMANDS [ASSIGNMENTS]: on the master, with the functions and data of the step, or of PROGRAM, but not
# its main
call() {
  script "${PROGRAM:-step}" "${2:-}" | sed '1d; $d' | sed '$d' >"$FAKE/script"
  printf '%s\n' 'set -euo pipefail' 'umask 077' \
    'RESTARTED=0 WRITTEN=0 PROBLEM= QUORUM_SEEN= STALE_BEFORE= RAN_BEFORE=' \
    'AILING= KEPT_GROUPS= LINKED_GROUPS= PHASE_COMPONENTS= ETCD_USER=root ETCDCTL=etcdctl' \
    "$1" >>"$FAKE/script"
  on_master bash -s <"$FAKE/script" 3>&-
}

# stop_master: nothing of it is left, and nothing asked a fake for something that it does not know
stop_master() {
  local code=0
  [ -n "${BASE:-}" ] || return 0
  if [ -e "$FAKE/unknown" ]; then
    cat "$FAKE/unknown"
    code=1
  fi
  kill -KILL "$MASTER_PID" "$UNSHARE_PID" 2>/dev/null || :
  wait "$UNSHARE_PID" 2>/dev/null || :
  rm -rf "$BASE"
  return "$code"
}

# content_of SET ID: the file of that set for a row of the layout
content_of() {
  case $2 in
    etcd-ca | apiserver-etcd-ca) printf '%s/%s/ca.pem' "$SUITE" "$1" ;;
    etcd-peer-ca) printf '%s/%s/peer-ca.pem' "$SUITE" "$1" ;;
    etcd-server) printf '%s/%s/server.pem' "$SUITE" "$1" ;;
    etcd-server-key) printf '%s/%s/server-key.pem' "$SUITE" "$1" ;;
    etcd-peer) printf '%s/%s/peer.pem' "$SUITE" "$1" ;;
    etcd-peer-key) printf '%s/%s/peer-key.pem' "$SUITE" "$1" ;;
    *-key) printf '%s/%s/client-key.pem' "$SUITE" "$1" ;;
    *) printf '%s/%s/client.pem' "$SUITE" "$1" ;;
  esac
}

# at ID: the path of a row on this master
at() {
  local id rest path
  while read -r id _ _ _ _ path; do
    [ "$id" != "$1" ] || rest=${path/@ROOT@/$ROOT}
  done <"$SUITE/rows"
  printf '%s' "${rest:?no row $1}"
}

# index_of ID: of a row in the data block
index_of() {
  local id index rest
  while read -r id index rest; do
    [ "$id" != "$1" ] || printf '%s\n' "$index"
  done <"$ROWS"
}

# want ID FILE: an assignment for the data block: the row's wanted content
want() {
  local id index rest content
  while read -r id index rest; do
    [ "$id" = "$1" ] || continue
    # the x keeps the last line's end
    content=$(
      cat "$2"
      printf x
    )
    printf 'FILE_CONTENT[%d]=%q\n' "$index" "${content%x}"
  done <"$ROWS"
}

# want_set SET ID...: several rows of one set
want_set() {
  local id
  local -r set=$1
  shift
  for id in "$@"; do want "$id" "$(content_of "$set" "$id")"; done
}

# want_both: the trust files with the old and the new authorities
want_both() {
  want etcd-ca <(cat "$SUITE/old/ca.pem" "$SUITE/new/ca.pem")
  want etcd-peer-ca <(cat "$SUITE/old/peer-ca.pem" "$SUITE/new/peer-ca.pem")
  want apiserver-etcd-ca <(cat "$SUITE/old/ca.pem" "$SUITE/new/ca.pem")
}

# want_trust SET: its authorities in the trust files
want_trust() {
  want_set "$1" etcd-ca etcd-peer-ca apiserver-etcd-ca
}

# want_pairs SET: every leaf of it that the layout has, with its key
want_pairs() {
  want_leaves "$1"
  want_set "$1" etcd-client etcd-client-key
}

# want_all SET: all files of it
want_all() {
  want_trust "$1"
  want_pairs "$1"
}

# want_leaves SET: its server, peer and client leaf with their keys
want_leaves() {
  want_set "$1" etcd-server etcd-server-key etcd-peer etcd-peer-key \
    apiserver-etcd-client apiserver-etcd-client-key
}

# script NAME [ASSIGNMENTS]: the step or the survey with its data, as it would come over the connection
script() {
  local whole data rest
  whole=$(<"$SUITE/$1.sh")
  rest=${whole##*@DATA@}
  data=$(<"$DATA")
  data=${data//@ROOT@/$ROOT}
  printf '%s\n' "${whole%%@DATA@*}" "$data" \
    "STATE_DIR='$ROOT/var/lib/etcd-rotation'" "HEALTH_SECONDS=1" \
    "API_CA='$ROOT/etc/kubernetes/pki/apiserver-ca.crt'" "API_CLIENT_KEY=/nonexistent" \
    "LISTINGS=()" "${rest%main*}" "${2:-}" \
    ${IN_PROCESS:+"$(<"$BATS_TEST_DIRNAME/fakes/in-process.bash")"} 'main </dev/null' '}'
}

# on_master COMMAND...: inside the master's namespaces, with the fakes first, and then the programs of
# TEST_PROGRAMS
on_master() {
  local commands="$FAKE/bin:"
  [ -z "${IN_PROCESS:-}" ] || commands=
  nsenter -t "$MASTER_PID" -p -m -n -u -- env FAKE="$FAKE" FAKE_COMMANDS="$BATS_TEST_DIRNAME/fakes" \
    PATH="$commands${TEST_PROGRAMS:+$TEST_PROGRAMS:}$PATH" "$@"
}

# seed: RANDOM draws by TEST_SEED, or by one that is printed
seed() {
  RANDOM=$((${TEST_SEED:-$$} % 32768))
  printf '# %s: TEST_SEED=%s\n' "${BATS_TEST_FILENAME##*/}" "${TEST_SEED:-$$}" >&3
}

# step [ASSIGNMENTS]: runs it in a process group of its own. Sets CODE, OUT (stdout) and ERR (stderr).
step() {
  CODE=0
  printf '0\n' >"$FAKE/count"
  script step "${1:-}" >"$FAKE/script"
  on_master env ${KILL_AT:+KILL_AT="$KILL_AT"} ${KILL_BEFORE:+KILL_BEFORE="$KILL_BEFORE"} \
    ${REAL_TLS:+REAL_TLS=1} /usr/bin/setsid --wait bash -s <"$FAKE/script" \
    >"$FAKE/stdout" 2>"$FAKE/stderr" 3>&- || CODE=$?
  OUT=$(<"$FAKE/stdout")
  ERR=$(<"$FAKE/stderr")
}

# expect_code CODE: of the last step; shows what it said otherwise
expect_code() {
  [ "$CODE" = "$1" ] || {
    printf 'exit code %s, expected %s\nstdout: %s\nstderr: %s\n' "$CODE" "$1" "$OUT" "$ERR"
    return 1
  }
}

# expect_says TEXT: on stderr
expect_says() {
  case $ERR in
    *"$1"*) ;;
    *)
      printf 'stderr does not hold: %s\nstderr: %s\n' "$1" "$ERR"
      return 1
      ;;
  esac
}

# facts_of: owner, mode and content of everything in the layout's folders and links, to compare
facts_of() {
  (
    cd "$ROOT" && find var/lib/etcd etc \( -type f -o -type l -o -type d \) \
      -printf '%y %U:%G %m %p -> %l\n' | LC_ALL=C sort
    find var/lib/etcd etc -type f -exec sha256sum {} + | LC_ALL=C sort
  )
}

# leftovers: staging folders, drafts and journals
leftovers() {
  find "$ROOT" \( -name '.etcd-rotation*' -o -name '*.new' -o -name 'journal*' \) -print
}

state() {
  printf '%s/var/lib/etcd-rotation' "$ROOT"
}

# kill_component COMPONENT...: their processes, which are gone afterwards: one that nobody has reaped yet
# still looks alive to the fakes
kill_component() {
  local component pid
  for component in "$@"; do
    pid=$(host_pid "$component")
    kill -KILL "$pid"
    while kill -0 "$pid" 2>/dev/null; do sleep 0.01; done
  done
}

# host_pid COMPONENT: its process as seen from here
host_pid() {
  local pid inner
  pid=$(<"$FAKE/$1.pid")
  for inner in /proc/[0-9]*/exe; do
    case $(readlink "$inner") in
      "$FAKE/exe/$1")
        inner=${inner#/proc/}
        printf '%s' "${inner%/exe}"
        return
        ;;
    esac
  done
  printf 'no process of %s, which is %s inside\n' "$1" "$pid" >&2
  return 1
}
