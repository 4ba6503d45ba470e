# What the survey tells of files: where they lie, rights, certificates, public keys; also of those in backups,
# and of what no row has.

# resolve_paths: Kubernetes' files lie where the running processes say
resolve_paths() {
  local i component pid found default
  local -A pids=()
  for i in "${!FILE_PATH[@]}"; do
    [ -n "${FILE_SIGNER[$i]}" ] || continue
    default=${FILE_PATH[$i]}
    if [ -n "${FILE_FLAG[$i]}" ]; then
      component=${FILE_FLAG[$i]%% *}
      [ -n "${pids[$component]+known}" ] || pids[$component]=$(pid_of "$component")
      pid=${pids[$component]}
      found=${pid:+$(process_path "$pid" "${FILE_FLAG[$i]#* }" "${FILE_FIELD[$i]}")}
      # another name of an authority whose file has a row already is none
      if [ "${FILE_KIND[$i]}" = authority ] && has_authority_row "$found" "$i"; then found=''; fi
      [ -z "$found" ] || FILE_PATH[i]=$found
    elif [ "${FILE_KIND[$i]}" = authority-key ]; then
      # beside its certificate, unless a flag says otherwise
      found=${FILE_PATH[$(row_of "${FILE_GROUP[$i]}" authority)]}
      FILE_PATH[i]=${found%.*}.${default##*.}
    fi
    result "path ${FILE_ID[$i]} ${FILE_PATH[$i]}"
  done
  i=$(row_of cluster-ca authority)
  [ -z "$i" ] || API_CA=${FILE_PATH[$i]}
  i=$(row_of apiserver-kubelet-client cert)
  [ -n "$i" ] || return 0
  API_CLIENT_CERT=${FILE_PATH[$i]}
  API_CLIENT_KEY=${FILE_PATH[$(row_of apiserver-kubelet-client key)]}
}

# process_path PID FLAG FIELD: what it was given, or what its --config names
process_path() {
  local path config=''
  path=$(argument_of "$1" "$2")
  [ -n "$path" ] || [ -z "$3" ] || config=$(argument_of "$1" --config)
  [ -z "$config" ] || path=$(path_in "$config" "$3" 2>/dev/null)
  printf '%s' "$path"
}

# has_authority_row PATH INDEX: a row before that one has the file
has_authority_row() {
  local i
  for ((i = 0; i < $2; i++)); do
    [ "${FILE_KIND[$i]}" = authority ] || continue
    [ "$(real_path "${FILE_PATH[$i]}")" != "$(real_path "$1")" ] || return 0
  done
  return 1
}

# survey_files: what can be asked of all of them at once is. Sets REAL_PATHS, of those that are there.
survey_files() {
  local i rights path
  local -a present=()
  local -A found=() real_of=()
  for i in "${!FILE_PATH[@]}"; do [ ! -e "${FILE_PATH[$i]}" ] || present+=("${FILE_PATH[$i]}"); done
  if [ "${#present[@]}" -gt 0 ]; then
    while IFS=$'\037' read -r rights path; do
      found[$path]=$rights
    done < <(stat -L -c $'%U:%G %a\037%n' -- ${present[@]+"${present[@]}"} 2>/dev/null)
    # one for each, also for one that has just gone
    while IFS= read -r -d '' path; do
      REAL_PATHS+=("$path")
    done < <(readlink -mz -- ${present[@]+"${present[@]}"})
  fi
  for i in "${!present[@]}"; do real_of[${present[$i]}]=${REAL_PATHS[$i]-}; done
  for i in "${!FILE_PATH[@]}"; do
    path=${FILE_PATH[$i]}
    [ -z "${found[$path]-}" ] || survey_file "$i" "${found[$path]}" "${real_of[$path]}"
    [ "$RESTORE" = 0 ] || survey_saved "$i"
  done
}

# survey_file INDEX OWNER:GROUP_MODE REAL-PATH
survey_file() {
  local -r i=$1 id=${FILE_ID[$1]} path=${FILE_PATH[$1]} real=$3
  local public='-' access=readable
  # of Kubernetes' keys only an authority's matters: whether it can sign
  case ${FILE_KIND[$i]}${FILE_SIGNER[$i]} in key | authority-key*) public=$(key_public_key <"$path") ;; esac
  can_be_read "$i" "${2%%:*}" "${2##* }" || access=unreadable
  result "file $id ${2% *} ${2##* } $access $public $real"
  # certificates only: a key never leaves its master
  case ${FILE_KIND[$i]} in
    key | authority-key) ;;
    kubeconfig) result "pem $id $(certificate_in "$i" | one_line)" ;;
    *) printf 'pem %s ' "$id" && certificates_in "$path" && printf '\n' ;;
  esac
  # what an interrupted step left behind
  ! compgen -G "${real%/*}/.etcd-rotation*" >/dev/null || result "leftover ${real%/*}/.etcd-rotation"
}

