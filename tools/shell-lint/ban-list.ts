/** Something wrong at a line of a file. */
export interface Finding {
  readonly file: string;
  readonly line: number;
  readonly message: string;
}

export interface Ban {
  readonly pattern: RegExp;
  /** why, and what to write instead */
  readonly reason: string;
  /** a line that it must catch; the test tries each */
  readonly example: string;
}

/**
 * What the bash of masters must not use: features newer than bash 4.2 (CentOS 7), OpenSSL 1.0.2 and coreutils 8.22,
 * which fail late or do something else without a word, and ways in which a key would be seen.
 * These versions are checked by this list; the scripts are not run on them.
 */
export const bans: readonly Ban[] = [
  {
    pattern: /(?<![<\d(])<<-?\s*[\w'"\\]|<<</,
    reason: "here-documents and here-strings go through a file in /tmp before bash 5.1: use a pipe",
    example: 'cat <<< "$key"',
  },
  { pattern: /\b(?:local|declare|typeset)\s+-\w*n/, reason: "name references are bash 4.3: pass values", example: "local -n list=$1" },
  { pattern: /\bwait\s+-\w*[nfp]/, reason: "wait -n is bash 4.3: wait for each pid", example: "wait -n" },
  { pattern: /\b(?:mapfile|readarray)\b.*\s-d/, reason: "mapfile -d is bash 4.4: read in a loop", example: "mapfile -d '' files" },
  { pattern: /\$\{\w+(?:\[[^\]]*\])?@[QEPAaKkuUL]\}/, reason: "parameter transformations are bash 4.4: use printf %q", example: 'eval "${name@Q}"' },
  { pattern: /\blocal\s+-\s*(?:$|;)/, reason: "`local -` is bash 4.4", example: "local -" },
  {
    pattern: /\$\{\w+\[-\d+\]\}/,
    reason: "negative subscripts cannot be assigned or unset before bash 4.3: count with ${#list[@]}",
    example: "last=${files[-1]}",
  },
  { pattern: /\bprintf\b.*%\([^)]*\)T/, reason: "%()T needs an argument before bash 4.3: use date", example: "printf '%(%s)T'" },
  { pattern: /\bEPOCH(?:SECONDS|REALTIME)\b|\bSRANDOM\b|\bBASH_ARGV0\b/, reason: "empty before bash 5.0: use date +%s", example: "now=$EPOCHSECONDS" },
  {
    pattern: /\binherit_errexit\b|\blocalvar_inherit\b|\bassoc_expand_once\b/,
    reason: "shell options of bash 4.4 and later",
    example: "shopt -s inherit_errexit",
  },
  {
    pattern: /\[\[\s+-v\s+\w+\[|\btest\s+-v\s+\w+\[|\[\s+-v\s+['"]?\w+\[/,
    reason: "-v of an element is bash 4.3: use ${name[i]+x}",
    example: "[[ -v list[3] ]]",
  },
  { pattern: /\$\{ |\$\{\|/, reason: "command substitution in this shell is bash 5.3", example: "now=${ date; }" },
  { pattern: /-addext\b/, reason: "OpenSSL 1.1.1: use a configuration file", example: "openssl req -addext subjectAltName=IP:1.2.3.4" },
  { pattern: /-copy_extensions\b/, reason: "OpenSSL 3.0: use -extfile", example: "openssl x509 -req -copy_extensions copy" },
  { pattern: /\bx509\b.*\s-ext\b/, reason: "OpenSSL 1.1.1: use -text", example: "openssl x509 -noout -ext subjectAltName" },
  { pattern: /-not_(?:before|after)\b/, reason: "OpenSSL 3.4: use openssl ca -startdate", example: "openssl x509 -req -not_before 20260101000000Z" },
  {
    pattern: /\bs_client\b.*\s-(?:noservername|brief\b.*-tls1_3|requestCAfile|nameopt)\b|\bs_client\b.*-proxy_user/,
    reason: "options of OpenSSL 1.1.1 and later",
    example: "openssl s_client -noservername -connect a:1",
  },
  {
    pattern: /\b(?:verify|s_client)\b.*\s-(?:no-CAfile|no-CApath|no-CAstore|CAstore)\b/,
    reason: "OpenSSL 1.1.0 and later",
    example: "openssl verify -no-CApath -CAfile ca.pem",
  },
  {
    pattern: /\b(?:pkey|ec|rsa)\b.*\s-(?:check|pubcheck)\b/,
    reason: "OpenSSL 1.1.1 for pkey: compare public keys",
    example: "openssl pkey -check -in key.pem",
  },
  { pattern: /\bopenssl\s+(?:storeutl|list|rehash|kdf|mac)\b/, reason: "commands of OpenSSL 1.1.0 and later", example: "openssl list -providers" },
  {
    pattern: /\bopenssl\b.*-pass(?:in|out)?\s+pass:|\bopenssl\b.*\s-K\s/,
    reason: "a secret in arguments, which everybody can read in /proc",
    example: "openssl pkey -passin pass:secret",
  },
  {
    pattern: /^\s*(?:[a-z_/]*\/)?(?!printf\b)(?:env|sh|bash|openssl|curl|etcdctl|awk|sed|grep)\b.*\$\{?(?:FILE_CONTENT|key_pem|KEY_PEM)/,
    reason: "key material in a command's arguments: use printf (a builtin) and a pipe",
    example: 'grep -q "${FILE_CONTENT[3]}" file',
  },
  { pattern: /(?:^|[;&|({]\s*|\b(?:then|do|else)\s+)echo\b/, reason: "echo eats -n and backslashes by its build: use printf", example: "echo done" },
  {
    pattern: /\bcp\b.*--reflink|\bsync\b.*\s-[df]\b|\bln\b.*--relative|\bsort\b.*--debug/,
    reason: "options that coreutils 8.22 does not have in this form",
    example: "sync -d file",
  },
  {
    pattern: /\bmktemp\b(?!.*-p)/,
    reason: "drafts lie beside their target, in a 0700 folder: /tmp may be another file system, and is left behind",
    example: "draft=$(mktemp)",
  },
  { pattern: /\bflock\b.*\s(?:-F|--no-fork|--verbose)\b/, reason: "util-linux 2.34", example: "flock --no-fork lock true" },
  {
    pattern: /\b(?:jq|python3?|perl)\b/,
    reason: "not on every master: only bash, coreutils, util-linux, OpenSSL, systemd and etcd's tools",
    example: "jq -r .id",
  },
];

/** `"${list[@]}"` of a list that may be empty is an error under set -u before bash 4.4; these never are. */
const neverEmpty = new Set([
  "FILE_PATH",
  "FILE_KIND",
  "FILE_GROUP",
  "FILE_READER",
  "FILE_RELOAD",
  "FILE_OWNER",
  "FILE_MODE",
  "FILE_CONTENT",
  "MEMBER_ADDRESSES",
]);
const expansion = /\$\{(\w+)\[[@*]\]\}/g;

/** Everything on the ban list in one script; comments are not looked at. */
export function findBanned(file: string, text: string): Finding[] {
  const lines = text.split("\n").map((line) => line.replace(/(?:^|\s)#.*$/, "").replace(/\(\([^)]*<<[^)]*\)\)/g, "(())"));
  const found = lines.flatMap((line, index) =>
    bans.filter(({ pattern }) => pattern.test(line)).map(({ reason }) => ({ file, line: index + 1, message: `banned on masters: ${reason}` })),
  );
  return [...found, ...unguarded(file, lines)];
}

/** Lists that are filled where they are made, or with a literal word, are safe; the rest needs `${list[@]+"${list[@]}"}`. */
function unguarded(file: string, lines: readonly string[]): Finding[] {
  const filled = new Set(lines.flatMap((line) => [...line.matchAll(/\b(\w+)=\((?!\s*\))/g)].map((match) => match[1] ?? "")));
  const emptied = new Set(lines.flatMap((line) => [...line.matchAll(/\b(\w+)=\(\s*\)/g)].map((match) => match[1] ?? "")));
  return lines.flatMap((line, index) =>
    [...line.matchAll(expansion)]
      .filter((match) => {
        const name = match[1] ?? "";
        const isGuarded = line.slice(0, match.index).endsWith(`\${${name}[@]+"`);
        return !(isGuarded || neverEmpty.has(name)) && (emptied.has(name) || !filled.has(name));
      })
      .map((match) => ({
        file,
        line: index + 1,
        message: `banned on masters: ${match[0]} of a list that may be empty is an error before bash 4.4: write \${${match[1]}[@]+"${match[0]}"}`,
      })),
  );
}
