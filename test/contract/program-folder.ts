import { generateKeyPairSync } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Makes a folder what the commands take for a program's: a project, a folder for stack files, and a private key in `id`. */
export function makeProgramFolder(root: string): void {
  mkdirSync(join(root, "stacks"));
  writeFileSync(join(root, "Pulumi.yaml"), "name: etcd-rotation\nstackConfigDir: stacks\n");
  const { privateKey } = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    privateKeyEncoding: { type: "pkcs1", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });
  writeFileSync(join(root, "id"), privateKey, { mode: 0o600 });
}
