# Which processes are stale: the record of this very process decides; without one, time does; in doubt, stale.
#
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2153,SC2154 # text for another bash; tests are functions;
# variables that the helpers set or read

load master

setup() { start_master; }
teardown() { stop_master; }

# stale COMPONENT: prints stale or fresh
stale() {
  call "if is_stale $1; then printf stale; else printf fresh; fi"
}

without_record() {
  sed -i '/^component\./d' "$(state)/receipt"
}

@test "a record of this process decides by content, not by time" {
  [ "$(stale etcd)" = fresh ]
  # newer than the process, the same bytes
  cat "$SUITE/old/ca.pem" >"$(at etcd-ca)"
  [ "$(stale etcd)" = fresh ]
  cat "$SUITE/new/ca.pem" >"$(at etcd-ca)"
  [ "$(stale etcd)" = stale ]
  [ "$(stale kube-apiserver)" = fresh ]
  # a leaf is read at each handshake
  cat "$SUITE/old/ca.pem" >"$(at etcd-ca)"
  cat "$SUITE/new/server.pem" >"$(at etcd-server)"
  [ "$(stale etcd)" = fresh ]
}

# start_later: processes that are newer than all files, by whole seconds. Boot time and start ticks are both
# rounded down to seconds, and in doubt means stale: two of them later, what was written before is older
start_later() {
  until [ "$(date +%s)" -gt "$(($(stat -c %Z "$(at apiserver-etcd-ca)") + 2))" ]; do sleep 0.1; done
  on_master "$BATS_TEST_DIRNAME/fakes/systemctl" restart --no-block etcd
  kill_component kube-apiserver
  on_master "$BATS_TEST_DIRNAME/fakes/systemctl" restart kubelet
  until [ "$(date +%s)" -gt "$(stat -c %Z "$FAKE/kube-apiserver.pid")" ]; do sleep 0.1; done
  without_record
  [ "$(stale etcd)" = fresh ]
  [ "$(stale kube-apiserver)" = fresh ]
}

@test "without a record, change time against process start: neither mtime nor a link hides a change" {
  # one that is a link itself
  mv "$(at apiserver-etcd-ca)" "$ROOT/behind"
  ln -s "$ROOT/behind" "$(at apiserver-etcd-ca)"
  start_later
  # an old time of modification, as cp -p and a put-back leave it
  touch -d '2001-01-01' "$ROOT/behind"
  [ "$(stale kube-apiserver)" = stale ]
  # a folder moved behind a new link
  mv "$ROOT/var/lib/etcd" "$ROOT/elsewhere"
  ln -s "$ROOT/elsewhere" "$ROOT/var/lib/etcd"
  [ "$(stale etcd)" = stale ]
}

@test "etcd without a record is asked: another authority in memory than on disk is stale" {
  start_later
  cp -p "$SUITE/new/ca.pem" "$FAKE/loaded-etcd/2379"
  [ "$(call 'if etcd_names_match; then printf same; else printf other; fi')" = other ]
  [ "$(stale etcd)" = stale ]
}

@test "a pid that is used again is another process" {
  local before after
  before=$(call 'identity etcd')
  after=$(call "$(printf 'start_ticks() { printf 1; }\nidentity etcd')")
  [ "${before% *}" = "${after% *}" ]
  [ "$before" != "$after" ]
  sed -i 's/^\(component.etcd=[^ ]* [^ ]*\) [^ ]*/\1 1/' "$(state)/receipt"
  # the record is not this process's; the names are right, so time decides, and that is in doubt or older
  [ "$(call 'newest_change() { printf 0; }; is_stale etcd && printf stale || printf fresh')" = fresh ]
  [ "$(call 'newest_change() { date +%s; }; is_stale etcd && printf stale || printf fresh')" = stale ]
}

@test "no process is stale" {
  kill_component kube-apiserver
  [ "$(stale kube-apiserver)" = stale ]
}

@test "a file that changed within the second of the process's start is in doubt, so it is stale" {
  without_record
  local -r judged='start_epoch() { printf 100; }; is_stale etcd && printf stale || printf fresh'
  [ "$(call "newest_change() { printf 100; }; $judged")" = stale ]
  [ "$(call "newest_change() { printf 99; }; $judged")" = fresh ]
}
