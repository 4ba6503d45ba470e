import { announce } from "./components/announce.ts";
import { makeAuthorities, makeLeaves } from "./components/certificates.ts";
import { surveyCluster } from "./components/cluster.ts";
import { outputsOf } from "./components/outputs.ts";
import { Rollout } from "./components/rollout.ts";
import { readSettings } from "./stacks/stack-config.ts";

// 1. What is asked for, and what is there: read only, and every reason not to begin comes before any key is made.
const cluster = await surveyCluster(readSettings());

// 2. Authorities, and three leaves for each master. A new `rotation`, or the end coming near, replaces them: that is the replacement diff.
const authorities = makeAuthorities(cluster);
const leaves = makeLeaves(cluster, authorities);

// 3. The steps: backup, trust, issue, settle, retire, verify; one master at a time where something restarts.
const rollout = new Rollout("rollout", { cluster, authorities, leaves });
await announce(cluster, rollout);

// 4. What is known afterwards: the etcd cluster, its rollout and authorities, what each master serves, and what expires when.
export default outputsOf(cluster, rollout);
