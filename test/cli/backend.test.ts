import { homedir } from "node:os";
import { describe, expect, test } from "vitest";
import { newMaterialOf } from "../../cli/rollback/trial-preview.ts";
import { bucketFolder, folderOf, howToCopy } from "../../cli/state/backend.ts";

describe("folderOf", () => {
  test.each([
    ["file:///var/lib/state", "/var/lib/state"],
    ["file:///a%20b?no_tmp_dir=true", "/a b"],
    ["file://~", homedir()],
    ["file://~/state", `${homedir()}/state`],
    ["file://./state", "/program/state"],
    ["s3://bucket", undefined],
    ["https://api.pulumi.com", undefined],
  ])("%s is %s", (url, folder) => {
    expect(folderOf(url, "/program")).toBe(folder);
  });
});

describe("bucketFolder", () => {
  const common = { requestChecksumCalculation: "WHEN_REQUIRED", responseChecksumValidation: "WHEN_REQUIRED" };

  test.each([
    ["s3://bucket", { bucket: "bucket", prefix: "history/prod/", client: { forcePathStyle: false } }],
    [
      "s3://bucket/a/b/?region=cn-hangzhou&endpoint=oss-cn-hangzhou.aliyuncs.com&profile=ops",
      {
        bucket: "bucket",
        prefix: "a/b/history/prod/",
        client: {
          region: "cn-hangzhou",
          profile: "ops",
          endpoint: "https://oss-cn-hangzhou.aliyuncs.com",
          forcePathStyle: false,
        },
      },
    ],
    [
      "s3://bucket/team%20a",
      { bucket: "bucket", prefix: "team a/history/prod/", client: { forcePathStyle: false } },
    ],
    [
      "s3://bucket?endpoint=127.0.0.1:7070&disableSSL=true&s3ForcePathStyle=true",
      {
        bucket: "bucket",
        prefix: "history/prod/",
        client: { endpoint: "http://127.0.0.1:7070", forcePathStyle: true },
      },
    ],
    [
      "s3://bucket?endpoint=http://127.0.0.1:7070&use_path_style=true",
      {
        bucket: "bucket",
        prefix: "history/prod/",
        client: { endpoint: "http://127.0.0.1:7070", forcePathStyle: true },
      },
    ],
  ])("%s", (url, { bucket, prefix, client }) => {
    expect(bucketFolder(url, ["history", "prod"])).toEqual({
      bucket,
      prefix,
      client: { ...client, ...common },
    });
  });
});

test("a parameter of the URL that would lead elsewhere is refused", () => {
  expect(() => bucketFolder("s3://bucket/a?region=x&role=arn:aws:iam::1:role/ops", [])).toThrow(
    "Cannot read s3://bucket/a: its URL has role, which this command does not read; expected region, endpoint, profile,",
  );
});

describe("howToCopy", () => {
  const program = { project: "etcd-rotation", stack: "prod" };
  const seen = (place: string) =>
    `Cannot list earlier states in ${place}: the Pulumi CLI does not give them; expected a file or S3 backend, a copy of the history, or exported files.`;

  test.each([
    [
      "gs://bucket",
      `${seen("gs://bucket")} Copy it, then list the copy:
  copy gs://bucket/.pulumi/history/etcd-rotation/prod/ to history-etcd-rotation-prod with your provider's own tool
  npx etcd-rotation rollback prod --list --history history-etcd-rotation-prod`,
    ],
    [
      "https://api.pulumi.com",
      `${seen("https://api.pulumi.com")} Export them, then list the files:
  npx etcd-rotation pulumi stack export --stack prod --version <n> --file <n>.json
  npx etcd-rotation rollback prod --list <n>.json`,
    ],
  ])("%s", (url, text) => {
    expect(howToCopy(url, program)).toBe(text);
  });
});

test("newMaterialOf names keys and certificates that would be made, apart for authorities and leaves", () => {
  const event = (op: string, type: string, parent: string, name: string) =>
    JSON.stringify({
      resourcePreEvent: {
        metadata: {
          op,
          type,
          urn: `urn:pulumi:prod::etcd-rotation::etcd-rotation:index:${parent}$${type}::${name}`,
        },
      },
    });
  const [key, self, signed] = [
    "tls:index/privateKey:PrivateKey",
    "tls:index/selfSignedCert:SelfSignedCert",
    "tls:index/locallySignedCert:LocallySignedCert",
  ] as const;
  expect(
    newMaterialOf([
      JSON.stringify({ preludeEvent: {} }),
      event("same", key, "CertificateAuthority", "etcd-ca-key"),
      event("create-replacement", self, "CertificateAuthority", "etcd-ca"),
      event("replace", self, "CertificateAuthority", "etcd-ca"),
      event("delete-replaced", self, "CertificateAuthority", "etcd-ca"),
      event("update", self, "CertificateAuthority", "etcd-peer-ca"),
      event("create", signed, "LeafCertificate", "master-4-etcd-peer"),
      event("replace", "command:remote:Command", "Rollout", "trust-master-1"),
    ]),
  ).toEqual({ authorities: ["etcd-ca"], leaves: ["master-4-etcd-peer"] });
});
