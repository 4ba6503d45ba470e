import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { remoteShell } from "./survey/ssh.ts";
import { valueIfKnown } from "./value-if-known.ts";

interface StepArgs {
  readonly user: string;
  readonly connection: pulumi.Input<command.types.input.remote.ConnectionArgs>;
  /** runs the step anew when it changes, and nothing else does */
  readonly attempt: pulumi.Output<string>;
  /** secret */
  readonly script: pulumi.Output<string>;
  readonly dependsOn: pulumi.Input<pulumi.Resource[]>;
}

/**
 * One phase on one master: the only way in which this program changes one.
 * Nothing secret is in `create`; there is no `delete`, so that `pulumi destroy` leaves the masters working.
 * With the same attempt, a changed script, datum or SSH key shows no difference and runs nothing.
 */
export function step(name: string, args: StepArgs, parent: pulumi.Resource): command.remote.Command {
  return new command.remote.Command(
    name,
    {
      connection: pulumi.secret(args.connection),
      create: remoteShell(args.user),
      // by value: what the step comes after is in `dependsOn`, and the state need not list every key and leaf three times
      stdin: pulumi.secret(valueIfKnown(args.script).then((script) => script ?? "")),
      triggers: [valueIfKnown(args.attempt).then((attempt) => attempt ?? pulumi.unknown)],
      logging: command.types.enums.remote.Logging.Stderr,
      addPreviousOutputInEnv: false,
    },
    { parent, dependsOn: args.dependsOn, ignoreChanges: ["create", "stdin", "connection", "logging"] },
  );
}
