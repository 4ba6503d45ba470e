# Words for people on stderr, results for the program on stdout, and the exit codes.
#
# 0 done, 2 bad usage, 3 precondition not met, 4 unhealthy, 5 put back, 6 put back and still unhealthy

readonly EXIT_USAGE=2 EXIT_PRECONDITION=3 EXIT_UNHEALTHY=4 EXIT_PUT_BACK=5 EXIT_PUT_BACK_UNHEALTHY=6

# prepare_environment: sudo and login files may leave a path without etcdctl, or settings that etcdctl refuses
# beside its flags. Sets ETCDCTL, which may be empty: a step that asks etcd nothing needs none. The locale,
# which SSH may bring along, decides what [a-z] matches before bash 5.0, and which lines sort -u takes for one
# before glibc 2.28. No authority that the system trusts counts here; without their 140 certificates each
# openssl is also faster (3.0: 4 ms for 24).
prepare_environment() {
  local name
  export LC_ALL=C SSL_CERT_FILE=/nonexistent SSL_CERT_DIR=/nonexistent
  PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin
  for name in "${!ETCDCTL_@}"; do unset "$name"; done
  ETCDCTL=$(etcdctl_path)
}

# require_etcdctl: waits for it, since etcdctl in a container is gone while that starts again
require_etcdctl() {
  wait_until "$HEALTH_SECONDS" find_etcdctl || {
    printf '%s: Cannot find etcdctl in %s; expected it on every master. ' "$MASTER" "$PATH" >&2
    printf 'Install it, or link it into /usr/local/bin\n' >&2
    exit "$EXIT_PRECONDITION"
  }
}

# find_etcdctl: sets ETCDCTL, empty where etcd's own is not there, since it does not run
find_etcdctl() {
  ETCDCTL=$(etcdctl_path)
  [ -n "$ETCDCTL" ] || { ! is_etcd_unit && [ -z "$(pid_of etcd)" ]; }
}

# etcdctl_path: the master's own, else the one in etcd's container, or nothing
etcdctl_path() {
  local folder
  command -v etcdctl && return
  is_etcd_unit || for folder in /usr/local/bin /usr/bin; do
    folder=/proc/$(pid_of etcd)/root$folder
    [ ! -x "$folder/etcdctl" ] || { printf '%s/etcdctl' "$folder" && return; }
  done
}

# say WORDS...: progress; a connection that is gone must not stop the work
say() {
  printf '%s %s: %s\n' "$MASTER" "$PHASE" "$*" >&2 2>/dev/null || :
}

# result WORDS...: one public line for the program, whatever a name in it holds
result() {
  local -r words=$*
  printf '%s\n' "${words//$'\n'/ }" 2>/dev/null || :
}

# one_line: the lines of stdin as one, with the character US of ASCII between them
one_line() {
  local -a lines
  local IFS=$'\037'
  mapfile -t lines
  printf '%s' "${lines[*]-}"
}

# fail CODE WORDS...: ends the step
fail() {
  local -r code=$1
  shift
  say "$*"
  exit "$code"
}

# seconds_since START: whole seconds, START from $SECONDS
seconds_since() {
  printf '%s' "$((SECONDS - $1))"
}

# wait_until SECONDS COMMAND...: polls until COMMAND succeeds; false when the time is over. Counted since the
# boot: what bash counts jumps with a clock that is set
wait_until() {
  local now
  read -r now _ </proc/uptime
  local -r deadline=$((${now%.*} + $1))
  shift
  while :; do
    if "$@"; then return 0; fi
    read -r now _ </proc/uptime
    [ "${now%.*}" -lt "$deadline" ] || return 1
    sleep 0.2
  done
}
