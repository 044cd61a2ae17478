// Over a host that does as a test says; the real one is met in scenarios, where it cannot be made to fail at will.
import { randomInt } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchFolder } from '@coold/testbed';
import { soon } from '@coold/testbed/soon';
import { expect, it } from 'vitest';
import { silent as log } from '../../../test/caller.ts';
import { type BuildNetworksOptions, createBuildNetworks } from './build-networks.ts';
import type { HostNetwork } from './host-network.ts';

/** A range whose gateway is an address of loopback, so that it can be listened on. */
const range = () => `127.${randomInt(1, 255)}.${randomInt(1, 255)}.0/24`;

async function setUp(changed: Partial<BuildNetworksOptions> = {}, stray: readonly string[] = []) {
  const folder = await scratchFolder();
  const resolvConf = join(folder.path, 'resolv.conf');
  const net = range();
  const kernel = {
    interfaces: ['lo', 'eth0'],
    routes: [{ to: 'default', devices: ['eth0'] }],
    rules: undefined as string | undefined,
    held: undefined as string | undefined,
    isOld: false,
    tries: 0,
    applied: 0,
    iptables: ['-P FORWARD DROP'] as string[] | undefined,
    isLocked: false,
    forwards: false,
    removed: [] as string[],
    mtu: 1400,
    broken: undefined as Error | undefined,
  };
  const host: HostNetwork = {
    async interfaces() {
      return kernel.interfaces;
    },
    async routes() {
      if (kernel.broken !== undefined) throw kernel.broken;
      return kernel.routes;
    },
    mtuOf: async () => kernel.mtu,
    holdGateway: async () => {},
    forwards: async () => kernel.forwards,
    async letForward() {
      kernel.forwards = true;
    },
    async applyRules(text) {
      kernel.rules = text;
      kernel.applied += 1;
    },
    async holdRules({ line }) {
      kernel.tries += 1;
      if (kernel.isOld) throw new Error('Operation not supported');
      kernel.held = line;
    },
    letRulesGo() {
      kernel.held = undefined;
    },
    listRules: async () => kernel.rules,
    async listAcceptance() {
      if (kernel.isLocked) throw new Error('iptables -S failed (exit 4): another app holds the lock');
      return kernel.iptables;
    },
    async accept(rule) {
      const words = rule.map(word => (word.includes(' ') ? `"${word}"` : word));
      kernel.iptables?.push(words.join(' '));
    },
    strayNamespaces: async () => [...stray],
    async removeNamespace(name) {
      if (name.endsWith('-stuck')) throw new Error('systemd-run failed (exit 1)');
      kernel.removed.push(name);
    },
  };
  const networks = createBuildNetworks({
    net,
    allowed: ['10.1.0.0/16'],
    denied: ['10.210.0.0/16', 'fd00::/8'],
    mesh: 'wg0',
    log,
    host,
    dns: { zone: 'coolify.internal', upstreams: [{ host: '127.0.0.1', port: 9 }] },
    resolvConf,
    lookEveryMs: 20,
    lastSlot: 1,
    ...changed,
  });
  const stop = new AbortController();
  const ended = networks.run(stop.signal);
  return {
    networks,
    kernel,
    net,
    resolvConf,
    addressOf: (slot: number) => net.replace('.0/24', `.${slot}`),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await ended;
      await folder[Symbol.asyncDispose]();
    },
  };
}

it('gives each build an address of its own, and none that is still plugged in', async () => {
  await using t = await setUp();
  t.kernel.interfaces.push('coolbuild3');
  const a = await t.networks.prepare('a');
  expect(a).toEqual({
    slot: 2,
    address: t.addressOf(2),
    gateway: t.addressOf(1),
    mtu: 1400,
    resolvConf: t.resolvConf,
  });
  const [b, c] = await Promise.all([t.networks.prepare('b'), t.networks.prepare('c')]);
  expect([b.slot, c.slot]).toEqual([4, 5]);
  t.networks.release('a');
  // Not at once again: packets may be under way to who had it.
  expect((await t.networks.prepare('d')).slot).toBe(6);
});

