/** A value of DER (X.690): with children where it is constructed, else with its bytes. */
export interface Der {
  readonly tag: number;
  readonly bytes: Buffer;
  readonly children: readonly Der[];
}

/** The values that follow each other in these bytes. @throws when they are not DER */
export function derIn(bytes: Buffer): Der[] {
  const values: Der[] = [];
  for (let at = 0; at < bytes.length; ) {
    const [tag = 0, short = 0] = bytes.subarray(at, at + 2);
    const more = short < 0x80 ? 0 : short & 0x7f;
    const begin = at + 2 + more;
    const length = more === 0 ? short : bytes.readUIntBE(at + 2, more);
    const content = bytes.subarray(begin, begin + length);
    if (content.length !== length) {
      throw new Error("Cannot read DER: it is cut off; expected a whole certificate");
    }
    values.push({ tag, bytes: content, children: (tag & 0x20) === 0 ? [] : derIn(content) });
    at = begin + length;
  }
  return values;
}

export function encoded({ tag, bytes, children }: Der): Buffer {
  const content = (tag & 0x20) === 0 ? bytes : Buffer.concat(children.map(encoded));
  const size = content.length.toString(16);
  const long = Buffer.from(size.padStart(size.length + (size.length % 2), "0"), "hex");
  const length = content.length < 0x80 ? [content.length] : [0x80 | long.length, ...long];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}

export function primitive(tag: number, bytes: Buffer): Der {
  return { tag, bytes, children: [] };
}

export function constructed(tag: number, children: readonly Der[]): Der {
  return { tag, bytes: Buffer.alloc(0), children };
}
