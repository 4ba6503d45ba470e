# Certificates on disk and as served. Keys reach openssl through a pipe or their own file, never an argument.

# host_port ADDRESS PORT: as URLs and openssl write it
host_port() {
  case $1 in *:*) printf '[%s]:%s' "$1" "$2" ;; *) printf '%s:%s' "$1" "$2" ;; esac
}

# tls_status HOST PORT PATH OPTIONS...: the HTTP status of an answer, or nothing; OPTIONS are s_client's, such
# as -cert, of which it sends the first certificate, -chainCAfile, of which it sends those above, and -key.
# Only an answer proves that the server accepted the certificate: TLS 1.3 tells a client late. TLS_HEADERS,
# when set, holds further header lines, each with its end. Only the first line is waited for: etcd keeps the
# connection open for seconds. openssl is exec'ed, so that it holds no lock.
tls_status() {
  local -r server=$(host_port "$1" "$2") path=$3
  local line=''
  shift 3
  IFS= read -r line < <(exec timeout 5 openssl s_client -quiet -connect "$server" "$@" 2>/dev/null \
    < <(printf 'GET %s HTTP/1.0\r\nHost: %s\r\n%s\r\n' "$path" "$server" "${TLS_HEADERS:-}")) || :
  case $line in HTTP/1.[01]\ *) line=${line#* } && printf '%s' "${line%% *}" ;; esac
}

# served_leaf HOST PORT: the PEM certificate that is served, false without one; no client certificate needed
served_leaf() {
  { timeout 5 openssl s_client -connect "$(host_port "$1" "$2")" 2>/dev/null </dev/null || :; } |
    awk '/^-----BEGIN CERTIFICATE-----/ { pem = "" }
      { pem = pem $0 "\n" }
      /^-----END CERTIFICATE-----/ { found = 1; exit }
      END { if (found) printf "%s", pem; exit !found }'
}

# accepted_names HOST PORT: subjects of the authorities that the RUNNING process accepts clients from, sorted
accepted_names() {
  { timeout 5 openssl s_client -connect "$(host_port "$1" "$2")" 2>/dev/null </dev/null || :; } |
    awk '/Acceptable client certificate CA names/ { names = 1; next }
      /^(Client Certificate Types|Requested Signature|Shared|Peer|Server Temp|---)/ { names = 0 }
      names' | sort
}

# trusted_names FILE: subjects of the authorities in a trust file, sorted, written as accepted_names does
trusted_names() {
  openssl crl2pkcs7 -nocrl -certfile "$1" 2>/dev/null | openssl pkcs7 -print_certs -noout 2>/dev/null |
    sed -n 's/^subject= *//p' | sort
}

# sha256: of stdin, lower-case hex
sha256() {
  local sum
  sum=$(sha256sum)
  printf '%s' "${sum%% *}"
}

# fingerprint: SHA-256 of the DER of the certificate on stdin; nothing for none
fingerprint() {
  local both
  both=$(fingerprint_and_end)
  printf '%s' "${both%% *}"
}

# fingerprint_and_end: of the certificate on stdin, the end as openssl writes it
fingerprint_and_end() {
  local line sum='' end=''
  while IFS= read -r line; do
    case $line in
      *Fingerprint=*) sum=${line#*=} && sum=${sum//:/} && sum=${sum,,} ;;
      notAfter=*) end=${line#*=} ;;
    esac
  done < <(openssl x509 -noout -enddate -fingerprint -sha256 2>/dev/null)
  printf '%s %s' "$sum" "$end"
}

# certificate_public_key / key_public_key: SHA-256 of the public key on stdin; the key never leaves openssl
certificate_public_key() {
  openssl x509 -noout -pubkey 2>/dev/null | openssl pkey -pubin -outform DER 2>/dev/null | sha256
}
key_public_key() {
  openssl pkey -pubout -outform DER 2>/dev/null | sha256
}

# is_pair CERT KEY: both are readable and belong together
is_pair() {
  local certificate key
  certificate=$(certificate_public_key <"$1") || return 1
  key=$(key_public_key <"$2") || return 1
  [ "$certificate" = "$key" ] && openssl x509 -in "$1" -noout 2>/dev/null &&
    openssl pkey -in "$2" -noout 2>/dev/null
}

# is_issued_by CA: the certificate on stdin ends in CA, used as server or client, and is valid now
# (OpenSSL 1.0.2 also says OK after an error)
is_issued_by() {
  [ "$(openssl verify -CAfile "$1" 2>&1)" = 'stdin: OK' ]
}

# end_of: seconds since 1970 at which the certificate on stdin ends
end_of() {
  date -u -d "$(openssl x509 -noout -enddate | cut -d = -f 2)" +%s
}
