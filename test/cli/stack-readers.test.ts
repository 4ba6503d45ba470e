import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { Engine } from "../../cli/engine.ts";
import { programOf, readProject } from "../../cli/project.ts";
import { readWindow, settingsFor, settingsWithKeys, settingsWithoutLogin } from "../../cli/stack-file.ts";
import { projectSettings } from "../../stacks/project-settings.ts";
import { checkSettings, type Settings } from "../../stacks/settings.ts";
import { writtenSettings } from "../support/written-settings.ts";

// What Pulumi hands over is in the table; that it does is in test/contract/stack-file.test.ts.

const folder = mkdtempSync(join(tmpdir(), "stack readers "));
mkdirSync(join(folder, "stacks"));
writeFileSync(join(folder, "Pulumi.yaml"), "name: etcd-rotation\nstackConfigDir: stacks\n");
const program = programOf(readProject(folder), "prod");
const common = {
  "etcd-rotation:rotation": "a",
  "etcd-rotation:masters": '[{"name":"master-1","address":"10.0.0.1","etcdName":"n1","hostKey":"unchecked"}]',
  "etcd-rotation:ssh": '{"agent":true}',
};

afterAll(() => rmSync(folder, { recursive: true }));

/** As `pulumi up` takes the settings. */
function inUp(key: string, handedOver: string): Settings {
  return checkSettings(
    projectSettings(
      { ...common, [`etcd-rotation:${key}`]: handedOver, "aws:region": "eu-1" },
      "etcd-rotation",
    ),
    "prod",
  );
}

test.each(writtenSettings)("%s: %s is the same for every command", async (key, written, handedOver) => {
  const others = Object.entries(common).flatMap(([own, text]) =>
    own === `etcd-rotation:${key}` ? [] : `  ${own}: ${text}`,
  );
  writeFileSync(
    program.stackFile,
    [
      "encryptionsalt: v1:abc",
      "config:",
      "  aws:region: eu-1",
      ...others,
      `  etcd-rotation:${key}: ${written}`,
      "",
    ].join("\n"),
  );
  const up = inUp(key, handedOver);
  expect(settingsFor(program, { isAgent: false })).toEqual(up);
  expect(settingsWithoutLogin(program)).toEqual(up);
  expect(await settingsWithKeys(new Engine({ folder }), program)).toEqual(up);
  expect(readWindow(program)).toEqual(up.window);
});
