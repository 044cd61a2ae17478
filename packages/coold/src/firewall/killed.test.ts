// SIGKILL within changes of the firewall: real processes, real iptables and nft. Needs root.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createLogger } from '@coold/runtime';
import { scratchFolder } from '@coold/testbed';
import { createPacketFilter, type FilterProgram, type PacketFilter } from '@coold/testbed/packet-filter';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createFirewall } from './firewall.ts';
import { readIptablesLine } from './iptables-rule.ts';
import type { Rule } from './rule.ts';
import { ruleNumber } from './rule-examples.ts';
import { readIptablesSnapshot, readNftSnapshot } from './snapshot.ts';
import type { Edit } from './store.ts';

const chain = 'COOLIFY-ALLOW';
const child = fileURLToPath(new URL('./mutating-child.ts', import.meta.url));
const log = createLogger('coold', { level: 'off', components: new Map() }, false);
const machinePath = process.env['PATH'];
const rounds = 200;

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

describe.each(['nft', 'legacy'] as const)('with iptables-%s', backend => {
  let cleanup: AsyncDisposableStack;
  let filter: PacketFilter;
  let etc: string;
  beforeEach(async () => {
    cleanup = new AsyncDisposableStack();
    const { path } = cleanup.use(await scratchFolder());
    filter = cleanup.use(await createPacketFilter(path, backend));
    await filter.scaffold();
    etc = join(path, 'etc');
    await mkdir(etc);
    process.env['PATH'] = filter.path;
  });
  afterEach(async () => {
    process.env['PATH'] = machinePath;
    await cleanup.disposeAsync();
  });

  interface Told {
    /** Edits that were acknowledged, refused, and not answered, by their index. */
    done: Set<number>;
    failed: Set<number>;
    killed: boolean;
  }

  /** @param kill the step before which the child dies, or a time in ms after which it is killed from outside */
  async function mutate(edits: Edit[][], kill: { step: number } | { afterMs: number }): Promise<Told> {
    const step = 'step' in kill ? kill.step : 0;
    const running = spawn(
      'setpriv',
      ['--pdeathsig', 'KILL', '--', process.execPath, child, etc, chain, String(step), JSON.stringify(edits)],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const told: Told = { done: new Set(), failed: new Set(), killed: false };
    const closed = once(running, 'close');
    createInterface({ input: running.stdout }).on('line', line => {
      const [verdict, index] = line.split(' ');
      if (verdict === 'done') told.done.add(Number(index));
      if (verdict === 'failed') told.failed.add(Number(index));
      if (verdict === 'loaded' && 'afterMs' in kill)
        void delay(kill.afterMs).then(() => running.kill('SIGKILL'));
    });
    const [, signal] = (await closed) as [number | null, NodeJS.Signals | null];
    told.killed = signal === 'SIGKILL';
    return told;
  }

  async function stands() {
    const lines = (await filter.iptables('-S'))
      .split('\n')
      .flatMap(line => readIptablesLine(chain, line) ?? []);
    const iptables = lines
      .flatMap(({ standing }) => (standing.kind === 'rule' ? [standing.rule.id] : []))
      .sort();
    const text = await filter.nft('list', 'chain', 'bridge', 'coolify_bridge', 'coolify_allow');
    const nft = [...text.matchAll(/cid:([0-9a-f]{12})/g)].map(([, id = '']) => id).sort();
    return { iptables, nft };
  }

  /** Starts, lets it settle what was left, and ends. */
  async function restart(): Promise<readonly Rule[]> {
    const stop = new AbortController();
    const { store, keep } = createFirewall({
      ...{ chain, log, rulesPath: join(etc, 'allow.rules'), bridgeRulesPath: join(etc, 'allow.nft') },
    });
    const loaded = Promise.withResolvers<void>();
    const kept = keep(loaded.resolve)(stop.signal);
    await Promise.race([loaded.promise, kept]);
    const rules = store.rules();
    expect(store.state()).toMatchObject({
      ...{ unfinished: undefined, snapshotProblem: undefined, lastError: undefined },
      drift: { kernelOnly: [], modelOnly: [], planesDiffer: [], snapshotDiffers: [] },
    });
    stop.abort();
    await kept;
    return rules;
  }

  /** What may stand: each edit is whole or not at all; those acknowledged did happen, those refused did not. */
  function expectOutcome(
    before: ReadonlySet<string>,
    edits: Edit[][],
    told: Told,
    now: readonly string[],
  ): void {
    let possible = [new Set(before)];
    for (const [index, together] of edits.entries()) {
      const after = possible.map(ids => {
        const next = new Set(ids);
        for (const edit of together)
          if (edit.kind === 'allow') next.add(edit.rule.id);
          else next.delete(edit.id);
        return next;
      });
      if (told.done.has(index)) possible = after;
      else if (!told.failed.has(index)) {
        possible = [...possible, ...after];
        break;
      }
    }
    expect(possible.map(ids => [...ids].sort())).toContainEqual([...now].sort());
  }

  async function filesSay(): Promise<{ iptables: string[]; nft: string[] } | undefined> {
    const { readFile } = await import('node:fs/promises');
    const names = await readdir(etc);
    if (!names.includes('allow.rules')) return undefined;
    const idsOf = (rules: Rule[]) => rules.map(({ id }) => id).sort();
    return {
      iptables: idsOf(readIptablesSnapshot(await readFile(join(etc, 'allow.rules'), 'utf8'), chain)),
      nft: idsOf(readNftSnapshot(await readFile(join(etc, 'allow.nft'), 'utf8'))),
    };
  }

  async function round(
    before: ReadonlySet<string>,
    edits: Edit[][],
    kill: { step: number } | { afterMs: number },
  ) {
    const told = await mutate(edits, kill);
    const now = (await restart()).map(({ id }) => id).sort();
    expectOutcome(before, edits, told, now);
    const kernel = await stands();
    expect(kernel).toEqual({ iptables: now, nft: now });
    const filed = await filesSay();
    if (filed !== undefined) expect(filed).toEqual({ iptables: now, nft: now });
    else expect(now).toEqual([]);
    expect((await readdir(etc)).filter(name => name.includes('tmp') || name.includes('pending'))).toEqual([]);
    return { told, now: new Set(now) };
  }

  const anEdit = (random: () => number): Edit => {
    const rule = ruleNumber(Math.floor(random() * 12));
    return random() < 0.6 ? { kind: 'allow', rule } : { kind: 'revoke', id: rule.id };
  };

  it('at every step of a change: all of it stands afterwards, or none', async () => {
    let ids: ReadonlySet<string> = new Set();
    const add: Edit[][] = [[0, 1, 2].map(n => ({ kind: 'allow', rule: ruleNumber(n) }))];
    const swap: Edit[][] = [
      [
        { kind: 'revoke', id: ruleNumber(0).id },
        { kind: 'allow', rule: ruleNumber(3) },
      ],
    ];
    const clear: Edit[][] = [[0, 1, 2, 3].map(n => ({ kind: 'revoke', id: ruleNumber(n).id }))];
    let killed = 0;
    for (let step = 1; ; step += 1) {
      let ended = true;
      for (const edits of [add, swap, clear]) {
        const { told, now } = await round(ids, edits, { step });
        ids = now;
        if (told.killed) {
          ended = false;
          killed += 1;
        }
      }
      if (ended) break;
    }
    expect(killed).toBeGreaterThan(20);
  }, 300_000);

  it(`at any moment, ${rounds / 2} times`, async () => {
    const random = seeded(backend === 'nft' ? 1 : 2);
    let ids: ReadonlySet<string> = new Set();
    let killed = 0;
    for (let n = 0; n < rounds / 2; n += 1) {
      const edits = Array.from({ length: 6 }, () =>
        Array.from({ length: 1 + Math.floor(random() * 3) }, () => anEdit(random)),
      );
      const { told, now } = await round(ids, edits, { afterMs: random() * 250 });
      if (told.killed) killed += 1;
      ids = now;
    }
    expect(killed).toBeGreaterThan(rounds / 8);
  }, 600_000);

  it.each(['nft', 'iptables'] as const)(
    'while %s refuses: no refused rule stands afterwards',
    async program => {
      const { now } = await round(new Set(), [[{ kind: 'allow', rule: ruleNumber(1) }]], { step: 0 });
      const broken: FilterProgram = program;
      for (let step = 1; step < 12; step += 1) {
        await filter.break(broken, 'refuses');
        const edits: Edit[][] = [[{ kind: 'allow', rule: ruleNumber(2) }]];
        const told = await mutate(edits, { step });
        await filter.repair(broken);
        const rules = (await restart()).map(({ id }) => id);
        expectOutcome(now, edits, told, rules);
        expect(await stands()).toEqual({ iptables: [...rules].sort(), nft: [...rules].sort() });
        await round(new Set(rules), [[{ kind: 'revoke', id: ruleNumber(2).id }]], { step: 0 });
        if (!told.killed) return;
      }
    },
    120_000,
  );
});
