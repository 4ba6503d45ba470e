// With the package installed: from "etcd-rotation/cluster", "etcd-rotation/component" and "etcd-rotation/settings".
import { surveyCluster } from "../../components/cluster.ts";
import { EtcdRotation } from "../../components/etcd-rotation.ts";
import { readSettings } from "../../stacks/stack-config.ts";

// Both are looked at before a key of either is made.
const [prod, staging] = await Promise.all([
  surveyCluster(readSettings("prod"), "prod"),
  surveyCluster(readSettings("staging"), "staging"),
]);

// An output has its component's name: the next run reads there which etcd cluster that was.
export default {
  prod: new EtcdRotation("prod", { cluster: prod }).outputs,
  staging: new EtcdRotation("staging", { cluster: staging }).outputs,
};
