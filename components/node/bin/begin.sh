# A step is data alone: its functions are those that the claim of its run has left on the master.

printf '%s  %s\n' "$FUNCTIONS_SUM" "$STATE_DIR/functions" | sha256sum --status -c 2>/dev/null || {
  printf '%s %s: Cannot begin: %s is not what this run has left there; ' \
    "$MASTER" "$PHASE" "$STATE_DIR/functions" >&2
  printf 'nothing was changed. Run pulumi up again\n' >&2
  exit 3
}
# shellcheck disable=SC1091 # made of the other files here
. "$STATE_DIR/functions"
