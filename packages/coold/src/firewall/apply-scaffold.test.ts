// Against the kernel, with packets: a host with two namespaces' bridges, a peer of the mesh and the world beyond, each a
// network namespace. Needs root.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type LogLine, scratchFolder, startProgram } from '@coold/testbed';
import { createNetns, joinNetns, type Netns } from '@coold/testbed/netns';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

const coold = fileURLToPath(new URL('../main.ts', import.meta.url));
const env = {
  ...process.env,
  COOLD_SCAFFOLD_SUBNETS: '10.210.0.0/24,10.210.1.0/24',
  COOLD_SCAFFOLD_POOLS: '10.210.0.0/16',
};

const firewallIn = (folder: string) => ({
  COOLD_RULES_PATH: join(folder, 'allow.rules'),
  COOLD_BRIDGE_RULES_PATH: join(folder, 'allow.nft'),
});

/** Nobody waits this long for what passes; what is dropped is only known by waiting. */
const passMs = 5000;
const dropMs = 400;

interface Lab {
  host: Netns;
  /** Two containers of one bridge, one of another, one on a peer behind wg0, and somebody on the Internet. */
  a1: Netns;
  a2: Netns;
  b1: Netns;
  peer: Netns;
  world: Netns;
}
const at = {
  a1: '10.210.0.2',
  a2: '10.210.0.3',
  b1: '10.210.1.2',
  peer: '10.210.9.2',
  world: '198.51.100.2',
  host: '198.51.100.1',
};

async function createLab(): Promise<Lab> {
  const [host, a1, a2, b1, peer, world] = await Promise.all([
    createNetns(),
    createNetns([80, 53]),
    createNetns([80, 53]),
    createNetns([80]),
    createNetns([80]),
    createNetns([80]),
  ]);
  const ip = (ns: Netns, line: string) => ns.exec('ip', line.split(' '));
  for (const [bridge, gateway] of [
    ['br-a', '10.210.0.1/24'],
    ['br-b', '10.210.1.1/24'],
  ] as const) {
    await ip(host, `link add ${bridge} type bridge`);
    await ip(host, `addr add ${gateway} dev ${bridge}`);
    await ip(host, `link set ${bridge} up`);
  }
  async function attach(ns: Netns, name: string, address: string, bridge: string, gateway: string) {
    await joinNetns(host, name, ns, 'eth0');
    await ip(host, `link set ${name} master ${bridge}`);
    await ip(ns, `addr add ${address}/24 dev eth0`);
    await ip(ns, `route add default via ${gateway}`);
  }
  await attach(a1, 'a1', at.a1, 'br-a', '10.210.0.1');
  await attach(a2, 'a2', at.a2, 'br-a', '10.210.0.1');
  await attach(b1, 'b1', at.b1, 'br-b', '10.210.1.1');
  await joinNetns(host, 'wg0', peer, 'wg0');
  await ip(host, 'addr add 100.64.0.1/24 dev wg0');
  await ip(peer, 'addr add 100.64.0.2/24 dev wg0');
  await ip(peer, `addr add ${at.peer}/32 dev lo`);
  await ip(host, 'route add 10.210.9.0/24 via 100.64.0.2');
  await ip(peer, `route add 10.210.0.0/16 via 100.64.0.1 src ${at.peer}`);
  await joinNetns(host, 'eth0', world, 'eth0');
  await ip(host, `addr add ${at.host}/24 dev eth0`);
  await ip(world, `addr add ${at.world}/24 dev eth0`);
  await host.exec('sysctl', ['-qw', 'net.ipv4.ip_forward=1']);
  return { host, a1, a2, b1, peer, world };
}

let lab: Lab;
beforeAll(async () => {
  lab = await createLab();
}, 60_000);
afterAll(async () => {
  await Promise.all(Object.values(lab ?? {}).map((ns: Netns) => ns.close()));
});

const apply = (...flags: string[]) =>
  lab.host.exec(process.execPath, [coold, 'scaffold', '--apply', ...flags], { env });
const iptables = async (...args: string[]) => (await lab.host.exec('iptables', args)).stdout;
const nft = async (...args: string[]) => (await lab.host.exec('nft', args)).stdout;

