// Takes the place of Alibaba Cloud's plug-in for the engine: typed answers, and snapshots that are a line in a file.
import { appendFileSync } from "node:fs";
import { main } from "@pulumi/pulumi/provider/index.js";
import { cloudCalls, masterAt } from "../../components/alicloud.ts";

const { ALICLOUD_STAND_IN_LOG: log = "/dev/null", ALICLOUD_STAND_IN_MASTERS: addresses } = process.env;
const { call } = cloudCalls(
  addresses === undefined ? {} : { masterNodes: addresses.split(" ").map(masterAt) },
);

function note(line: string): void {
  appendFileSync(log, `${line}\n`);
}

let snapshots = 0;

await main(
  {
    // no version: the engine takes what it finds on PATH
    invoke: async (token, inputs) => {
      note(token);
      return { outputs: call({ token, inputs }) };
    },
    create: async (_urn, inputs) => {
      snapshots += 1;
      note(`create ${inputs.snapshotName} of ${inputs.diskId}, kept ${inputs.retentionDays} days`);
      return { id: `s-${process.pid}-${snapshots}`, outs: inputs };
    },
    delete: async (id) => note(`delete ${id}`),
  },
  process.argv.slice(2),
);
