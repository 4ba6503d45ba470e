import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

// What the tables of docs/ have under "message", "line", "reason" and "refused with" against the words in the code: whoever
// searches for what a terminal shows must find it. Variables, names and numbers stand between the pieces that are compared.

const root = join(import.meta.dirname, "..", "..");
const texts = (pattern: string) =>
  globSync(pattern, { cwd: root }).map((file) => ({ file, text: readFileSync(join(root, file), "utf8") }));
const pages = texts("docs/*.md");
const source = texts("{components,cli,tools,stacks}/**/*.{ts,sh}").map(({ text }) => text);
const documented = pages.map(({ text }) => text).join("\n");

/** Of Node.js, ssh2, bash and Pulumi. */
const wordsOfOthers = [
  "connect ECONNREFUSED",
  "read ECONNRESET",
  "Timed out",
  "command not found",
  "no resource plugin",
];

const between =
  /…|<[^>]+>|[:;,"()]|\b(?:because|etcd|etcd-ca|cluster-ca|kube-apiserver|settle|issue|retire|trust|kubeadm|ack)\b|\d+/;

function piecesOf(message: string): string[] {
  return message
    .split(between)
    .map((piece) => piece.trim())
    .filter((piece) => piece.length > 5);
}

/** The messages in the first column of a page's tables of messages. */
function messagesOf(page: string): string[] {
  const tables = page.matchAll(
    /^\| (?:message|line|reason|refused with)[^|\n]* \|.*\n\|---.*\n((?:\|.*\n)*)/gm,
  );
  const cells = [...tables].flatMap(([, rows = ""]) =>
    rows.split("\n").map((row) => row.split(" | ")[0] ?? ""),
  );
  return cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, message = ""]) => message));
}

test("every message that docs/ explains is one that the code prints", () => {
  const messages = pages.flatMap(({ text }) => messagesOf(text));
  expect(messages.length).toBeGreaterThan(150);
  const isPrinted = (piece: string) =>
    wordsOfOthers.includes(piece) || source.some((text) => text.includes(piece));
  expect(messages.filter((message) => !piecesOf(message).every(isPrinted))).toEqual([]);
});

test("every message with which a step ends is explained in docs/", () => {
  // what runs on a worker says itself what to do; a list of backups is no step
  const scripts = texts("components/node/{bin,lib}/*.sh").filter(
    ({ file }) => !/(?:worker-authority|backups)\.sh$/.test(file),
  );
  const messages = scripts.flatMap(({ text }) =>
    [...text.matchAll(/["'](Cannot [^"'\n]+)/g)].map(([, message = ""]) => message),
  );
  expect(messages.length).toBeGreaterThan(30);
  const beginningOf = (message: string) => message.split(/\$|%s|[:;]/)[0]?.trim() ?? "";
  expect(messages.map(beginningOf).filter((beginning) => !documented.includes(beginning))).toEqual([]);
});
