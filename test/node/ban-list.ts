import { bans, findBanned } from "../../tools/dev/ban-list.ts";

/** Prints every ban that does not catch its own example, and every harmless text that is caught. */
const harmless = [
  'read -r line < <(exec timeout 5 openssl s_client -connect "$1:$2")',
  'for each in ${names[@]+"${names[@]}"}; do',
  "# wait -n would be newer",
];
const uncaught = bans
  .filter(({ example, reason }) => !messagesOf(example).includes(reason))
  .map(({ example }) => `not caught: ${example}`);
const unguarded = ['"${list[@]}"', '"${list[@]:1}"']
  .filter((each) => messagesOf(`local -a list=()\nf ${each}`).length !== 1)
  .map((each) => `not caught: ${each}`);
const caught = [...harmless, ...bans.map(({ allowed }) => allowed)].flatMap((text) =>
  messagesOf(text).map((message) => `caught: ${text}: ${message}`),
);
process.stdout.write([...uncaught, ...unguarded, ...caught].map((line) => `${line}\n`).join(""));

function messagesOf(text: string): string[] {
  return findBanned("example.sh", text).map(({ message }) => message.replace("banned on masters: ", ""));
}
