# Once for all files: the assembled scripts, and two sets of authorities and leaves.

setup_suite() {
  local -r here=$BATS_TEST_DIRNAME
  [ "$(id -u)" = 0 ] || {
    printf 'Cannot test the node scripts: not root; expected root, for namespaces, owners and modes. ' >&2
    printf 'Run: sudo npm test\n' >&2
    return 1
  }
  export SUITE=$BATS_SUITE_TMPDIR
  # openssl x509 reads the system's authorities at each start: four fifths of its time, and nobody here trusts
  # them
  export SSL_CERT_FILE=/nonexistent
  PATH=$here/../../node_modules/.bin:$PATH node "$here/assemble.ts" "$SUITE" || return 1
  mkdir "$SUITE/accepted" || return 1
  make_set old 30 && make_set new 40 && make_set stranger 30 && make_cross old new
}

# make_cross SIGNER SET: the authorities of SET as those of SIGNER sign them, and leaves with that behind them
make_cross() {
  local -r signer=$SUITE/$1 of=$SUITE/$2 folder=$SUITE/cross
  local leaf authority
  mkdir -p "$folder"
  for authority in ca peer-ca; do
    cp "$of/$authority.pem" "$of/$authority-key.pem" "$folder"
    openssl req -x509 -new -key "$of/$authority-key.pem" -subj "/O=lab/CN=$authority $2" -days 30 \
      -CA "$signer/$authority.pem" -CAkey "$signer/$authority-key.pem" \
      -out "$folder/$authority-cross.pem" || return 1
  done
  for leaf in server peer client; do
    authority=ca
    [ "$leaf" != peer ] || authority=peer-ca
    cp "$of/$leaf-key.pem" "$folder"
    cat "$of/$leaf.pem" "$folder/$authority-cross.pem" >"$folder/$leaf.pem"
  done
}

# make_set NAME DAYS: two authorities, with the extensions that the tls provider gives them, and leaves;
# elliptic because that is fast
make_set() {
  local -r folder=$SUITE/$1
  local -ra curve=(-pkeyopt ec_paramgen_curve:prime256v1 -pkeyopt ec_param_enc:named_curve)
  mkdir -p "$folder"
  local leaf authority
  printf '%s\n' '[req]' 'distinguished_name=name' 'x509_extensions=extensions' '[name]' '[extensions]' \
    'basicConstraints=critical,CA:TRUE' 'subjectKeyIdentifier=hash' \
    'keyUsage=critical,digitalSignature,keyCertSign,cRLSign' >"$folder/authority.conf"
  for authority in ca peer-ca; do
    openssl req -x509 -newkey ec "${curve[@]}" -nodes -days "$2" -subj "/O=lab/CN=$authority $1" \
      -config "$folder/authority.conf" \
      -keyout "$folder/$authority-key.pem" -out "$folder/$authority.pem" 2>/dev/null || return 1
  done
  for leaf in server peer client; do
    authority=ca
    [ "$leaf" != peer ] || authority=peer-ca
    openssl req -newkey ec "${curve[@]}" -nodes -subj "/O=lab/CN=$leaf $1" \
      -keyout "$folder/$leaf-key.pem" -out "$folder/$leaf.csr" 2>/dev/null || return 1
    openssl x509 -req -in "$folder/$leaf.csr" -CA "$folder/$authority.pem" \
      -CAkey "$folder/$authority-key.pem" -CAcreateserial -days 30 -out "$folder/$leaf.pem" \
      -extfile <(printf '%s\n' subjectAltName=IP:10.9.0.1,IP:127.0.0.1 \
        extendedKeyUsage=serverAuth,clientAuth) 2>/dev/null || return 1
  done
}
