import { expect, test } from "vitest";
import { inside, kubectl, masterNamed } from "./support/inside.ts";
import { until } from "./support/until.ts";
import { useLab } from "./support/use-lab.ts";

// Clients of etcd that nobody told the program of, as machine/scraper makes them: a Secret, and a process on a master's host network, each
// with a copy of etcd's client certificate. And somebody who may write Secrets, and puts there what everybody can see.

const minutes = 60_000;
const here = useLab("clients", "c-0", (stack) => stack.configure({ clients: undefined }), { layout: "ack" });
const onFirst = (command: string) => inside(masterNamed(here.lab, "master-1"), command);
const secret = "Secret monitoring/etcd-certs";
const scraper = "process curl in etcd-scraper.service on master-1";

/** Every member answers the scraper, from now on. */
async function scrapes(): Promise<void> {
  await onFirst(": >/var/log/etcd-scraper.log");
  await until("the scraper has an answer of every member", async () => {
    const answered = await onFirst(
      "awk '$3 == 200 { print $2 }' /var/log/etcd-scraper.log | sort -u | wc -l",
    );
    return answered.trim() === "3";
  });
}

test(
  "are found and named, and retire waits for them; with the printed command and one more update they go on, and a tenant's Secret holds up nothing",
  async () => {
    await onFirst(`${kubectl} create namespace tenant
: | openssl s_client -connect ${masterNamed(here.lab, "master-1").address}:2379 2>/dev/null | openssl x509 >/run/tls.crt
openssl genpkey -algorithm RSA -out /run/tls.key 2>/dev/null
${kubectl} --namespace tenant create secret generic public --from-file=/run/tls.crt --from-file=/run/tls.key`);
    const preview = (await here.stack.preview()).output;
    for (const line of [
      new RegExp(
        `notice: client of etcd besides Kubernetes: ${secret}: ca.pem until \\d{4}-\\d\\d-\\d\\d .*; ca.pem, etcd-client.pem of an authority that goes in retire; by ca.pem alone it refuses`,
      ),
      new RegExp(
        `notice: client of etcd besides Kubernetes: ${scraper}: .*ca.pem until .*etcd-client-key.pem until .* of an authority that goes in retire`,
      ),
      /notice: client of etcd besides Kubernetes: Secret tenant\/public: tls.crt until .*; nothing waits for it/,
      new RegExp(
        `retire, verify: held until ${scraper} has the files of the new authority, .*, and ${secret} has the files`,
      ),
    ]) {
      expect(preview).toMatch(line);
    }
    await scrapes();
    const held = await here.stack.up();
    expect(held.code, held.output).toBe(0);
    expect(held.output).toContain("Held before retire: every master serves the wanted certificates");
    expect(held.output).not.toContain("successfully rotated");

    const [, command = "exit 1"] =
      new RegExp(`${secret} needs the files of the new authority; run on master-1, as root: (.*)`).exec(
        held.output,
      ) ?? [];
    await onFirst(`export PATH=$PATH:/usr/local/bin; ${command}`);
    expect((await here.stack.preview()).output).toContain(
      `Run pulumi up again when ${scraper} has the files of the new authority, or clients.ignore lists it.`,
    );
    // as a mount of the Secret would
    await onFirst(`for file in ca.pem etcd-client.pem etcd-client-key.pem; do
  ${kubectl} --namespace monitoring get secret etcd-certs -o "go-template={{index .data \\"$file\\"}}" | base64 -d >"/etc/etcd-scraper/$file"
done
systemctl restart etcd-scraper`);
    await scrapes();

    const { code, output } = await here.stack.up();
    expect(code, output).toBe(0);
    expect(output).toContain("etcd CA and certs have successfully rotated!");
    await scrapes();
    const last = (await here.stack.preview()).output;
    expect(last).toContain("Nothing to do: every master serves the wanted certificates.");
    expect(last).toContain(`notice: client of etcd besides Kubernetes: ${secret}`);
  },
  20 * minutes,
);
