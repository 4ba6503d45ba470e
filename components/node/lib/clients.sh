# Who besides Kubernetes may be a client of etcd: Secrets with a certificate of one of its authorities, and
# processes with connections. Only certificates and hashes of public keys leave these pipes.

# survey_holders: for each holder of a certificate of a trusted authority its values (Secret) or files
survey_holders() {
  local mark holder name text public certificates
  local -r end=$((SECONDS + 20))
  # what somebody holds cannot look like what stands between two
  IFS= read -r mark </proc/sys/kernel/random/uuid
  {
    connected_files "$mark"
    [ "$ADDRESS" != "${MEMBER_ADDRESSES[0]-}" ] || secret_values "$mark"
  } | of_authorities "$mark" "$(authority_patterns)" | while IFS=$'\037' read -r holder name text; do
    [ "$SECONDS" -lt "$end" ] || { result 'holders-cut after 20 s' && break; }
    # connected, kubeconfig or holders-cut
    [ -n "$name" ] || { result "$holder" && continue; }
    public=-
    # somebody else's key may take openssl for ever
    case $text in
      *ENCRYPTED*) ;;
      *'PRIVATE KEY-----'*)
        public=$(printf '%s' "$text" | tr '\037' '\n' |
          timeout 2 openssl pkey -pubout -outform DER 2>/dev/null | sha256)
        ;;
    esac
    certificates=$(certificates_in <(printf '%s' "$text" | tr '\037' '\n'))
    result "holder $holder"$'\037'"$name"$'\037'"$public"$'\037'"$certificates"
  done
}

# secret_values MARK: of all Secrets what begins as PEM, a line with its names before each; all are read at
# once, or none in time. No service account's token, nor helm's releases, which are large.
# shellcheck disable=SC2016 # the variables are the template's
secret_values() {
  local -r begin=$1$'\037'
  local template='{{range .items}}{{$of := printf "Secret %s/%s" .metadata.namespace .metadata.name}}'
  template=$template'{{range $key, $value := .data}}'
  template=$template'{{if and (eq (printf "%.13s" $value) "LS0tLS1CRUdJT") (lt (len $value) 24000)}}'
  template=$template'{{"\n"}}'$1'{{"\u001f"}}{{$of}}{{"\u001f"}}{{$key}}{{"\n"}}{{base64decode $value}}'
  template=$template'{{end}}{{end}}{{end}}{{"\n"}}'
  if ! command -v kubectl >/dev/null || [ ! -r "$ADMIN_CONF" ]; then
    printf '\n%sholders-cut since %s has no kubectl with %s\n' "$begin" "$MASTER" "$ADMIN_CONF"
    return
  fi
  printf '\n%skubeconfig %s\n' "$begin" "$ADMIN_CONF"
  is_api_ready && (
    # of this master's processes the kernel takes this one first, however much memory all Secrets need
    printf 1000 >/proc/self/oom_score_adj
    ask_kubernetes "$ADMIN_CONF" get secrets --all-namespaces -o "go-template=$template" \
      --field-selector 'type!=kubernetes.io/service-account-token,type!=helm.sh/release.v1'
  ) || printf '\n%sholders-cut since kube-apiserver did not list them within 10 s\n' "$begin"
}

