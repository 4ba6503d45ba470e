import type { Mutation } from "./mutation.ts";

/** Faults in the program that went unseen before, in what StrykerJS does not look at or could not see: each with its test. */
export const programMutations: readonly Mutation[] = [
  {
    file: "components/model/restore.ts",
    from: "key === undefined || key.publicKey === certificate.publicKey",
    to: "key === undefined || key.publicKey !== undefined",
    tests: "model/restore.test.ts",
    test: "stay where the key in the backup is not the certificate's",
  },
  {
    file: "components/survey/claim.ts",
    from: "if (claimed.length > 0) {",
    to: "if (claimed.length + taken.length > 0) {",
    tests: "contract/survey.test.ts",
    test: "a master that another run has claimed",
  },
  {
    file: "components/cluster.ts",
    from: "process.env[ignoreWindowVariable] !== pulumi.getStack()",
    to: "process.env[ignoreWindowVariable] === undefined",
    tests: "contract/window.test.ts",
    test: "only when the variable names this stack",
  },
  {
    file: "cli/files.ts",
    from: "    renameSync(temporary, file);\n",
    to: "    writeFileSync(file, text, { mode });\n",
    tests: "cli/stack-file.test.ts",
    test: "a file is replaced at once",
  },
];
