# One changing script at a time on a master. The lock is the kernel's, so it ends with its holder.

# with_lock COMMAND...: runs COMMAND under the lock; a second one waits up to the gate time, then exits 3
with_lock() {
  local -r lock=$STATE_DIR/lock
  local holder pid since
  install -d -m 700 "$STATE_DIR"
  # opened for appending: a waiting script must not wipe the holder's name
  exec 9>>"$lock"
  if ! flock -w "$GATE_SECONDS" 9; then
    holder=$(head -n 1 "$lock" 2>/dev/null || :)
    pid=${holder%% *}
    since=${holder##* }
    case $since in '' | *[!0-9]*) since=$(date +%s) ;; esac
    fail "$EXIT_PRECONDITION" "Cannot lock $lock: held for $(($(date +%s) - since)) s by pid" \
      "${pid:-unknown}, $(printf '%s' "$holder" | cut -d ' ' -f 2-4); wait until it has ended," \
      "then run pulumi up again"
  fi
  # a run that has lost its connection must not go on where another one has begun
  holder=$(sed 's/^[0-9]* //; q' "$STATE_DIR/claim" 2>/dev/null || :)
  [ -z "$CLAIM" ] || [ -z "$holder" ] || [ "$holder" = "$CLAIM" ] ||
    fail "$EXIT_PRECONDITION" "Cannot work on $MASTER: it has since been claimed by $holder;" \
      "see what they are doing, then run pulumi up again"
  printf '%s %s %s %s %s\n' "$$" "$OWNER" "$PHASE" "$ATTEMPT" "$(date +%s)" >"$lock"
  # closed for the children only: bash keeps its own copy until the command has returned
  { "$@"; } 9>&-
}