/** What netavark sets up for a network: everything from and to it, ahead of every other rule, and NAT. */
async function bringNetworkUp() {
  await lab.host.exec('iptables', ['-N', 'NETAVARK_FORWARD'], { mayFail: true });
  for (const subnet of ['10.210.0.0/24', '10.210.1.0/24'])
    await iptables('-A', 'NETAVARK_FORWARD', '-s', subnet, '-j', 'ACCEPT');
  await iptables('-I', 'FORWARD', '1', '-j', 'NETAVARK_FORWARD');
  await iptables(
    '-t',
    'nat',
    '-A',
    'POSTROUTING',
    '-s',
    '10.210.0.0/16',
    '!',
    '-d',
    '10.210.0.0/24',
    '-j',
    'MASQUERADE',
  );
}

/** What an allow rule is in each plane and in the guard. */
async function allow(src: string, dst: string, protocol: string, port: string) {
  await nft(
    ...['add', 'element', 'inet', 'coolify_guard', 'allowed_ports'],
    `{ ${src} . ${dst} . ${protocol} . ${port} }`,
  );
  const comment = 'cid:0123456789ab:default';
  await iptables(
    ...['-A', 'COOLIFY-ALLOW', '-s', src, '-d', dst, '-p', protocol, '--dport', port],
    ...['-m', 'comment', '--comment', comment, '-j', 'ACCEPT'],
  );
  await nft(
    'add',
    'rule',
    'bridge',
    'coolify_bridge',
    'coolify_allow',
    `meta protocol ip ip saddr ${src} ip daddr ${dst} ip protocol ${protocol} th dport ${port} accept comment "${comment}"`,
  );
}

async function everything() {
  return `${await iptables('-S')}${await iptables('-t', 'nat', '-S')}${await nft('list', 'table', 'bridge', 'coolify_bridge')}${await nft('list', 'table', 'inet', 'coolify_guard')}`;
}

beforeEach(async () => {
  await iptables('-F');
  await iptables('-X');
  await iptables('-t', 'nat', '-F');
  for (const table of ['bridge coolify_bridge', 'inet coolify_guard'])
    await lab.host.exec('nft', ['delete', 'table', ...table.split(' ')], { mayFail: true });
  await bringNetworkUp();
});

test('without it, containers reach each other: what the tests below would see pass', async () => {
  expect(await lab.a1.reach('tcp', at.a2, 80, passMs)).toBe(at.a1);
  expect(await lab.a1.reach('udp', at.a2, 53, passMs)).toBe(at.a1);
  expect(await lab.a1.reach('tcp', at.b1, 80, passMs)).not.toBeNull();
  expect(await lab.peer.reach('tcp', at.a1, 80, passMs)).toBe(at.peer);
});

test('applied twice, the kernel is as after once, and the allow rules stand', async () => {
  await apply();
  await allow(at.a1, at.a2, 'tcp', '80');
  const once = await everything();
  const { stderr } = await apply();
  expect(await everything()).toBe(once);
  expect(stderr).toContain('already');
});

describe('the default deny', () => {
  beforeEach(async () => {
    await apply();
  });

  test('holds within a bridge, between bridges, and for what comes from another host', async () => {
    const denied = await Promise.all([
      lab.a1.reach('tcp', at.a2, 80, dropMs),
      lab.a1.reach('udp', at.a2, 53, dropMs),
      lab.a1.reach('tcp', at.b1, 80, dropMs),
      lab.b1.reach('tcp', at.a1, 80, dropMs),
      lab.peer.reach('tcp', at.a1, 80, dropMs),
    ]);
    expect(denied).toEqual([null, null, null, null, null]);
  });

  test('lets out by the mesh, un-NATed, what another host is to judge, and its replies in', async () => {
    expect(await lab.a1.reach('tcp', at.peer, 80, passMs)).toBe(at.a1);
  });

  test('lets egress out, under the address of the host, and its replies in', async () => {
    expect(await lab.a1.reach('tcp', at.world, 80, passMs)).toBe(at.host);
  });

  test('lets a published port in', async () => {
    await iptables(
      ...['-t', 'nat', '-A', 'PREROUTING', '-d', at.host, '-p', 'tcp', '--dport', '8080'],
      ...['-j', 'DNAT', '--to-destination', `${at.a1}:80`],
    );
    expect(await lab.world.reach('tcp', at.host, 8080, passMs)).toBe(at.world);
    expect(await lab.b1.reach('tcp', at.a1, 80, dropMs)).toBeNull();
  });

  test('holds below a network that comes up later, and its hooks are on top once it is applied again', async () => {
    await bringNetworkUp();
    expect(await lab.a1.reach('tcp', at.b1, 80, dropMs)).toBeNull();
    await apply();
    expect((await iptables('-S', 'FORWARD')).split('\n').slice(1, 3)).toEqual([
      '-A FORWARD -d 10.210.0.0/16 -j COOLIFY-INTRA',
      '-A FORWARD -j NETAVARK_FORWARD',
    ]);
    expect(await lab.a1.reach('tcp', at.b1, 80, dropMs)).toBeNull();
  });
});

