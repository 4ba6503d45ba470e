import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A certificate and its key, made by the openssl command and not by the code under test. */
export interface Issued {
  readonly certPem: string;
  readonly keyPem: string;
}

export interface LeafRequest {
  readonly subject: string;
  /** OpenSSL's spelling: `DNS:a,IP:1.2.3.4` */
  readonly sans?: string;
  readonly uses?: string;
  readonly days?: number;
}

const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "-", "-out", "-"];

/** A self-signed authority with a key identifier. */
export function makeAuthority(subject: string, days = 3650): Issued {
  return split(
    openssl(["req", "-x509", ...newKey, "-subj", subject, "-days", String(days), "-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature"], {}),
  );
}

/** A leaf that `authority` signed. */
export function makeLeaf(authority: Issued, request: LeafRequest): Issued {
  const { subject, sans, uses = "serverAuth,clientAuth", days = 365 } = request;
  const extensions = ["basicConstraints=critical,CA:FALSE", `extendedKeyUsage=${uses}`, ...(sans === undefined ? [] : [`subjectAltName=${sans}`])];
  const asked = extensions.flatMap((extension) => ["-addext", extension]);
  return split(
    openssl(["req", "-x509", ...newKey, "-subj", subject, "-days", String(days), ...asked, "-CA", "ca.pem", "-CAkey", "ca-key.pem"], {
      "ca.pem": authority.certPem,
      "ca-key.pem": authority.keyPem,
    }),
  );
}

/** Runs openssl in a folder of its own that holds `files`. */
export function openssl(words: readonly string[], files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), "model test "));
  try {
    for (const [name, text] of Object.entries(files)) {
      writeFileSync(join(folder, name), text, { mode: 0o600 });
    }
    return execFileSync("openssl", words, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function split(output: string): Issued {
  const block = (kind: string) => new RegExp(`-----BEGIN ${kind}-----[^-]+-----END ${kind}-----\n`).exec(output)?.[0] ?? "";
  return { certPem: block("CERTIFICATE"), keyPem: block("PRIVATE KEY") };
}
