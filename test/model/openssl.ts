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

const newKey = [
  "-newkey",
  "ec",
  "-pkeyopt",
  "ec_paramgen_curve:P-256",
  "-pkeyopt",
  "ec_param_enc:named_curve",
  "-nodes",
  "-keyout",
  "-",
  "-out",
  "-",
];

/** A self-signed authority with a key identifier. */
export function makeAuthority(subject: string, days = 3650, more: readonly string[] = []): Issued {
  return split(
    openssl(
      [
        "req",
        "-x509",
        ...newKey,
        "-subj",
        subject,
        "-days",
        String(days),
        "-addext",
        "keyUsage=critical,keyCertSign,cRLSign,digitalSignature",
        ...more,
      ],
      {},
    ),
  );
}

/** The same as this program makes it: the subject has a serialNumber, 16 hexadecimal digits of the public key's SHA-256. */
export function makeOwnAuthority(commonName: string): Issued {
  const keyPem = openssl(
    [
      "genpkey",
      "-algorithm",
      "EC",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-pkeyopt",
      "ec_param_enc:named_curve",
    ],
    {},
  );
  const publicKeyPem = openssl(["pkey", "-in", "key.pem", "-pubout"], { "key.pem": keyPem });
  const serial = createHash("sha256").update(publicKeyPem).digest("hex").slice(0, 16);
  const usage = "keyUsage=critical,keyCertSign,cRLSign,digitalSignature";
  const words = [
    "req",
    "-x509",
    "-new",
    "-key",
    "key.pem",
    "-subj",
    `/CN=${commonName}/serialNumber=${serial}`,
    "-days",
    "3650",
    "-addext",
    usage,
  ];
  return { certPem: openssl(words, { "key.pem": keyPem }), keyPem };
}

/** The certificate of an authority's subject and key that another one signed. */
export function makeCross(signer: Issued, authority: Issued): string {
  const subject = `/${new X509Certificate(authority.certPem).subject.replaceAll("\n", "/")}`;
  return openssl(
    [
      "req",
      "-x509",
      "-new",
      "-key",
      "key.pem",
      "-subj",
      subject,
      "-days",
      "3650",
      "-addext",
      "keyUsage=critical,keyCertSign,cRLSign",
      "-CA",
      "ca.pem",
      "-CAkey",
      "ca-key.pem",
    ],
    { "key.pem": authority.keyPem, "ca.pem": signer.certPem, "ca-key.pem": signer.keyPem },
  );
}

/** A leaf that `authority` signed. */
export function makeLeaf(authority: Issued, request: LeafRequest): Issued {
  const { subject, sans, uses = "serverAuth,clientAuth", days = 365 } = request;
  const extensions = [
    `basicConstraints=critical,CA:${request.authority === true ? "TRUE" : "FALSE"}`,
    `extendedKeyUsage=${uses}`,
    ...(sans === undefined ? [] : [`subjectAltName=${sans}`]),
  ];
  const asked = extensions.flatMap((extension) => ["-addext", extension]);
  return split(
    openssl(
      [
        "req",
        "-x509",
        ...newKey,
        "-subj",
        subject,
        "-days",
        String(days),
        ...asked,
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca-key.pem",
      ],
      {
        "ca.pem": authority.certPem,
        "ca-key.pem": authority.keyPem,
      },
    ),
  );
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

function split(output: string): Issued {
  const block = (kind: string) =>
    new RegExp(`-----BEGIN ${kind}-----[^-]+-----END ${kind}-----\n`).exec(output)?.[0] ?? "";
  return { certPem: block("CERTIFICATE"), keyPem: block("PRIVATE KEY") };
}
