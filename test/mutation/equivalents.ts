/** A fault that no test can see, since the program does the same with it. */
export interface Equivalent {
  readonly file: string;
  /** part of the line on which it begins */
  readonly line: string;
  /** what StrykerJS replaces there, as it stands in the file; without it, whatever begins on that line */
  readonly from?: string;
  readonly to?: string;
  readonly because: string;
}

const inListings = {
  file: "components/model/listings.ts",
  because: "asked for the compiler alone: what comes before it answers the same",
} as const;
const inWindow = {
  file: "components/model/window.ts",
  because: "settings refuse a window whose ends are one",
} as const;

const inPlaces = {
  file: "components/model/trust.ts",
  because: "an authority that lies in a leaf's file is in use, and no notice is of such a one",
} as const;
const inDecision = {
  file: "components/model/decision.ts",
  from: "[]",
  to: '["Stryker was here"]',
} as const;

const inContents = {
  file: "components/model/contents.ts",
  from: "[]",
  to: '["Stryker was here"]',
  because: "what is no certificate has no text",
} as const;
const inDifferences = { file: "components/model/differences.ts" } as const;
const inChecks = { file: "components/model/checks.ts" } as const;
const inRecords = { file: "components/model/records.ts" } as const;
const inFound = { file: "components/model/found.ts" } as const;
const inRenewals = { file: "components/model/renewals.ts" } as const;
const inHandover = { file: "components/model/handover.ts" } as const;
const inDrift = { file: "components/model/drift.ts" } as const;
const inStepWork = { file: "components/model/step-work.ts" } as const;
const inClients = { file: "components/model/clients.ts" } as const;
const inSurvey = { file: "components/model/read-survey.ts" } as const;
const inStatuses = { file: "components/model/certificate-status.ts" } as const;
const inFaults = { file: "components/model/faults.ts" } as const;
const inRestore = { file: "components/model/restore.ts" } as const;
/** a constant of the file, which StrykerJS does not see a test look at; contents.test.ts does */
const wantedKinds = [
  "backup: []",
  "trust: []",
  "issue: [",
  "settle: []",
  "retire: [",
  "verify: [",
  "joining: [",
];

