import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseLook } from "../../cli/adopt/look.ts";
import { parseBackups } from "../../cli/backups/kept-backup.ts";
import { reasonOf } from "../../cli/fleet/result.ts";
import { certificatesIn } from "../../components/model/certificate.ts";
import { certificateStatuses } from "../../components/model/certificate-status.ts";
import { ackLayout } from "../../components/model/layout/tables.ts";
import { parseSurvey } from "../../components/model/read-survey.ts";
import { readReports } from "../../components/model/report.ts";
import { masterWith } from "./cluster.ts";
import { makeAuthority } from "./openssl.ts";

// What a master says reaches terminals by way of these. No line of it may become two, and none may hold a control character.

const hostile = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        "\n",
        "\r",
        "\x1b]52;c;cm0gLXJmIC8=\x07",
        "\x1b[2J",
        "\x9b",
        "\x1f",
        "\0",
        "\u202e",
        "\u2028",
        "\nend",
        "\netcd healthy",
        " ",
        "=",
        ", ",
        "-",
      ),
      // not always UTF-8
      fc.uint8Array({ maxLength: 8 }).map((bytes) => Buffer.from(bytes).toString("utf8")),
      fc.string(),
    ),
  )
  .map((parts) => parts.join(""));

function expectPrintable(value: unknown): void {
  const texts: string[] = [];
  JSON.stringify(value, (key, each) => {
    if (typeof each === "string" && key !== "pem") {
      texts.push(each);
    }
    return each;
  });
  for (const text of texts) {
    expect(text).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
  }
}

function expectPrintableOrRefused(read: () => unknown): void {
  let value: unknown;
  try {
    value = read();
  } catch (error) {
    value = String(error);
  }
  expectPrintable(value);
}

/** An answer in which any record may hold anything: such as it is, or as `result` (components/node/lib/output.sh) prints it, one line each. */
function answerWith(
  first: string,
  kinds: readonly string[],
  last: string,
  isPrinted = false,
): fc.Arbitrary<string> {
  const record = fc
    .tuple(fc.constantFrom(...kinds), hostile)
    .map(([kind, text]) => `${kind} ${isPrinted ? text.replaceAll("\n", " ") : text}`);
  return fc
    .array(record, { minLength: 1, maxLength: 20 })
    .map((records) => [first, ...records, last].join("\n"));
}

/** Up to a field that may hold anything. */
const surveyKinds = [
  ...[
    "file etcd-ca root:root 644 readable -",
    "pem etcd-ca",
    "path etcd-ca",
    "leftover",
    "process etcd stale",
    "arguments etcd",
    "etcd silent",
    "cluster",
  ],
  ...[
    "version",
    "member",
    "served 2379",
    "receipt owner=",
    "receipt",
    "saved etcd-ca -",
    "lock",
    "claim 17",
    "client",
    "reaches",
    "kubernetes",
  ],
  ...["carrier worker w1 17", "holders-cut", "kubeconfig", "earlier"],
];
const backupsKinds = [
  "leftover",
  "damaged 3",
  "receipt 3 1",
  "snapshot-hash 3",
  "present 3 1",
  "backup",
  "files 3",
  "snapshot 3",
];
const lookKinds = ["hostname", "arguments etcd", "member"];
const whole = "survey 1\nclock 1\netcd healthy\napi ready";

describe("what is read of an answer", () => {
  test("a survey", () => {
    const rows = ackLayout.slice(0, 2);
    fc.assert(
      fc.property(
        answerWith(whole, surveyKinds, "end", true),
        answerWith(whole, [...surveyKinds, "clock", "file 1", "api"], "end"),
        hostile,
        (printed, text, odd) => {
          expectPrintable(parseSurvey("master-1", printed, rows, 1));
          expectPrintableOrRefused(() => parseSurvey("master-1", text, rows, 1));
          expectPrintableOrRefused(() => parseSurvey("master-1", odd, rows, 1));
        },
      ),
    );
  });

  test("a look before there is a stack file", () => {
    fc.assert(
      fc.property(
        answerWith("look 1\nlayout ack\nhostname a", lookKinds, "end", true),
        answerWith("look 1", ["layout", ...lookKinds], "end"),
        hostile,
        (printed, text, odd) => {
          expectPrintable(parseLook("10.0.0.1", printed));
          expectPrintableOrRefused(() => parseLook("10.0.0.1", text));
          expectPrintableOrRefused(() => parseLook("10.0.0.1", odd));
        },
      ),
    );
  });

  test("a list of backups", () => {
    fc.assert(
      fc.property(answerWith("", backupsKinds, "end master-1"), (text) =>
        expectPrintableOrRefused(() => parseBackups("master-1", text)),
      ),
    );
  });

  test("the reports of steps", () => {
    const planned = [{ phase: "verify", master: "master-1", after: [], heirs: [] }] as const;
    const kinds = ["served master-1 etcd-server", "listing master-1", "carrier", "refused", "held"];
    const read = (text: string) =>
      readReports({ rollout: 1, id: "a1" }, planned, { "verify-master-1": text });
    fc.assert(
      fc.property(answerWith("", kinds, "done a1 verify master-1\n"), hostile, (text, odd) => {
        expectPrintable(read(text));
        expectPrintableOrRefused(() => read(odd));
      }),
    );
  });

  test("why a run of fleet has failed", () => {
    fc.assert(
      fc.property(fc.array(hostile), hostile, (diagnostics, output) =>
        expectPrintable(reasonOf(diagnostics, output)),
      ),
    );
  });

  test("the names in a certificate", () => {
    const { certPem } = makeAuthority("/CN=a\x1b]52;c;cm0gLXJmIC8=\x07");
    expect(certificatesIn(certPem)[0]?.subject).toEqual(["CN=a\x1b]52;c;cm0gLXJmIC8=\x07"]);
    const found = { masters: [masterWith("master-1", { "etcd-ca": certPem })] };
    const input = {
      found,
      rows: ackLayout,
      kubernetes: [],
      drift: [],
      renewBefore: 0,
      expiringWithin: 0,
      now: 0,
    };
    expect(
      found.masters
        .flatMap((master) => certificateStatuses(master, input))
        .map(({ subject, issuer }) => [subject, issuer.name]),
    ).toEqual([["a ]52;c;cm0gLXJmIC8= ", "a ]52;c;cm0gLXJmIC8= "]]);
  });
});
