import { afterEach, expect, test, vi } from "vitest";
import { firstPreview } from "../../cli/adopt/deploy.ts";
import { CommandError } from "../../cli/command-error.ts";
import { Engine } from "../../cli/engine.ts";

// What adopt does when the stack file is written, with a CLI that is made up; test/contract/adopt.test.ts has the real one.

const program = {
  project: "etcd-rotation",
  stack: "prod",
  folder: "/nowhere",
  stackFile: "/nowhere/stacks/x",
};
const goOn = [
  "The stack file is written, no master was changed. Go on with:",
  "  npx etcd-rotation pulumi stack init prod",
];
const shown: string[][] = [];

class MadeUpEngine extends Engine {
  override with(): Engine {
    return this;
  }
  override show(...args: string[]): Promise<number> {
    shown.push(args);
    return Promise.resolve(0);
  }
  override read(): Promise<string> {
    return Promise.resolve("[]");
  }
  override backendUrl(): Promise<string> {
    return Promise.resolve("file:///state");
  }
}

class EngineWithoutBackend extends MadeUpEngine {
  override backendUrl(): Promise<string> {
    throw CommandError.failed("Cannot ask for the backend: no such folder");
  }
}

/** How it ended, and what it says. */
async function preview(engine: Engine, passwords: Readonly<Record<string, string>> = {}) {
  const error: unknown = await firstPreview(engine, program, passwords).catch((each: unknown) => each);
  return error instanceof CommandError ? { code: error.code, lines: error.message.split("\n") } : error;
}

function given(passphrase: string | undefined, file: string | undefined): void {
  vi.stubEnv("PULUMI_CONFIG_PASSPHRASE", passphrase);
  vi.stubEnv("PULUMI_CONFIG_PASSPHRASE_FILE", file);
}

afterEach(() => {
  vi.unstubAllEnvs();
  shown.splice(0);
});

test("without a passphrase and a terminal it ends with 5, and says how to go on", async () => {
  given(undefined, undefined);
  expect(await preview(new MadeUpEngine({ folder: "/" }))).toEqual({
    code: 5,
    lines: [
      "Cannot make the stack: saw no passphrase and no terminal to ask for it; expected it in PULUMI_CONFIG_PASSPHRASE",
      ...goOn,
      "  npx etcd-rotation pulumi preview --stack prod",
    ],
  });
});

test("without a backend too, and the password that is not in the file yet is not forgotten", async () => {
  given("contract", undefined);
  expect(await preview(new EngineWithoutBackend({ folder: "/" }), { "ssh.password": "hunter2" })).toEqual({
    code: 5,
    lines: [
      "Cannot ask for the backend: no such folder",
      ...goOn,
      "  npx etcd-rotation pulumi config set --secret --path ssh.password --stack prod",
      "  npx etcd-rotation pulumi preview --stack prod",
    ],
  });
});

test("an empty passphrase makes no stack, by a file neither", async () => {
  given(undefined, "/dev/null");
  expect(await preview(new MadeUpEngine({ folder: "/" }))).toMatchObject({
    code: 5,
    lines: [expect.stringMatching(/^Cannot make the stack: the passphrase is empty; expected one/)],
  });
  expect(shown).toEqual([]);
  given("contract", "/dev/null");
  expect(await preview(new MadeUpEngine({ folder: "/" }))).toBeUndefined();
  expect(shown.map(([word]) => word)).toEqual(["stack", "preview"]);
});
