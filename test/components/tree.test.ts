import { expect, test } from "vitest";
import { args, type Registered, run } from "./program.ts";

const { registered, attempt } = await run();
const named = (name: string) => registered.filter((each) => each.name === name);
const brief = (resource: Registered) => `${resource.parent} > ${resource.name} ${resource.type}`;
const masters = args.masters.map((master) => master.name);

test("the tree is exactly this", () => {
  const authority = (name: string) => [
    ` > ${name} etcd-rotation:index:CertificateAuthority`,
    `${name} > ${name}-key tls:index/privateKey:PrivateKey`,
    `${name} > ${name} tls:index/selfSignedCert:SelfSignedCert`,
  ];
  const leaf = (name: string) => [
    ` > ${name} etcd-rotation:index:LeafCertificate`,
    `${name} > ${name}-key tls:index/privateKey:PrivateKey`,
    `${name} > ${name}-request tls:index/certRequest:CertRequest`,
    `${name} > ${name} tls:index/locallySignedCert:LocallySignedCert`,
  ];
  const expected = [
    ...["etcd-ca", "etcd-peer-ca"].flatMap(authority),
    ...masters.flatMap((master) =>
      ["etcd-server", "etcd-peer", "etcd-client"].flatMap((role) => leaf(`${master}-${role}`)),
    ),
    " > rollout etcd-rotation:index:Rollout",
    ...["backup", "trust", "issue", "settle", "retire", "verify"].flatMap((phase) =>
      masters.map((master) => `rollout > ${phase}-${master} command:remote:Command`),
    ),
  ];
  expect(registered.map(brief).sort()).toEqual(expected.sort());
});

test("a new rotation replaces every key and the authorities' certificates, by themselves; leaves follow", () => {
  const triggered = registered.filter((each) => each.replacementTrigger !== undefined);
  expect(new Set(triggered.map((each) => each.replacementTrigger))).toEqual(new Set(["2026-12"]));
  expect(triggered.map(({ name, type }) => `${name} ${type}`).sort()).toEqual(
    [
      ...["etcd-ca", "etcd-peer-ca"].flatMap((name) => [
        `${name} tls:index/selfSignedCert:SelfSignedCert`,
        `${name}-key tls:index/privateKey:PrivateKey`,
      ]),
      ...masters.flatMap((master) =>
        ["etcd-server", "etcd-peer", "etcd-client"].map(
          (role) => `${master}-${role}-key tls:index/privateKey:PrivateKey`,
        ),
      ),
    ].sort(),
  );
});

test("an authority has its own subject per rotation and key, and a key identifier", () => {
  const [certificate] = named("etcd-ca").filter(
    ({ type }) => type === "tls:index/selfSignedCert:SelfSignedCert",
  );
  expect(certificate?.inputs).toMatchObject({
    isCaCertificate: true,
    setSubjectKeyId: true,
    subject: { commonName: "etcd-ca 2026-12", serialNumber: "9f90f75686c8e157" },
    allowedUses: ["cert_signing", "crl_signing", "digital_signature"],
    validityPeriodHours: 438_000,
    earlyRenewalHours: 1440,
  });
  expect(certificate?.secrets).toEqual(["privateKeyPem"]);
});

test("a leaf is signed by its authority, from its own request", () => {
  const [request] = named("master-2-etcd-peer-request");
  expect(request?.inputs).toMatchObject({
    subject: { commonName: "10.77.0.12-name-2" },
    dnsNames: ["10.77.0.12-name-2", "localhost", "master-2"],
    ipAddresses: ["10.77.0.12", "127.0.0.1"],
  });
  const [leaf] = named("master-2-etcd-peer").filter(
    ({ type }) => type === "tls:index/locallySignedCert:LocallySignedCert",
  );
  expect(leaf?.inputs).toMatchObject({
    certRequestPem: "request of master-2-etcd-peer-request",
    caPrivateKeyPem: "key of etcd-peer-ca-key",
    allowedUses: ["digital_signature", "key_encipherment", "server_auth", "client_auth"],
    setSubjectKeyId: true,
    validityPeriodHours: 438_000,
    earlyRenewalHours: 1440,
  });
  expect(leaf?.secrets).toEqual(["caPrivateKeyPem"]);
});

test("there is an attempt", () => {
  expect(attempt).toMatch(/^[0-9a-f]{16}$/);
});
