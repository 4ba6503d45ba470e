import type * as pulumi from "@pulumi/pulumi";

/** undefined in a preview that replaces what the value is made of: then nothing about it is known yet. */
export async function valueIfKnown<T>(output: pulumi.Output<T>): Promise<T | undefined> {
  // not in the SDK's types, but the only way to tell: apply is simply not called for an unknown value
  const known: unknown = Reflect.get(output, "isKnown");
  if (known instanceof Promise && !(await known)) {
    return undefined;
  }
  const { promise, resolve } = Promise.withResolvers<T>();
  output.apply(resolve);
  return promise;
}
