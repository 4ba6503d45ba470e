import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { runProgram } from "../../test/lab/machine.ts";
import { LabStack } from "../../test/lab/stack.ts";
import { startLab, stopLab } from "../../test/lab/topology.ts";
import { chromium, openPage } from "../../test/support/chromium.ts";
import { terminalSvg } from "./terminal-svg.ts";

const usage = `Usage: npm run pictures

Makes the pictures of docs/pictures anew: a fresh lab is taken over and rotated, and what status, preview and up print goes into
them, broken at 80 columns; the report as Chromium shows it. Needs npm run setup, and Chromium.
`;

const name = "production";
const folder = join(import.meta.dirname, "..", "..", "docs", "pictures");

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { help: { type: "boolean", default: false } } });
  if (values.help) {
    process.stdout.write(usage);
    return;
  }
  const lab = await startLab({ name });
  const stack = await LabStack.create(lab, "2026-11");
  try {
    // as on a real cluster: Kubernetes' own certificates too, and the default pause
    stack.configure({ kubernetes: undefined, pauseBetweenMasters: undefined });
    await coloured(stack, "up", "--yes", "--skip-preview");
    stack.configure({ rotation: "2027-05" });
    mkdirSync(folder, { recursive: true });
    const preview = await coloured(stack, "preview");
    save("preview", "pulumi preview of a rotation", since(preview, /^.*Diagnostics:/m));
    save("up", "The end of pulumi up", lastWords(await coloured(stack, "up", "--yes", "--skip-preview")));
    save("status", "The status of a cluster", await printed(stack, "status"));
    await printed(stack, "report");
    takePicture(join(stack.project, "reports", `${stack.name}-rollout-2.html`), lab.folder);
  } finally {
    stack.remove();
    await stopLab(name);
  }
}

function save(picture: string, title: string, text: string): void {
  writeFileSync(join(folder, `${picture}.svg`), terminalSvg(title, text));
}

/** What the CLI prints, with colours. @throws when it fails */
async function coloured(stack: LabStack, command: string, ...args: string[]): Promise<string> {
  const options = ["--stack", stack.name, "--non-interactive", "--color", "always"];
  const { code, output } = await stack.run(command, ...options, ...args);
  if (code !== 0) {
    throw new Error(`Cannot make the pictures: pulumi ${command} ended with exit code ${code}:\n${output}`);
  }
  return output;
}

/** What a command of cli/ prints, with colours. @throws when it fails */
async function printed(stack: LabStack, command: "status" | "report"): Promise<string> {
  const { env } = stack.command();
  const program = [process.execPath, join(stack.project, "cli", "etcd-rotation.js")];
  const words = ["netns", "exec", stack.lab.namespace, ...program, command, stack.name];
  const { code, stdout, stderr } = await runProgram("ip", words, {
    environment: { ...env, FORCE_COLOR: "1" },
  });
  if (code !== 0) {
    throw new Error(`Cannot make the pictures: ${command} ended with exit code ${code}:\n${stdout}${stderr}`);
  }
  return stdout;
}

/** The first screen of a report. @throws when the browser fails */
function takePicture(page: string, folderOfLab: string): void {
  const picture = join(folder, "report.png");
  const options = [`--screenshot=${picture}`, "--window-size=1100,1000", "--hide-scrollbars"];
  const { status, stderr } = openPage(page, join(folderOfLab, "chromium"), ...options);
  if (status !== 0) {
    throw new Error(
      `Cannot make the pictures: ${chromium ?? "Chromium"} ended with exit code ${status}:\n${stderr}`,
    );
  }
}

/** What an update says at its end, of one master as of the others. */
function lastWords(output: string): string {
  const text = since(output, /^.*Diagnostics:/m);
  const lines = text.slice(0, text.search(/^.*Outputs:/m)).split("\n");
  const isOther = (line: string) => /^ +master-[23] /.test(line);
  return lines
    .flatMap((line, index) => (!isOther(line) ? line : isOther(lines[index - 1] ?? "") ? [] : "    …"))
    .join("\n");
}

/** A text from the first line on that has the pattern. @throws when none has */
function since(text: string, pattern: RegExp): string {
  const start = text.search(pattern);
  if (start < 0) {
    throw new Error(`Cannot make the pictures: nothing has ${pattern} in:\n${text}`);
  }
  return text.slice(start);
}

await main();
