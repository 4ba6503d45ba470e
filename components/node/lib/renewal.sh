# Kubernetes' own certificates, renewed here with the authority keys that live on the master. A new
# certificate becomes FILE_CONTENT like any other file's text.

source "${BASH_SOURCE%/*}/../lib/signing.sh"

# authority_certificate SIGNER: as it is going to be when this step has ended
authority_certificate() {
  local i
  i=$(row_of "$1" authority)
  if ! is_written "$i"; then certificate_in "$i"; return; fi
  printf '%s' "${FILE_CONTENT[$i]}" | own_authority "$i"
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
