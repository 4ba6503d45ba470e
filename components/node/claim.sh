# A run of `pulumi up` claims every master for as long as it lives, so that two people do not work on one cluster. The kernel's
# lock ends with this process, and this process with the connection, or with a silence of CLAIM_SECONDS.

main() {
  set -uo pipefail
  umask 077
  install -d -m 700 "$STATE_DIR" || exit "$EXIT_PRECONDITION"
  exec 8>>"$STATE_DIR/claim" || exit "$EXIT_PRECONDITION"
  # one that has just ended may still be letting go
  if ! flock -w 5 8; then
    result "claimed by $(head -n 1 "$STATE_DIR/claim")"
    exit
  fi
  printf '%s %s %s\n' "$(date +%s)" "$OWNER" "$CLAIMANT" >"$STATE_DIR/claim"
  result claimed
  while IFS= read -r -t "$CLAIM_SECONDS" _; do :; done
  # otherwise bash would wait for more of the script
  exit
}
