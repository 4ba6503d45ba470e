import { generateKeyPairSync } from "node:crypto";

/** A new private key that an SSH client or server takes; made here, since tests of this machine's side need no ssh-keygen. */
export function makeSshKey(): string {
  const { privateKey } = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    privateKeyEncoding: { type: "pkcs1", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });
  return privateKey;
}
