// How coold comes back to its broker when the way there was cut: a network namespace of its own. Needs root.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runChild } from '@coold/runtime';
import { scratchFolder, startProgram } from '@coold/testbed';
import { createNetns, joinNetns } from '@coold/testbed/netns';
import { expect, it } from 'vitest';
import { isOfContainers, isOfLinkOnly } from './watch-ways.ts';

it.each([
  ['4: wg0    inet 100.64.0.7/16 scope global wg0\\       valid_lft forever preferred_lft forever', false],
  ['Deleted 4: wg0    inet 100.64.0.7/16 scope global wg0', false],
  ['local 100.64.0.7 dev wg0 table local proto kernel scope host src 100.64.0.7', false],
  ['Deleted default via 192.0.2.1 dev eth0', false],
  ['broadcast 10.89.0.255 dev podman1 table local proto kernel scope link', true],
  ['7: veth0@if2    inet6 fe80::1/64 scope link', true],
  ['Deleted 9: br-ns    inet 10.210.5.1/24 scope global br-ns', true],
  ['10.210.5.0/24 dev br-ns proto kernel scope link src 10.210.5.1', true],
])('%j is of a link of containers: %s', (line, expected) => {
  expect(isOfContainers(line, link => link === 'br-ns')).toBe(expected);
});

it.each([
  [
    '2: eth0    inet6 fe80::7c2e:5dff:fe3a:1/64 scope link \\       valid_lft forever preferred_lft forever',
    true,
  ],
  ['fe80::/64 dev eth0 proto kernel metric 256 pref medium', true],
  ['local fe80::7c2e:5dff:fe3a:1 dev eth0 table local proto kernel metric 0 pref medium', true],
  ['multicast ff00::/8 dev eth0 table local proto kernel metric 256 pref medium', true],
  ['2: eth0    inet6 2001:db8::fe80:1/64 scope global', false],
  ['default via fe80::1 dev eth0 proto ra metric 1024', false],
  ['Deleted default via fe80::1 dev eth0', false],
  ['4: wg0    inet 100.64.0.7/16 scope global wg0', false],
])('%j is of one link only: %s', (line, expected) => {
  expect(isOfLinkOnly(line)).toBe(expected);
});

/** What a program may take to start on a machine that is busy, in ms. */
const startMs = 60_000;

it('a broker behind wg0 is dialled at once when wg0 is back, and a dial without an answer ends after 10 s', async () => {
  await using folder = await scratchFolder();
  const [netns, beyond, mesh] = await Promise.all([createNetns(), createNetns(), createNetns([6443])]);
  try {
    const ip = (...args: string[]) => netns.exec('ip', args);
    await joinNetns(netns, 'eth0', beyond, 'to-host');
    await joinNetns(netns, 'wg0', mesh, 'to-host');
    await mesh.exec('ip', ['address', 'add', '100.64.0.1/16', 'dev', 'to-host']);
    await mesh.exec('ip', ['link', 'set', 'to-host', 'up']);
    await beyond.exec('ip', ['address', 'add', '192.0.2.1/24', 'dev', 'to-host']);
    await beyond.exec('ip', ['link', 'set', 'to-host', 'up']);
    await ip('address', 'add', '192.0.2.7/24', 'dev', 'eth0');
    // Without wg0 packets to the mesh go out here, and no answer comes.
    await ip('route', 'add', 'default', 'via', '192.0.2.1');
    await ip('link', 'add', 'podman9', 'type', 'bridge');
    const jwt = join(folder.path, 'jwt');
    await writeFile(jwt, 'a.b.c', { mode: 0o600 });
    await using coold = startProgram('coold', {
      inside: netns.pid,
      env: {
        COOLD_HOST_MGMT_IP: '100.64.0.7',
        COOLD_PODMAN_SOCKET: '/run/no-podman.sock',
        COOLD_CORROSION_URL: 'http://127.0.0.1:1',
        COOLD_UNIX_SOCKET_PATH: join(folder.path, 'coold.sock'),
        COOLD_RULES_PATH: join(folder.path, 'allow.rules'),
        COOLD_BRIDGE_RULES_PATH: join(folder.path, 'allow.nft'),
        COOLD_BROKER_URL: 'grpc://100.64.0.1:6443/v1/agent',
        COOLD_HOST_JWT_PATH: jwt,
      },
    });
    const isLost = ({ reason }: Record<string, unknown>) =>
      String(reason).includes('no connection within 10 s');
    const ends = () => coold.lines.filter(({ msg }) => msg === 'no stream to the broker; dialling again');
    await coold.logged(isLost, startMs);
    const soFar = ends().length;
    await ip('address', 'add', '10.89.0.1/24', 'dev', 'podman9');
    await ip('link', 'set', 'podman9', 'up');
    // Its next dial hangs as the first did, from the address of eth0.
    await coold.logged(
      ({ msg }) => msg === 'no stream to the broker; dialling again' && ends().length > soFar,
      startMs,
    );
    const lost: unknown = expect.stringContaining('no connection within 10 s');
    expect(ends().map(({ reason }) => reason)).toEqual(ends().map(() => lost));

    // Each dial that was given up leaves what the kernel tries on; one more is the one that hangs now.
    await expect.poll(() => countSynSent(netns.pid), { timeout: 20_000 }).toBe(ends().length + 1);
    await ip('address', 'add', '100.64.0.7/16', 'dev', 'wg0');
    await coold.logged(line => line.msg === 'no stream to the broker; dialling again' && !isLost(line), 3000);
  } finally {
    await Promise.all([netns, beyond, mesh].map(one => one.close()));
  }
}, 180_000);

async function countSynSent(pid: number): Promise<number> {
  const args = ['-t', String(pid), '-n', '--', 'ss', '-Htn', 'state', 'syn-sent', 'dport', '=', ':6443'];
  const { stdout } = await runChild('nsenter', args, { timeoutMs: 10_000 });
  return stdout.split('\n').filter(line => line.includes('192.0.2.7')).length;
}
