/** Something wrong at a line of a file. */
export interface Finding {
  readonly file: string;
  readonly line: number;
  readonly message: string;
}

interface Ban {
  readonly pattern: RegExp;
  /** why, and what to write instead; the test has an example of each */
  readonly reason: string;
}

/**
 * What scripts on a master must not use: what its programs do not have, or do otherwise without a word, and ways in which a key would
 * be seen. The programs are those of CentOS 7 and Alibaba Cloud Linux 2: bash 4.2, OpenSSL 1.0.2, coreutils 8.22, util-linux 2.23,
 * systemd 219, iproute2 of 2013, procps-ng 3.3.10, gawk 4.0, sed 4.2.2, grep 2.20, findutils 4.5.11, tar 1.26, gzip 1.5.
 */
export const bans: readonly Ban[] = [
  {
    pattern: /(?<![<\d(])<<-?[ \t]*[\w'"\\]|<<</,
    reason: "here-documents and here-strings go through a file in /tmp before bash 5.1: use a pipe",
  },
  {
    pattern: /\b(?:local|declare|typeset)\s+-\w*n|\bunset\s+-\w*n/,
    reason: "name references are bash 4.3: pass values",
  },
  {
    pattern: /\bwait\s+-\w*[nfp]/,
    reason: "wait -n is bash 4.3: wait for each pid",
  },
  {
    pattern: /\b(?:mapfile|readarray)\b.*\s-d/,
    reason: "mapfile -d is bash 4.4: read in a loop",
  },
  {
    pattern: /\$\{\w+(?:\[[^\]]*\])?@[QEPAaKkuUL]\}/,
    reason: "parameter transformations are bash 4.4: use printf %q",
  },
  {
    pattern: /\$\{\w+(?:\[[^\]]*\])?\/\/?[^/}]+\/["']/,
    reason:
      "within double quotes the quotes of a replacement become a part of it before bash 4.3: leave them out",
  },
  {
    pattern: /\$\(<\s*[\w"'$/]/,
    reason: "$(<file) gives nothing in a function that < <(…) calls (tried: bash 4.2.45): use read or cat",
  },
  {
    pattern: /\blocal\s+-\s*(?:$|;)/m,
    reason: "`local -` is bash 4.4",
  },
  {
    pattern: /\b(?:local|declare)\s+-\w*I/,
    reason: "local -I is bash 5.1",
  },
  {
    pattern: /\b\w+\[-\d+\]/,
    reason: "negative subscripts cannot be assigned or unset before bash 4.3: count with ${#list[@]}",
  },
  {
    pattern: /\bprintf\b.*%\([^)]*\)T/,
    reason: "%()T needs an argument before bash 4.3: use date",
  },
  {
    pattern: /\bEPOCH(?:SECONDS|REALTIME)\b|\bSRANDOM\b|\bBASH_ARGV0\b/,
    reason: "empty before bash 5.0: use date +%s",
  },
  {
    pattern:
      /\b(?:inherit_errexit|localvar_(?:inherit|unset)|assoc_expand_once|globasciiranges|globskipdots|patsub_replacement)\b/,
    reason: "shell options of bash 4.3 and later",
  },
  {
    pattern: /(?:\[\[|\btest|\[)\s+-[vR]\s+['"]?\w+\[|(?:\[\[|\btest|\[)\s+-R\s/,
    reason: "-v of an element and -R are bash 4.3: use ${name[i]+x}",
  },
  {
    pattern: /[<$]\((?:[^()]|\([^()]*\))*\bcase\s+\S+\s+in\b/,
    reason: "bash 4.2 does not parse a case pattern without its opening parenthesis in there: use a function",
  },
  {
    pattern: /\$\{ |\$\{\|/,
    reason: "command substitution in this shell is bash 5.3",
  },
  {
    pattern: /-addext\b/,
    reason: "OpenSSL 1.1.1: use a configuration file",
  },
  {
    pattern: /-copy_extensions\b|\bopenssl\s+req\b.*\s-(?:CA|CAkey|noenc|quiet)\b/,
    reason: "OpenSSL 3.0: use openssl ca or x509 with -extfile, -nodes",
  },
  {
    pattern: /\bx509\b.*\s-(?:ext|dateopt|multi|new|preserve_dates)\b/,
    reason: "options of OpenSSL 1.1.1 and later: use -text",
  },
  {
    pattern: /-not_(?:before|after)\b/,
    reason: "OpenSSL 3.4: use openssl ca -startdate",
  },
  {
    pattern: /\bopenssl\s+ca\b.*\s-(?:rand_serial|sigopt|quiet)\b/,
    reason: "options of OpenSSL 1.1.1 and later: write a serial file",
  },
  {
    pattern:
      /\bs_client\b[^|\n]*\s-(?:noservername|brief\b.*-tls1_3|tls1_3|no_tls1_3|ciphersuites|keylogfile|requestCAfile|nameopt|proxy|proxy_user|verify_quiet)\b/,
    reason: "options of OpenSSL 1.1.0 and later",
  },
  {
    pattern: /-verify_return_error\b(?<!-verify \d+ -verify_return_error)/,
    reason: "does nothing in OpenSSL 1.0.2 without -verify: write -verify 5 -verify_return_error",
  },
  {
    pattern:
      /\b(?:verify|s_client)\b.*\s-(?:no-CAfile|no-CApath|no-CAstore|CAstore|no_check_time|show_chain)\b/,
    reason: "OpenSSL 1.1.0 and later",
  },
  {
    pattern: /\bopenssl\s+verify\b(?!.*: OK)/,
    reason:
      "exits with 0 for a certificate that it refuses before OpenSSL 1.1.0: compare all that it says with 'stdin: OK'",
  },
  {
    pattern: /\bopenssl\b.*\s-(?:subject|issuer)\b(?!.*-nameopt)/,
    reason: "written as /CN=a before OpenSSL 1.1.0, as CN = a or CN=a after it: pass -nameopt RFC2253",
  },
  {
    pattern: /\b(?:pkey|ec|rsa)\b.*\s-(?:check|pubcheck)\b/,
    reason: "OpenSSL 1.1.1 for pkey: compare public keys",
  },
  {
    pattern: /\bec_paramgen_curve\b(?!.*ec_param_enc:named_curve)/,
    reason:
      "OpenSSL 1.0.2 writes the curve's parameters out, and such a certificate serves nobody: add -pkeyopt ec_param_enc:named_curve",
  },
  {
    pattern: /\bopenssl\s+(?:dgst|md5|sha\d+)\b/,
    reason: "its words differ between versions: use sha256sum",
  },
  {
    pattern:
      /\bopenssl\s+(?:storeutl|list|rehash|kdf|mac|info|fipsinstall)\b|\bopenssl\b.*\s-(?:provider|provider-path|propquery|legacy|pbkdf2|rawin)\b/,
    reason: "commands and options of OpenSSL 1.1.0 and later",
  },
  {
    pattern: /\bopenssl\b.*-pass(?:in|out)?\s+pass:|\bopenssl\b.*\s-K\s/,
    reason: "a secret in arguments, which everybody can read in /proc",
  },
  {
    pattern:
      /^\s*(?:[a-z_/]*\/)?(?!printf\b)(?:env|sh|bash|openssl|curl|etcdctl|awk|sed|grep)\b.*\$\{?(?:FILE_CONTENT|key_pem|KEY_PEM)/m,
    reason: "key material in a command's arguments: use printf (a builtin) and a pipe",
  },
  {
    pattern: /(?:^|[;&|({]\s*|\b(?:then|do|else)\s+)echo\b/m,
    reason: "echo eats -n and backslashes by its build: use printf",
  },
  {
    pattern:
      /\b(?:b2sum|basenc|base32)\b|\bdd\b.*\bstatus=progress|\bsha\d+sum\b.*\s--(?:ignore-missing|zero)|\b(?:cut|head|tail)\s+(?:-\w*z|--zero-terminated)|\benv\s+-\w*[SC]|\bdate\b.*\s--(?:debug|rfc-email|resolution)|\b(?:cp|mv)\b.*\s--(?:debug|no-copy|update=)|\bwc\b.*\s--total/,
    reason: "commands and options of coreutils 8.24 and later",
  },
  {
    pattern: /(?:^|[;&|({]\s*|\b(?:then|do|else)\s+)sync\b/m,
    reason: "syncs every disk before coreutils 8.24, and waits for one that is gone: use flush",
  },
  {
    pattern: /\bmktemp\b(?!.*-p)/,
    reason:
      "drafts lie beside their target, in a 0700 folder: /tmp may be another file system, and is left behind",
  },
  {
    pattern:
      /\bflock\b.*\s(?:-F|--no-fork|--verbose)\b|\bsetsid\s+-\w*[fw]|\bsetsid\s+--(?:fork|wait)|\bunshare\b.*\s--kill-child|\bnsenter\s+(?:-a|--all)\b|\b(?:lsblk|findmnt)\b.*\s(?:-\w*J|--json)\b|\b(?:lsns|lsfd)\b|\bcolumn\b.*\s-\w*[JN]/,
    reason: "commands and options of util-linux 2.24 and later",
  },
  {
    pattern:
      /\bss\b\s+-\w*[HOQ]|\bss\b.*\s--(?:no-header|oneline|json)|\bip\s+(?:-\w+\s+)*-(?:j|json|br|brief)\b/,
    reason: "options that iproute2 of 2013 does not have, and refuses: skip the first line of ss",
  },
  {
    pattern:
      /\bsystemctl\b.*\s(?:--(?:value|now|wait|timestamp|with-dependencies|show-transaction|what|mkdir)\b|revert\b|clean\b|bind\b)|\bsystemd-run\b.*\s(?:--(?:pipe|wait|collect|pty-late|working-directory)\b|-\w*[PG])|\bjournalctl\b.*\s(?:-g|--grep|--no-hostname|--output-fields|--namespace|-o\s+(?:short-unix|short-full|with-unit))/,
    reason: "commands and options of systemd 220 and later: cut the value behind systemctl show's =",
  },
  {
    pattern: /\^EnvironmentFiles=/,
    reason: "systemd 219 says EnvironmentFile= when it is asked for EnvironmentFiles: take both",
  },
  {
    pattern:
      /\bpidwait\b|\b(?:pgrep|pkill)\b.*\s(?:-[AHQ]|--(?:ignore-ancestors|require-handler|runstates|cgroup|queue))\b/,
    reason: "commands and options of procps-ng 3.3.11 and later",
  },
  {
    pattern: /\bg?awk\b.*(?:\s-i\s|\btypeof\(|\bmkbool\(|@namespace|\s--csv)/,
    reason: "features of gawk 4.1 and later; some masters have mawk",
  },
  {
    pattern:
      /\bsed\b.*\s--(?:sandbox|debug)|\bgrep\b.*\s--no-ignore-case|\b(?:find|du|wc)\b.*\s-files0-from|\bxargs\b.*\s(?:-o\b|--open-tty)/,
    reason: "options newer than sed 4.2.2, grep 2.20 and findutils 4.5.11",
  },
  {
    pattern:
      /\btar\b.*\s--(?:sort|zstd|one-top-level|skip-old-files|clamp-mtime)|\b(?:gzip|gunzip)\s+(?:-\w*k|--keep|--synchronous)/,
    reason: "options newer than tar 1.26 and gzip 1.5",
  },
  {
    pattern: /\b(?:jq|python3?|perl)\b/,
    reason: "not on every master: only bash, coreutils, util-linux, OpenSSL, systemd and etcd's tools",
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
const expansion = /\$\{(\w+)\[[@*]\](?::[ \d][^}]*)?\}/g;

/** Everything on the ban list in one script; comments are not looked at. */
export function findBanned(file: string, text: string): Finding[] {
  const lines = text
    .split("\n")
    .map((line) => line.replace(/(?:^|\s)#.*$/, "").replace(/\(\([^)]*<<[^)]*\)\)/g, "(())"));
  const whole = lines.join("\n");
  const found = bans.flatMap(({ pattern, reason }) =>
    [...whole.matchAll(new RegExp(pattern, `${pattern.flags}g`))].map(({ 0: match, index }) => ({
      file,
      // where it ends: it may begin in the line before
      line: whole.slice(0, index + match.length).split("\n").length,
      message: `banned on masters: ${reason}`,
    })),
  );
  return [...found, ...unguarded(file, lines)];
}

/** Lists that are filled where they are made, or with a literal word, are safe; the rest needs `${list[@]+"${list[@]}"}`. */
function unguarded(file: string, lines: readonly string[]): Finding[] {
  const namesIn = (pattern: RegExp) =>
    new Set(lines.flatMap((line) => [...line.matchAll(pattern)].map((match) => match[1] ?? "")));
  const filled = namesIn(/\b(\w+)=\((?!\s*\))/g);
  const emptied = namesIn(/\b(\w+)=\(\s*\)/g);
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
