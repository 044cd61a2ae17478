import { judge, verdictIn } from './judge.ts';
import { measure, type Observation, split } from './measure.ts';
import type { Group, Row, Verdict } from './row.ts';
import { rulesOf, writeRules } from './rules.ts';
import type { Scene } from './scene.ts';
import type { World } from './world.ts';

/** The result of one row in one world: what was expected, and what differs. */
export interface Outcome {
  id: string;
  group: Group;
  expected: Verdict;
  /** Absent when it was as expected. */
  wrong?: string;
  /** Another firewall blocked an open path, and `coold status` names the problem. */
  told?: true;
}

/** Brings the hosts into a world, sends the packets of every row that applies there, and restores the hosts. */
export async function askIn(
  world: World,
  scene: Scene,
  table: readonly Row[],
  nextNumber: () => number,
): Promise<Outcome[]> {
  const without = world.nothingAllowed && world.during === undefined;
  await writeRules(scene, without ? [] : rulesOf(table, await scene.look()));
  try {
    await world.enter?.(scene);
    const asked = table.filter(row => verdictIn(row, world) !== undefined);
    const { settled, changing } = split(asked);
    const { during } = world;
    const observed = [
      ...(during === undefined ? [] : await measure(scene, changing, nextNumber, () => during(scene))),
      ...(await measure(scene, settled, nextNumber)),
    ];
    const problem = world.mayShut === true && (await everyHostTellsAProblem(scene));
    return outcomes(asked, world, new Map(observed), problem);
  } finally {
    await world.leave?.(scene);
  }
}

function outcomes(
  rows: readonly Row[],
  world: World,
  observed: ReadonlyMap<string, Observation>,
  problemTold: boolean,
): Outcome[] {
  return rows.flatMap((row): Outcome[] => {
    const expected = verdictIn(row, world);
    const seen = observed.get(row.id);
    if (expected === undefined || seen === undefined) return [];
    const wrong = judge(row, expected, seen);
    const { id, group } = row;
    if (wrong === undefined) return [{ id, group, expected }];
    if (expected === 'passes' && problemTold) return [{ id, group, expected, told: true }];
    return [{ id, group, expected, wrong }];
  });
}

async function everyHostTellsAProblem(scene: Scene): Promise<boolean> {
  const said = await Promise.all(scene.fleet.hosts.map(({ host }) => host.exec(['coold', 'status'])));
  return said.every(({ code, stdout }) => code === 1 && /^PROBLEM: /m.test(stdout));
}