# connected_files MARK: processes in this master's own network that are connected to a member, and the files
# that their arguments and environment name, as they see them
connected_files() {
  local pid name unit holder word file
  command -v ss >/dev/null || return 0
  # iproute2 writes ("name",pid=7,fd=3), before 2015 ("name",7,3)
  timeout 5 ss -tnp state established "( dport = :$ETCD_CLIENT_PORT )" 2>/dev/null |
    grep -oE '",(pid=)?[0-9]+,' | tr -dc '0-9\n' | sort -un | head -n 50 | while read -r pid; do
    { IFS= read -r name <"/proc/$pid/comm"; } 2>/dev/null || continue
    # the components, and what a person or a script of ours does just now
    case $name in etcd | kube-apiserver | etcdctl | openssl) continue ;; esac
    unit=$(sed -n 's/^\(0:\|[0-9]*:name=systemd\):.*\///p' "/proc/$pid/cgroup" 2>/dev/null | tail -n 1)
    holder="process ${name//[^ -~]/_} in ${unit:-no unit}"
    printf '\n%s\037connected %s\n' "$1" "$holder"
    cat "/proc/$pid/cmdline" "/proc/$pid/environ" | head -c 65536 | tr '\0' '\n' |
      sed 's/^[^=]*=//' | sort -u | while IFS= read -r word; do
      case $word in /*) file=/proc/$pid/root$word ;; *) file=/proc/$pid/cwd/$word ;; esac
      [ "$SECONDS" -lt "$end" ] && [ -f "$file" ] || continue
      printf '\n%s\037%s\037%s\n' "$1" "$holder" "${word//[^ -~]/_}"
      timeout 2 head -c 24000 "$file" | tr -d '\0'
    done
  done 2>/dev/null
}

# of_authorities MARK PATTERNS: of who has a certificate with a pattern a line for each of these, and for each
# private key; at most fifty and 100 kB of a namespace, so that nobody's keep another's from being seen, or
# the whole survey from being read
of_authorities() {
  awk -v mark="$1" -v patterns="$2" '
    function end_value(body, is_of, i) {
      if (name == "") return
      body = text
      gsub(/[\037\r]/, "", body)
      for (i = 1; i <= patterns_count; i++) if (index(body, pattern[i])) is_of = is_candidate = 1
      if (is_of || text ~ /PRIVATE KEY-----/) {
        value[++count] = holder "\037" name "\037" text
        size += length(text)
      }
      name = text = ""
    }
    function is_too_many(space) { return (told[space] += count) > 50 }
    function is_too_much(space) { return (kept[space] += size) > 100000 || (all += size) > 3000000 }
    function end_holder(space, i) {
      end_value()
      space = holder
      sub(/\/.*/, "", space)
      if (is_candidate && (is_too_many(space) || is_too_much(space))) {
        print "holders-cut since there is too much of " space
      } else if (is_candidate) for (i = 1; i <= count; i++) if (!printed[value[i]]++) print value[i]
      count = size = is_candidate = 0
    }
    BEGIN { FS = "\037"; patterns_count = split(patterns, pattern, " ") }
    $1 == mark && NF == 2 { end_value(); print $2; next }
    $1 == mark { if ($2 != holder) end_holder(); else end_value(); holder = $2; name = $3; text = ""; next }
    length(text) < 24000 { text = text $0 "\037" }
    END { end_holder() }'
}

# authority_patterns: what a certificate of a trusted authority has somewhere in its base64
authority_patterns() {
  local i line pem=''
  local -A seen=()
  for i in "${!FILE_PATH[@]}"; do
    [ "${FILE_KIND[$i]}" != trust ] || [ ! -r "${FILE_PATH[$i]}" ] || certificates_in "${FILE_PATH[$i]}"
  done | while IFS= read -r -d $'\037' line; do
    pem=$pem$line$'\n'
    case $line in *'-----END CERTIFICATE-----'*) ;; *) continue ;; esac
    [ -n "${seen[$pem]-}" ] || printf '%s' "$pem" | name_patterns
    seen[$pem]=1 pem=''
  done | sort -u
}

# name_patterns: the subject of the certificate on stdin, as base64 has it inside of a longer text, where it
# begins at one of three offsets; without what its neighbours have a part in
name_patterns() {
  local pem name begin length offset text
  pem=$(cat)
  # the fourth sequence of TBSCertificate, RFC 5280 section 4.1
  read -r begin length < <(printf '%s\n' "$pem" | openssl asn1parse 2>/dev/null |
    awk '/:d=2 .*: SEQUENCE/ && ++sequence == 4 { gsub(/[:=]/, " "); print $1 + 1, $5 + $7 }') || return 0
  name=$(printf '%s\n' "$pem" | openssl x509 -outform DER |
    tail -c "+$begin" | head -c "$length" | base64 -w 0)
  for offset in 0 1 2; do
    text=$({ printf '%*s' "$offset" '' && printf '%s' "$name" | base64 -d; } | base64 -w 0)
    [ "$offset" -eq 0 ] || text=${text:4}
    printf '%s\n' "${text:0:$((${#text} - 4))}"
  done
}