/** Looked at one by one: StrykerJS makes these faults, and they are none. */
export const equivalents: readonly Equivalent[] = [
  {
    file: "components/model/window.ts",
    line: "for (let next = first;",
    from: "next <= first + daysAhead * 1440",
    to: "next < first + daysAhead * 1440",
    because: "whether the last minute of fifteen days is looked at",
  },
  { line: "return from < to", from: "from < to", to: "from <= to", ...inWindow },
  { line: "of the next day", from: "to < from", to: "to <= from", ...inWindow },
  {
    file: "components/model/window.ts",
    line: "export const ignoreWindowVariable",
    from: '"ETCD_ROTATION_IGNORE_WINDOW"',
    to: '""',
    because: "a constant of the file, which StrykerJS does not see a test look at; window.test.ts does",
  },
  {
    file: "components/model/plan.ts",
    line: "const accepts",
    from: "[]",
    to: '["Stryker was here"]',
    because: "every row of a trust file says what it accepts",
  },
  { line: "if (master === undefined ||", from: "master === undefined", to: "false", ...inListings },
  { line: "certificate !== undefined &&", from: "certificate !== undefined", to: "true", ...inListings },
  { line: "original.master !== master?.name", from: "master?.name", to: "master.name", ...inListings },
  {
    line: "for (const row of rows.filter",
    from: 'rows.filter(({ kind }) => kind === "trust")',
    to: "rows",
    ...inPlaces,
  },
  { line: "for (const row of rows.filter", from: 'kind === "trust"', to: "true", ...inPlaces },
  {
    line: "authorities: wanted === undefined",
    because: "no certificate has that fingerprint",
    ...inDecision,
  },
  { line: "ignored: settings.clients", because: "nobody is called that", ...inDecision },
  ...wantedKinds.map((line) => ({
    file: "components/model/contents.ts",
    line,
    because: "a constant of the file, which StrykerJS does not see a test look at; contents.test.ts does",
  })),
  { line: "const pemOf", ...inContents },
  { line: "const behind", ...inContents },
  { line: "union(wantedOf(row)", ...inContents },
  {
    file: "components/model/contents.ts",
    line: "behind(row) !==",
    from: 'row.kind === "trust"',
    to: "true",
    because: "somebody else's authorities are kept in trust files alone",
  },
  {
    file: "components/model/contents.ts",
    line: "signed[row.signer]",
    from: '""',
    to: '"Stryker was here!"',
    because: "either text has no certificate",
  },
  {
    file: "components/model/contents.ts",
    line: "(each) => isEarlier(each) &&",
    from: "next?.fingerprint",
    to: "next.fingerprint",
    because: "asked for the compiler alone: without a next one no other is earlier",
  },
  {
    line: "return attempts.size > 1",
    from: "first !== undefined",
    to: "true",
    because: "asked for the compiler alone: two attempts are of two masters",
    ...inDifferences,
  },
  {
    line: "const isNeeded",
    from: "wanted?.split",
    to: "wanted.split",
    because: "asked for the compiler alone: where nothing is wanted, isTrusted has said no",
    ...inDifferences,
  },
  {
    line: "return (wanted?.split",
    from: '""',
    to: '"Stryker was here!"',
    because: "no certificate has either as its fingerprint",
    ...inDifferences,
  },
  {
    line: "(file?.certificates ?? []).some",
    from: "[]",
    to: '["Stryker was here"]',
    because: "what is no certificate has no fingerprint",
    ...inDifferences,
  },
  {
    line: "return (file?.certificates ?? []).map",
    from: "[]",
    to: '["Stryker was here"]',
    because: "what is no certificate has no fingerprint",
    ...inDifferences,
  },
  {
    file: "components/model/plan.ts",
    line: "joining: readonly string[] = [],",
    from: "[]",
    to: '["Stryker was here"]',
    because: "no master is called that",
  },
  {
    line: "const served = port === undefined",
    from: "port === undefined",
    to: "false",
    because: "nothing is served on a port that is none",
    ...inStatuses,
  },
  {
    line: 'rotation: rotationOf({ rotation: "", restore: rollout })',
    from: '""',
    because: "of a restore the stack's rotation is not asked",
    ...inRestore,
  },
  {
    line: "firstToEnd([master], [...rows,",
    from: "[]",
    because: "what is no row has no file",
    ...inRestore,
  },
  {
    line: "if (now === undefined || then === undefined)",
    from: "now === undefined",
    to: "false",
    because: "a survey tells of every row",
    ...inRestore,
  },
  ...(
    [
      { line: 'row.kind === "key" ||', to: "false" },
      { line: 'row.kind === "key" ||', to: 'row.kind === "key" && row.kind === "authority-key"' },
      { line: 'row.kind === "key" ||', from: '"key"' },
      { line: 'row.kind === "authority-key" ||', from: 'row.kind === "authority-key"', to: "false" },
      { line: 'row.kind === "authority-key" ||', from: '"authority-key"' },
    ] as const
  ).map((fault) => ({
    ...fault,
    because: "a key's file has no certificate, so the backup's and today's are the same in what comes next",
    ...inRestore,
  })),
  {
    line: "return [];",
    from: "[]",
    because: "what is neither good nor said to stay is left out like nothing",
    ...inRestore,
  },
  ...(
    [
      { line: "leafFaults(master, row, used) : []", from: 'row.kind === "cert"' },
      { line: "acceptanceFaults(master, row, masters, used) : []", from: 'row.kind === "cert"' },
      { line: "trustFaults(master, row, masters, used) : []", from: 'row.kind === "trust"' },
    ] as const
  ).map((fault) => ({
    ...fault,
    to: "true",
    because: "a key has no certificate, a trust file is of no leaf, and nothing is checked against a leaf",
    ...inFaults,
  })),
  { line: "const used = master.isApiReady", from: "[]", because: "what is no row has no file", ...inFaults },
  {
    line: "leaf === undefined || row.leaf === undefined",
    from: "row.leaf === undefined",
    to: "false",
    because: "asked for the compiler alone: every leaf's file says of which leaf it is",
    ...inFaults,
  },
  {
    line: "const isPair = key === undefined",
    from: "key === undefined",
    to: "false",
    because: "asked for the compiler alone: every leaf has a file for its key",
    ...inFaults,
  },
  {
    line: '.filter((row) => row.kind === "cert" && isCheckedAgainst(row, trust))',
    from: 'row.kind === "cert"',
    to: "true",
    because: "a key has no certificate that could be refused",
    ...inFaults,
  },
  {
    line: "const checked = rows.filter",
    from: 'other.kind === "cert"',
    to: "true",
    because: "a key has no certificate that could be checked",
    ...inStatuses,
  },
  {
    line: "const authorities = [...rows, ...kubernetes].filter(",
    to: "[...rows, ...kubernetes]",
    because: "no leaf has issued anything",
    ...inStatuses,
  },
  {
    line: '(row) => row.kind === "trust" || row.kind === "authority",',
    from: 'row.kind === "trust" || row.kind === "authority"',
    to: "true",
    because: "no leaf has issued anything",
    ...inStatuses,
  },
  {
    line: "authority.subject.join() === certificate.issuer.join() && hasIssued",
    from: "authority.subject.join() === certificate.issuer.join()",
    to: "true",
    because: "what has issued it has the name of its issuer; names are compared first since that is quick",
    ...inStatuses,
  },
  {
    line: 'if (row.flag === undefined || row.reader === "none") {',
    because: "asked for the compiler alone: nobody runs with a flag that is none, or as nobody",
    ...inChecks,
  },
  {
    line: "lost.map((san) => san.replace(",
    from: "/^(DNS|IP):/",
    to: "/(DNS|IP):/",
    because: "every name begins with its kind",
    ...inChecks,
  },
  ...(["[]", '""'] as const).map((from) => ({
    line: 'const [url = ""] =',
    from,
    because: "neither text is a URL",
    ...inChecks,
  })),
  {
    line: 'skew > 0 ? "ahead of"',
    from: "skew > 0",
    to: "skew >= 0",
    because: "a clock that is right is no reason",
    ...inChecks,
  },
  ...([String.raw`/^\[|\]/g`, String.raw`/\[|\]$/g`] as const).map((to) => ({
    line: "new URL(url).hostname.replace",
    to,
    because: "an address has brackets at its ends alone",
    ...inChecks,
  })),
  {
    line: '.filter((row) => row.leaf === leaf && row.kind === "cert")',
    from: 'row.kind === "cert"',
    to: "true",
    because: "a key has no certificate",
    ...inChecks,
  },
  {
    line: '"signer" in row ? row.id',
    from: '"signer"',
    because: "whatever stands for a row of Kubernetes, no row of etcd stands for the same",
    ...inChecks,
  },
  {
    line: '"signer" in row ? row.id',
    from: '"etcd"',
    because: "where peers have no authority of their own, one word stands for all trust files",
    ...inChecks,
  },
  {
    line: "all.indexOf(other) > index",
    from: "all.indexOf(other) > index",
    to: "all.indexOf(other) >= index",
    because: "no row is another one than itself",
    ...inChecks,
  },
  {
    line: 'certificatesIn(read.pem.findLast(isOf)?.pem ?? "")',
    from: '""',
    because: "neither text has a certificate",
    ...inSurvey,
  },
  {
    line: "const name = word.replace(",
    to: "/--?/",
    because: "every flag begins with a hyphen",
    ...inSurvey,
  },
  {
    line: "const [, phase, attempt, since] =",
    from: "[]",
    because: "the first is not asked for",
    ...inSurvey,
  },
  ...(
    ["phase === undefined", "attempt === undefined", "phase === undefined || attempt === undefined"] as const
  ).map((from) => ({
    line: "return phase === undefined || attempt === undefined",
    from,
    to: from.includes("||") ? from.replace("||", "&&") : "false",
    because: "a holder tells both or neither",
    ...inSurvey,
  })),
  ...(["/^([^=]*)=(.*)/g", "/([^=]*)=(.*)$/g"] as const).map((to) => ({
    line: "[...printable(line).matchAll(",
    to,
    because: "a line is looked at from its begin, and to its end",
    ...inSurvey,
  })),
  {
    line: '([, key = "", value = ""]) => [key, value]',
    from: '""',
    because: "asked for the compiler alone: what matches has both",
    ...inSurvey,
  },
  {
    line: 'const [name = ""] = line.split(" ", 1)',
    from: '""',
    because: "asked for the compiler alone: a line has a first word",
    ...inRecords,
  },
  {
    line: "all[name]?.push(fields)",
    from: "all[name]?.push",
    to: "all[name].push",
    because: "asked for the compiler alone: each record of the table has a list",
    ...inRecords,
  },
  ...(["const [, namespace", "const [, program, unit"] as const).flatMap((line) =>
    (['""', "[]"] as const).map((from) => ({
      line,
      from,
      because: "asked for the compiler alone: a holder is one or the other, and has both of its names",
      ...inRecords,
    })),
  ),
  {
    line: "const [, namespace",
    to: String.raw`/Secret ([^/]*)\/(.*)$/s`,
    because: "what is a process is not asked whether it is a Secret",
    ...inRecords,
  },
  {
    line: "const [, namespace",
    to: String.raw`/^Secret ([^/]*)\/(.*)/s`,
    because: "a name goes to the end",
    ...inRecords,
  },
  {
    line: "const [, program, unit",
    to: "/^process (.*) in (.*)/s",
    because: "a name goes to the end",
    ...inRecords,
  },
  {
    line: "(master.files[row.id] ?? [])",
    from: "[]",
    because: "an authority has one file of each kind, and a text has no fields",
    ...inFound,
  },
  {
    line: 'const held = row.kind === "authority"',
    from: "[]",
    because: "a text is no authority",
    ...inFound,
  },
  ...(
    [
      { line: "return [];", from: "[]" },
      { line: "const [record =", from: "[]" },
      { line: "const [record =", from: '""' },
      { line: "const [authority, rotation =", from: '""' },
    ] as const
  ).map((fault) => ({
    ...fault,
    because: "a text has neither a renewal nor what is kept, and nothing was renewed for what is called that",
    ...inRenewals,
  })),
  {
    line: "row.port === undefined ||",
    from: "row.port === undefined",
    to: "false",
    because: "nothing is served on a port that is none",
    ...inRenewals,
  },
  {
    line: "master.served[row.port]?.fingerprint",
    from: "master.served[row.port]?.fingerprint",
    because: "asked for the compiler alone: what is not served there has been answered for",
    ...inRenewals,
  },
  {
    line: "(authorityOn(master, row.signer, rows)?.notAfter ?? 0)",
    from: "authorityOn(master, row.signer, rows)?.notAfter",
    because: "asked for the compiler alone: it has issued the leaf, so it is there",
    ...inRenewals,
  },
  {
    line: "return key.publicKey === authorityOn(",
    from: "authorityOn(master, signer, rows)?.publicKey",
    because: "asked for the compiler alone: nobody is asked about an authority that is not there",
    ...inRenewals,
  },
  {
    line: "const texts = byAuthority(",
    from: '""',
    because: "neither text has a certificate",
    ...inHandover,
  },
  {
    line: "Object.entries(master.processes).map(([name, process])",
    from: "{ ...process, isStale: false }",
    to: "{}",
    because: "of a process it is asked alone whether it is stale",
    ...inDrift,
  },
  {
    line: "const served = port === undefined",
    from: "port === undefined",
    to: "false",
    because: "nothing is served on a port that is none",
    ...inDrift,
  },
  ...(["const joining = cluster.found.joining", "without: readonly string[] = []"] as const).map((line) => ({
    line,
    from: "[]",
    because: "no master is called that",
    ...inStepWork,
  })),
  {
    line: "asReadBy({ ...row, path:",
    from: '""',
    because: "neither text is a version",
    ...inStepWork,
  },
  ...(['signer.key === "state"', '"state"'] as const).map((from) => ({
    line: 'signer === undefined || signer.key === "state"',
    from,
    because: "asked for the compiler alone: a key in the state lies on no master",
    ...inStepWork,
  })),
  {
    line: 'plan.kind === "sign" && plan.on === master',
    from: 'plan.kind === "sign"',
    to: "true",
    because: "asked for the compiler alone: nothing else is on a master",
    ...inStepWork,
  },
  ...(['""', "[]"] as const).map((from) => ({
    file: "components/model/duration.ts",
    line: "const [, count, unit =",
    from,
    because: "no unit is called that",
  })),
  {
    file: "components/model/cloud.ts",
    line: "override readonly name",
    because: "it is told apart by its class",
  },
  {
    line: "return first === undefined",
    from: "first === undefined",
    to: "false",
    because: "asked for the compiler alone: what has words has a certificate that is known",
    ...inClients,
  },
  ...(["rows.find((row) => row.id === id)?.path", '""'] as const).map((from) => ({
    line: "const pathOf = (id: string) =>",
    from,
    because: "asked for the compiler alone: every layout has these rows",
    ...inClients,
  })),
  ...(["files.some(([key =", "([key ="] as const).map((line) => ({
    line,
    from: '""',
    because: "asked for the compiler alone: each has its key",
    ...inClients,
  })),
  ...(['kind !== "key"', '"key"'] as const).map((from) => ({
    file: "components/model/words.ts",
    line: '.filter(({ kind }) => kind !== "key")',
    from,
    to: from === '"key"' ? '""' : "true",
    because: "a key has no certificate that could end",
  })),
  {
    file: "components/model/words.ts",
    line: "const ends = [...rows, ...kubernetes]",
    to: "[...rows, ...kubernetes]",
    because: "a key has no certificate that could end",
  },
  ...(['row.reader === "none"', '"none"'] as const).map((from) => ({
    file: "components/model/layout/rows.ts",
    line: 'row.reader === "none" || row.reload',
    from,
    to: from === '"none"' ? '""' : "false",
    because: "asked for the compiler alone: what no process reads takes effect at the next handshake",
  })),
  {
    file: "components/model/layout/rows.ts",
    line: "return leaf !== undefined && (trust.accepts",
    from: "leaf !== undefined",
    to: "true",
    because: "asked for the compiler alone: no row accepts a leaf that is none",
  },
  {
    file: "components/model/layout/rows.ts",
    line: "return leaf !== undefined && (trust.accepts",
    from: "[]",
    because: "no leaf is called that",
  },
  {
    file: "components/model/certificate.ts",
    line: "return (pem.match(block) ?? [])",
    from: "[]",
    because: "a text is no certificate",
  },
  {
    file: "components/model/certificate.ts",
    line: 'return address.includes(":") &&',
    from: '":"',
    to: '""',
    because: "what has no colon is nothing between brackets",
  },
];
