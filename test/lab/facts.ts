import { runOn } from "./master.ts";
import type { Lab, LabMaster } from "./topology.ts";

/** What a test compares before and after; read from the master itself, by commands that know nothing of the program. */
export interface MasterFacts {
  /** `path owner mode sha256` of every file that a rotation might touch */
  readonly files: Readonly<Record<string, { readonly owner: string; readonly hash: string }>>;
  /** component to `pid start-ticks` */
  readonly processes: Readonly<Record<string, string>>;
  /** SHA-256 fingerprints of what is served */
  readonly served: Readonly<Record<string, string>>;
}

const probe = `
cd /
find -L /var/lib/etcd/cert /etc/kubernetes /var/lib/kubelet/pki -type f 2>/dev/null | LC_ALL=C sort | while read -r f; do
  printf 'file %s %s %s\\n' "$(stat -L -c '%U:%G:%a' "$f")" "$(sha256sum < "$f" | cut -d ' ' -f 1)" "$f"
done
for c in etcd kube-apiserver kube-controller kube-scheduler kubelet; do
  for p in /proc/[0-9]*; do
    case "$(cat "$p/comm" 2>/dev/null)" in "$c"*) s=$(cat "$p/stat"); printf 'process %s %s %s\\n' "$c" "\${p#/proc/}" "$(printf '%s' "\${s##*) }" | cut -d ' ' -f 20)" ;; esac
  done
done
for port in 2379 2380 6443; do
  printf 'served %s %s\\n' "$port" "$(: | timeout 5 openssl s_client -connect ADDRESS:$port 2>/dev/null | openssl x509 -noout -fingerprint -sha256 | cut -d = -f 2)"
done
`;

/** Reads the facts of one master. */
export async function readFacts(lab: Lab, master: LabMaster): Promise<MasterFacts> {
  const { code, stdout, stderr } = await runOn(lab, master, "bash -s", {
    stdin: probe.replaceAll("ADDRESS", master.address),
  });
  if (code !== 0) {
    throw new Error(`Cannot read the facts of ${master.name}: ${stderr}`);
  }
  const words = stdout.split("\n").map((line) => line.split(" "));
  const of = (kind: string) => words.filter(([first]) => first === kind);
  return {
    files: Object.fromEntries(
      of("file").map(([, owner = "", hash = "", ...path]) => [path.join(" "), { owner, hash }]),
    ),
    processes: Object.fromEntries(
      of("process").map(([, component = "", ...identity]) => [component, identity.join(" ")]),
    ),
    served: Object.fromEntries(of("served").map(([, port = "", fingerprint = ""]) => [port, fingerprint])),
  };
}

/** The facts of all masters, by name. */
export async function readAllFacts(lab: Lab): Promise<Record<string, MasterFacts>> {
  return Object.fromEntries(
    await Promise.all(
      lab.masters.map(async (master) => [master.name, await readFacts(lab, master)] as const),
    ),
  );
}

/** Runs a command on a master; its standard output. @throws when it fails */
export async function shellOn(lab: Lab, master: LabMaster, command: string): Promise<string> {
  const { code, stdout, stderr } = await runOn(lab, master, command, { timeoutSeconds: 120 });
  if (code !== 0) {
    throw new Error(`On ${master.name}: ${command}: exit ${code}: ${stderr}`);
  }
  return stdout;
}

/** How often etcd and kube-apiserver have been started on a master, by systemd's journal and the kubelet's numbering of log files. */
export async function startsOn(
  lab: Lab,
  master: LabMaster,
): Promise<{ readonly etcd: number; readonly api: number }> {
  const text = await shellOn(
    lab,
    master,
    "journalctl -u etcd --no-pager -o cat | grep -c 'Started etcd' || true; ls /var/log/pods/kube-system_kube-apiserver-*/kube-apiserver | sort -n | tail -n 1 | cut -d . -f 1",
  );
  const [etcd = 0, api = 0] = text.split("\n").map(Number);
  return { etcd, api };
}
