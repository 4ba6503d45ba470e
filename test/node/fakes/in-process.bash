# Fakes as functions of the step's own bash, for the kill tests: these run hundreds of times, and a process
# for each fake would be most of the time. What is under test (files, journal, receipt, put back, stale) is
# untouched.
# shellcheck shell=bash disable=SC2317 # called by the step

# counted COMMAND...: with KILL_AT or KILL_BEFORE, kills the whole process group after or before that many
counted() {
  local count code=0
  IFS= read -r count <"$FAKE/count"
  count=$((count + 1))
  printf '%s\n' "$count" >"$FAKE/count"
  [ "$count" != "${KILL_BEFORE:-}" ] || kill -KILL 0
  command "$@" || code=$?
  [ "$count" != "${KILL_AT:-}" ] || kill -KILL 0
  return "$code"
}
mv() { counted mv "$@"; }
dd() { counted dd "$@"; }
cp() { counted cp "$@"; }
rm() { counted rm "$@"; }
rmdir() { counted rmdir "$@"; }
chmod() { counted chmod "$@"; }
chown() { counted chown "$@"; }
install() { counted install "$@"; }
# leaves the disk as it was
flush() { :; }

pid_in() {
  local pid
  IFS= read -r pid <"$FAKE/$1.pid" || :
  printf '%s' "$pid"
}
is_alive() {
  kill -0 "$(pid_in "$1")" 2>/dev/null
}
systemctl() {
  case "$*" in
    'show -p MainPID etcd') printf 'MainPID=%s\n' "$(pid_in etcd)" ;;
    'is-active --quiet etcd') is_alive etcd ;;
    restart*) counted "$FAKE_COMMANDS/systemctl" "$@" ;;
    *) : ;;
  esac
}
timeout() {
  shift
  "$@"
}
# as a member that is unhealthy while it has loaded the trust file that the test calls bad
loud_ctl() {
  is_alive etcd || return 1
  if [ -e "$FAKE/bad-trust" ] && cmp -s "$FAKE/bad-trust" "$FAKE/loaded-etcd/2379"; then return 1; fi
  case $2$3 in
    get*) : ;;
    endpoint*) printf '"ClusterID" : 4242\n"RaftAppliedIndex" : 10\n"Endpoint" : "%s"\n' "$1" ;;
    alarm*) : ;;
    *) return 1 ;;
  esac
}
is_api_ready() {
  is_alive kube-apiserver
}
etcd_names_match() {
  cmp -s "$SERVER_CA" "$FAKE/loaded-etcd/2379"
}
