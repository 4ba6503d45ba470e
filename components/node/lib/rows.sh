# What the files of the layout's rows hold: certificates and keys, in PEM or in a kubeconfig.

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
