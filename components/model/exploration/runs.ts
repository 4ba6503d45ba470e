import { type Certificate, certificatesIn } from "../certificate.ts";
import { contentsFor } from "../contents.ts";
import type { Found, Missing } from "../found.ts";
import { type CrossCertificates, type CrossPolicy, crossCertificates, decideHandover } from "../handover.ts";
import type { Authority, Component } from "../layout/rows.ts";
import { type Hold, holdOf, isHeldAt, missingRefusals } from "../missing.ts";
import { isTogether, type Phase, planRollout, type RolloutPlan, stepsOf } from "../plan.ts";
import type { ForeignPolicy } from "../trust.ts";
import type { WantedPems } from "../wanted.ts";
import { type Accepts, allRefusedIn } from "./refused.ts";
import {
  apply,
  diskNameOf,
  foundIn,
  type Masters,
  numberOf,
  type Operation,
  restarted,
  sameTexts,
  type World,
} from "./world.ts";

/** Authorities whose keys the state has, and cross-certificates by whoever has a key at hand. */
export interface Signed {
  readonly inState: Readonly<Record<Authority, Certificate>>;
  readonly texts: CrossCertificates;
}

/** How a rollout runs, so that a test can show what goes wrong otherwise. */
export interface Ways {
  readonly order?: readonly Phase[];
  readonly contents?: typeof contentsFor;
  readonly restarts?: readonly Phase[];
  /** of what is out */
  readonly startsIn?: Phase;
  /** a plan from an earlier survey */
  readonly plan?: RolloutPlan;
  readonly foreignAuthorities?: ForeignPolicy | undefined;
  /** a master whose member is out when the run begins: it comes first */
  readonly ill?: string | undefined;
  /** a master that cannot be reached: nothing is done there */
  readonly missing?: Missing | undefined;
  /** a new machine that is still to join */
  readonly joining?: string | undefined;
  /** goes on where a rollout would stop for it */
  readonly ignoresHold?: boolean;
  /** by the stack file, or because of a client */
  readonly heldBefore?: Hold | undefined;
  readonly crossPolicy?: CrossPolicy | undefined;
  /** when a rollout is done at the latest, in milliseconds since 1970 */
  readonly end?: number;
  /** the authorities whose keys are at hand, and the wanted ones as they have signed them */
  readonly signed?: Partial<Signed> & Pick<Signed, "texts">;
}

/**
 * The masters as a run finds them: one that was out works again when it accepts all the others and they accept it,
 * and without quorum nothing works anywhere.
 */
export function surveyed(world: World, accepts: Accepts, ill?: string): World {
  const { names } = world.masters;
  const refused = allRefusedIn(world, accepts);
  const isOut = (each: string) =>
    world.out.includes(each) && refused.some(({ between }) => between.includes(each));
  const all = names.flatMap((name) => restarted.map((component) => `${component}@${name}`));
  // an API server may have no other member than its own
  const out = all.filter((each) => isOut(each) || isOut(each.replace("kube-apiserver@", "etcd@")));
  const planned = ill === undefined ? [] : (planOf({ ...world, out }, { ill }).out[ill] ?? []);
  const known = all.filter(
    (each) => out.includes(each) || planned.some((component) => each === `${component}@${ill}`),
  );
  const answering = names.length - known.filter((each) => each.startsWith("etcd@")).length;
  return { ...world, out: answering > names.length / 2 ? known : all };
}

const plansOf = new WeakMap<Masters, Map<string, RolloutPlan>>();

/** The plan of a run that begins here, computed once for all worlds in which a survey sees the same. */
function planOf(world: World, { ill, missing, joining, foreignAuthorities }: Ways): RolloutPlan {
  const stale = Object.values(world.loaded).map((texts) => (texts.length > 1 ? 1 : 0));
  const seen = [
    diskNameOf(world),
    stale.join(""),
    numberOf(world.backups),
    ill,
    missing?.name,
    missing?.isAlive,
    joining,
    JSON.stringify(foreignAuthorities),
  ];
  const key = seen.join(" ");
  const { rows, now } = world.masters;
  const plans = plansOf.get(world.masters) ?? new Map<string, RolloutPlan>();
  plansOf.set(world.masters, plans);
  const plan =
    plans.get(key) ?? planRollout(foundIn(world, ill, missing, joining), rows, [], now, foreignAuthorities);
  plans.set(key, plan);
  return plan;
}

