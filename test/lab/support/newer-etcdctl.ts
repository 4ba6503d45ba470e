import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { buildModule, builtFolder, installedGo, isBuilt } from "../../../tools/engine/build-module.ts";
import type { EngineModule } from "../../../tools/engine/engine-modules.ts";
import type { Lab } from "../topology.ts";

const module: EngineModule = {
  parent: join(import.meta.dirname, ".."),
  folder: "etcdctl",
  binary: "etcdctl",
  target: "go.etcd.io/etcd/etcdctl/v3",
  flags: ["-ldflags=-s -w"],
};

/** From now on `etcdctl` on every master is that of etcd 3.5; Debian's stays in /usr/bin. It is built once. */
export async function installNewerEtcdctl(lab: Lab): Promise<void> {
  const go = await installedGo();
  if (!isBuilt(module, go)) {
    await buildModule(module, go);
  }
  for (const { root } of lab.masters) {
    copyFileSync(join(builtFolder(module, go), module.binary), join(root, "usr/local/bin/etcdctl"));
  }
}
