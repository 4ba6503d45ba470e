import { describe, expect, test } from "vitest";
import type { Carrier, Found } from "../../components/model/found.ts";
import { carrierNotices, carriersNow, type Report } from "../../components/model/report.ts";
import { foundAs, makePems, receipt } from "./cluster.ts";

const pems = makePems("carriers");
const report: Report = {
  rollout: 4,
  attempt: "a4",
  served: {},
  carriers: ["as verify saw it"],
  listings: [],
  isHeld: false,
  expires: "2076-11-10",
};

/** The first master is asked. */
function foundWith(carriers: readonly Carrier[], change = {}): Found {
  const [first, ...others] = foundAs(pems, change).masters;
  return { masters: [...(first === undefined ? [] : [{ ...first, carriers }]), ...others] };
}

const saying = (words: string): Carrier => ({ kind: "other", name: "-", end: 0, words });

describe("carriersNow", () => {
  test("is the survey's list where nothing was to be done, so that it gets shorter without a rollout", () => {
    expect(carriersNow(foundWith([saying("as it is now")]), report)).toEqual(["as it is now"]);
    expect(carriersNow(foundWith([]), report)).toEqual([]);
  });

  test("is verify's after a rollout: the survey is from before it", () => {
    expect(carriersNow(foundWith([saying("as it was")]), { ...report, attempt: "a5" })).toEqual([
      "as verify saw it",
    ]);
    expect(
      carriersNow(foundWith([saying("as it was")], { receipt: { ...receipt, isComplete: false } }), report),
    ).toEqual(["as verify saw it"]);
    const [asked, ...others] = foundWith([saying("as it was")]).masters;
    const cut = others.map((master) => ({ ...master, receipt: { ...receipt, isComplete: false } }));
    const partly = { masters: [...(asked === undefined ? [] : [asked]), ...cut] };
    expect(carriersNow(partly, report)).toEqual(["as verify saw it"]);
    expect(carriersNow({ masters: [] }, report)).toEqual(["as verify saw it"]);
    // the one that is asked may be the one that is left out
    const left = { ...foundWith([]), missing: [{ name: "master-9", isAlive: true }] };
    expect(carriersNow(left, report)).toEqual(["as verify saw it"]);
  });
});

describe("carrierNotices", () => {
  test("says how many more there are only where there are more than it names", () => {
    const told = (count: number) =>
      carrierNotices(
        foundWith(Array.from({ length: count }, (_, index) => worker(`w${index}`, "2027-12-01"))),
      );
    expect(told(5)[0]).toMatch(/w4 \(valid until 2027-12-01\); pulumi/);
    expect(told(6)[0]).toMatch(/w4 \(valid until 2027-12-01\) and 1 more; pulumi/);
  });

  const noon = (day: string) => Date.parse(`${day}T12:00:00Z`) / 1000;
  const worker = (name: string, day: string): Carrier => ({
    kind: "worker",
    name,
    end: noon(day),
    words: `worker ${name}: a command`,
  });

  test("names workers and ConfigMaps in a line, those whose certificate has expired first; nothing of kubeconfigs, of which nothing is known", () => {
    const carriers = [
      saying(
        "kubeconfigs that embed an earlier certificate of cluster-ca: valid until 2026-12-01; give them /etc/kubernetes/pki/ca.crt",
      ),
      worker("w1", "2026-12-01"),
      worker("w2", "2026-11-01"),
      {
        kind: "config-map",
        name: "kube-public/cluster-info",
        end: noon("2026-12-02"),
        words: "ConfigMap",
      } as const,
    ];
    expect(carrierNotices(foundWith(carriers))).toEqual([
      "an earlier certificate of cluster-ca is still held by worker w2 (expired on 2026-11-01), worker w1 (valid until 2026-12-01), ConfigMap kube-public/cluster-info (valid until 2026-12-02); pulumi stack output kubernetes has the commands",
    ]);
    expect(carrierNotices(foundWith(carriers.slice(0, 1)))).toEqual([]);
    expect(carrierNotices(foundWith([]))).toEqual([]);
  });

  test("stays one line with many workers", () => {
    const many = Array.from({ length: 12 }, (_, index) => worker(`w${index + 1}`, "2026-12-01"));
    expect(carrierNotices(foundWith(many))[0]).toMatch(/w5 \(valid until 2026-12-01\) and 7 more; pulumi/);
  });
});
