// The rules in a kernel: a build, its host, what is beside the host, and a container on it.
import { setTimeout as delay } from 'node:timers/promises';
import { createNetns, joinNetns, type Netns } from '@coold/testbed/netns';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createHeldTable } from './held-table.ts';
import { heldPacketRules, type PacketRules, packetRules } from './packet-rules.ts';

const port = 7000;
const dnsPort = 7053;
const rules: PacketRules = {
  net: '240.0.0.0/24',
  gateway: '240.0.0.1',
  dnsPort,
  uplinks: ['eth0'],
  allowed: ['192.168.7.0/24', '10.0.0.0/8', '169.254.0.0/16', '127.0.0.0/8', '172.30.0.0/16', '240.0.0.0/4'],
  denied: ['10.210.0.0/16'],
};

let world: Netns;
let host: Netns;
let build: Netns;
let other: Netns;
let container: Netns;
let aside: Netns;

const ip = (netns: Netns, ...commands: string[]) =>
  commands.reduce<Promise<unknown>>(
    (before, command) => before.then(() => netns.exec('ip', command.split(' '))),
    Promise.resolve(),
  );
const apply = (changed: Partial<PacketRules> = {}) =>
  host.exec('nft', ['-f', '-'], { input: packetRules({ ...rules, ...changed }) });
const reaches = async (address: string, at = port, from = build) =>
  (await from.reach('tcp', address, at, 600)) !== null ||
  (await from.reach('udp', address, at, 600)) !== null;

/** As a build's unit plugs one in. */
async function plug(netns: Netns, slot: number): Promise<void> {
  const cable = `coolbuild${slot}`;
  await joinNetns(host, cable, netns, 'eth0');
  await ip(host, `address add 240.0.0.1 peer 240.0.0.${slot} dev ${cable}`);
  await ip(
    netns,
    `address add 240.0.0.${slot}/32 dev eth0`,
    'route add default via 240.0.0.1 dev eth0 onlink',
  );
}

beforeAll(async () => {
  const made = [[port], [port, dnsPort, 53], [port], [port], [port], [port]];
  [world, host, build, other, container, aside] = (await Promise.all(made.map(createNetns))) as [
    Netns,
    Netns,
    Netns,
    Netns,
    Netns,
    Netns,
  ];
  await joinNetns(host, 'eth0', world, 'eth0');
  await ip(host, 'address add 192.168.7.2/24 dev eth0', 'route add default via 192.168.7.1');
  await ip(host, 'address add 240.0.0.1/32 dev lo');
  await ip(world, 'address add 192.168.7.1/24 dev eth0');
  for (const address of [
    '44.128.0.1',
    '192.168.8.1',
    '169.254.169.254',
    '168.63.129.16',
    '10.5.0.1',
    '10.210.9.9',
  ])
    await ip(world, `address add ${address}/32 dev lo`);
  await ip(
    host,
    'link add podman1 type bridge',
    'address add 44.129.0.1/24 dev podman1',
    'link set podman1 up',
  );
  await joinNetns(host, 'veth9', container, 'eth0');
  await ip(host, 'link set veth9 master podman1');
  await ip(container, 'address add 44.129.0.2/24 dev eth0', 'route add default via 44.129.0.1');
  // As a tunnel or what else a host has made: no card, and no default route.
  await joinNetns(host, 'eth1', aside, 'eth1');
  await ip(host, 'address add 10.7.0.2/24 dev eth1');
  await ip(aside, 'address add 10.7.0.1/24 dev eth1');
  await host.exec('sysctl', ['-qw', 'net.ipv4.ip_forward=1']);
  await plug(build, 7);
  await plug(other, 8);
  await apply();
}, 60_000);
afterAll(() => Promise.all([world, host, build, other, container, aside].map(each => each?.close())));

it('without rules everything is reached that is denied with them', async () => {
  await host.exec('nft', ['delete', 'table', 'inet', 'coolify_build']);
  for (const address of ['192.168.7.2', '44.129.0.1', '240.0.0.1']) expect(await reaches(address)).toBe(true);
  await apply();
}, 30_000);

