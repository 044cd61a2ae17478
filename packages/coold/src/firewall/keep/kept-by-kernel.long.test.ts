// The default deny is looked at without a program while the kernel itself says that nothing has changed, and comes back as soon
// as anything did, though no announcement came: real iptables and nft. Needs root.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { scratchFolder } from '@coold/testbed';
import { createPacketFilter, type PacketFilter } from '@coold/testbed/packet-filter';
import { soon } from '@coold/testbed/soon';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Kept } from '../../../test/keeping-child.ts';

const child = fileURLToPath(new URL('../../../test/keeping-child.ts', import.meta.url));
/** A look each five seconds, a whole one each fifteen where anything changed, on a machine that may be busy. */
const found = { timeout: 60_000 };

describe.each(['nft', 'legacy'] as const)('with iptables-%s', backend => {
  const cleanup = new AsyncDisposableStack();
  let filter: PacketFilter;
  let now: Kept | undefined;
  const hook = () => filter.iptables('-S', 'FORWARD');
  const quiet = () => soon(() => expect(now).toMatchObject({ deny: 'in place', isTold: true }), found);

  beforeAll(async () => {
    const { path } = cleanup.use(await scratchFolder());
    filter = cleanup.use(await createPacketFilter(join(path, 'filter'), backend));
    await mkdir(join(path, 'etc'));
    const meshEnv = join(path, 'etc/mesh.env');
    await writeFile(
      meshEnv,
      `COOLD_SCAFFOLD_SUBNETS=10.210.5.0/24\nCOOLD_SCAFFOLD_POOLS=10.210.0.0/16\nCOOLD_SCAFFOLD_JOINED_PATH=${path}/etc/joined\n`,
    );
    const enter = ['-t', String(filter.netns.pid), '-n', '-m', '--', process.execPath, child, meshEnv];
    const env = { ...process.env, PATH: filter.path };
    const keeping = spawn('nsenter', enter, { env, stdio: ['pipe', 'pipe', 'inherit'] });
    const ended = once(keeping, 'close');
    cleanup.defer(async () => {
      keeping.stdin.end();
      await ended;
    });
    createInterface({ input: keeping.stdout }).on('line', line => {
      now = JSON.parse(line) as Kept;
    });
    await quiet();
  }, 60_000);
  afterAll(() => cleanup.disposeAsync());

  it('no program is started while nothing changes', async () => {
    const held = () =>
      new Promise<number>(resolve => {
        const before = now?.programs ?? 0;
        setTimeout(() => resolve((now?.programs ?? 0) - before), 6500);
      });
    // Each look lists anew once a minute; of two spans after each other one is between two of those.
    await soon(async () => expect(await held()).toBe(0), { timeout: 60_000 });
  }, 90_000);

  it.each([
    ['a chain of the guard', () => filter.nft('flush', 'chain', 'inet', 'coolify_guard', 'to_container')],
    ['a set of the guard', () => filter.nft('flush', 'set', 'inet', 'coolify_guard', 'local_subnets')],
    ['the whole of nftables', () => filter.nft('flush', 'ruleset')],
    ['the hooks', () => filter.iptables('-F', 'FORWARD')],
    ['the chain behind the hooks', () => filter.iptables('-F', 'COOLIFY-INTRA')],
    ['the exceptions from NAT', () => filter.iptables('-t', 'nat', '-F', 'POSTROUTING')],
  ])(
    'what empties %s is found and mended',
    async (_what, empty) => {
      await quiet();
      const { repairs = 0 } = now ?? {};
      await empty();
      await soon(() => expect(now?.repairs).toBeGreaterThan(repairs), found);
      await quiet();
      expect(await hook()).toContain('COOLIFY-INTRA');
    },
    90_000,
  );

  it('a rule above the hooks is found, and the hooks are moved up', async () => {
    await quiet();
    const { lifted = 0, repairs = 0 } = now ?? {};
    await filter.iptables('-I', 'FORWARD', '-s', '10.210.5.0/24', '-j', 'ACCEPT');
    await soon(
      () => expect((now?.lifted ?? 0) + (now?.repairs ?? 0)).toBeGreaterThan(lifted + repairs),
      found,
    );
    await soon(
      async () => expect((await hook()).split('\n')[1]).not.toContain('-s 10.210.5.0/24 -j ACCEPT'),
      found,
    );
  }, 90_000);

  it('they are lifted each time that they are said to be, also where all is as it was before the last time', async () => {
    await quiet();
    const rule = ['FORWARD', '-s', '10.210.6.0/24', '-j', 'ACCEPT'];
    for (const before of ['another', 'the same']) {
      const { lifted = 0 } = now ?? {};
      await filter.iptables('-I', ...rule);
      await soon(() => expect(now?.lifted).toBeGreaterThan(lifted), found);
      expect((await hook()).split('\n')[1], before).not.toContain('-s 10.210.6.0/24');
      await filter.iptables('-D', ...rule);
    }
  }, 150_000);

  it('the guard gets the ports of this coold again', async () => {
    await quiet();
    const ports = () => filter.nft('list', 'set', 'inet', 'coolify_guard', 'api_sockets');
    await soon(async () => expect(await ports()).toContain('100.64.0.1 . 9443'), { timeout: 60_000 });
  }, 90_000);

  it('what the guard has counted is read without a program', async () => {
    await quiet();
    const { dnsAsked = 0 } = now ?? {};
    const counted = ['10.210.5.250 counter packets 5 bytes 300', '10.210.5.251 counter packets 7 bytes 420'];
    await filter.nft('add', 'element', 'inet', 'coolify_guard', 'dns_asked', `{ ${counted.join(', ')} }`);
    await soon(() => expect(now?.dnsAsked).toBe(dnsAsked + 12), found);
  }, 90_000);

  it('a program that takes the place of iptables is asked at once', async () => {
    await quiet();
    const { programs = 0 } = now ?? {};
    await filter.repair('iptables');
    await soon(() => expect(now?.programs).toBeGreaterThan(programs), found);
    await quiet();
  }, 90_000);
});
