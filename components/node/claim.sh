# A run of `pulumi up` claims every master for as long as it lives, so that two people do not work on one cluster. The kernel's
# lock ends with this process, and this process with the connection, or with a silence of CLAIM_SECONDS.

main() {
  set -uo pipefail
  umask 077
  install -d -m 700 "$STATE_DIR" || exit "$EXIT_PRECONDITION"
  exec 8>>"$STATE_DIR/claim" || exit "$EXIT_PRECONDITION"
  # one that has lost its connection lets go after its silence
  if ! flock -w "$((CLAIM_SECONDS + 5))" 8; then
    result "claimed by $(head -n 1 "$STATE_DIR/claim")"
    exit
  fi
  printf '%s %s\n' "$(date +%s)" "$CLAIM" >"$STATE_DIR/claim"
  # a script of a run that is gone may still be at work; what is surveyed in the middle of it would be wrong in a moment
  [ ! -f "$STATE_DIR/lock" ] || flock -w "$GATE_SECONDS" "$STATE_DIR/lock" true || :
  result claimed
  while IFS= read -r -t "$CLAIM_SECONDS" _; do :; done
  # otherwise bash would wait for more of the script
  exit
}
