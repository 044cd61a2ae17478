// SIGKILL within changes of the firewall: real processes, real iptables and nft. Needs root.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { scratchFolder } from '@coold/testbed';
import { createPacketFilter, type PacketFilter } from '@coold/testbed/packet-filter';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ruleNumber } from '../../../test/rule-examples.ts';
import { elementOf } from '../deny/guard-element.ts';
import { readIptablesLine } from '../rule/iptables-rule.ts';
import type { Rule } from '../rule/rule.ts';
import type { Edit } from './rule-model.ts';
import { readIptablesSnapshot, readNftSnapshot } from './snapshot.ts';

const chain = 'COOLIFY-ALLOW';
const child = fileURLToPath(new URL('../../../test/mutating-child.ts', import.meta.url));
/** Of these, 200 in all; each seed has a packet filter of its own, and they go side by side. */
const seeds = { nft: [1, 2, 3, 4], legacy: [5, 6] };
const roundsOfSeed = { nft: 35, legacy: 30 };

/** The same numbers every time (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What Node made of the child's sources once, so that hundreds of them start quickly. */
let compiled: string;
const cleanup = new AsyncDisposableStack();
beforeAll(async () => {
  compiled = join(cleanup.use(await scratchFolder()).path, 'compiled');
});
afterAll(() => cleanup.disposeAsync());

