import { bans, findBanned } from "../../tools/dev/ban-list.ts";
import { examples } from "./ban-examples.ts";

/** Prints every ban without an example that it catches, and every harmless text that is caught. */
const harmless = [
  'read -r line < <(exec timeout 5 openssl s_client -connect "$1:$2")',
  'for each in ${names[@]+"${names[@]}"}; do',
  "# wait -n would be newer",
];
const uncaught = Object.keys(bans).flatMap((reason) => {
  const own = examples.filter((each) => reason.startsWith(each.reason));
  return own.length > 0 && own.every(({ banned }) => messagesOf(banned).includes(reason))
    ? []
    : [`not caught: ${own.map(({ banned }) => banned).join(" ") || "no example"}: ${reason}`];
});
const unguarded = ['"${list[@]}"', '"${list[@]:1}"']
  .filter((each) => messagesOf(`local -a list=()\nf ${each}`).length !== 1)
  .map((each) => `not caught: ${each}`);
const caught = [...harmless, ...examples.map(({ allowed }) => allowed)].flatMap((text) =>
  messagesOf(text).map((message) => `caught: ${text}: ${message}`),
);
process.stdout.write([...uncaught, ...unguarded, ...caught].map((line) => `${line}\n`).join(""));

function messagesOf(text: string): string[] {
  return findBanned("example.sh", text).map(({ message }) => message.replace("banned on masters: ", ""));
}