describe('a build', () => {
  it('reaches the internet as its host, and what is named', async () => {
    expect(await build.reach('tcp', '44.128.0.1', port, 2000)).toBe('192.168.7.2');
    expect(await build.reach('udp', '192.168.7.1', port, 2000)).toBe('192.168.7.2');
    expect(await reaches('192.168.7.1')).toBe(true);
    expect(await reaches('10.5.0.1')).toBe(true);
  });

  it.each([
    ['an address of the host', '192.168.7.2'],
    ["the host's end of its cable", '240.0.0.1'],
    ['an address of the host on a bridge', '44.129.0.1'],
    ['a container with a public address', '44.129.0.2'],
    ['what is private and not named', '192.168.8.1'],
    ['the metadata service', '169.254.169.254'],
    ["Azure's, which has a public address", '168.63.129.16'],
    ['the mesh, although a named network contains it', '10.210.9.9'],
    ['what a cable of an unknown kind leads to, although it is named', '10.7.0.1'],
    ['another build', '240.0.0.8'],
    ["the host's loopback", '127.0.0.2'],
  ])('does not reach %s', async (_what, address) => {
    if (address !== '127.0.0.2') {
      expect(await reaches(address)).toBe(false);
      return;
    }
    // Its own answers there; the host's does not, not even for a packet that is forced onto the cable.
    await build.exec('sysctl', ['-qw', 'net.ipv4.conf.all.route_localnet=1']);
    await build.exec('ip', [
      'route',
      'add',
      'table',
      '77',
      'default',
      'via',
      '240.0.0.1',
      'dev',
      'eth0',
      'onlink',
    ]);
    await host.exec('sysctl', ['-qw', 'net.ipv4.conf.all.route_localnet=1']);
    await build.exec('ip', ['address', 'del', '127.0.0.1/8', 'dev', 'lo']);
    await build.exec('ip', ['route', 'add', '127.0.0.2/32', 'via', '240.0.0.1', 'dev', 'eth0', 'onlink']);
    expect(await reaches(address)).toBe(false);
  });

  it('does not reach what appears later, by a list or by none', async () => {
    await ip(host, 'link add late0 type bridge', 'address add 44.130.0.1/24 dev late0', 'link set late0 up');
    expect(await reaches('44.130.0.1', port, host)).toBe(true);
    expect(await reaches('44.130.0.1')).toBe(false);
    // The internet moves behind a bridge, in the middle of it.
    await ip(host, 'address add 44.128.0.2/24 dev late0');
    expect(await reaches('44.128.0.1')).toBe(false);
    await ip(host, 'link del late0');
    expect(await reaches('44.128.0.1')).toBe(true);
  });

  it('gets out of no published port of the host, whose address is rewritten', async () => {
    const nat =
      'table ip published { chain pre { type nat hook prerouting priority dstnat - 10; ip daddr 192.168.7.2 tcp dport 8080 dnat to 192.168.7.1:7000; ip daddr 44.128.0.9 tcp dport 8080 dnat to 44.128.0.1:7000;\n}\n}\n';
    await host.exec('nft', ['-f', '-'], { input: nat });
    expect(await reaches('192.168.7.2', 8080)).toBe(false);
    expect(await reaches('44.128.0.9', 8080)).toBe(false);
    await host.exec('nft', ['delete', 'table', 'ip', 'published']);
  });

  it('sends nothing under an address that it was not given', async () => {
    for (const source of ['192.168.7.9', '240.0.0.8', '10.210.0.5']) {
      await ip(
        build,
        `address add ${source}/32 dev lo`,
        `route add 44.128.0.1/32 via 240.0.0.1 dev eth0 onlink src ${source}`,
      );
      expect(await reaches('44.128.0.1')).toBe(false);
      await ip(build, 'route del 44.128.0.1/32', `address del ${source}/32 dev lo`);
    }
    expect(await reaches('44.128.0.1')).toBe(true);
  });

  it('is answered DNS by who listens behind it, and nothing else of the host', async () => {
    // On the port that questions are led to: the agent there tells whom it saw.
    expect(await build.reach('udp', '240.0.0.1', 53, 2000)).toBe('240.0.0.7');
    expect(await build.reach('tcp', '240.0.0.1', 53, 2000)).toBe('240.0.0.7');
    expect(await reaches('240.0.0.1', dnsPort)).toBe(false);
    await apply({ dnsPort: 7054 });
    // Who listens is away: that is not told, so that it is asked again.
    expect(await build.reach('udp', '240.0.0.1', 53, 500)).toBeNull();
    await apply();
  });

  it('cannot keep coold busy with queries', async () => {
    const flood =
      'use IO::Socket::INET; my $s = IO::Socket::INET->new(Proto => "udp", PeerAddr => "240.0.0.1:53"); $s->send("?") for 1 .. 2000';
    await build.exec('perl', ['-e', flood]);
    const { stdout } = await host.exec('cat', ['/proc/net/snmp']);
    const [names = '', values = ''] = stdout.split('\n').filter(line => line.startsWith('Udp: '));
    const received = Number(values.split(' ')[names.split(' ').indexOf('InDatagrams')]);
    expect(received).toBeLessThan(1000);
  });

  it('gets an error at once for what is forbidden, and not silence', async () => {
    const begun = performance.now();
    const tried = await build.exec('bash', ['-c', 'exec 3<>/dev/tcp/192.168.7.2/7000'], { mayFail: true });
    expect(tried.stderr).toContain('No route to host');
    expect(performance.now() - begun).toBeLessThan(2000);
  });

  it('gets no connections', async () => {
    expect(await reaches('240.0.0.7', port, host)).toBe(false);
    expect(await reaches('240.0.0.7', port, container)).toBe(false);
    await ip(world, 'route add 240.0.0.0/24 via 192.168.7.2');
    expect(await reaches('240.0.0.7', port, world)).toBe(false);
  });

  it('has no IPv6 that leads anywhere', async () => {
    const { stdout } = await host.exec('ip', ['-6', '-o', 'address', 'show', 'dev', 'coolbuild7']);
    const [linkLocal = ''] = /fe80::[0-9a-f:]+/.exec(stdout) ?? [];
    expect(linkLocal).not.toBe('');
    expect(await reaches(`${linkLocal}%eth0`)).toBe(false);
  });
});

