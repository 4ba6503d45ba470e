/** Settings as people and `pulumi config set` write them, and the text that Pulumi makes of each. */
export const writtenSettings: readonly (readonly [key: string, written: string, handedOver: string])[] = [
  ["rotation", "2026-11", "2026-11"],
  ["rotation", "2026", "2026"],
  ["rotation", '"2026"', "2026"],
  ["rotation", "2026.10", "2026.1"],
  ["rotation", "2026_11", "202611"],
  ["rotation", "0311", "201"],
  ["rotation", "1e3", "1000"],
  ["skipUnreachable", '"true"', "true"],
  ["skipUnreachable", "True", "true"],
  ["allowOutage", '"false"', "false"],
  ["restore", "3", "3"],
  ["restore", '"3"', "3"],
  ["backup", "{ <<: { keep: 5 } }", '{"keep":5}'],
  ["backup", `'{"keep":5}'`, '{"keep":5}'],
  ["kubernetes", "{ keepKeys: true, rotation: 'yes' }", '{"keepKeys":true,"rotation":"yes"}'],
  [
    "window",
    `'{"from":"22:00","to":"04:00","timeZone":"UTC"}'`,
    '{"from":"22:00","to":"04:00","timeZone":"UTC"}',
  ],
  ["window", "{ from: 22:00, to: 04:00, timeZone: UTC }", '{"from":"22:00","timeZone":"UTC","to":"04:00"}'],
];
