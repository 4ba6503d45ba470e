import { execFileSync } from "node:child_process";
import { createHash, X509Certificate } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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
  /** it may sign, too */
  readonly authority?: true;
}

/** What a certificate says, and who signs it: its own key, unless there is somebody. */
interface Request {
  readonly subject: string;
  readonly days: number;
  readonly extensions?: readonly string[];
  readonly by?: Issued;
  /** made anew where there is none */
  readonly keyPem?: string;
}

const curve = ["ec_paramgen_curve:P-256", "ec_param_enc:named_curve"].flatMap((each) => ["-pkeyopt", each]);
const newKey = ["-newkey", "ec", ...curve, "-nodes", "-keyout", "-", "-out", "-"];
const authorityUses = "keyUsage=critical,keyCertSign,cRLSign";

export function makeKey(): string {
  return openssl(["genpkey", "-algorithm", "EC", ...curve], {});
}

export function issue({ subject, days, extensions = [], by, keyPem }: Request): Issued {
  const words = [
    ...["req", "-x509", "-subj", subject, "-days", String(days)],
    ...(keyPem === undefined ? newKey : ["-new", "-key", "key.pem"]),
    ...extensions.flatMap((extension) => ["-addext", extension]),
    ...(by === undefined ? [] : ["-CA", "ca.pem", "-CAkey", "ca-key.pem"]),
  ];
  const output = openssl(words, {
    ...(keyPem === undefined ? {} : { "key.pem": keyPem }),
    ...(by === undefined ? {} : { "ca.pem": by.certPem, "ca-key.pem": by.keyPem }),
  });
  const block = (kind: string) =>
    new RegExp(`-----BEGIN ${kind}-----[^-]+-----END ${kind}-----\n`).exec(output)?.[0] ?? "";
  return { certPem: block("CERTIFICATE"), keyPem: keyPem ?? block("PRIVATE KEY") };
}

/** A self-signed authority with a key identifier. */
export function makeAuthority(subject: string, days = 3650, more: readonly string[] = []): Issued {
  return issue({ subject, days, extensions: [`${authorityUses},digitalSignature`, ...more] });
}

/** The same as this program makes it: the subject has a serialNumber, 16 hexadecimal digits of the public key's SHA-256. */
export function makeOwnAuthority(commonName: string): Issued {
  const keyPem = makeKey();
  const publicKeyPem = openssl(["pkey", "-in", "key.pem", "-pubout"], { "key.pem": keyPem });
  const serial = createHash("sha256").update(publicKeyPem).digest("hex").slice(0, 16);
  const subject = `/CN=${commonName}/serialNumber=${serial}`;
  return issue({ subject, days: 3650, extensions: [`${authorityUses},digitalSignature`], keyPem });
}

/** The certificate of an authority's subject and key that another one signed. */
export function makeCross(signer: Issued, { certPem, keyPem }: Issued): string {
  const subject = `/${new X509Certificate(certPem).subject.replaceAll("\n", "/")}`;
  return issue({ subject, days: 3650, extensions: [authorityUses], by: signer, keyPem }).certPem;
}

/** A leaf that `authority` signed. */
export function makeLeaf(authority: Issued, request: LeafRequest): Issued {
  const { subject, sans, uses = "serverAuth,clientAuth", days = 365 } = request;
  const extensions = [
    `basicConstraints=critical,CA:${request.authority === true ? "TRUE" : "FALSE"}`,
    `extendedKeyUsage=${uses}`,
    ...(sans === undefined ? [] : [`subjectAltName=${sans}`]),
  ];
  return issue({ subject, days, extensions, by: authority });
}

/**
 * Where one test file finds again what openssl gave it in an earlier run: a run of mutation testing repeats it thousands of times.
 * Two calls of one run never get the same answer, so that two keys that a test makes differ.
 */
const memory = process.env["TEST_OPENSSL_MEMORY"];
const calls = new Map<string, number>();

/** Runs openssl in a folder of its own that holds `files`. */
export function openssl(words: readonly string[], files: Readonly<Record<string, string>>): string {
  if (memory === undefined) {
    return runOpenssl(words, files);
  }
  const call = createHash("sha256")
    .update(JSON.stringify([words, files]))
    .digest("hex");
  const count = calls.get(call) ?? 0;
  calls.set(call, count + 1);
  const known = join(memory, `${call}-${count}`);
  if (!existsSync(known)) {
    mkdirSync(memory, { recursive: true });
    writeFileSync(known, runOpenssl(words, files));
  }
  return readFileSync(known, "utf8");
}

function runOpenssl(words: readonly string[], files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), "model test "));
  try {
    for (const [name, text] of Object.entries(files)) {
      writeFileSync(join(folder, name), text, { mode: 0o600 });
    }
    return execFileSync("openssl", words, {
      cwd: folder,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
