import type { SurveyTarget } from "../components/survey/survey.ts";
import { canAsk, isConfirmed } from "./ask.ts";
import { formatBackups } from "./backups/format.ts";
import { purgeRefusals } from "./backups/purge-refusals.ts";
import { askForBackups, backupTargets, readBackups } from "./backups/read-backups.ts";
import { settingsWithKeys } from "./backups/settings-with-keys.ts";
import { CommandError, exitCodes, runCommand } from "./command-error.ts";
import { readArguments, stackName } from "./command-line.ts";
import { Engine } from "./engine.ts";
import { ownFolder, programIn } from "./program.ts";

const usage = `Usage: npm run backups -- --stack <name> [--json]
       npm run backups -- purge <rollout> --stack <name> [--yes] [--original]

Lists what every master keeps of earlier sets of certificates, read only over
SSH, and checks each file by its sum; or removes the backup of one rollout from
all masters. A backup is named by the rollout that it was taken before.

  --yes          does not ask
  --original     also the set from before this program's first rollout
  --cwd FOLDER   the program's folder (default: this one)
  --json         the result as JSON on standard output
  --help         this text

Exit codes: 0 done; 1 a master could not be read or has failed; 2 bad usage;
3 refused, nothing removed; 4 the answer was not yes, nothing removed.
`;

/** How long a removal waits for a step that is at work. */
const lockSeconds = 30;

async function main(args: readonly string[]): Promise<void> {
  const { values, positionals } = readArguments(args, {
    stack: { type: "string" },
    yes: { type: "boolean", default: false },
    original: { type: "boolean", default: false },
    cwd: { type: "string", default: ownFolder },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  });
  if (values.help) {
    process.stdout.write(usage);
    return;
  }
  const purged = rolloutOf(positionals);
  const program = programIn(values.cwd, stackName(values.stack));
  if (purged !== undefined && !values.yes && !canAsk()) {
    throw new CommandError("Cannot ask: standard input is no terminal; expected --yes", { ending: "usage" });
  }
  const settings = await settingsWithKeys(new Engine({ folder: program.folder, isOutputTaken: values.json }), program);
  const targets = backupTargets(settings, program);
  if (purged === undefined) {
    await list(targets, values.json);
  } else {
    await purge(targets, purged, { isAsking: !values.yes, isOriginalMeant: values.original, restored: settings.restore, isJson: values.json });
  }
}

/** @throws CommandError on anything else than nothing or `purge <number>` */
function rolloutOf(words: readonly string[]): number | undefined {
  if (words.length === 0) {
    return undefined;
  }
  const [word, number = ""] = words;
  if (word !== "purge" || words.length !== 2 || !/^[1-9]\d{0,8}$/.test(number)) {
    throw new CommandError(`Cannot tell what to do: saw "${words.join(" ")}"; expected nothing, or purge <rollout>. Run with --help`, { ending: "usage" });
  }
  return Number(number);
}

async function list(targets: readonly SurveyTarget[], isJson: boolean): Promise<void> {
  const { masters, failures } = await readBackups(targets);
  if (isJson) {
    process.stdout.write(`${JSON.stringify({ masters, failures }, null, 2)}\n`);
  } else {
    process.stdout.write(masters.map((master) => formatBackups(master, process.stdout)).join("\n"));
    process.stderr.write(failures.map((failure) => `${failure}\n`).join(""));
  }
  if (failures.length > 0) {
    process.exitCode = exitCodes.failed;
  }
}

interface PurgeWish {
  readonly isAsking: boolean;
  readonly isOriginalMeant: boolean;
  /** what the stack file's `restore` names */
  readonly restored: number | undefined;
  readonly isJson: boolean;
}

async function purge(targets: readonly SurveyTarget[], rollout: number, { isAsking, isOriginalMeant, restored, isJson }: PurgeWish): Promise<void> {
  const { masters, failures } = await readBackups(targets);
  if (failures.length > 0) {
    throw new CommandError(`${failures.join("\n")}\nNothing was removed: all masters must answer first.`, { ending: "failed" });
  }
  const refusals = purgeRefusals(masters, rollout, { isOriginalMeant, restored });
  if (refusals.length > 0) {
    throw new CommandError(`${refusals.join("\n")}\nNothing was removed.`, { ending: "refused" });
  }
  const holders = masters.filter(({ backups }) => backups.some((each) => each.rollout === rollout)).map(({ name }) => name);
  if (isAsking && !(await isConfirmed(`Remove backup ${rollout} on ${holders.join(", ")}, for good?`))) {
    throw new CommandError("Nothing was removed.", { ending: "declined" });
  }
  const answers = await Promise.allSettled(targets.map((target) => askForBackups(target, { kind: "purge", rollout, lockSeconds })));
  const removed = Object.fromEntries(
    targets.map(({ data }, index) => {
      const answer = answers[index];
      return [data.master.name, answer?.status === "fulfilled" ? answer.value.trim() : "failed"];
    }),
  );
  process.stdout.write(
    isJson
      ? `${JSON.stringify({ rollout, masters: removed }, null, 2)}\n`
      : Object.entries(removed)
          .map(([name, outcome]) => `${name}: backup ${rollout} ${outcome}\n`)
          .join(""),
  );
  const failed = answers.flatMap((answer) =>
    answer.status === "rejected" ? [String(answer.reason instanceof Error ? answer.reason.message : answer.reason)] : [],
  );
  if (failed.length > 0) {
    throw new CommandError(`${failed.join("\n")}\nRun this again when that is mended.`, { ending: "failed" });
  }
}

await runCommand(main);
