# Words for people on stderr, results for the program on stdout, and the exit codes.
#
# 0 done · 2 bad usage · 3 precondition not met · 4 unhealthy · 5 put back · 6 put back and still unhealthy

readonly EXIT_USAGE=2 EXIT_PRECONDITION=3 EXIT_UNHEALTHY=4 EXIT_PUT_BACK=5 EXIT_PUT_BACK_UNHEALTHY=6

# prepare_environment: sudo and login files may leave a path without etcdctl, or settings that etcdctl refuses beside its flags
prepare_environment() {
  local name
  PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin
  for name in "${!ETCDCTL_@}"; do unset "$name"; done
  command -v etcdctl >/dev/null || {
    printf '%s: Cannot find etcdctl in %s; expected it on every master. Install it, or link it into /usr/local/bin\n' "$MASTER" "$PATH" >&2
    exit "$EXIT_PRECONDITION"
  }
}

# say WORDS...: progress; a connection that is gone must not stop the work
say() {
  printf '%s %s: %s\n' "$MASTER" "$PHASE" "$*" >&2 2>/dev/null || :
}

# result WORDS...: one public line for the program
result() {
  printf '%s\n' "$*" 2>/dev/null || :
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

# wait_until SECONDS COMMAND...: polls until COMMAND succeeds; false when the time is over
wait_until() {
  local -r deadline=$((SECONDS + $1))
  shift
  while :; do
    if "$@"; then return 0; fi
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.2
  done
}
