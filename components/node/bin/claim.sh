# A run of `pulumi up` claims every master for as long as it lives, so that two people do not work on one
# cluster, and leaves there what its steps are made of. The kernel's lock ends with this process, and this
# process with the connection, or with a silence of CLAIM_SECONDS.

source "${BASH_SOURCE%/*}/../lib/output.sh"
source "${BASH_SOURCE%/*}/../lib/tls.sh"
source "${BASH_SOURCE%/*}/../lib/probe.sh"

main() {
  set -uo pipefail
  umask 077
  install -d -m 700 "$STATE_DIR" || exit "$EXIT_PRECONDITION"
  exec 8>>"$STATE_DIR/claim" || exit "$EXIT_PRECONDITION"
  # one that has lost its connection lets go after its silence
  if ! flock -w "$((CLAIM_SECONDS + 5))" 8; then
    result "taken $(head -n 1 "$STATE_DIR/claim")"
    exit
  fi
  printf '%s %s\n' "$(date +%s)" "$CLAIM" >"$STATE_DIR/claim"
  # a script of an earlier run may still be at work, and a survey in the middle of it would soon be wrong
  [ ! -f "$STATE_DIR/lock" ] || flock -s -w "$GATE_SECONDS" "$STATE_DIR/lock" true || :
  leave_functions || {
    printf 'Cannot write %s/functions: %s\n' "$STATE_DIR" "$(df -h "$STATE_DIR" | tail -n 1)" >&2
    exit "$EXIT_PRECONDITION"
  }
  # its input ends with this process, however that does
  if [ "$PROBE" = 1 ]; then exec 7> >(probe 8>&- >/dev/null 2>&1); else rm -f "$STATE_DIR/probe"; fi
  result claimed
  while IFS= read -r -t "$CLAIM_SECONDS" _; do :; done
  # otherwise bash would wait for more of the script
  exit
}

# leave_functions: what the steps of this run begin with
leave_functions() {
  printf '%s' "$FUNCTIONS" | base64 -d | gunzip >"$STATE_DIR/functions.new" &&
    mv -f "$STATE_DIR/functions.new" "$STATE_DIR/functions"
}
