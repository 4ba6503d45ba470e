import { type Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { durationForm, durationPattern, durationSeconds } from "../components/model/duration.ts";
import { ownFolder } from "./project.ts";

/** The options that a command declares, by their names; one without a default may also be `undefined`. */
type OptionsOf<Declare extends (...args: never[]) => { opts(): object }> = WithUndefined<
  ReturnType<ReturnType<Declare>["opts"]>
>;
type WithUndefined<T> = {
  readonly [Name in keyof T]: Record<never, never> extends Pick<T, Name> ? T[Name] | undefined : T[Name];
};

export type AdoptOptions = OptionsOf<typeof declareAdopt>;
export type StatusOptions = OptionsOf<typeof declareStatus>;
export type PlanOptions = OptionsOf<typeof declarePlan>;
export type ReportOptions = OptionsOf<typeof declareReport>;
export type RehearseOptions = OptionsOf<typeof declareRehearse>;
export type RollbackOptions = OptionsOf<typeof declareRollback>;
export type FleetOptions = OptionsOf<typeof declareFleet>;
export type ForecastOptions = OptionsOf<typeof declareForecast>;
export type FleetRunOptions = OptionsOf<typeof declareFleetRun>;
export type BackupsOptions = OptionsOf<typeof declareList>;
export type PurgeOptions = OptionsOf<typeof declarePurge>;

/** Where the program is. */
const cwdOption = new Option("--cwd <folder>", "another Pulumi project than this one").default(
  ownFolder,
  "this one",
);

/** The result for programs. */
const jsonOption = new Option(
  "--json",
  "the result as JSON on standard output, all else on standard error",
).default(false);

/** The earlier way to say which stack. */
const stackOption = new Option("--stack <stack>").hideHelp();

/** The earlier way to say which private key. */
const identityOption = new Option("--identity <file>").hideHelp();

/** What an earlier spelling and the present one say, of which there may be one; the earlier one works for one release. */
export function renamed(
  present: string | undefined,
  earlier: string | undefined,
  was: string,
  is: string,
): string | undefined {
  if (earlier !== undefined) {
    process.stderr.write(`notice: ${was} will go with the next release; it is now ${is}\n`);
  }
  return present ?? earlier;
}

export function declareAdopt(program: Command) {
  return program
    .command("adopt")
    .summary("take over a cluster: write its stack file, make its stack, preview")
    .description(
      `Takes over an ACK dedicated cluster: finds its masters from one of them, writes stacks/Pulumi.<stack>.yaml, makes the stack and runs its first preview. \
Reads only on the masters. Works while the API server is down, certificates have expired or etcd has no quorum; all masters must answer over SSH.

Where the masters are: --host, or --cluster-id and --region. How to log in: one of --key, --agent and --password. \
Compare the fingerprints with the machines' own before you answer yes.`,
    )
    .argument("<stack>", "its name, such as my-cluster")
    .option("--host <host>", "any master, as [user@]host[:port], or an alias of ~/.ssh/config")
    .option(
      "--cluster-id <id>",
      "the ACK cluster, whose masters Alibaba Cloud lists; its credentials come from the environment",
    )
    .option("--region <region>", "where that is, such as cn-hangzhou")
    .option(
      "--user <user>",
      "on every master; another than root needs sudo without a password (default: that of ~/.ssh/config, or root)",
    )
    .option("--port <port>", "of SSH on every master (default: that of ~/.ssh/config, or 22)")
    .option("--key <file>", "log in with this private key (default: the IdentityFile of ~/.ssh/config)")
    .option("--agent", "log in with the keys of the SSH agent", false)
    .option(
      "--password",
      "asks for that user's password, the same on every master; kept encrypted in the stack file",
      false,
    )
    .option(
      "--bastion <host>",
      "the jump host, as [user@]host[:port] (default: the ProxyJump of ~/.ssh/config)",
    )
    .option("--bastion-key <file>", "its private key (default: as on the masters)")
    .option("--bastion-password", "asks for its password", false)
    .option("--known-hosts <file>", "trust the host keys in it, and no others; does not ask")
    .option("--yes", "takes the host keys as they are shown, does not ask", false)
    .option("--force", "replaces the settings of a stack file that is there", false)
    .option("--no-preview", "ends when the stack file is written: no stack, no preview")
    .addOption(cwdOption)
    .addOption(jsonOption)
    .addOption(identityOption);
}

const states = `
States:
  ok           nothing to do
  due          ends within certificates.renewBefore, or the stack file asks for
               an update: pulumi up
  expiring     ends within --expiring-within, and is not due
  expired      in use and past its end
  drifted      a master disagrees with the others or with itself: pulumi preview
               says more
  interrupted  a rollout has begun, has not ended, and nothing is at work any
               more: pulumi up
  rotating     a rollout is at work; what differs meanwhile is not counted
  unreachable  a master could not be surveyed; the others are shown
  other        shown, but not counted: nothing here depends on it, or it is
               renewed by others
A "-" is a certificate that this master does not have. The exit code is the
first of 2, 3, 1 and 0 that applies.`;

export function declareStatus(program: Command) {
  return program
    .command("status")
    .summary("every certificate: who issued it, when it ends, whether it is in use")
    .description(
      "Shows every certificate of a cluster's masters: who issued it, when it ends, and whether it is the one in use. \
Reads only: the stack file, and the masters over SSH. Needs neither Pulumi nor the stack's password.",
    )
    .argument("[stack...]")
    .option("--all", "every stack with a file in stacks/", false)
    .option(
      "--expiring-within <duration>",
      "end with 1 also when a certificate ends within it, such as 30d, whatever renewBefore says",
      durationIn,
    )
    .option("--prometheus", "as metrics for node-exporter's textfile collector", false)
    .option(
      "--output <file>",
      "write there instead of standard output, replaced at once (with --json or --prometheus)",
    )
    .option("--agent", "log in with the keys of the SSH agent, whatever the stack file says", false)
    .option("--key <file>", "log in with this private key")
    .addOption(jsonOption)
    .addOption(cwdOption)
    .addOption(identityOption)
    .addHelpText("after", states);
}

export function declarePlan(program: Command) {
  return program
    .command("plan")
    .summary("what an update would do, in words; as Markdown or JSON for a pull request")
    .description(
      "Previews a stack and prints what pulumi up would do: why, on which master, in which order, with which restarts. \
Changes nothing. pulumi preview shows the same below the diff of its resources.",
    )
    .argument("[stack]")
    .option("--markdown", "as Markdown, such as for a comment on a pull request", false)
    .option(
      "--check",
      "walk the states that this rollout can reach from these masters, killed at any point: ends with 6 where a connection is refused",
      false,
    )
    .addOption(jsonOption)
    .addOption(cwdOption);
}

export function declareReport(program: Command) {
  return program
    .command("report")
    .summary("the record of a rollout: times, restarts, gaps, certificates before and after")
    .description(
      "Writes the record of a rollout, as an HTML page and as JSON, from the states in the backend's history: each step with its times, \
restarts, the longest gaps of etcd's writes and of the API, certificates before and after by SHA-256, the result. Of one that has failed too, up to the last step that ended. \
Public data only; needs no passphrase and asks no master.",
    )
    .argument("[stack]")
    .option("--rollout <n>", "this one (default: the newest)", rolloutIn)
    .option("--open", "shows the page in a browser", false)
    .option("--history <folder>", "a copy of the history, of a backend that is neither a folder nor a bucket")
    .addOption(jsonOption)
    .addOption(cwdOption)
    .addHelpText(
      "after",
      "\nFiles:\n  reports/<stack>-rollout-<n>.html and .json, in the project's folder;\n  of several clusters one each: reports/<stack>-<cluster>-rollout-<n>",
    );
}

export function declareRehearse(program: Command) {
  return program
    .command("rehearse")
    .summary("survey a cluster, and try its rollout on a lab of the same shape on this machine")
    .description(
      "Surveys a cluster's masters, read only, and makes a lab of the same shape on this machine, with keys of its own: there it runs the rollout that \
preview shows, under traffic, and says what went wrong and what it could not imitate. The lab needs a checkout, Linux, root and Debian; \
the survey does not, and holds public data only.",
    )
    .argument("[stack]")
    .option("--save <file>", "ends when the survey is written: no lab")
    .option("--from <file>", "from a survey that was saved; asks no master")
    .option(
      "--kill",
      "ends the engine by SIGKILL at a moment of the rollout, then runs one more update",
      false,
    )
    .option("--seed <n>", "the same moment again (default: a new one, which is printed)", seedIn)
    .option("--agent", "log in with the keys of the SSH agent, whatever the stack file says", false)
    .option("--key <file>", "log in with this private key")
    .addOption(jsonOption)
    .addOption(cwdOption)
    .addHelpText(
      "after",
      `
It ends with 2 when it found something: a master that is well in the survey and
is not in the lab, started anew from the same files; a refused, failed or held
rollout; what the judge of the traffic saw; a client of etcd that cannot connect
afterwards. Findings are of the lab: the cluster itself was not touched.`,
    );
}

/** Reads a value that has a form. */
function formed<T>(pattern: RegExp, expected: string, read: (text: string) => T): (text: string) => T {
  return (text) => {
    if (!pattern.test(text)) {
      throw new InvalidArgumentError(`expected ${expected}`);
    }
    return read(text);
  };
}

const seedIn = formed(/^\d{1,9}$/, "a whole number", String);
const rolloutIn = formed(/^[1-9]\d{0,8}$/, "the number of a rollout", Number);
/** In seconds. */
const durationIn = formed(durationPattern, durationForm, durationSeconds);

const mostParallel = 32;

const running = `
All stacks need the same PULUMI_CONFIG_PASSPHRASE, or the same
PULUMI_CONFIG_PASSPHRASE_FILE, or a secrets provider that asks for none. After
Ctrl-C no more stacks are started, and Pulumi stops those that are running; a
step that has begun on a master finishes.`;

/** What every command of the fleet takes; `stacks` is their earlier spelling. */
export function declareFleet(fleet: Command, name: string, description: string) {
  return fleet
    .command(name)
    .description(description)
    .argument("[stack...]")
    .option("--all", "every stack with a file in stacks/", false)
    .addOption(jsonOption)
    .addOption(cwdOption)
    .addOption(new Option("--stacks <stacks>").hideHelp());
}

export function declareForecast(fleet: Command) {
  return declareFleet(
    fleet,
    "forecast",
    "When which cluster has to be rotated: after its first certificate is within renewBefore of its end, inside its window, and no two in one night unless there are more clusters than nights. Read only.",
  ).option("--ics <file>", "write it as a calendar file, too; a later one moves the same events");
}

/** What the commands of the fleet take that run Pulumi. */
export function declareFleetRun(fleet: Command, name: string, description: string) {
  return declareFleet(fleet, name, description)
    .option("--parallel <n>", "stacks that run at the same time; see docs/fleet.md", parallelIn, 2)
    .option(
      "--canary <stack>",
      "this one first and alone; up starts the others only when it is as wanted, not when it waits for its window",
    )
    .option("--logs <folder>", "where each stack's log goes (default: .fleet/<time>)")
    .addHelpText("after", running);
}

function parallelIn(text: string): number {
  const parallel = Number(text);
  if (!Number.isInteger(parallel) || parallel < 1 || parallel > mostParallel) {
    throw new InvalidArgumentError(`expected 1 to ${mostParallel}`);
  }
  return parallel;
}

export function declareRollback(program: Command) {
  return program
    .command("rollback")
    .summary("go back to an earlier set of certificates")
    .description(
      `Goes back to an earlier set of etcd certificates: that state and its rotation, then the usual phases. \
Until the answer nothing is changed: the preview runs on a copy of the state.

The state from before is saved first, readable by you alone, and its path is printed: --to <that file> goes forward again.`,
    )
    .usage("[stack] --list [file...] | --to <set> | --abort")
    .argument("[stack]")
    .argument("[file...]")
    .option(
      "--list",
      "earlier states of the backend's history, newest first, or exported files; needs no passphrase",
      false,
    )
    .option(
      "--to <set>",
      `a number of the list, or a file: of "pulumi stack export", of a backend's history, or one that this command has saved; \
or original: the files from before this program's first rollout, which the masters keep; \
the state stays, and the stack file says restore: without it pulumi up goes forward again`,
    )
    .option(
      "--abort",
      "to the set from before an update that has failed or was killed: the newest state of the list that ended well",
      false,
    )
    .option("--preview-only", "ends after the preview", false)
    .option("--yes", "does not ask", false)
    .option(
      "--re-sign",
      "also to a set that has ended or ends within renewBefore: its keys come back, signed for the present validity",
      false,
    )
    .option("--history <folder>", "a copy of the history, of a backend that is neither a folder nor a bucket")
    .addOption(jsonOption)
    .addOption(cwdOption)
    .addOption(stackOption);
}

export function declareList(backups: Command) {
  return backups
    .command("list", { isDefault: true })
    .description("Lists what every master keeps, read only over SSH, and checks each file by its sum.")
    .argument("[stack]")
    .addOption(jsonOption)
    .addOption(cwdOption)
    .addOption(stackOption);
}

export function declarePurge(backups: Command) {
  return backups
    .command("purge")
    .description(
      "Removes the backup of one rollout from all masters. A backup is named by the rollout that it was taken before.",
    )
    .argument("<rollout>", "its number in the list", rolloutIn)
    .argument("[stack]")
    .option("--yes", "does not ask", false)
    .option("--original", "also the set from before this program's first rollout", false)
    .addOption(jsonOption)
    .addOption(cwdOption)
    .addOption(stackOption);
}
