import { createCorrosion, type Statement } from '@coold/corrosion';
import { scratchFolder } from '@coold/testbed';
import { type StandIn, startStandIn, testLog } from '@coold/testbed/corrosion';
import { soon } from '@coold/testbed/soon';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { HostPools } from './host-pools.ts';

const forever = new AbortController().signal;
const own = '100.64.0.1';
const other = '100.64.0.2';

let cleanup: AsyncDisposableStack;
let standIn: StandIn;
const agent = () => createCorrosion({ url: standIn.url, tokenFile: undefined });
const rows = async () => {
  const all: string[] = [];
  const sql = 'SELECT host_mgmt_ip, network_pool, updated_at FROM host_pools ORDER BY 1';
  await agent().query([sql, []], values => void all.push(values.join(' ')), forever);
  return all;
};
const says = (host: string, pool: unknown): Statement => [
  'INSERT INTO host_pools (host_mgmt_ip, network_pool) VALUES (?, ?) ' +
    'ON CONFLICT (host_mgmt_ip) DO UPDATE SET network_pool = excluded.network_pool',
  [host, pool as string],
];
const write = (...statements: Statement[]) => agent().execute(statements, forever);

const start = async (tables?: string[]) => {
  const { path } = cleanup.use(await scratchFolder());
  standIn = cleanup.use(await startStandIn(path, tables === undefined ? {} : { tables }));
};
const follow = (pool: string | undefined, hostMgmtIp = own) => {
  const log = { ...testLog(), error: vi.fn(), info: vi.fn(), warn: vi.fn() };
  let clock = 1000;
  const pools = new HostPools({
    corrosion: agent(),
    hostMgmtIp,
    pool,
    log,
    clock: () => (clock += 1),
    backoff: { firstMs: 5, maxMs: 50 },
  });
  const stop = new AbortController();
  const running = Object.values(pools.tasks).map(task => task(stop.signal));
  const end = async () => {
    stop.abort();
    await Promise.all(running);
  };
  cleanup.defer(end);
  return { pools, log, end };
};

beforeEach(() => {
  cleanup = new AsyncDisposableStack();
});
afterEach(() => cleanup.disposeAsync());

describe('the slices of the mesh', () => {
  it('are written by each host, and again only when they change', async () => {
    await start();
    const first = follow('10.211.0.0/20');
    await soon(async () => expect(await rows()).toEqual([`${own} 10.211.0.0/20 1001`]));
    await first.end();
    await follow('10.211.0.0/20').end();
    expect(await rows()).toEqual([`${own} 10.211.0.0/20 1001`]);
    const wider = follow('10.211.0.0/19');
    await soon(async () => expect(await rows()).toEqual([`${own} 10.211.0.0/19 1001`]));
    await wider.end();
    follow(undefined);
    await soon(async () => expect(await rows()).toEqual([]));
  });

  it('that overlap are known on both hosts until one of them changes', async () => {
    await start();
    const here = follow('10.211.0.0/20');
    const there = follow('10.211.8.0/21', other);
    follow('10.212.0.0/16', '100.64.0.3');
    await soon(() => {
      expect(here.pools.stats().overlapping).toEqual([{ hostMgmtIp: other, pool: '10.211.8.0/21' }]);
      expect(there.pools.stats().overlapping).toEqual([{ hostMgmtIp: own, pool: '10.211.0.0/20' }]);
      expect(here.pools.others()).toHaveLength(2);
    });
    expect(here.log.error).toHaveBeenCalledTimes(1);
    expect(here.log.error).toHaveBeenCalledWith(
      { host_mgmt_ip: other, pool: '10.211.8.0/21', own: '10.211.0.0/20' },
      expect.stringContaining('COOLD_NETWORK_POOL of another host overlaps'),
    );
    await there.end();
    follow('10.211.16.0/20', other);
    await soon(() => expect(here.pools.stats().overlapping).toEqual([]));
    expect(here.log.info).toHaveBeenCalledWith(
      { host_mgmt_ip: other },
      expect.stringContaining('overlaps no more'),
    );
  });

  it('overlap with nothing on a host that has none, and a host that is forgotten has none', async () => {
    await start();
    const { pools } = follow(undefined);
    await write(says(other, '10.211.0.0/20'));
    await soon(() => expect(pools.others()).toEqual([{ hostMgmtIp: other, pool: '10.211.0.0/20' }]));
    expect(pools.stats()).toEqual({ own: undefined, overlapping: [] });
    await write(['DELETE FROM host_pools WHERE host_mgmt_ip = ?', [other]]);
    await soon(() => expect(pools.others()).toEqual([]));
  });

  it('ignore rows of other hosts about this one, and invalid slices', async () => {
    await start();
    await write(
      says(own, '10.0.0.0/8'),
      ...['', '10.211.0.1/20', '0.0.0.0/0', '8.8.8.0/24', 'fd00::/8', 7].map((pool, n) =>
        says(`100.64.1.${n}`, pool),
      ),
      says(other, '10.213.0.0/16'),
    );
    const { pools } = follow('10.211.0.0/20');
    await soon(() => expect(pools.others()).toEqual([{ hostMgmtIp: other, pool: '10.213.0.0/16' }]));
    expect(pools.stats().overlapping).toEqual([]);
    // A row that makes no sense any more takes back what it said before.
    await write(says(other, 'nonsense'));
    await soon(() => expect(pools.others()).toEqual([]));
    await soon(async () => expect((await rows())[0]).toMatch(`${own} 10.211.0.0/20`));
  });

  it('are unknown when the schema has no such table, which is logged once', async () => {
    await start(['service_endpoints']);
    const { pools, log } = follow('10.211.0.0/20');
    await soon(() => expect(log.warn).toHaveBeenCalledTimes(1));
    expect(log.warn).toHaveBeenCalledWith(expect.anything(), expect.stringContaining('no table host_pools'));
    expect(pools.others()).toEqual([]);
  });
});