describe.each(['0', '1'])('an allow rule (bridge-nf-call-iptables=%s)', bridged => {
  beforeEach(async () => {
    await lab.host.exec('sysctl', ['-qw', `net.bridge.bridge-nf-call-iptables=${bridged}`]);
    await apply();
  });

  test('opens exactly its flow within a bridge, replies included', async () => {
    await allow(at.a1, at.a2, 'tcp', '80');
    await allow(at.a1, at.a2, 'udp', '53');
    expect(await lab.a1.reach('tcp', at.a2, 80, passMs)).toBe(at.a1);
    expect(await lab.a1.reach('udp', at.a2, 53, passMs)).toBe(at.a1);
    const denied = await Promise.all([
      lab.a2.reach('tcp', at.a1, 80, dropMs),
      lab.a2.reach('udp', at.a1, 53, dropMs),
      lab.a1.reach('tcp', at.a2, 53, dropMs),
      lab.a1.reach('udp', at.a2, 80, dropMs),
    ]);
    expect(denied).toEqual([null, null, null, null]);
  });

  test('opens exactly its flow between bridges', async () => {
    await allow(at.a1, at.b1, 'tcp', '80');
    expect(await lab.a1.reach('tcp', at.b1, 80, passMs)).not.toBeNull();
    expect(await lab.b1.reach('tcp', at.a1, 80, dropMs)).toBeNull();
    expect(await lab.a2.reach('tcp', at.b1, 80, dropMs)).toBeNull();
  });
});

test('an allow rule opens exactly its flow across hosts, without NAT', async () => {
  await apply();
  await allow(at.peer, at.a1, 'tcp', '80');
  expect(await lab.peer.reach('tcp', at.a1, 80, passMs)).toBe(at.peer);
  expect(await lab.peer.reach('tcp', at.a2, 80, dropMs)).toBeNull();
  expect(await lab.peer.reach('tcp', at.a1, 53, dropMs)).toBeNull();
});

test.each(['0', '1'])(
  'a joined subnet is denied as the others are (bridge-nf-call-iptables=%s)',
  async bridged => {
    await lab.host.exec('sysctl', ['-qw', `net.bridge.bridge-nf-call-iptables=${bridged}`]);
    await using folder = await scratchFolder();
    const joinedPath = join(folder.path, 'joined.subnets');
    const onlyA = { ...env, COOLD_SCAFFOLD_SUBNETS: '10.210.0.0/24', COOLD_SCAFFOLD_POOLS: '10.210.0.0/24' };
    const applyWith = (mayFail = false) =>
      lab.host.exec(process.execPath, [coold, 'scaffold', '--apply', '--joined-path', joinedPath], {
        ...{ env: onlyA, mayFail },
      });
    await applyWith();
    expect(await lab.b1.reach('tcp', at.world, 80, passMs)).not.toBeNull();
    expect(await lab.a1.reach('tcp', at.b1, 80, passMs)).not.toBeNull();
    await writeFile(joinedPath, '10.210.1.0/24\n');
    await applyWith();
    expect(await lab.a1.reach('tcp', at.b1, 80, dropMs)).toBeNull();
    await allow(at.a1, at.b1, 'tcp', '80');
    expect(await lab.a1.reach('tcp', at.b1, 80, passMs)).not.toBeNull();
    expect(await lab.a2.reach('tcp', at.b1, 80, dropMs)).toBeNull();
    const once = await everything();
    await applyWith();
    expect(await everything()).toBe(once);
    // A damaged line keeps nothing else from being denied, and systemd is told.
    await writeFile(joinedPath, '10.210.1.0/24\nnonsense\n');
    const { code, stderr } = await applyWith(true);
    expect([code, stderr]).toEqual([1, expect.stringContaining('line 2: expected')]);
    expect(await everything()).toBe(once);
  },
);

