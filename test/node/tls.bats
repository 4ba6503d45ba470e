# What is asked of real TLS servers: openssl s_server stands for etcd, with client certificates required.
#
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2153,SC2154 # text for another bash; tests are functions;
# variables that the helpers set or read

load master

setup() {
  start_master
  export REAL_TLS=1
  cat "$SUITE/old/ca.pem" "$SUITE/new/ca.pem" >"$FAKE/both.pem"
  (cd "$FAKE/data" && printf '{}' >version && on_master setsid /usr/bin/openssl s_server -accept 2379 -WWW \
    -cert "$SUITE/old/server.pem" -key "$SUITE/old/server-key.pem" -CAfile "$FAKE/both.pem" \
    -Verify 2 -verify_return_error </dev/null >"$FAKE/server" 2>&1 3>&- &)
  until grep -q ACCEPT "$FAKE/server"; do sleep 0.05; done
}
teardown() { stop_master; }

@test "an accepted leaf gets an answer, a refused one and none do not; names and leaf are the server's" {
  call "
    cd '$SUITE'
    status() { tls_status 10.9.0.1 2379 /version \"\$@\"; }
    old=(-cert old/client.pem -key old/client-key.pem)
    printf 'old %s\n' \"\$(status -CAfile old/ca.pem -verify_return_error \"\${old[@]}\")\"
    printf 'new %s\n' \"\$(status -cert <(cat new/client.pem) -key <(cat new/client-key.pem))\"
    printf 'stranger %s\n' \"\$(status -cert stranger/client.pem -key stranger/client-key.pem)\"
    printf 'none %s\n' \"\$(tls_status 10.9.0.1 2379 /version)\"
    printf 'server of another %s\n' \"\$(status -CAfile new/ca.pem -verify_return_error \"\${old[@]}\")\"
    printf 'nobody there %s\n' \"\$(tls_status 10.9.0.1 2380 /version)\"
    [ \"\$(accepted_names 10.9.0.1 2379)\" = \"\$(trusted_names '$FAKE/both.pem')\" ] && printf 'same names\n'
    [ \"\$(accepted_names 10.9.0.1 2379)\" != \"\$(trusted_names old/ca.pem)\" ] && printf 'other names\n'
    served=\$(served_leaf 10.9.0.1 2379 | fingerprint)
    [ \"\$served\" = \"\$(fingerprint <old/server.pem)\" ] && printf 'same leaf\n'
    served_leaf 10.9.0.1 2379 | is_issued_by old/ca.pem && printf 'issued\n'
    ! is_issued_by new/ca.pem <old/server.pem && printf 'not issued\n'
    ! is_pair old/server.pem new/server-key.pem && printf 'no pair\n'
    ! is_pair /dev/null /dev/null && printf 'nothing is no pair\n'
  " >"$FAKE/seen" 2>&1
  diff "$FAKE/seen" - <<'EXPECTED'
old 200
new 200
stranger 
none 
server of another 
nobody there 
same names
other names
same leaf
issued
not issued
no pair
nothing is no pair
EXPECTED
}

# serve PORT SET TRUSTED: its server leaf with what stands behind it, for clients of the TRUSTED set
serve() {
  (cd "$FAKE/data" && on_master setsid /usr/bin/openssl s_server -accept "$1" -WWW \
    -cert "$SUITE/$2/server.pem" -cert_chain "$SUITE/$2/server.pem" -key "$SUITE/$2/server-key.pem" \
    -CAfile "$SUITE/$3/ca.pem" -Verify 2 -verify_return_error </dev/null >"$FAKE/server.$1" 2>&1 3>&- &)
  until grep -q ACCEPT "$FAKE/server.$1"; do sleep 0.05; done
}

@test "a leaf with a cross-certificate behind it is accepted by either authority alone, in both directions" {
  serve 2382 cross old
  serve 2383 new new
  call "
    cd '$SUITE'
    status() { tls_status 10.9.0.1 \"\$@\"; }
    cross=(-cert cross/client.pem -key cross/client-key.pem)
    printf 'by the old one %s\n' \"\$(status 2382 /version \"\${cross[@]}\" -chainCAfile cross/client.pem)\"
    printf 'without it %s\n' \"\$(status 2382 /version \"\${cross[@]}\")\"
    printf 'by the new one %s\n' \"\$(status 2383 /version \"\${cross[@]}\" -chainCAfile cross/client.pem)\"
    old=(-cert old/client.pem -key old/client-key.pem -verify 5 -verify_return_error)
    for set in old new stranger; do
      printf 'to a client of %s %s\n' \$set \"\$(status 2382 /version \"\${old[@]}\" -CAfile \$set/ca.pem)\"
    done
    served_leaf 10.9.0.1 2382 | is_issued_by new/ca.pem && printf 'the leaf is served\n'
  " >"$FAKE/seen" 2>&1
  diff "$FAKE/seen" - <<'EXPECTED'
by the old one 200
without it 
by the new one 200
to a client of old 200
to a client of new 200
to a client of stranger 
the leaf is served
EXPECTED
}

@test "what does not speak HTTP has not answered" {
  # it sends what it reads there
  mkfifo "$FAKE/greeting"
  on_master setsid /usr/bin/openssl s_server -accept 2381 -cert "$SUITE/old/server.pem" \
    -key "$SUITE/old/server-key.pem" <>"$FAKE/greeting" >"$FAKE/other" 2>&1 3>&- &
  until grep -q ACCEPT "$FAKE/other"; do sleep 0.05; done
  printf '* 200 ready\n' >"$FAKE/greeting"
  [ "$(call 'tls_status 10.9.0.1 2381 /version')" = '' ]
}

@test "an authority that the system trusts counts no more, once the environment is prepared" {
  mkdir "$FAKE/system"
  cp "$SUITE/old/ca.pem" "$FAKE/system/$(/usr/bin/openssl x509 -hash -noout -in "$SUITE/old/ca.pem").0"
  call "
    export SSL_CERT_DIR='$FAKE/system'
    openssl verify '$SUITE/old/server.pem'
    prepare_environment
    ! openssl verify '$SUITE/old/server.pem' || exit 1
    [ \"\$(served_leaf 10.9.0.1 2379 | fingerprint)\" = \"\$(fingerprint <'$SUITE/old/server.pem')\" ]
  "
}
