# Programs of an older system, which TEST_PROGRAMS names, are those that the scripts of a master run with.
#
# shellcheck disable=SC2016,SC2030,SC2031,SC2034 # text for another bash; each test is a function of its own

load master

setup() {
  local name
  export TEST_PROGRAMS="$BATS_TEST_TMPDIR/older programs"
  mkdir "$TEST_PROGRAMS"
  cp /bin/bash "$TEST_PROGRAMS/bash"
  for name in openssl sha256sum; do
    printf '%s\n' '#!/bin/bash' "printf '%s\\n' $name >>'$BATS_TEST_TMPDIR/ran'" \
      "exec /usr/bin/$name \"\$@\"" >"$TEST_PROGRAMS/$name"
    chmod +x "$TEST_PROGRAMS/$name"
  done
  start_master
  rm -f "$BATS_TEST_TMPDIR/ran"
}
teardown() { stop_master; }

@test "the step, the survey and what they call" {
  step "PHASE=settle; readlink /proc/\$\$/exe >'$FAKE/step-ran'"
  expect_code 0
  [ "$(cat "$FAKE/step-ran")" = "$TEST_PROGRAMS/bash" ]
  call 'certificate_public_key <"$SERVER_CERT" >/dev/null'
  [ "$(sort -u "$BATS_TEST_TMPDIR/ran")" = $'openssl\nsha256sum' ]
  script survey "readlink /proc/\$\$/exe" >"$FAKE/script"
  on_master bash -s <"$FAKE/script" >"$FAKE/stdout" 2>/dev/null 3>&-
  [ "$(head -n 1 "$FAKE/stdout")" = "$TEST_PROGRAMS/bash" ]
}

@test "the fakes and the tests go on with the system's" {
  [ "$(command -v bash)" != "$TEST_PROGRAMS/bash" ]
  on_master openssl s_client -quiet -connect 10.9.0.1:2379 \
    -cert "$(at etcd-client)" -key "$(at etcd-client-key)" | grep -q '^HTTP/1.0 200'
  [ ! -e "$BATS_TEST_TMPDIR/ran" ]
}
