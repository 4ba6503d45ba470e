import { surveyCluster } from "etcd-rotation/cluster";
import { EtcdRotation } from "etcd-rotation/component";
import { readSettings } from "etcd-rotation/settings";

// Both are looked at before a key of either is made.
const [prod, staging] = await Promise.all([surveyCluster(readSettings("prod"), "prod"), surveyCluster(readSettings("staging"), "staging")]);

// An output has its component's name: the next run reads there which etcd cluster that was.
export default {
  prod: new EtcdRotation("prod", { cluster: prod }).outputs,
  staging: new EtcdRotation("staging", { cluster: staging }).outputs,
};
