# Kubernetes' own certificates, renewed here with the authority keys that live on the master: same subject,
# names and uses, byte for byte, in a new certificate, which becomes FILE_CONTENT like any other file's text.

# row_of GROUP KIND...: the index of that group's first row of one of these kinds, or nothing
row_of() {
  local -r own=$1
  local i
  shift
  for i in "${!FILE_PATH[@]}"; do
    [ "${FILE_GROUP[$i]}" = "$own" ] || continue
    case " $* " in *" ${FILE_KIND[$i]} "*) printf '%s' "$i" && return 0 ;; esac
  done
}

# kubeconfig_value FIELD: base64 text from the kubeconfig on stdin; nothing unless it is there once
kubeconfig_value() {
  awk -v field="$1" '{
    while (match($0, field "[\"\047]*: *[\"\047]*[A-Za-z0-9+/=]+")) {
      value = substr($0, RSTART, RLENGTH); $0 = substr($0, RSTART + RLENGTH)
      sub(/^.*[^A-Za-z0-9+\/=]/, "", value); found++
    }
  } END { if (found == 1) print value }'
}

# has_client FILE: a kubeconfig that embeds the certificate of a client
has_client() {
  grep -qs client-certificate-data "$1"
}

# embedded_text FILE: what a kubeconfig has as its client's certificate, or as its authority's
embedded_text() {
  local field='client-certificate-data'
  has_client "$1" || field='certificate-authority-data'
  kubeconfig_value "$field" <"$1" | base64 -d 2>/dev/null
}

# certificate_in INDEX [FILE]: the PEM certificate that a row's file, or FILE in its place, holds or embeds
certificate_in() {
  local -r file=${2:-${FILE_PATH[$1]}}
  case ${FILE_KIND[$1]} in
    kubeconfig) embedded_text "$file" | openssl x509 2>/dev/null ;;
    authority) own_authority "$1" <"$file" ;;
    *) openssl x509 -in "$file" 2>/dev/null ;;
  esac
}

# own_authority INDEX: of the certificates on stdin the one with the signing key of that row's authority,
# since a bundle may begin with somebody else's; the first where there is none
own_authority() {
  local pem line block='' key public=''
  pem=$(cat)
  key=$(row_of "${FILE_SIGNER[$1]}" authority-key)
  case ${pem#*-----END CERTIFICATE-----} in
    *'-----BEGIN CERTIFICATE-----'*)
      [ -z "$key" ] || [ ! -e "${FILE_PATH[$key]}" ] || public=$(key_public_key <"${FILE_PATH[$key]}")
      ;;
  esac
  [ -z "$public" ] || while IFS= read -r line; do
    case $line in *'-----BEGIN CERTIFICATE-----'*) block='' ;; esac
    block=$block$line$'\n'
    case $line in *'-----END CERTIFICATE-----'*) ;; *) continue ;; esac
    [ "$(printf '%s' "$block" | certificate_public_key)" = "$public" ] || continue
    pem=$block
    break
  done < <(printf '%s\n' "$pem")
  printf '%s\n' "$pem" | openssl x509 2>/dev/null
}

# key_in INDEX: the PEM key that belongs to a certificate's row
key_in() {
  case ${FILE_KIND[$1]} in
    kubeconfig) kubeconfig_value client-key-data <"${FILE_PATH[$1]}" | base64 -d 2>/dev/null ;;
    *) cat -- "${FILE_PATH[$(row_of "${FILE_GROUP[$1]}" key)]}" ;;
  esac
}

# authority_certificate SIGNER: as it is going to be when this step has ended
authority_certificate() {
  local i
  i=$(row_of "$1" authority)
  if ! is_written "$i"; then certificate_in "$i"; return; fi
  printf '%s' "${FILE_CONTENT[$i]}" | own_authority "$i"
}

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

# end_of: seconds since 1970 at which the certificate on stdin ends
end_of() {
  date -u -d "$(openssl x509 -noout -enddate | cut -d = -f 2)" +%s
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

# make_renewals: new certificates for RENEW_GROUPS, as FILE_CONTENT; says which ones cannot be made
make_renewals() {
  local each real seen=''
  KEPT_GROUPS='' LINKED_GROUPS=''
  for each in ${RENEW_GROUPS[@]+"${RENEW_GROUPS[@]}"}; do
    real=$(real_path "${FILE_PATH[$(row_of "$each" cert kubeconfig)]}")
    case "$seen" in
      *"|$real|"*)
        # a link to what is renewed already
        LINKED_GROUPS="$LINKED_GROUPS $each"
        continue
        ;;
    esac
    seen="$seen|$real|"
    make_renewal "$each" || {
      KEPT_GROUPS="$KEPT_GROUPS $each"
      say "$each stays: it cannot be made anew with the same subject, names and uses; renew it by hand"
    }
  done
}

# make_renewal GROUP
make_renewal() {
  local i made key signer text
  i=$(row_of "$1" cert kubeconfig)
  certificate_in "$i" >/dev/null && signer=$(authority_certificate "${FILE_SIGNER[$i]}") || return 1
  case ${FILE_KIND[$i]} in
    cert)
      make_leaf "$i" || return 1
      # the x keeps the last line's end
      text=$(sed '1,/-----END CERTIFICATE-----/d' "${FILE_PATH[$i]}" |
        with_authority "$signer" && printf x) || return 1
      FILE_CONTENT[i]=$made$'\n'${text%x}
      FILE_CONTENT[$(row_of "$1" key)]=$key$'\n'
      ;;
    kubeconfig)
      text=$(cat -- "${FILE_PATH[$i]}" && printf x) || return 1
      text=${text%x}
      if has_client "${FILE_PATH[$i]}"; then
        make_leaf "$i" || return 1
        # no base64 text is a pattern, so it takes the old one's place whatever the style of the YAML
        replace_once client-certificate-data "$(printf '%s\n' "$made" | base64 -w 0)" || return 1
        replace_once client-key-data "$(printf '%s\n' "$key" | base64 -w 0)" || return 1
      fi
      if [ -n "$(printf '%s' "$text" | kubeconfig_value certificate-authority-data)" ]; then
        replace_once certificate-authority-data "$(authorities_in kubeconfig "${FILE_PATH[$i]}" |
          with_authority "$signer" | base64 -w 0)" || return 1
      fi
      FILE_CONTENT[i]=$text
      ;;
  esac
}

