import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { z } from "zod";
import { CommandError } from "../command-error.ts";
import { type Engine, errorIn } from "../engine.ts";
import { inScratchFolder } from "../files.ts";
import type { Program } from "../project.ts";
import { secretsProviderIn } from "../stack-file.ts";
import { nameIn } from "../state/deployment.ts";
import { showPreview } from "./rollback-plan.ts";

/**
 * Previews a state and a stack file in a backend of its own, so that until the answer nothing of the stack has changed,
 * whatever happens to this process.
 * @param importable what `pulumi stack import` takes
 * @returns what it would make
 * @throws CommandError when the engine does not accept that state, or the preview fails
 */
export function trialPreview(
  engine: Engine,
  program: Program,
  importable: string,
  stackFileText: string,
): Promise<ReturnType<typeof newMaterialOf>> {
  return inScratchFolder(async (folder) => {
    const state = join(folder, "state");
    mkdirSync(state);
    const file = (name: string, text: string) => {
      writeFileSync(join(folder, name), text, { mode: 0o600 });
      return join(folder, name);
    };
    // neither `stack init` nor `stack import` takes another stack file; a project of the same name has one
    file("Pulumi.yaml", `${JSON.stringify({ name: program.project, runtime: "nodejs" })}\n`);
    const stackFile = file(`Pulumi.${program.stack}.yaml`, stackFileText);
    const inside = engine.with({ env: { PULUMI_BACKEND_URL: pathToFileURL(state).href } });
    const beside = inside.with({ folder });
    const provider = secretsProviderIn(stackFileText);
    const encrypted = provider === undefined ? [] : ["--secrets-provider", provider];
    await beside.read("try out that state", "stack", "init", program.stack, "--no-select", ...encrypted);
    const { code: refused, stderr } = await beside.capture(
      ["stack", "import", "--stack", program.stack],
      importable,
    );
    if (refused !== 0) {
      throw CommandError.refused(`Cannot use that state: ${explain(stderr)}. Nothing was changed`);
    }
    const events = join(folder, "events");
    // the CLI has --event-log for its own Automation API
    const debugging = inside.with({ env: { PULUMI_DEBUG_COMMANDS: "true" } });
    await showPreview(debugging, program.stack, stackFile, "--event-log", events);
    return newMaterialOf(readFileSync(events, "utf8").trim().split("\n"));
  });
}

function explain(stderr: string): string {
  return stderr.includes("incorrect passphrase")
    ? "its keys are encrypted with another passphrase than the one of the stack now; expected the same. Decrypt it first, as docs/rollback.md says"
    : errorIn(stderr);
}

const event = z.looseObject({
  resourcePreEvent: z
    .looseObject({ metadata: z.looseObject({ op: z.string(), urn: z.string(), type: z.string() }) })
    .optional(),
});

/**
 * Names of the keys and certificates that a preview would make anew.
 * @param lines of the engine's event log: JSON, one event each
 */
export function newMaterialOf(lines: readonly string[]) {
  const made = lines
    .flatMap((line) => event.parse(JSON.parse(line)).resourcePreEvent?.metadata ?? [])
    .filter(
      ({ op, type }) =>
        /^(create|replace|create-replacement)$/.test(op) &&
        /^tls:index\/(privateKey|selfSignedCert|locallySignedCert):/.test(type),
    );
  const names = (isAuthority: boolean) => {
    const some = made.filter(({ urn }) => urn.includes(":CertificateAuthority$") === isAuthority);
    return [...new Set(some.map(({ urn }) => nameIn(urn)))];
  };
  return { authorities: names(true), leaves: names(false) };
}
