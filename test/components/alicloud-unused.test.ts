import { createRequire } from "node:module";
import { expect, test } from "vitest";
import { cloudOf } from "../../components/alicloud/cloud.ts";
import { cloudCalls, dedicatedId } from "./alicloud.ts";
import { registeredBy, run } from "./program.ts";

// In a file of its own: what a process has loaded stays so.

/** The provider's package as far as this process has loaded it. */
function loaded(): string[] {
  return Object.keys(createRequire(import.meta.url).cache).filter((file) =>
    file.includes("/@pulumi/alicloud/"),
  );
}

test("without clusterId nothing of the provider is loaded, registered or asked", async () => {
  const calls = cloudCalls();
  const ask = (clusterId?: string) =>
    registeredBy(
      async () => ({
        cloud: await cloudOf(
          clusterId === undefined ? undefined : { clusterId, region: "cn-hangzhou" },
          "alicloud",
          false,
        ),
      }),
      undefined,
      calls.call,
    );
  const { cloud, registered } = await ask();
  const ran = await run();
  expect({ cloud, registered, asked: calls.asked }).toEqual({ cloud: undefined, registered: [], asked: [] });
  expect(ran.registered.filter(({ type }) => type.includes("alicloud"))).toEqual([]);
  expect(loaded()).toEqual([]);
  // so that this can fail
  await ask(dedicatedId);
  expect(loaded().length).toBeGreaterThan(3);
});
