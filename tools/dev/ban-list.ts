/** Something wrong at a line of a file. */
export interface Finding {
  readonly file: string;
  readonly line: number;
  readonly message: string;
}

/**
 * What scripts on a master must not use: what its programs do not have, or do otherwise without a word, and ways in which a key would
 * be seen. The programs are those of CentOS 7 and Alibaba Cloud Linux 2: bash 4.2, OpenSSL 1.0.2, coreutils 8.22, util-linux 2.23,
 * systemd 219, iproute2 of 2013, procps-ng 3.3.10, gawk 4.0, sed 4.2.2, grep 2.20, findutils 4.5.11, tar 1.26, gzip 1.5.
 * By the reason, and what to write instead; the test has an example of each.
 */
export const bans: Readonly<Record<string, RegExp>> = {
  "here-documents and here-strings go through a file in /tmp before bash 5.1: use a pipe":
    /(?<![<\d(])<<-?[ \t]*[\w'"\\]|<<</,
  "name references are bash 4.3: pass values": /\b(?:local|declare|typeset)\s+-\w*n|\bunset\s+-\w*n/,
  "wait -n is bash 4.3: wait for each pid": /\bwait\s+-\w*[nfp]/,
  "mapfile -d is bash 4.4: read in a loop": /\b(?:mapfile|readarray)\b.*\s-d/,
  "parameter transformations are bash 4.4: use printf %q": /\$\{\w+(?:\[[^\]]*\])?@[QEPAaKkuUL]\}/,
  "within double quotes the quotes of a replacement become a part of it before bash 4.3: leave them out":
    /\$\{\w+(?:\[[^\]]*\])?\/\/?[^/}]+\/["']/,
  "$(<file) gives nothing in a function that < <(…) calls (tried: bash 4.2.45): use read or cat":
    /\$\(<\s*[\w"'$/]/,
  "`local -` is bash 4.4": /\blocal\s+-\s*(?:$|;)/m,
  "local -I is bash 5.1": /\b(?:local|declare)\s+-\w*I/,
  "negative subscripts cannot be assigned or unset before bash 4.3: count with ${#list[@]}": /\b\w+\[-\d+\]/,
  "%()T needs an argument before bash 4.3: use date": /\bprintf\b.*%\([^)]*\)T/,
  "empty before bash 5.0: use date +%s": /\bEPOCH(?:SECONDS|REALTIME)\b|\bSRANDOM\b|\bBASH_ARGV0\b/,
  "shell options of bash 4.3 and later":
    /\b(?:inherit_errexit|localvar_(?:inherit|unset)|assoc_expand_once|globasciiranges|globskipdots|patsub_replacement)\b/,
  "-v of an element and -R are bash 4.3: use ${name[i]+x}":
    /(?:\[\[|\btest|\[)\s+-[vR]\s+['"]?\w+\[|(?:\[\[|\btest|\[)\s+-R\s/,
  "bash 4.2 does not parse a case pattern without its opening parenthesis in there: use a function":
    /[<$]\((?:[^()]|\([^()]*\))*\bcase\s+\S+\s+in\b/,
  "command substitution in this shell is bash 5.3": /\$\{ |\$\{\|/,
  "OpenSSL 1.1.1: use a configuration file": /-addext\b/,
  "OpenSSL 3.0: use openssl ca or x509 with -extfile, -nodes":
    /-copy_extensions\b|\bopenssl\s+req\b.*\s-(?:CA|CAkey|noenc|quiet)\b/,
  "options of OpenSSL 1.1.1 and later: use -text": /\bx509\b.*\s-(?:ext|dateopt|multi|new|preserve_dates)\b/,
  "OpenSSL 3.4: use openssl ca -startdate": /-not_(?:before|after)\b/,
  "options of OpenSSL 1.1.1 and later: write a serial file":
    /\bopenssl\s+ca\b.*\s-(?:rand_serial|sigopt|quiet)\b/,
  "options of OpenSSL 1.1.0 and later":
    /\bs_client\b[^|\n]*\s-(?:noservername|brief\b.*-tls1_3|tls1_3|no_tls1_3|ciphersuites|keylogfile|requestCAfile|nameopt|proxy|proxy_user|verify_quiet)\b/,
  "does nothing in OpenSSL 1.0.2 without -verify: write -verify 5 -verify_return_error":
    /-verify_return_error\b(?<!-verify \d+ -verify_return_error)/,
  "OpenSSL 1.1.0 and later":
    /\b(?:verify|s_client)\b.*\s-(?:no-CAfile|no-CApath|no-CAstore|CAstore|no_check_time|show_chain)\b/,
  "exits with 0 for a certificate that it refuses before OpenSSL 1.1.0: compare all that it says with 'stdin: OK'":
    /\bopenssl\s+verify\b(?!.*: OK)/,
  "written as /CN=a before OpenSSL 1.1.0, as CN = a or CN=a after it: pass -nameopt RFC2253":
    /\bopenssl\b.*\s-(?:subject|issuer)\b(?!.*-nameopt)/,
  "OpenSSL 1.1.1 for pkey: compare public keys": /\b(?:pkey|ec|rsa)\b.*\s-(?:check|pubcheck)\b/,
  "OpenSSL 1.0.2 writes the curve's parameters out, and such a certificate serves nobody: add -pkeyopt ec_param_enc:named_curve":
    /\bec_paramgen_curve\b(?!.*ec_param_enc:named_curve)/,
  "its words differ between versions: use sha256sum": /\bopenssl\s+(?:dgst|md5|sha\d+)\b/,
  "commands and options of OpenSSL 1.1.0 and later":
    /\bopenssl\s+(?:storeutl|list|rehash|kdf|mac|info|fipsinstall)\b|\bopenssl\b.*\s-(?:provider|provider-path|propquery|legacy|pbkdf2|rawin)\b/,
  "a secret in arguments, which everybody can read in /proc":
    /\bopenssl\b.*-pass(?:in|out)?\s+pass:|\bopenssl\b.*\s-K\s/,
  "key material in a command's arguments: use printf (a builtin) and a pipe":
    /^\s*(?:[a-z_/]*\/)?(?!printf\b)(?:env|sh|bash|openssl|curl|etcdctl|awk|sed|grep)\b.*\$\{?(?:FILE_CONTENT|key_pem|KEY_PEM)/m,
  "echo eats -n and backslashes by its build: use printf": /(?:^|[;&|({]\s*|\b(?:then|do|else)\s+)echo\b/m,
  "commands and options of coreutils 8.24 and later":
    /\b(?:b2sum|basenc|base32)\b|\bdd\b.*\bstatus=progress|\bsha\d+sum\b.*\s--(?:ignore-missing|zero)|\b(?:cut|head|tail)\s+(?:-\w*z|--zero-terminated)|\benv\s+-\w*[SC]|\bdate\b.*\s--(?:debug|rfc-email|resolution)|\b(?:cp|mv)\b.*\s--(?:debug|no-copy|update=)|\bwc\b.*\s--total/,
  "syncs every disk before coreutils 8.24, and waits for one that is gone: use flush":
    /(?:^|[;&|({]\s*|\b(?:then|do|else)\s+)sync\b/m,
  "drafts lie beside their target, in a 0700 folder: /tmp may be another file system, and is left behind":
    /\bmktemp\b(?!.*-p)/,
  "commands and options of util-linux 2.24 and later":
    /\bflock\b.*\s(?:-F|--no-fork|--verbose)\b|\bsetsid\s+-\w*[fw]|\bsetsid\s+--(?:fork|wait)|\bunshare\b.*\s--kill-child|\bnsenter\s+(?:-a|--all)\b|\b(?:lsblk|findmnt)\b.*\s(?:-\w*J|--json)\b|\b(?:lsns|lsfd)\b|\bcolumn\b.*\s-\w*[JN]/,
  "options that iproute2 of 2013 does not have, and refuses: skip the first line of ss":
    /\bss\b\s+-\w*[HOQ]|\bss\b.*\s--(?:no-header|oneline|json)|\bip\s+(?:-\w+\s+)*-(?:j|json|br|brief)\b/,
  "commands and options of systemd 220 and later: cut the value behind systemctl show's =":
    /\bsystemctl\b.*\s(?:--(?:value|now|wait|timestamp|with-dependencies|show-transaction|what|mkdir)\b|revert\b|clean\b|bind\b)|\bsystemd-run\b.*\s(?:--(?:pipe|wait|collect|pty-late|working-directory)\b|-\w*[PG])|\bjournalctl\b.*\s(?:-g|--grep|--no-hostname|--output-fields|--namespace|-o\s+(?:short-unix|short-full|with-unit))/,
  "systemd 219 says EnvironmentFile= when it is asked for EnvironmentFiles: take both": /\^EnvironmentFiles=/,
  "commands and options of procps-ng 3.3.11 and later":
    /\bpidwait\b|\b(?:pgrep|pkill)\b.*\s(?:-[AHQ]|--(?:ignore-ancestors|require-handler|runstates|cgroup|queue))\b/,
  "features of gawk 4.1 and later; some masters have mawk":
    /\bg?awk\b.*(?:\s-i\s|\btypeof\(|\bmkbool\(|@namespace|\s--csv)/,
  "options newer than sed 4.2.2, grep 2.20 and findutils 4.5.11":
    /\bsed\b.*\s--(?:sandbox|debug)|\bgrep\b.*\s--no-ignore-case|\b(?:find|du|wc)\b.*\s-files0-from|\bxargs\b.*\s(?:-o\b|--open-tty)/,
  "options newer than tar 1.26 and gzip 1.5":
    /\btar\b.*\s--(?:sort|zstd|one-top-level|skip-old-files|clamp-mtime)|\b(?:gzip|gunzip)\s+(?:-\w*k|--keep|--synchronous)/,
  "not on every master: only bash, coreutils, util-linux, OpenSSL, systemd and etcd's tools":
    /\b(?:jq|python3?|perl)\b/,
};

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
  const found = Object.entries(bans).flatMap(([reason, pattern]) =>
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
