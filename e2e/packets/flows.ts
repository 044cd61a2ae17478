import type { FleetHost } from '../harness/fleet.ts';
import { measure } from './measure.ts';
import { type ContainerName, containers, hostOf } from './places.ts';
import type { Row } from './row.ts';
import { type WantedRule, writeRules } from './rules.ts';
import type { Scene, Where } from './scene.ts';

/** A flow between two containers of the scene. Its first packet is judged. */
export interface Flow {
  from: ContainerName;
  to: ContainerName;
  proto: 'tcp' | 'udp';
  port: number;
}

export type Verdict = 'passes' | 'blocked' | 'unknown';

/** The part of a host's explanation that is read here. */
interface Explained {
  verdict: Verdict;
  hops: { hop: string; verdict: string; why: string }[];
  allow?: { src: string; dst: string; proto?: string; port?: number };
  elsewhere: { host_mgmt_ip: string; command: { type: string; src: string; dst: string } }[];
}

/** A flow whose explanation does not match what its packet did. */
export interface Difference {
  flow: Flow;
  said: Verdict;
  arrived: boolean;
  answers: Explained[];
}

export interface Compared {
  said: Record<Verdict, number>;
  differences: Difference[];
}

/**
 * Calls firewall.explain on both hosts, as Laravel would, sends the packets of the flows, and compares.
 *
 * @param allowed the flows with an allow rule on the destination's host; there are no other rules
 */
export async function compareFlows(
  scene: Scene,
  flows: readonly Flow[],
  allowed: readonly Flow[],
  nextNumber: () => number,
): Promise<Compared> {
  const where = await scene.look();
  await writeRules(
    scene,
    allowed.map(flow => ruleOf(flow, where)),
  );
  const answers = new Map<Flow, Explained[]>();
  // One after the other on each host, as an operator asks.
  for (const flow of flows) answers.set(flow, await explain(scene, flow, where));
  const observed = await measure(scene, flows.map(rowOf), nextNumber);
  const said: Record<Verdict, number> = { passes: 0, blocked: 0, unknown: 0 };
  const differences: Difference[] = [];
  for (const flow of flows) {
    const told = answers.get(flow) ?? [];
    const verdict = join(told);
    const arrived = (observed.get(rowOf(flow).id)?.arrived.length ?? 0) > 0;
    said[verdict] += 1;
    if (verdict !== 'unknown' && (verdict === 'passes') !== arrived)
      differences.push({ flow, said: verdict, arrived, answers: told });
  }
  return { said, differences };
}

/** Joins the verdicts of both hosts: each judges its own hops. */
function join(answers: readonly Pick<Explained, 'verdict'>[]): Verdict {
  if (answers.some(({ verdict }) => verdict === 'blocked')) return 'blocked';
  return answers.length === 0 || answers.some(({ verdict }) => verdict === 'unknown') ? 'unknown' : 'passes';
}

async function explain(scene: Scene, flow: Flow, where: Where): Promise<Explained[]> {
  const { src, dst } = addressesOf(flow, where);
  const hosts = [...new Set([flow.from, flow.to].map(place => memberOf(scene, place)))];
  return Promise.all(
    hosts.map(async host => {
      const command = { type: 'firewall.explain', src, dst, proto: flow.proto, port: flow.port };
      return (await scene.call(host, command)) as Explained;
    }),
  );
}

function memberOf(scene: Scene, place: ContainerName): FleetHost {
  return hostOf(place) === 'a' ? scene.a : scene.b;
}

export function addressesOf({ from, to }: Flow, where: Where): { src: string; dst: string } {
  return { src: where.addressOf(from, 'own', from), dst: where.addressOf(to, 'own', from) };
}

function ruleOf(flow: Flow, where: Where): WantedRule {
  const host = hostOf(flow.to) === 'a' ? 'a' : 'b';
  return { host, ...addressesOf(flow, where), proto: flow.proto, port: flow.port };
}

function rowOf({ from, to, proto, port }: Flow): Row {
  return {
    id: `${from} ${to} ${proto} ${port}`,
    group: 'Allow rules',
    from,
    to,
    packet: { kind: proto, port },
    verdict: 'passes',
    why: 'what is said of it is compared',
  };
}

/** Containers of the mesh: others have no path to the other host. */
export const meshContainers = (Object.keys(containers) as ContainerName[]).filter(
  place => !('byHand' in containers[place]) && place !== 'a/two',
);