# make_leaf INDEX: sets `made`, a certificate like that of the row by `signer`, and `key`
make_leaf() {
  local signer_index old end public
  signer_index=$(row_of "${FILE_SIGNER[$1]}" authority-key)
  old=$(certificate_in "$1") || return 1
  key=''
  if [ "$KEEP_KEYS" = 1 ]; then
    public=$(key_in "$1" | key_public_key)
    [ "$(printf '%s\n' "$old" | certificate_public_key)" != "$public" ] || key=$(key_in "$1")
  fi
  [ -n "$key" ] || key=$(printf '%s\n' "$old" | new_key) || return 1
  end=$(($(date +%s) + VALIDITY_SECONDS))
  # never beyond its authority
  [ "$end" -lt "$(printf '%s\n' "$signer" | end_of)" ] || end=$(printf '%s\n' "$signer" | end_of)
  made=$(sign_like leaf "$old" "$key" "$signer" "${FILE_PATH[$signer_index]}" "$end")
}

# with_authority PEM: the text on stdin, byte for byte, but with PEM for that authority's earlier certificates
with_authority() {
  local -r RENEWED_PEM=$1
  local text renewed
  text=$(cat && printf x)
  text=${text%x}
  if renewed=$(printf '%s' "$text" | with_renewed && printf x); then text=${renewed%x}; fi
  printf '%s' "$text"
}

# replace_once FIELD VALUE: of the kubeconfig in `text`
replace_once() {
  local old
  old=$(printf '%s' "$text" | kubeconfig_value "$1")
  [ -n "$old" ] || return 1
  text=${text//$old/$2}
}

# sign_authorities: each of SIGN_AUTHORITIES anew with its own key, subject and key identifier; printed, not
# written: retire brings the same certificate to every master
sign_authorities() {
  local each old key end made line
  for each in ${SIGN_AUTHORITIES[@]+"${SIGN_AUTHORITIES[@]}"}; do
    old=$(certificate_in "$(row_of "$each" authority)")
    key=${FILE_PATH[$(row_of "$each" authority-key)]}
    end=$(($(date +%s) + VALIDITY_SECONDS))
    made=$(sign_like authority "$old" "$(cat -- "$key")" "$old" "$key" "$end") || {
      # what it signs ends with it; nothing else has to wait for this
      say "$each stays: openssl cannot make a certificate like the present one with $key; renew it by hand"
      receipt_put 0 "renewed.$each" "$RENEW_PURPOSE kept" || return 1
      continue
    }
    say "signed $each anew"
    while IFS= read -r line; do result "authority $each $line"; done < <(printf '%s\n' "$made")
  done
}

# sign_crosses: the wanted authorities of etcd with keys that lie here; printed, not written. They keep their
# names, uses and key identifiers, and end with who signs them.
sign_crosses() {
  local i made line wanted signer
  for i in ${CROSS_ROLE[@]+"${!CROSS_ROLE[@]}"}; do
    wanted=${CROSS_WANTED[$i]} signer=${CROSS_SIGNER[$i]}
    made=$(sign_request authority "$wanted" "$wanted" "$signer" "${CROSS_KEY[$i]}" \
      "$(printf '%s\n' "$signer" | end_of)") || {
      say "the authority in use does not sign the new one: openssl cannot with ${CROSS_KEY[$i]};" \
        "both are trusted for a while, and etcd and kube-apiserver restart twice"
      continue
    }
    say "signed the new authority with ${CROSS_KEY[$i]}"
    while IFS= read -r line; do result "authority ${CROSS_ROLE[$i]} $line"; done < <(printf '%s\n' "$made")
  done
}

# note_renewal GROUP: in the receipt, so that a run that goes on later does not renew it again
note_renewal() {
  case " ${RENEW_GROUPS[*]-} " in *" $1 "*) receipt_put 0 "renewed.$1" "$RENEW_PURPOSE" ;; esac
}

# note_kept_groups: nothing will be tried again for the same purpose; a link is renewed with its file
note_kept_groups() {
  local each
  for each in $LINKED_GROUPS; do receipt_put 0 "renewed.$each" "$RENEW_PURPOSE" || return 1; done
  for each in $KEPT_GROUPS; do receipt_put 0 "renewed.$each" "$RENEW_PURPOSE kept" || return 1; done
}

# forget_renewal PATH: what is put back is not renewed
forget_renewal() {
  local i
  for i in "${!FILE_PATH[@]}"; do
    [ "${FILE_PATH[$i]}" = "$1" ] && [ -n "${FILE_SIGNER[$i]}" ] || continue
    receipt_put 0 "renewed.${FILE_GROUP[$i]}" '' || return 1
  done
}

# is_renewed GROUP: by this program, so that it answers for it
is_renewed() {
  case $(receipt_get "renewed.$1") in '' | *' kept') return 1 ;; esac
}