# certificates_in FILE [COUNT]: all of them, or the first COUNT, as one_line prints them, and never a key, not
# even of a damaged file
certificates_in() {
  local line inside='' ended=0
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in *'PRIVATE KEY'*) inside='' ;; *'-----BEGIN CERTIFICATE-----'*) inside=1 ;; esac
    [ -n "$inside" ] || continue
    printf '%s\037' "$line"
    case $line in *'-----END CERTIFICATE-----'*) inside='' ended=$((ended + 1)) ;; esac
    [ "$ended" != "${2:-}" ] || break
  done <"$1"
}

# survey_saved INDEX: the row's file in the backup that is to be restored
survey_saved() {
  local -r id=${FILE_ID[$1]}
  local file
  file=$(saved_file "$1") || return 0
  case ${FILE_KIND[$1]} in
    key | authority-key) result "saved $id $(key_public_key <"$file")" ;;
    kubeconfig) result "saved $id - $(certificate_in "$1" "$file" | one_line)" ;;
    *) result "saved $id - $(certificates_in "$file")" ;;
  esac
}

# survey_earlier: etcd's leaves in all backups, each once: whoever issued one was this cluster's authority
survey_earlier() {
  local number i file
  backup_numbers | while read -r number; do
    for i in "${!FILE_PATH[@]}"; do
      file=$BACKUP_DIR/rollout-$number/files${FILE_PATH[$i]}
      [ "${FILE_KIND[$i]}" = cert ] && [ -z "${FILE_SIGNER[$i]}" ] && [ -f "$file" ] || continue
      result "earlier $(certificates_in "$file")"
    done
  done | sort -u
}

# survey_strangers: the first certificate of every file beside etcd's and below /etc/kubernetes that no row
# has, where it is a PEM file or a kubeconfig; bounded in depth, number, size and time. Links to files are
# followed, those to folders only where a row is behind them. Beside etcd's also the public keys of private
# ones; for an encrypted one openssl asks, and not on the list of files.
survey_strangers() {
  local real pem folder known
  folder=$(readlink -f -- "${SERVER_CERT%/*}")
  printf -v known '\n%s' ${REAL_PATHS[@]+"${REAL_PATHS[@]}"}
  known=$known$'\n'
  stranger_files | xargs -r -d '\n' readlink -f -- | while IFS= read -r real; do
    case $known in *$'\n'"$real"$'\n'*) continue ;; esac
    known=$known$real$'\n'
    pem=$(certificates_in "$real" 1)
    if [ -z "$pem" ] && grep -qs -e '-data' "$real"; then
      pem=$(certificates_in <(embedded_text "$real") 1)
    fi
    [ -z "$pem" ] || result "stranger $real"$'\037'"$pem"
    case $real in "${folder:--}"/*) ;; *) continue ;; esac
    pem=$(grep -qs 'PRIVATE KEY-----' "$real" &&
      timeout 2 openssl pkey -in "$real" -pubout 2>/dev/null </dev/null) || continue
    result "stranger-key $real"$'\037'"$(printf '%s\n' "$pem" | one_line)"
  done
}

# stranger_files: up to 200 with a certificate or a key, of the folders of etcd's and Kubernetes' files
stranger_files() {
  local -r marks='-----BEGIN CERTIFICATE|PRIVATE KEY-----|(client-certificate|certificate-authority)-data'
  timeout 10 find "${SERVER_CERT%/*}/" "${API_CA%/*/*}/" "${API_CA%/*}/" "${CLIENT_CERT%/*}/" -maxdepth 4 \
    -name .etcd-rotation.new -prune -o -xtype f -size -64k -exec grep -lE -e "$marks" {} + 2>/dev/null |
    head -n 200
}
