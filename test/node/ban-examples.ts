/** What a ban of tools/dev/ban-list.ts catches, and the nearest text that none of them does. */
interface Example {
  /** how the ban's reason begins */
  readonly reason: string;
  readonly banned: string;
  readonly allowed: string;
}

export const examples: readonly Example[] = [
  {
    reason: "here-documents and here-strings",
    banned: 'cat <<< "$key"',
    allowed: "printf '%s' \"$((1 << 3))\"",
  },
  {
    reason: "name references are",
    banned: "local -n list=$1",
    allowed: "local -r name=$1",
  },
  {
    reason: "wait -n is",
    banned: "wait -n",
    allowed: 'wait "$pid"',
  },
  {
    reason: "mapfile -d is",
    banned: "mapfile -d '' files",
    allowed: "mapfile -t lines",
  },
  {
    reason: "parameter transformations are",
    banned: 'eval "${name@Q}"',
    allowed: 'printf %q "${name^^}"',
  },
  {
    reason: "within double quotes",
    banned: 'text="${text//a/"$1"}"',
    allowed: "text=\"${text//$'\\n'/$1}\"",
  },
  {
    reason: "$(<file) gives nothing",
    banned: 'printf %s "$(<"$1")"',
    allowed: 'printf %s "$(cat "$1")"',
  },
  {
    reason: "`local -` is",
    banned: "local -",
    allowed: "local -a list",
  },
  {
    reason: "local -I is",
    banned: "local -I name",
    allowed: "local -i count",
  },
  {
    reason: "negative subscripts cannot",
    banned: "unset 'files[-1]'",
    allowed: "last=${files[${#files[@]} - 1]}",
  },
  {
    reason: "%()T needs an",
    banned: "printf '%(%s)T'",
    allowed: "date +%s",
  },
  {
    reason: "empty before bash",
    banned: "now=$EPOCHSECONDS",
    allowed: "now=$SECONDS",
  },
  {
    reason: "shell options of",
    banned: "shopt -s inherit_errexit",
    allowed: "shopt -s dotglob nullglob",
  },
  {
    reason: "-v of an",
    banned: "[[ -v list[3] ]]",
    allowed: '[ -n "${list[3]+x}" ]',
  },
  {
    reason: "bash 4.2 does",
    banned: "exec 9< <(for i in a b; do\n  case $i in\n    a) ;;\n    *) f ;;\n  esac\ndone)",
    allowed: "exec 9< <(f)\ncase $i in a) ;; *) f ;; esac",
  },
  {
    reason: "command substitution in",
    banned: "now=${ date; }",
    allowed: "now=$(date)",
  },
  {
    reason: "OpenSSL 1.1.1: use",
    banned: "openssl req -addext basicConstraints=CA:TRUE",
    allowed: "openssl req -config file",
  },
  {
    reason: "OpenSSL 3.0: use",
    banned: "openssl x509 -req -copy_extensions copy",
    allowed: "openssl x509 -req -extfile file -extensions leaf",
  },
  {
    reason: "options of OpenSSL 1.1.1 and later: use",
    banned: "openssl x509 -noout -ext subjectAltName",
    allowed: "openssl x509 -noout -text -certopt no_header",
  },
  {
    reason: "OpenSSL 3.4: use",
    banned: "openssl x509 -req -not_before 20260101000000Z",
    allowed: "openssl ca -startdate 260101000000Z",
  },
  {
    reason: "options of OpenSSL 1.1.1 and later: write",
    banned: "openssl ca -rand_serial",
    allowed: "openssl ca -preserveDN -batch",
  },
  {
    reason: "options of OpenSSL 1.1.0",
    banned: "openssl s_client -noservername -connect a:1",
    allowed: "openssl s_client -connect a:1 | openssl x509 -noout -issuer -nameopt RFC2253",
  },
  {
    reason: "does nothing in",
    banned: "openssl s_client -verify_return_error -connect a:1",
    allowed: "openssl s_client -verify 5 -verify_return_error -connect a:1",
  },
  {
    reason: "OpenSSL 1.1.0 and",
    banned: 'openssl verify -no-CApath -CAfile ca.pem = "a: OK"',
    allowed: '[ "$(openssl verify -CAfile ca.pem 2>&1)" = "stdin: OK" ]',
  },
  {
    reason: "exits with 0",
    banned: "openssl verify -CAfile ca.pem && use",
    allowed: "[ \"$(openssl verify -CAfile ca.pem 2>&1)\" = 'stdin: OK' ]",
  },
  {
    reason: "written as /CN=a",
    banned: "openssl x509 -noout -subject",
    allowed: "openssl x509 -noout -subject -nameopt RFC2253",
  },
  {
    reason: "OpenSSL 1.1.1 for",
    banned: "openssl pkey -check -in key.pem",
    allowed: "openssl pkey -pubout -outform DER",
  },
  {
    reason: "OpenSSL 1.0.2 writes",
    banned: "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1",
    allowed:
      "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 -pkeyopt ec_param_enc:named_curve",
  },
  {
    reason: "its words differ",
    banned: "openssl dgst -sha256 file",
    allowed: "sha256sum file",
  },
  {
    reason: "commands and options of OpenSSL",
    banned: "openssl list -providers",
    allowed: "openssl version",
  },
  {
    reason: "a secret in",
    banned: "openssl pkey -passin pass:secret",
    allowed: "openssl pkey -passin fd:3",
  },
  {
    reason: "key material in",
    banned: 'grep -q "${FILE_CONTENT[3]}" file',
    allowed: "printf '%s' \"${FILE_CONTENT[3]}\" | openssl pkey -noout",
  },
  {
    reason: "echo eats -n",
    banned: "echo done",
    allowed: "printf 'done\\n'",
  },
  {
    reason: "commands and options of coreutils",
    banned: "dd if=a of=b status=progress",
    allowed: 'dd of="$draft" conv=fsync,notrunc status=none',
  },
  {
    reason: "syncs every disk",
    banned: "sync -f file",
    allowed: "flush file",
  },
  {
    reason: "drafts lie beside",
    banned: "draft=$(mktemp)",
    allowed: 'draft=$(mktemp -p "$folder")',
  },
  {
    reason: "commands and options of util-linux",
    banned: "flock --no-fork lock true",
    allowed: "flock -w 5 lock true",
  },
  {
    reason: "options that iproute2",
    banned: "ss -Htn state established",
    allowed: "ss -tn state established | awk 'NR > 1'",
  },
  {
    reason: "commands and options of systemd",
    banned: "systemctl show --value -p MainPID etcd",
    allowed: "systemctl show -p MainPID etcd | cut -d = -f 2",
  },
  {
    reason: "systemd 219 says",
    banned: "systemctl show -p EnvironmentFiles etcd | sed -n 's/^EnvironmentFiles=//p'",
    allowed: "systemctl show -p EnvironmentFiles etcd | sed -n 's/^EnvironmentFiles\\{0,1\\}=//p'",
  },
  {
    reason: "commands and options of procps-ng",
    banned: "pgrep --ignore-ancestors etcd",
    allowed: "pgrep -x kube-apiserver",
  },
  {
    reason: "features of gawk",
    banned: "awk -i inplace '{ print }' file",
    allowed: "awk '{ print $4 }' file",
  },
  {
    reason: "options newer than sed",
    banned: "sed --sandbox -n p file",
    allowed: "sed -n p file",
  },
  {
    reason: "options newer than tar",
    banned: "gzip -k file",
    allowed: "gzip -d",
  },
  {
    reason: "not on every",
    banned: "jq -r .id",
    allowed: "cut -d , -f 1",
  },
];
