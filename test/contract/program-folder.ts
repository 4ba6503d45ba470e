import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeSshKey } from "../support/ssh-key.ts";

/** Makes a folder what the commands take for a program's: a project, a folder for stack files, and a private key in `id`. */
export function makeProgramFolder(root: string): void {
  mkdirSync(join(root, "stacks"));
  writeFileSync(join(root, "Pulumi.yaml"), "name: etcd-rotation\nstackConfigDir: stacks\n");
  writeFileSync(join(root, "id"), makeSshKey(), { mode: 0o600 });
}
