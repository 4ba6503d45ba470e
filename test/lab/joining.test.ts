import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { documentedBlocks } from "./support/documented.ts";
import { inside, masterNamed } from "./support/inside.ts";
import { underTraffic } from "./support/judged.ts";
import { until } from "./support/until.ts";
import { useLab } from "./support/use-lab.ts";
import { assertWell, isServing } from "./support/well.ts";
import type { LabMaster } from "./topology.ts";

// A master that was replaced by a new machine with another host key, by the very commands of docs/masters.md. Its kubelet, etcd's
// unit and Kubernetes' own files are not this program's: they stay in the lab. Not proven here: another address.

const minutes = 60_000;
const here = useLab("joining", "j-0");

/** Nothing of etcd is left there, and its SSH server has another key, which is the answer. */
const replaceMachine = `
systemctl stop kubelet etcd; pkill -KILL -x kube-apiserver || :
rm -rf /var/lib/etcd /var/lib/etcd-rotation /etc/kubernetes/pki/etcd
rm -f /etc/ssh/ssh_host_*; ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key; systemctl restart ssh
cut -d ' ' -f 1,2 /etc/ssh/ssh_host_ed25519_key.pub`;

/** Changes what the stack file says of a master; undefined takes a key away. */
function describeMaster(
  name: string,
  changes: { readonly hostKey?: string; readonly joining?: boolean },
): void {
  const { masters } = here.stack.settings;
  here.stack.configure({
    masters: Array.isArray(masters)
      ? masters.map((each) => (each.name === name ? { ...each, ...changes } : each))
      : [],
  });
}

/** For the lab's own look at the masters, which is another SSH client than the program's. */
function trustInLab({ hostKey: before }: LabMaster, hostKey: string): void {
  const file = join(here.lab.folder, "known_hosts");
  writeFileSync(file, readFileSync(file, "utf8").replace(before, hostKey));
}

/** A documented block with the lab's names in place of the document's. */
function filled(block: string, { address, etcdName }: LabMaster, memberId = ""): string {
  const [first] = here.lab.masters;
  const text = Object.entries({
    "10.0.0.1": first?.address ?? "",
    "<id of the machine that is gone>": memberId,
    "<etcdName>": etcdName,
    "<address>": address,
  }).reduce((before, [from, to]) => before.replaceAll(from, to), block);
  return `set -e\nexport ETCDCTL_API=3 D=/etc/kubernetes/pki/etcd\n${text}`;
}

/**
 * Owners and modes of a machine's files, from those of the machine before: its etcd files are the program's, whose certificates everybody
 * may read, and nothing else that an installer had left beside them.
 */
function asMade(before: Readonly<Record<string, string>>, { etcdName }: LabMaster): Record<string, string> {
  const isForeign = (path: string) =>
    /(?:^|\/)(?:(?:peer-)?ca-key|[\d.]+-name-\d(?:-key)?)\.pem$/.test(path) && !path.includes(`/${etcdName}`);
  const isEtcdCertificate = (path: string) => path.endsWith(".pem") && !path.endsWith("-key.pem");
  return Object.fromEntries(
    Object.entries(before)
      .filter(([path]) => !isForeign(path))
      .map(([path, owner]) => [path, isEtcdCertificate(path) ? owner.replace(/\d+$/, "644") : owner]),
  );
}

test(
  "a new machine gets its files, joins, and the next up finds nothing wrong with it; the data are what they were",
  async () => {
    const [first, third] = [masterNamed(here.lab, "master-1"), masterNamed(here.lab, "master-3")];
    const [members = "", makeFolders = "", bringFiles = "", addMember = "", start = "", ...more] =
      documentedBlocks("masters.md", "A master was replaced by a new machine");
    expect([bringFiles.split(" #")[0]?.trim(), more]).toEqual([
      "npx etcd-rotation pulumi up --stack <c>",
      [],
    ]);
    const [variables = "", list = "", remove = ""] = members.split("\n");
    const begun = await here.stack.up();
    expect(begun.code, begun.output).toBe(0);

    const hostKey = (await inside(third, replaceMachine)).trim();
    trustInLab(third, hostKey);
    const listed = await inside(first, filled(`${variables}\n${list}`, third));
    const [id] = listed
      .split("\n")
      .flatMap((line) => (line.includes(third.etcdName) ? (line.split(",")[0] ?? "") : []));
    await inside(first, filled(`${variables}\n${remove}`, third, id));
    const violations = await underTraffic(here.lab, "joining", async () => {
      await inside(third, filled(makeFolders, third));
      describeMaster(third.name, { joining: true });
      const stranger = await here.stack.preview();
      expect(stranger.code).not.toBe(0);
      expect(stranger.output.replace(/\s+/g, " ")).toMatch(
        /Cannot connect to 10\.77\.0\.13:22 as root: its host key is SHA256:\S+, expected the hostKey of the stack file/,
      );
      describeMaster(third.name, { hostKey });
      const preview = await here.stack.preview();
      expect(preview.code, preview.output).toBe(0);
      expect(preview.output).toContain(
        "notice: master-3 is joining: it gets its files in issue, and nothing is started there",
      );
      const files = await here.stack.up();
      expect(files.code, files.output).toBe(0);
      expect(files.output).toContain(
        "Run pulumi up again when master-3 has joined and masters[master-3].joining is removed.",
      );
      expect(files.output).not.toContain("restarting");

      await inside(first, filled(`${variables}\n${addMember}`, third));
      const early = await here.stack.preview();
      expect(early.code).not.toBe(0);
      expect(early.output).toContain("Cannot treat master-3 as joining: etcd has a member at 10.77.0.13");
      await inside(third, filled(start, third));
      await until("all serve", () => isServing(here.lab));
      describeMaster(third.name, { joining: false });
      const { code, output } = await here.stack.up();
      expect(code, output).toBe(0);
      expect(output).not.toContain("restarting");
      expect(output).toContain("etcd CA and certs have successfully rotated!");
    });
    const owners = {
      ...here.baseline.owners,
      [third.name]: asMade(here.baseline.owners[third.name] ?? {}, third),
    };
    await assertWell(here.lab, here.stack, { ...here.baseline, owners });
    expect(violations).toEqual([]);
  },
  12 * minutes,
);
