import { setTimeout as delay } from 'node:timers/promises';
import { type Corrosion, createCorrosion, type Statement } from '@coold/corrosion';
import { scratchFolder } from '@coold/testbed';
import { type StandIn, startStandIn, testLog } from '@coold/testbed/corrosion';
import { soon } from '@coold/testbed/soon';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { HostPresence } from './host-presence.ts';
import { createMeshHosts } from './mesh-hosts.ts';

const forever = new AbortController().signal;
const own = '100.64.0.1';
const other = '100.64.0.2';

let cleanup: AsyncDisposableStack;
let standIn: StandIn;
const agent = () => createCorrosion({ url: standIn.url, tokenFile: undefined });
const rowsOf = async (table: string) => {
  const hosts: unknown[] = [];
  await agent().query([`SELECT host_mgmt_ip FROM ${table}`, []], ([host]) => void hosts.push(host), forever);
  return hosts.sort();
};
const seen = (host: string, at: number): Statement => [
  'INSERT INTO host_seen (host_mgmt_ip, seen_at) VALUES (?, ?) ' +
    'ON CONFLICT (host_mgmt_ip) DO UPDATE SET seen_at = excluded.seen_at',
  [host, at],
];

const start = async (tables?: string[]) => {
  const { path } = cleanup.use(await scratchFolder());
  standIn = cleanup.use(await startStandIn(path, tables === undefined ? {} : { tables }));
};
const follow = (ttlMs: number, corrosion = agent()) => {
  const gone: string[][] = [];
  const log = { ...testLog(), warn: vi.fn(), info: vi.fn() };
  const presence = new HostPresence({
    corrosion,
    hostMgmtIp: own,
    ttlMs,
    clock: Date.now,
    log,
    onGone: hosts => void gone.push([...hosts]),
    backoff: { firstMs: 5, maxMs: 50 },
  });
  const stop = new AbortController();
  const running = Object.values(presence.tasks).map(task => task(stop.signal));
  cleanup.defer(async () => {
    stop.abort();
    await Promise.all(running);
  });
  return { presence, gone, log };
};

beforeEach(() => {
  cleanup = new AsyncDisposableStack();
});
afterEach(() => cleanup.disposeAsync());

describe('the hosts of the mesh', () => {
  it('say that they live; one that does not for too long is gone, and back with its next word', async () => {
    await start();
    await agent().execute([seen(other, 1)], forever);
    const { presence, gone, log } = follow(700);
    await soon(async () => expect(await rowsOf('host_seen')).toEqual([own, other]));
    await soon(() => expect(presence.isSeen(other)).toBe(true));
    await soon(() => expect(gone.at(-1)).toContain(other));
    expect(presence.isSeen(other)).toBe(false);
    expect(log.warn).toHaveBeenCalledWith({ host_mgmt_ip: other }, expect.stringContaining('mesh.forget'));
    await agent().execute([seen(other, 2)], forever);
    await soon(() => expect(gone.at(-1)).not.toContain(other));
    expect(log.info).toHaveBeenCalledWith({ host_mgmt_ip: other }, 'a host of the mesh is seen again');
  });

  it('say it four times before they would be gone', async () => {
    await start();
    const { gone } = follow(1200);
    const others = new HostPresence({
      corrosion: agent(),
      hostMgmtIp: other,
      ttlMs: 1200,
      clock: Date.now,
      log: testLog(),
      onGone: () => {},
      backoff: { firstMs: 5, maxMs: 50 },
    });
    const stop = new AbortController();
    const running = others.tasks['host-seen'](stop.signal);
    await soon(async () => expect(await rowsOf('host_seen')).toEqual([own, other]));
    await delay(2000);
    expect(gone.flat()).toEqual([]);
    stop.abort();
    await running;
    await soon(() => expect(gone.at(-1)).toEqual([other]));
  });

  it('is written again as soon as an agent is back, also with a new database', async () => {
    await start();
    standIn.backUp();
    const { presence } = follow(20 * 60_000);
    await soon(async () => expect(await rowsOf('host_seen')).toEqual([own]));
    await soon(() => expect(presence.lastWord(own)).toBeDefined());
    const first = presence.lastWord(own);
    await standIn.stop();
    standIn.restore();
    await standIn.start();
    await soon(async () => expect(await rowsOf('host_seen')).toEqual([own]));
    await soon(() => expect(presence.lastWord(own)).toBeGreaterThan(first ?? Number.POSITIVE_INFINITY));
  });

  it('are not gone while an agent answers but sends none of their heartbeats', async () => {
    await start();
    await agent().execute([seen(other, 0)], forever);
    const real = agent();
    const deaf: Corrosion = {
      ...real,
      subscribe: (from, on, signal) =>
        real.subscribe(from, { ...on, frame: frame => frame.kind !== 'change' && on.frame(frame) }, signal),
    };
    const { gone, log } = follow(1200, deaf);
    let word = 0;
    const end = performance.now() + 4000;
    while (performance.now() < end) {
      word += 1;
      await agent().execute([seen(other, word)], forever);
      await delay(100);
    }
    expect(gone.flat()).not.toContain(other);
    expect(log.warn).toHaveBeenCalledWith(
      expect.objectContaining({ why: "this host's own row was written, but not reported back" }),
      expect.stringContaining('subscription broke'),
    );
  });

  it('are never gone where the schema has no such table', async () => {
    await start(['service_endpoints']);
    const { gone, log } = follow(50);
    await soon(() => expect(log.warn).toHaveBeenCalledTimes(1));
    expect(gone).toEqual([]);
  });
});

