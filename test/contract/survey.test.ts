import { afterAll, beforeAll, expect, test } from "vitest";
import { ackKubernetes, ackLayout } from "../../components/model/layout.ts";
import { type SurveyTarget, takeSurvey } from "../../components/survey/survey.ts";
import { surveyTargets } from "../../components/survey/targets.ts";
import { args } from "../components/program.ts";
import { foundAs, makePems, specs } from "../model/cluster.ts";
import { type FakeMasters, startFakeMasters } from "../support/fake-masters.ts";
import { makeSshKey } from "../support/ssh-key.ts";
import { surveyText } from "../support/survey-text.ts";

// Real SSH on loopback; the masters' answers are made up.

const privateKey = makeSshKey();
let fakes: FakeMasters;

beforeAll(async () => {
  fakes = await startFakeMasters(foundAs(makePems("survey")).masters.map((master) => () => surveyText(master)));
});

afterAll(() => fakes.stop());

/** Port 1 is where nobody listens. */
function targets(ports: readonly (number | undefined)[], hostKey = "unchecked"): SurveyTarget[] {
  const masters = specs.map((spec, index) => ({ ...spec, host: "127.0.0.1", port: ports[index] ?? 1, hostKey: index === 0 ? hostKey : "unchecked" }));
  return surveyTargets({ ...args, masters, ssh: { ...args.ssh, privateKey } }, "etcd-rotation/test", [...ackLayout, ...ackKubernetes]);
}

test("a master that does not answer is an error, and left out only where that is allowed", async () => {
  const out = targets([fakes.ports[0], 1, fakes.ports[2]]);
  await expect(takeSurvey(out)).rejects.toThrow("Cannot connect to 127.0.0.1:1 as root: connect ECONNREFUSED");
  const { masters } = await takeSurvey(out, true);
  expect(masters.map(({ name }) => name)).toEqual(["master-1", "master-3"]);
});

test("one that shows another host key is an error in any case, and so are three that do not answer", async () => {
  const other = targets([...fakes.ports], "ssh-rsa AAAA");
  await expect(takeSurvey(other, true)).rejects.toThrow("expected the hostKey of the stack file");
  await expect(takeSurvey(targets([1, 1, 1]), true)).rejects.toThrow("Cannot connect to 127.0.0.1:1");
});