it('comes round to those that are free again, and says when there are none', async () => {
  await using t = await setUp();
  for (let slot = 2; slot <= 254; slot += 1) if (slot !== 9) t.kernel.interfaces.push(`coolbuild${slot}`);
  expect((await t.networks.prepare('a')).slot).toBe(9);
  await expect(t.networks.prepare('b')).rejects.toThrow(`COOLD_BUILDER_NET=${t.net} has no free address`);
  t.networks.release('a');
  expect((await t.networks.prepare('b')).slot).toBe(9);
});

it('puts in what a build needs before it is given a network', async () => {
  await using t = await setUp();
  await t.networks.prepare('a');
  expect(t.kernel.forwards).toBe(true);
  expect(t.kernel.iptables?.filter(line => line.startsWith('-A '))).toHaveLength(3);
  expect(t.kernel.rules).toContain('elements = { "eth0" }');
  expect(t.kernel.rules).toContain('elements = { 10.1.0.0/16 }');
  expect(t.kernel.rules).toContain('10.210.0.0/16');
  expect(t.kernel.rules).not.toContain('fd00');
  expect(await readFile(t.resolvConf, 'utf8')).toContain(`nameserver ${t.addressOf(1)}\n`);
  expect(t.kernel.applied).toBe(1);
  await t.networks.prepare('b');
  expect(t.kernel.applied).toBe(1);
});

it('works without iptables where it is missing or does not answer', async () => {
  await using t = await setUp();
  t.kernel.iptables = undefined;
  await t.networks.prepare('a');
  t.kernel.isLocked = true;
  await t.networks.prepare('b');
});

it('puts back what something else took out, and follows the way out, for as long as builds run', async () => {
  await using t = await setUp();
  await t.networks.prepare('a');
  t.kernel.rules = undefined;
  await soon(() => expect(t.kernel.rules).toContain('"eth0"'));
  t.kernel.routes = [{ to: 'default', devices: ['eth1'] }];
  await soon(() => expect(t.kernel.rules).toContain('"eth1"'));
  // One of an earlier coold, of which this one knows the cable alone.
  t.networks.release('a');
  t.kernel.interfaces.push('coolbuild9');
  t.kernel.rules = undefined;
  await soon(() => expect(t.kernel.rules).toContain('"eth1"'));
});

it('holds the same rules in a table that nothing else takes out, and does without where the kernel has none', async () => {
  await using t = await setUp();
  await t.networks.prepare('a');
  expect(t.kernel.held).toContain('flags owner; set uplinks { type ifname; elements = { "eth0" } };');
  await using old = await setUp();
  old.kernel.isOld = true;
  old.kernel.routes = [{ to: 'default', devices: ['eth1'] }];
  await old.networks.prepare('a');
  await old.networks.prepare('b');
  const { tries } = old.kernel;
  await old.networks.prepare('c');
  expect(old.kernel.tries, 'it is not tried each time').toBe(tries);
  expect(old.kernel.rules).toContain('"eth1"');
});

it('gives no network in a range that the host uses for something else', async () => {
  await using t = await setUp();
  t.kernel.routes.push({ to: t.net.replace('.0/24', '.128/25'), devices: ['eth0'] });
  await expect(t.networks.prepare('a')).rejects.toThrow(
    `COOLD_BUILDER_NET=${t.net} is not free: this host has a route to ${t.addressOf(128)}/25 by eth0`,
  );
});

it('gives none while the packet filter cannot be checked', async () => {
  await using t = await setUp();
  await t.networks.prepare('a');
  t.kernel.broken = new Error('ip route show table all failed (exit 1)');
  await expect(t.networks.prepare('b')).rejects.toMatchObject({
    name: 'NetworkError',
    message: 'ip route show table all failed (exit 1)',
  });
  t.kernel.broken = undefined;
  await t.networks.prepare('b');
});

it('removes namespaces whose build is gone, when it starts, and waits for none', async () => {
  await using t = await setUp({}, ['coolify-build-x', 'coolify-build-stuck', 'coolify-build-y']);
  await soon(() => expect(t.kernel.removed).toEqual(['coolify-build-x']));
  await t.networks.prepare('a');
});