describe('a host that is forgotten', () => {
  const hosts = (isSeen: boolean, hasPeer: boolean, lastWord: number | null = 1) =>
    createMeshHosts({
      corrosion: agent(),
      hostMgmtIp: own,
      isSeen: host => isSeen && host === other,
      lastWord: () => lastWord ?? undefined,
      hasPeer: () => hasPeer,
    });
  const fill = () =>
    agent().execute(
      [own, other].flatMap((host): Statement[] => [
        ['INSERT INTO service_endpoints (container_id, host_mgmt_ip) VALUES (?, ?)', [`c-${host}`, host]],
        [
          'INSERT INTO service_registrations (service_id, container_id, host_mgmt_ip) VALUES (?, ?, ?)',
          ['s', `c-${host}`, host],
        ],
        ['INSERT INTO host_pools (host_mgmt_ip, network_pool) VALUES (?, ?)', [host, '10.211.0.0/20']],
        seen(host, 1),
      ]),
      forever,
    );
  const tables = ['service_endpoints', 'service_registrations', 'host_pools', 'host_seen'];

  it('leaves no row, and others keep theirs', async () => {
    await start();
    await fill();
    expect(await hosts(false, true).forget(other, forever)).toBe('forgotten');
    for (const table of tables) expect(await rowsOf(table)).toEqual([own]);
    // Again, or of a host that never was: nothing is there to remove.
    expect(await hosts(false, false).forget(other, forever)).toBe('forgotten');
  });

  it('is not this one, nor one that was seen lately', async () => {
    await start();
    await fill();
    expect(await hosts(true, false).forget(other, forever)).toBe('seen');
    expect(await hosts(false, false).forget(own, forever)).toBe('seen');
    for (const table of tables) expect(await rowsOf(table)).toEqual([own, other]);
  });

  it('is not gone if it wrote something that was not reported to this host', async () => {
    await start();
    await fill();
    // Right after the start, before anything was told; and while changes are not told.
    expect(await hosts(false, true, null).forget(other, forever)).toBe('seen');
    await agent().execute([seen(other, 2)], forever);
    expect(await hosts(false, false, 1).forget(other, forever)).toBe('seen');
    for (const table of tables) expect(await rowsOf(table)).toEqual([own, other]);
    expect(await hosts(false, false, 2).forget(other, forever)).toBe('forgotten');
  });

  it('has no peer any more where hosts do not say that they live', async () => {
    await start(['service_endpoints']);
    await agent().execute(
      [['INSERT INTO service_endpoints (container_id, host_mgmt_ip) VALUES (?, ?)', ['c', other]]],
      forever,
    );
    expect(await hosts(false, true).forget(other, forever)).toBe('seen');
    expect(await hosts(false, false).forget(other, forever)).toBe('forgotten');
    expect(await rowsOf('service_endpoints')).toEqual([]);
  });
});