test('the link-local IPv6 addresses that every container has are no way around it', async () => {
  const { stdout } = await lab.a2.exec('ip', ['-6', '-j', 'addr', 'show', 'dev', 'eth0', 'scope', 'link']);
  const address = /fe80:[0-9a-f:]+/.exec(stdout)?.[0];
  expect(await lab.a1.reach('tcp', `${address}%eth0`, 80, passMs)).not.toBeNull();
  await apply();
  await allow(at.a1, at.a2, 'tcp', '80');
  expect(await lab.a1.reach('tcp', `${address}%eth0`, 80, dropMs)).toBeNull();
  expect(await lab.a1.reach('tcp', at.a2, 80, passMs)).toBe(at.a1);
});

test('a UDP packet that was denied opens no way back', async () => {
  await lab.host.exec('sysctl', ['-qw', 'net.bridge.bridge-nf-call-iptables=0']);
  await apply();
  await allow(at.a1, at.a2, 'udp', '53');
  expect(await lab.a2.reach('udp', at.a1, 53, dropMs)).toBeNull();
  expect(await nft('list', 'table', 'bridge', 'coolify_bridge')).not.toContain('elements');
});

test('a program that is missing is named, in one line', async () => {
  const args = ['PATH=/nonexistent', process.execPath, coold, 'scaffold', '--apply'];
  const { code, stderr } = await lab.host.exec('env', args, { env, mayFail: true });
  expect(code).toBe(1);
  expect(stderr).toMatch(/^coold scaffold: .*iptables.*nft.*\n$/);
});

test('coold lifts the hooks again when a network that comes up is put above them', async () => {
  await apply();
  expect(await lab.a1.reach('tcp', at.b1, 80, dropMs)).toBeNull();
  await bringNetworkUp();
  expect(await lab.a1.reach('tcp', at.b1, 80, dropMs), 'what the guard is for').toBeNull();
  await using folder = await scratchFolder();
  const token = join(folder.path, 'api-token');
  await writeFile(token, 'token', { mode: 0o600 });
  // With an API bind it stays away from /run/coolify, which is not the namespace's own.
  const api = { COOLD_API_BIND: '127.0.0.1:0', COOLD_API_TOKEN_FILE: token };
  await using running = startProgram('coold', {
    inside: lab.host.pid,
    env: { COOLD_HOST_MGMT_IP: '100.64.0.1', ...api, ...firewallIn(folder.path) },
  });
  const lifted = (line: LogLine) => String(line.msg).endsWith('its hooks are on top again');
  await running.logged(lifted);
  expect(await lab.a1.reach('tcp', at.b1, 80, dropMs)).toBeNull();
  // And again while it runs, told by the kernel, well before it would look by itself.
  const seen = running.lines.length;
  await bringNetworkUp();
  await running.logged(line => lifted(line) && running.lines.indexOf(line) >= seen, 2000);
  expect(await lab.a1.reach('tcp', at.b1, 80, dropMs)).toBeNull();
});

test('coold says so when nothing leads to the default deny any more', async () => {
  await apply();
  await using folder = await scratchFolder();
  await using running = startProgram('coold', {
    inside: lab.host.pid,
    env: { COOLD_HOST_MGMT_IP: '100.64.0.1', ...firewallIn(folder.path) },
  });
  await running.logged(line => line.msg === 'starting');
  await iptables('-F', 'FORWARD');
  await running.logged(line => String(line.msg).startsWith('FORWARD does not lead to the default deny'));
});

test('an operator’s rule of the form of ours, for another network, stays', async () => {
  const theirs = ['POSTROUTING', '-s', '192.168.5.0/24', '-o', 'wg0', '-j', 'RETURN'];
  await iptables('-t', 'nat', '-A', ...theirs);
  await apply();
  await apply();
  await iptables('-t', 'nat', '-C', ...theirs);
});
