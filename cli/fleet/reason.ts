import { printable } from "../../components/model/printable.ts";

/** Longer than that, the log is the better place. */
const longest = 400;

/** Why a run failed, in a few words: what the engine called an error, or else the CLI. */
export function reasonOf(diagnostics: readonly string[], output: string): string {
  const said = diagnostics.map(withoutMarks).find((message) => message !== "" && !message.startsWith("update failed"));
  const lines = output.split("\n").map(withoutMarks);
  const called = lines.find((line) => line.startsWith("error: ") && !line.startsWith("error: update failed"));
  const text = said ?? called?.slice("error: ".length) ?? lines.findLast((line) => line !== "") ?? "unknown";
  if (text.startsWith("no stack named ")) {
    return `${text}; make it with: npx etcd-rotation pulumi stack init <stack>`;
  }
  return text.length <= longest ? text : `${text.slice(0, longest)}…`;
}

/** Without the engine's colour directives, on one line. */
function withoutMarks(text: string): string {
  return printable(text.replaceAll(/<\{%.*?%\}>/g, ""))
    .replaceAll(/\s+/g, " ")
    .trim();
}
