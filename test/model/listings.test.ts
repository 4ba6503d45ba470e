import { describe, expect, test } from "vitest";
import { type Certificate, certificatesIn } from "../../components/model/certificate.ts";
import type { FoundFile } from "../../components/model/found.ts";
import { ackKubernetes, ackLayout } from "../../components/model/layout/tables.ts";
import { type Before, judge } from "../../components/model/listings.ts";
import type { Kept } from "../../components/model/renewals.ts";
import { noRenewals } from "../../components/model/restore.ts";
import { changed, foundAs, makePems } from "./cluster.ts";
import { makeAuthority, makeLeaf } from "./openssl.ts";

// What the official check's lines are judged to be, of Kubernetes' own files; etcd's are in report.test.ts.

const authority = makeAuthority("/CN=kubernetes");
const [own, console, leaf, foreign] = [
  authority,
  makeAuthority("/CN=console"),
  makeLeaf(authority, { subject: "/CN=kube-apiserver" }),
  makeLeaf(makeAuthority("/CN=elsewhere"), { subject: "/CN=x" }),
].map(({ certPem }) => read(certPem));

function read(pem: string): Certificate {
  const [certificate] = certificatesIn(pem);
  if (certificate === undefined) {
    throw new Error("Cannot read a certificate that was just made");
  }
  return certificate;
}

const file = (
  realPath: string,
  certificates: readonly (Certificate | undefined)[],
  publicKey = "-",
): FoundFile => ({
  isPresent: true,
  ownerAndMode: "root:root 600",
  isReadable: true,
  publicKey,
  path: realPath,
  realPath,
  certificates: certificates.flatMap((each) => each ?? []),
});

function before(kept: readonly Kept[] = []): Before {
  const found = changed(foundAs(makePems("listed")), "master-1", ({ files }) => ({
    files: {
      ...files,
      "cluster-ca": file("/pki/ca.crt", [own]),
      "cluster-ca-key": file("/pki/ca.key", [], own?.publicKey),
      "root-ca": file("/pki/root.crt", [console, own]),
      apiserver: file("/pki/apiserver.crt", [leaf]),
    },
    strangers: [leaf, foreign].flatMap((certificate, index) =>
      certificate === undefined ? [] : [{ path: `/strange/${index}`, certificate }],
    ),
  }));
  return { found, rows: ackLayout, kubernetes: ackKubernetes, renewals: noRenewals({ notices: [], kept }) };
}

const verdict = (
  realPath: string,
  certificate: Certificate | undefined,
  kept: readonly Kept[] = [],
  master = "master-1",
) =>
  judge(
    { master, path: "/shown", realPath, fingerprint: certificate?.fingerprint ?? "", end: "" },
    before(kept),
  );

describe("a file of Kubernetes", () => {
  test("with another certificate than before was renewed", () => {
    expect(verdict("/pki/apiserver.crt", foreign)).toEqual({ verdict: "renewed", isOpen: false });
  });

  test("with the same one was not due, unless a notice of that very file on that master says why", () => {
    expect(verdict("/pki/apiserver.crt", leaf)).toEqual({ verdict: "not due", isOpen: false });
    const kept = [
      { master: "master-2", file: "apiserver", why: "stays: no key" },
      { master: "master-1", file: "apiserver-kubelet-client", why: "stays: no key" },
      { master: "master-1", file: "apiserver", why: "stays until 2027-01-01: no key" },
    ];
    expect(verdict("/pki/apiserver.crt", leaf, kept)).toEqual({
      verdict: "stays until 2027-01-01: no key",
      isOpen: false,
    });
    expect(verdict("/pki/apiserver.crt", leaf, kept.slice(0, 2)).verdict).toBe("not due");
  });

  test("that begins with another authority is somebody else's; the cluster's own is none", () => {
    expect(verdict("/pki/root.crt", console).verdict).toBe("somebody else's authority, kept");
    expect(verdict("/pki/ca.crt", own).verdict).toBe("not due");
  });
});

test("a file that held nothing before, or is at its place since, was renewed; an authority without the cluster's own beside it was not due", () => {
  const { found, ...others } = before();
  const judgeOn = (
    files: Record<string, FoundFile>,
    realPath: string,
    certificate: Certificate | undefined,
  ) =>
    judge(
      { master: "master-1", path: "", realPath, fingerprint: certificate?.fingerprint ?? "", end: "" },
      { ...others, found: changed(found, "master-1", () => ({ files })) },
    ).verdict;
  expect(judgeOn({ apiserver: file("/pki/apiserver.crt", []) }, "/pki/apiserver.crt", leaf)).toBe("renewed");
  expect(judgeOn({}, "/etc/kubernetes/pki/apiserver.crt", leaf)).toBe("renewed");
  expect(judgeOn({ "root-ca": file("/pki/root.crt", [own]) }, "/pki/root.crt", own)).toBe("not due");
});

describe("a file that nobody looks after", () => {
  test("is open when an authority of this cluster has issued it, or when nothing is known of it", () => {
    expect(verdict("/strange/0", leaf)).toEqual({ verdict: "not managed", isOpen: true });
    expect(verdict("/strange/1", foreign)).toEqual({
      verdict: "of an authority that is not managed",
      isOpen: false,
    });
    // it was written since
    expect(verdict("/strange/1", leaf)).toEqual({ verdict: "not managed", isOpen: true });
    expect(verdict("/nowhere", foreign).isOpen).toBe(true);
    expect(verdict("/pki/ca.crt", own, [], "master-9").isOpen).toBe(true);
  });

  test("is looked for on a new machine as well", () => {
    const { found, ...others } = before();
    const joining = found.masters.slice(0, 1).map((master) => ({ ...master, name: "master-4" }));
    const listing = {
      master: "master-4",
      path: "",
      realPath: "/pki/apiserver.crt",
      fingerprint: leaf?.fingerprint ?? "",
      end: "",
    };
    expect(judge(listing, { ...others, found: { ...found, joining } }).verdict).toBe("not due");
  });
});
