import { beforeAll, expect, test } from "vitest";
import { startsOn } from "./facts.ts";
import { inside, insideAll, masterNamed } from "./support/inside.ts";
import { useLab } from "./support/use-lab.ts";

// What a real master has around the files of the layout: other names of the authority, bundles, what is behind a leaf, kubeconfigs that
// people and DaemonSets use. Judged by OpenSSL, cmp and kubectl alone.

const minutes = 60_000;
const here = useLab("around", "n-0", (stack) => stack.configure({ kubernetes: undefined }), {
  layout: "ack",
});
const all = (text: string) => ({ "master-1": text, "master-2": text, "master-3": text });

/** The certificates of a file, a file for each in the folder, as c0, c1… */
const split = (file: string, folder: string) =>
  `mkdir -p ${folder} && awk -v folder=${folder} '/-----BEGIN/ { out = folder "/c" n++ } { print >out }' ${file}`;
const embedded = (file: string) =>
  `sed -n 's/.*certificate-authority-data: *"\\{0,1\\}\\([A-Za-z0-9+/=]*\\).*/\\1/p' ${file} | base64 -d`;
const ends = (files: string) =>
  `for f in ${files}; do openssl x509 -in $f -noout -checkend 1500000000 >/dev/null || echo "soon: $f"; done`;

beforeAll(() => insideAll(here.lab, () => "cp -a /etc/kubernetes /root/before"), minutes);

test(
  "the authority under every name, bundles, what is behind a leaf, kube.conf, cloud-controller-manager.conf and the dashboard's pair",
  async () => {
    // the installer has left every member's pair on every master
    const peers = here.lab.masters.map(({ etcdName }) => `/var/lib/etcd/cert/${etcdName}.pem`);
    const preview = (await here.stack.preview()).output;
    expect(preview).toMatch(
      new RegExp(
        `master-1, master-3: ${peers[1]} \\(until [0-9-]+\\) is not managed: a copy of etcd-peer of master-2`,
      ),
    );
    expect(preview).toContain(
      'restarts: once on each master, since "CA" (its key is /var/lib/etcd/cert/ca-key.pem on master-1) and "Peer-CA" (its key is /var/lib/etcd/cert/peer-ca-key.pem on master-1) sign the new ones',
    );
    const starts = () => Promise.all(here.lab.masters.map((master) => startsOn(here.lab, master)));
    const before = await starts();
    const { code, output } = await here.stack.up();
    expect(code, output).toBe(0);
    const restarts = (await starts()).map(({ etcd, api }, index) => [
      etcd - (before[index]?.etcd ?? 0),
      api - (before[index]?.api ?? 0),
    ]);
    expect(restarts).toEqual([
      [1, 1],
      [1, 1],
      [1, 1],
    ]);
    expect(output).toContain("etcd CA and certs have successfully rotated!");
    expect(output).toMatch(new RegExp(`master-1 ${peers[0]} notAfter=.* GMT: renewed\n`));
    expect(output).toMatch(
      new RegExp(`master-1 ${peers[1]} notAfter=.* GMT: a copy of etcd-peer of master-2, from before\n`),
    );
    const oldKeys = [
      '/var/lib/etcd/cert/ca-key.pem (of the authority "CN=CA")',
      '/var/lib/etcd/cert/peer-ca-key.pem (of the authority "CN=Peer-CA")',
      `/var/lib/etcd/cert/${here.lab.masters[1]?.etcdName}-key.pem (of the member on master-2)`,
    ];
    const [said = ""] = /master-1 has private keys that its etcd does not read: .*/.exec(output) ?? [];
    expect(oldKeys.filter((each) => !said.includes(each))).toEqual([]);
    const judged = await insideAll(
      here.lab,
      () => `cd /etc/kubernetes/pki
${split("apiserver-ca.crt", "/root/bundle")}; ${split("apiserver.crt", "/root/leaf")}; ${split("/root/before/pki/apiserver-ca.crt", "/root/bundle-before")}
${ends("ca.crt /root/bundle/c0 /root/leaf/c0 dashboard/dashboard.crt")}
cmp ca.crt /root/bundle/c0; cmp /root/bundle/c1 /root/bundle-before/c1; cmp /root/leaf/c1 /root/bundle/c1
cmp <(openssl x509 -in ca.crt -noout -subject -nameopt RFC2253) <(openssl x509 -in /root/before/pki/ca.crt -noout -subject -nameopt RFC2253)
[ "$(openssl x509 -in dashboard/dashboard.crt -noout -pubkey)" = "$(openssl pkey -in dashboard/dashboard.key -pubout)" ] || echo 'no pair'
cmp <(sed '1,/END CERTIFICATE/d' dashboard/dashboard.crt) /root/bundle/c1
openssl verify -CAfile ca.crt apiserver.crt dashboard/dashboard.crt
for f in kube.conf cloud-controller-manager.conf; do ${embedded('"/etc/kubernetes/$f"')} | cmp - ca.crt || echo "earlier: $f"; done`,
    );
    expect(judged).toEqual(all("apiserver.crt: OK\ndashboard/dashboard.crt: OK\n"));
    const kubectl = (config: string) =>
      `/usr/local/bin/kubectl --kubeconfig ${config} --request-timeout=20s get namespace default -o name`;
    for (const config of ["/root/before/kube.conf", "/etc/kubernetes/kube.conf"]) {
      expect(await inside(masterNamed(here.lab, "master-1"), kubectl(config))).toBe("namespace/default\n");
    }
    const commands = new Map(
      [...output.matchAll(/run on (master-\d), as root: (install .*)/g)].map(
        ([, name = "", command = ""]) => [name, command],
      ),
    );
    await insideAll(here.lab, ({ name }) => commands.get(name) ?? "false");
    const moved = await inside(
      masterNamed(here.lab, "master-1"),
      "stat -c %a /root/etcd-old-keys; ls /root/etcd-old-keys",
    );
    const others = here.lab.masters.slice(1).map(({ etcdName }) => `${etcdName}-key.pem`);
    expect(moved.trim().split("\n")).toEqual([
      "700",
      ...[...others, "ca-key.pem", "peer-ca-key.pem"].toSorted(),
    ]);
    const last = (await here.stack.preview()).output;
    expect(last).toContain("Nothing to do: every master serves the wanted certificates.");
    expect(last).not.toContain("private keys that its etcd does not read");
  },
  20 * minutes,
);
