# Which processes are stale: the record of this very process decides; without one, time does; in doubt, stale.
#
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2153,SC2154 # text for another bash; each test is a function of its own;
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

@test "without a record, change time against process start: mtime does not hide a change, nor does a link on the path" {
  # boot time and start ticks are both rounded down to seconds, and in doubt means stale:
  # two whole seconds later, what was written before is older than these processes
  until [ "$(date +%s)" -gt "$(($(stat -c %Z "$(at apiserver-etcd-ca)") + 2))" ]; do sleep 0.1; done
  on_master "$BATS_TEST_DIRNAME/fakes/systemctl" restart --no-block etcd
  kill -KILL "$(host_pid kube-apiserver)"
  on_master "$BATS_TEST_DIRNAME/fakes/systemctl" restart kubelet
  until [ "$(date +%s)" -gt "$(stat -c %Z "$FAKE/kube-apiserver.pid")" ]; do sleep 0.1; done
  without_record
  [ "$(stale etcd)" = fresh ]
  [ "$(stale kube-apiserver)" = fresh ]
  # an old time of modification, as cp -p and a put-back leave it
  touch -d '2001-01-01' "$(at apiserver-etcd-ca)"
  [ "$(stale kube-apiserver)" = stale ]
  # a folder moved behind a new link
  mv "$ROOT/var/lib/etcd" "$ROOT/elsewhere"
  ln -s "$ROOT/elsewhere" "$ROOT/var/lib/etcd"
  [ "$(stale etcd)" = stale ]
}

@test "etcd without a record is asked: another authority in memory than on disk is stale" {
  without_record
  cp -p "$SUITE/new/ca.pem" "$FAKE/loaded-etcd/2379"
  [ "$(call 'if etcd_names_match; then printf same; else printf other; fi')" = other ]
  [ "$(stale etcd)" = stale ]
}

@test "a pid that is used again is another process" {
  local before after
  before=$(call 'identity etcd')
  after=$(call "$(printf 'start_ticks() { printf 1; }\nidentity etcd')")
  [ "${before% *}" = "${after% *}" ] && [ "$before" != "$after" ]
  sed -i 's/^\(component.etcd=[^ ]* [^ ]*\) [^ ]*/\1 1/' "$(state)/receipt"
  # the record is not this process's; the names are right, so time decides, and that is in doubt or older
  [ "$(call "$(printf 'newest_change() { printf 0; }\nis_stale etcd && printf stale || printf fresh')")" = fresh ]
  [ "$(call "$(printf 'newest_change() { date +%%s; }\nis_stale etcd && printf stale || printf fresh')")" = stale ]
}

@test "no process is stale" {
  kill -KILL "$(host_pid kube-apiserver)"
  [ "$(stale kube-apiserver)" = stale ]
}
