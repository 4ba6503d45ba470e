# A certificate like another one: same subject, names and uses, byte for byte, for another key or another end.

# new_key: of the algorithm and size of the certificate on stdin
new_key() {
  local -a size
  # "2048" for RSA, "256 prime256v1" for elliptic curves
  read -r -a size < <(openssl x509 -noout -pubkey | openssl pkey -pubin -noout -text_pub 2>/dev/null |
    sed -n 's/^.*Public-Key: (\([0-9]*\) bit.*/\1/p; s/^ASN1 OID: *//p' | tr '\n' ' ' && printf '\n') || :
  case ${#size[@]} in
    1) openssl genpkey -algorithm RSA -pkeyopt "rsa_keygen_bits:${size[0]}" 2>/dev/null ;;
    2)
      openssl genpkey -algorithm EC \
        -pkeyopt "ec_paramgen_curve:${size[1]}" -pkeyopt ec_param_enc:named_curve 2>/dev/null
      ;;
    *) return 1 ;;
  esac
}

# extensions_like KIND: configuration lines for the extensions of the certificate on stdin, each byte for
# byte, but for the key identifiers of a leaf, whose key is new. False for one that has no number here.
extensions_like() {
  local name critical hex oid
  while IFS='|' read -r name critical hex; do
    case $name in
      'X509v3 Subject Key Identifier')
        if [ "$1" != authority ]; then
          printf 'subjectKeyIdentifier=hash\n'
          continue
        fi
        oid=2.5.29.14
        ;;
      # a key identifier alone: with issuer and serial it would name the certificate that is replaced
      'X509v3 Authority Key Identifier') printf 'authorityKeyIdentifier=keyid\n' && continue ;;
      'X509v3 Basic Constraints') oid=2.5.29.19 ;;
      'X509v3 Key Usage') oid=2.5.29.15 ;;
      'X509v3 Extended Key Usage') oid=2.5.29.37 ;;
      'X509v3 Subject Alternative Name') oid=2.5.29.17 ;;
      'X509v3 Name Constraints') oid=2.5.29.30 ;;
      'X509v3 Issuer Alternative Name') oid=2.5.29.18 ;;
      'X509v3 Private Key Usage Period') oid=2.5.29.16 ;;
      'X509v3 Policy Constraints') oid=2.5.29.36 ;;
      'X509v3 Inhibit Any Policy') oid=2.5.29.54 ;;
      'X509v3 Freshest CRL') oid=2.5.29.46 ;;
      'X509v3 Certificate Policies') oid=2.5.29.32 ;;
      'X509v3 CRL Distribution Points') oid=2.5.29.31 ;;
      'Authority Information Access') oid=1.3.6.1.5.5.7.1.1 ;;
      'Netscape Cert Type') oid=2.16.840.1.113730.1.1 ;;
      'Netscape Comment') oid=2.16.840.1.113730.1.13 ;;
      [0-9]*.[0-9]*) oid=$name ;;
      *) return 1 ;;
    esac
    printf '%s=%sDER:%s\n' "$oid" "$critical" "$hex"
  done < <(openssl asn1parse 2>/dev/null | awk '
    /cont \[ 3 \]/ { inside = 1 }
    inside && /prim: OBJECT/ { name = $0; sub(/^.*OBJECT *:/, "", name); critical = "" }
    inside && /prim: BOOLEAN *:255/ { critical = "critical," }
    inside && /OCTET STRING *\[HEX DUMP\]:/ {
      hex = $0; sub(/^.*\[HEX DUMP\]:/, "", hex); print name "|" critical "|" hex
    }
    inside && /cons: SEQUENCE/ && / d=1 /{ inside = 0 }')
}

# openssl_date SECONDS: since 1970, as RFC 5280 section 4.1.2.5 wants it: two digits of the year until 2049
openssl_date() {
  local year=y
  [ "$(date -u -d "@$1" +%Y)" -lt 2050 ] || year=Y
  date -u -d "@$1" "+%$year%m%d%H%M%SZ"
}

# sign_like KIND OLD KEY SIGNER SIGNER-KEY-FILE END: a certificate like OLD for KEY, by SIGNER (all PEM)
sign_like() {
  local request
  # a request that is a certificate keeps the subject byte for byte; the keys come through pipes
  request=$(openssl x509 -in <(printf '%s\n' "$2") -signkey <(printf '%s\n' "$3") 2>/dev/null) || return 1
  sign_request "$1" "$2" "$request" "$4" "$5" "$6"
}

# sign_request KIND OLD REQUEST SIGNER SIGNER-KEY-FILE END: the same for a certificate that its own key signed
sign_request() {
  local -r kind=$1 old=$2 signer=$4 signer_key=$5 end=$6 scratch=$SCRATCH_DIR
  local attribute names
  rm -rf "$scratch" && install -d -m 700 "$scratch" && : >"$scratch/index" || return 1
  printf '%s\n' "$3" >"$scratch/request" || return 1
  # positive, and 60 bits of chance
  printf '7%s\n' "$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n' | cut -c 2-)" >"$scratch/serial" || return 1
  {
    printf '%s\n' '[ca]' 'default_ca=master' '[master]' "database=$scratch/index" "serial=$scratch/serial" \
      "new_certs_dir=$scratch" 'default_md=sha256' 'unique_subject=no' 'email_in_dn=yes' 'policy=any' \
      'x509_extensions=extensions' '[any]'
    for attribute in countryName stateOrProvinceName localityName streetAddress postalCode organizationName \
      organizationalUnitName commonName serialNumber emailAddress domainComponent userId; do
      printf '%s=optional\n' "$attribute"
    done
    printf '[extensions]\n'
    printf '%s\n' "$old" | extensions_like "$kind"
  } >"$scratch/config" || return 1
  # preserve=yes in the configuration takes an RDN of several values apart (OpenSSL 3.0)
  openssl ca -batch -notext -preserveDN -config "$scratch/config" -ss_cert "$scratch/request" \
    -cert <(printf '%s\n' "$signer") -keyfile "$signer_key" \
    -startdate "$(openssl_date "$(($(date +%s) - 300))")" -enddate "$(openssl_date "$end")" \
    -out "$scratch/made" >/dev/null 2>&1 || return 1
  names=$(printf "%s\n" "$old" | names_and_uses)
  [ "$(names_and_uses <"$scratch/made")" = "$names" ] && cat -- "$scratch/made"
}

# names_and_uses: subject, names, uses and constraints of the certificate on stdin, to compare
names_and_uses() {
  local left_out=no_header,no_version,no_serial,no_signame,no_validity,no_issuer,no_pubkey,no_sigdump,no_aux
  openssl x509 -noout -text -certopt "$left_out" 2>/dev/null |
    awk '
      /X509v3 (Subject|Authority) Key Identifier/ { skip = 1; next }
      /^            [^ ]/ { skip = 0 }
      !skip'
}