describe('while another program flushes the packet filter, a build', () => {
  const enter = () => ['nsenter', '-t', String(host.pid), '-n', '-m', '--'];
  const denied = ['192.168.7.2', '44.129.0.1', '44.129.0.2', '240.0.0.1', '192.168.8.1', '10.210.9.9'];

  it('reaches what it did and nothing else, with a table that is held', async () => {
    const held = createHeldTable({ enter: enter() });
    try {
      await held.hold(heldPacketRules(rules));
      await host.exec('nft', ['flush', 'ruleset']);
      for (const address of denied) expect(await reaches(address), address).toBe(false);
      expect(await build.reach('tcp', '44.128.0.1', port, 2000)).toBe('192.168.7.2');
      expect(await build.reach('udp', '240.0.0.1', 53, 2000)).toBe('240.0.0.7');
      const removal = ['delete', 'table', 'inet', 'coolify_build_held'];
      const tried = await host.exec('nft', removal, { mayFail: true });
      expect(tried.stderr).toContain('Operation not permitted');
      await held.hold(heldPacketRules({ ...rules, uplinks: [] }));
      expect(await reaches('44.128.0.1')).toBe(false);
    } finally {
      held.close();
      await apply();
    }
    await expect
      .poll(async () => (await host.exec('nft', ['list', 'tables'])).stdout)
      .not.toContain('coolify_build_held');
  }, 60_000);

  it('gets no packet of a flood to its host or a container through', async () => {
    /** Datagrams that arrived at a port without a listener. */
    const arrived = async (where: Netns) => {
      const { stdout } = await where.exec('cat', ['/proc/net/snmp']);
      const [names = '', values = ''] = stdout.split('\n').filter(line => line.startsWith('Udp: '));
      return Number(values.split(' ')[names.split(' ').indexOf('NoPorts')]);
    };
    const flood = async () => {
      const before = [await arrived(host), await arrived(container)];
      const script =
        'use IO::Socket::INET; my @s = map { IO::Socket::INET->new(Proto => "udp", PeerAddr => "$_:9999") } @ARGV; my $end = time + 3; while (time < $end) { $_->send("x") for @s }';
      const sending = build.exec('perl', ['-e', script, '192.168.7.2', '44.129.0.2']);
      for (let round = 0; round < 5; round += 1) {
        await host.exec('nft', ['flush', 'ruleset']);
        await delay(100);
        await apply();
      }
      await sending;
      const after = [await arrived(host), await arrived(container)];
      return after.map((count, at) => count - (before[at] ?? 0));
    };
    const [toHost = 0, toContainer = 0] = await flood();
    expect(Math.min(toHost, toContainer), 'without a table that is held, some get there').toBeGreaterThan(0);
    const held = createHeldTable({ enter: enter() });
    try {
      await held.hold(heldPacketRules(rules));
      expect(await flood()).toEqual([0, 0]);
    } finally {
      held.close();
    }
  }, 60_000);
});

it('a host without a way out lets a build reach nothing', async () => {
  await apply({ uplinks: [] });
  expect(await reaches('44.128.0.1')).toBe(false);
  expect(await reaches('192.168.7.1')).toBe(false);
  await apply();
});
