import { bans, findBanned } from "../../tools/shell-lint/ban-list.ts";

/** Prints every ban that does not catch its own example, and every harmless line that is caught. */
const harmless = [
  'dd of="$draft" conv=fsync,notrunc status=none',
  "printf '%s' \"$((1 << 3))\"",
  'read -r line < <(exec timeout 5 openssl s_client -connect "$1:$2")',
  'for each in ${names[@]+"${names[@]}"}; do',
  "# wait -n would be newer",
  "openssl x509 -noout -enddate",
];
const uncaught = bans.filter(({ example }) => findBanned("example.sh", example).length === 0).map(({ example }) => `not caught: ${example}`);
const unguarded = findBanned("example.sh", 'local -a list=()\nfor each in "${list[@]}"; do :; done').length === 1 ? [] : ["not caught: an unguarded list"];
const caught = harmless.filter((line) => findBanned("example.sh", line).length > 0).map((line) => `caught: ${line}`);
process.stdout.write([...uncaught, ...unguarded, ...caught].map((line) => `${line}\n`).join(""));
