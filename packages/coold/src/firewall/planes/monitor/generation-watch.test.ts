// What a start sees of changes that are made while it reads: real iptables and nft. Needs root.
import { createLogger } from '@coold/runtime/logger';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { chain, type FirewallHost, openFirewallHost } from '../../../../test/firewall-host.ts';
import { createKernel, type Kernel } from '../follow/kernel.ts';
import { readGeneration, watchGenerations } from './generation-watch.ts';
import { listeningSocket } from './netlink-listening.ts';

const log = createLogger('coold', { level: 'off', components: new Map() }, false);
let on: FirewallHost;
let stop: AbortController;
beforeEach(async () => {
  on = await openFirewallHost('nft');
  await on.filter.scaffold();
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  await on[Symbol.asyncDispose]();
});

it('the first generation after it began is that of the first transaction, by whatever program', async () => {
  await on.filter.nft('add', 'table', 'ip', 'before');
  const watch = await watchGenerations(stop.signal);
  await on.filter.iptables('-A', chain, '-j', 'ACCEPT');
  const first = await watch?.first;
  await on.filter.nft('add', 'table', 'ip', 'after');
  expect(first).toBeGreaterThan(1);
  expect(await watch?.first).toBe(first);
});

it('another kind of line is not a generation, and a socket without a group does not listen', () => {
  expect(readGeneration('NEWGEN: GENID=5 PID=28519 NAME=iptables')).toBe(5);
  expect(readGeneration(' EVENT: -4 -t filter -A FOO -j ACCEPT')).toBeUndefined();
  const socket =
    '00000000885b8a3f 12  3011492515 00000040 0        0        0     2        0        9333415 ';
  expect(listeningSocket(socket)).toEqual({ port: 3_011_492_515, inode: '9333415' });
  expect(listeningSocket(socket.replace('00000040', '00000000'))).toBeUndefined();
  expect(listeningSocket(socket.replace(' 12 ', ' 15 '))).toBeUndefined();
});

/** A kernel that was read while its monitor had not begun, once it is known whether that counts. */
async function readEarly(meanwhile: () => Promise<unknown>): Promise<Kernel> {
  const begin = await on.filter.delayMonitor();
  const kernel = createKernel({ chain, log });
  const steps = [0, 1, 2].map(() => Promise.withResolvers<void>());
  const [ready, watched, known] = steps;
  let next = 0;
  const following = kernel.follow(stop.signal, () => {
    steps[next]?.resolve();
    next += 1;
  });
  on.defer(async () => {
    stop.abort();
    await following;
  });
  await ready?.promise;
  expect(kernel.isWatched()).toBe(false);
  await kernel.look();
  await meanwhile();
  await begin();
  await watched?.promise;
  expect(kernel.isWatched()).toBe(true);
  await known?.promise;
  return kernel;
}

it('a look before the monitor listened counts where nothing changed until it did', async () => {
  const kernel = await readEarly(() => Promise.resolve());
  expect(kernel.isFresh()).toBe(true);
});

it('a look before the monitor listened does not count where something changed until it did', async () => {
  const kernel = await readEarly(() => on.filter.iptables('-A', chain, '-j', 'ACCEPT'));
  expect(kernel.isFresh()).toBe(false);
  await kernel.look();
  expect(kernel.isFresh()).toBe(true);
  expect([...kernel.iptables.foreign.values()]).toEqual([`-A ${chain} -j ACCEPT`]);
});