/** A host whose coold is killed again and again. */
async function createHost(backend: 'nft' | 'legacy') {
  const stack = new AsyncDisposableStack();
  const { path } = stack.use(await scratchFolder());
  const filter = stack.use(await createPacketFilter(path, backend));
  await filter.scaffold();
  const etc = join(path, 'etc');
  await mkdir(etc);
  return { filter, ...createRounds(filter, etc), [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

interface Told {
  /** Edits that were acknowledged, and refused, by their index. */
  done: Set<number>;
  failed: Set<number>;
  killed: boolean;
}

type Kill = { step: number } | { afterMs: number };

function createRounds(filter: PacketFilter, etc: string) {
  /**
   * Starts a child, which settles what the one before left; looks at what stands then; and lets it make changes until it
   * is killed.
   *
   * @param expected what may stand once it has started
   * @param kill the step before which it dies (0: never), or a time in ms after which it is killed from outside
   * @param before called when it has settled, before it makes changes
   */
  async function round(
    expected: Iterable<ReadonlySet<string>>,
    edits: Edit[][],
    kill: Kill,
    before: () => Promise<void> = async () => {},
  ) {
    const step = 'step' in kill ? kill.step : 0;
    const args = [etc, chain, String(step), JSON.stringify(edits)];
    const running = spawn('setpriv', ['--pdeathsig', 'KILL', '--', process.execPath, child, ...args], {
      stdio: ['pipe', 'pipe', 'ignore'],
      env: { ...process.env, PATH: filter.path, NODE_COMPILE_CACHE: compiled },
    });
    const told: Told = { done: new Set(), failed: new Set(), killed: false };
    const closed = once(running, 'close');
    const lines = createInterface({ input: running.stdout });
    const [first] = (await once(lines, 'line')) as [string];
    const now = await expectSettled(first, expected);
    lines.on('line', line => {
      const [verdict, index] = line.split(' ');
      (verdict === 'done' ? told.done : told.failed).add(Number(index));
    });
    await before();
    running.stdin.write('go\n');
    if ('afterMs' in kill) void delay(kill.afterMs).then(() => running.kill('SIGKILL'));
    const [, signal] = (await closed) as [number | null, NodeJS.Signals | null];
    told.killed = signal === 'SIGKILL';
    return { now, told, possible: outcomes(now, edits, told) };
  }

  /** Both planes and both files are the same, are one of what they may be, and nothing is left to do. */
  async function expectSettled(line: string, expected: Iterable<ReadonlySet<string>>) {
    const { ids, ...state } = JSON.parse(line) as { ids: string[] };
    const now = ids.sort();
    expect([...expected].map(possible => [...possible].sort())).toContainEqual(now);
    expect(state).toEqual({
      drift: { kernelOnly: [], modelOnly: [], planesDiffer: [], snapshotDiffers: [] },
    });
    const listed = (await filter.iptables('-S'))
      .split('\n')
      .flatMap(one => readIptablesLine(chain, one) ?? []);
    const inIptables = listed.flatMap(({ standing }) => (standing.kind === 'rule' ? [standing.rule.id] : []));
    expect(inIptables.sort()).toEqual(now);
    const text = await filter.nft('list', 'chain', 'bridge', 'coolify_bridge', 'coolify_allow');
    expect([...text.matchAll(/cid:([0-9a-f]{12})/g)].map(([, id = '']) => id).sort()).toEqual(now);
    const elements = await Promise.all(
      ['inet coolify_guard', 'bridge coolify_bridge'].map(async table => {
        const sets = await filter.nft('list', 'table', ...table.split(' '));
        return [...sets.matchAll(/[\d.]+ \. [\d.]+[^,}\n]*/g)].map(([element]) => element.trim()).sort();
      }),
    );
    const expectedElements = now.map(id => elementOf(ruleOf(id))).sort();
    expect(elements).toEqual([expectedElements, expectedElements]);
    const names = await readdir(etc);
    expect(names.filter(name => !['allow.rules', 'allow.nft'].includes(name))).toEqual([]);
    if (names.length === 0) expect(now).toEqual([]);
    else {
      const idsOf = (rules: Rule[]) => rules.map(({ id }) => id).sort();
      expect(idsOf(readIptablesSnapshot(await readFile(join(etc, 'allow.rules'), 'utf8'), chain))).toEqual(
        now,
      );
      expect(idsOf(readNftSnapshot(await readFile(join(etc, 'allow.nft'), 'utf8')))).toEqual(now);
    }
    return new Set(now);
  }
  return { round };
}

/** What may stand after a kill: what was acknowledged did happen, what was refused did not, and the next is whole or not. */
function outcomes(before: ReadonlySet<string>, edits: Edit[][], told: Told): ReadonlySet<string>[] {
  let ids = before;
  for (const [index, together] of edits.entries()) {
    if (told.failed.has(index)) continue;
    const next = new Set(ids);
    for (const edit of together)
      if (edit.kind === 'allow') next.add(edit.rule.id);
      else next.delete(edit.id);
    if (!told.done.has(index)) return [ids, next];
    ids = next;
  }
  return [ids];
}

/** The rules that the tests use, by their ids; no two have one element. */
const known = new Map(
  Array.from({ length: 200 }, (_, n) => ruleNumber(n)).map(rule => [rule.id, rule] as const),
);
const ruleOf = (id: string): Rule => {
  const rule = known.get(id);
  if (rule === undefined) throw new Error(`no such rule: ${id}`);
  return rule;
};

const anEdit = (random: () => number): Edit => {
  const rule = ruleNumber(Math.floor(random() * 12));
  return random() < 0.6 ? { kind: 'allow', rule } : { kind: 'revoke', id: rule.id };
};

const revokeAll: Edit[][] = [
  Array.from({ length: 12 }, (_, n) => ({ kind: 'revoke', id: ruleNumber(n).id })),
];

describe.concurrent.each(['nft', 'legacy'] as const)('with iptables-%s', backend => {
  it('at every step of a change: afterwards all of it is in place, or none', async () => {
    await using host = await createHost(backend);
    const { round } = host;
    let possible: ReadonlySet<string>[] = [new Set()];
    const add: Edit[][] = [[0, 1, 2].map(n => ({ kind: 'allow', rule: ruleNumber(n) }))];
    const swap: Edit[][] = [
      [
        { kind: 'revoke', id: ruleNumber(0).id },
        { kind: 'allow', rule: ruleNumber(3) },
      ],
    ];
    let killed = 0;
    for (let step = 1, ended = false; !ended; step += 1) {
      ended = true;
      for (const edits of [add, swap, revokeAll]) {
        const { told, ...next } = await round(possible, edits, { step });
        ({ possible } = next);
        if (told.killed) {
          ended = false;
          killed += 1;
        }
      }
    }
    // The journal, both stagings, the kernel, the files, the end of the journal: each was the last thing that happened.
    expect(killed).toBeGreaterThan(15);
    await round(possible, [], { step: 0 });
  }, 900_000);

  it.each(seeds[backend])(
    `at any moment of many changes, ${roundsOfSeed[backend]} times (seed %i)`,
    async seed => {
      await using host = await createHost(backend);
      const { round } = host;
      const random = seeded(seed);
      let possible: ReadonlySet<string>[] = [new Set()];
      let killed = 0;
      for (let n = 0; n < roundsOfSeed[backend]; n += 1) {
        const edits = Array.from({ length: 8 }, () =>
          Array.from({ length: 1 + Math.floor(random() * 3) }, () => anEdit(random)),
        );
        const kill = random() < 0.5 ? { afterMs: random() * 200 } : { step: 1 + Math.floor(random() * 60) };
        const { told, ...next } = await round(possible, edits, kill);
        ({ possible } = next);
        if (told.killed) killed += 1;
      }
      expect(killed).toBeGreaterThan(roundsOfSeed[backend] / 4);
      await round(possible, [], { step: 0 });
    },
    900_000,
  );

  it.each(['nft', 'iptables'] as const)(
    'while %s refuses: no refused rule is in place afterwards',
    async program => {
      await using host = await createHost(backend);
      const { round, filter } = host;
      let possible: ReadonlySet<string>[] = [new Set()];
      for (let step = 1, ended = false; !ended; step += 1) {
        const edits: Edit[][] = [[{ kind: 'allow', rule: ruleNumber(step) }]];
        const { told, ...next } = await round(possible, edits, { step }, () =>
          filter.break(program, 'refuses'),
        );
        await filter.repair(program);
        ended = !told.killed;
        ({ possible } = next);
      }
      await round(possible, [], { step: 0 });
    },
    900_000,
  );
});