/** The masters when whatever was out has been started by something else; whether it works then is another matter. */
export function withOutStarted(world: World): World {
  const started = world.masters.names
    .flatMap((master) =>
      restarted.map((component) => ({ kind: "restart", phase: "settle", master, component }) as const),
    )
    .filter(({ master, component }) => world.out.includes(`${component}@${master}`))
    .reduce(apply, world);
  return { ...started, out: world.out };
}

function crossOf(
  found: Found,
  { rows, now }: Masters,
  { mode }: RolloutPlan,
  pems: WantedPems,
  [etcd = "", peer = ""]: readonly string[],
  { signed, ignoresHold, heldBefore, crossPolicy, end = now }: Ways,
): CrossCertificates | undefined {
  if (signed === undefined) {
    return undefined;
  }
  const handover = decideHandover(found, {
    rows,
    mode,
    inState: signed.inState,
    wanted: { etcd, "etcd-peer": peer },
    policy: crossPolicy,
    isRestoring: false,
    isHeld: ignoresHold !== true && holdOf(found, heldBefore, []) !== undefined,
    now,
    end,
  });
  return crossCertificates(handover, pems.authorities, signed.texts, signed.texts);
}

/** Everything that a rollout towards `pems` does to these masters, in its order. */
export function operationsOf(world: World, pems: WantedPems, ways: Ways = {}): Operation[] {
  const { names, rows } = world.masters;
  const found = foundIn(world, ways.ill, ways.missing, ways.joining);
  const plan = ways.plan ?? planOf(world, ways);
  const authorities = Object.values(pems.authorities).map((pem) => certificatesIn(pem)[0]?.fingerprint ?? "");
  const isPlannedOut = (each: string) =>
    names.some((name) => plan.out[name]?.some((component) => each === `${component}@${name}`));
  // what is out for another reason ends it in backup
  if (missingRefusals(found, rows, plan, authorities).length > 0 || !world.out.every(isPlannedOut)) {
    return [];
  }
  const leafRows = new Set(rows.flatMap(({ id, kind }) => (kind === "cert" ? [id] : [])));
  const hold = ways.ignoresHold === true ? undefined : holdOf(found, ways.heldBefore, []);
  const steps = stepsOf(
    plan,
    found.masters.map(({ name }) => name),
    found.joining?.map(({ name }) => name),
  ).filter(({ phase }) => !isHeldAt(phase, hold));
  const ordered =
    ways.order === undefined
      ? steps
      : ways.order.flatMap((phase) => steps.filter((step) => step.phase === phase));
  const restarting = ways.restarts ?? ["trust", "retire"];
  const cross = crossOf(found, world.masters, plan, pems, authorities, ways);
  return ordered
    .filter((step) => step.phase !== "verify" || cross !== undefined)
    .flatMap(({ phase, master }): Operation[] => {
      const contents = Object.fromEntries(
        Object.entries(
          (ways.contents ?? contentsFor)(
            master === ways.joining ? "verify" : phase,
            master,
            rows,
            plan,
            pems,
            cross,
          ),
          // verify only takes away what stands behind a leaf
        ).filter(([id]) => phase !== "verify" || leafRows.has(id)),
      );
      const groups = [
        ...new Set(rows.filter((row) => contents[row.id] !== undefined).map((row) => row.group)),
      ];
      const writes = groups.map((group): Operation => {
        const written = rows.filter((row) => row.group === group && contents[row.id] !== undefined);
        return {
          kind: "write",
          phase,
          master,
          texts: sameTexts(Object.fromEntries(written.map((row) => [row.id, contents[row.id] ?? ""]))),
        };
      });
      const isOut = (component: Component) => plan.out[master]?.includes(component) === true;
      const restarts = restarted.filter(
        (component) => restarting.includes(phase) && (phase === "retire" || !isOut(component)),
      );
      const starts = restarted.filter(
        (component) =>
          phase === (ways.startsIn ?? (isTogether(plan) ? "settle" : "issue")) && isOut(component),
      );
      return [
        ...writes,
        ...restarts.map((component): Operation => ({ kind: "restart", phase, master, component })),
        // a step that has written its files for good
        ...starts.map((component): Operation => ({ kind: "restart", phase: "settle", master, component })),
      ];
    });
}
