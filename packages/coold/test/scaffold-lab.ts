// A host with packets for tests of the scaffold: two namespaces' bridges, Podman's default network, a peer of the mesh and
// the world beyond, each a network namespace. Needs root.
import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { scratchFolder } from '@coold/testbed';
import { createNetns, joinNetns, type Netns } from '@coold/testbed/netns';

export const coold = fileURLToPath(new URL('../src/main.ts', import.meta.url));

/** Nobody waits this long for what passes; what is dropped is only known by waiting. */
export const passMs = 5000;
export const dropMs = 400;

export const at = {
  a1: '10.210.0.2',
  a2: '10.210.0.3',
  b1: '10.210.1.2',
  plain: '10.88.0.2',
  peer: '10.210.9.2',
  peerHost: '100.64.0.2',
  world: '198.51.100.2',
  host: '198.51.100.1',
  mgmt: '100.64.0.1',
  gatewayA: '10.210.0.1',
};

export interface Lab extends AsyncDisposable {
  host: Netns;
  /** Two containers of one bridge, and one of another. */
  a1: Netns;
  a2: Netns;
  b1: Netns;
  /** A container of a network that is of no namespace. */
  plain: Netns;
  /** Another host of the mesh, behind wg0, with a container's address. */
  peer: Netns;
  /** On the host's uplink. */
  world: Netns;
  /** Environment of `coold scaffold`, by which its tools are found, too. */
  env: NodeJS.ProcessEnv;
  apply(...flags: string[]): ReturnType<Netns['exec']>;
  iptables(...args: string[]): Promise<string>;
  nft(...args: string[]): Promise<string>;
  /** Takes out every rule, and puts in what netavark does. */
  reset(): Promise<void>;
  /** What netavark sets up for a network: everything from and to it, ahead of every other rule, and NAT. */
  bringNetworkUp(): Promise<void>;
  /** What an allow rule is in each plane and in the guard. */
  allow(src: string, dst: string, protocol: string, port: string): Promise<void>;
  /** Takes such a rule out again, everywhere. */
  revoke(src: string, dst: string, protocol: string, port: string): Promise<void>;
  /** As after a long silence: nothing is known of connections any more. */
  forgetConnections(): Promise<void>;
  /** Counts what arrives from now on that matches, in nft's words. @returns how many packets were seen so far */
  count(ns: Netns, match: string): Promise<() => Promise<number>>;
}

export async function createScaffoldLab(backend: 'nft' | 'legacy' = 'nft'): Promise<Lab> {
  const cleanup = new AsyncDisposableStack();
  const open = async (ports: number[] = []) => {
    const netns = await createNetns(ports);
    cleanup.defer(() => netns.close());
    return netns;
  };
  const [host, a1, a2, b1, plain, peer, world] = await Promise.all([
    open([8443, 53, 22, 9464]),
    open([80, 53]),
    open([80, 53]),
    open([80, 53]),
    open([80]),
    open([80, 8443]),
    open([80]),
  ]);
  const { path: folder } = cleanup.use(await scratchFolder());
  const bin = join(folder, 'bin');
  await mkdir(bin);
  for (const program of ['iptables', 'iptables-restore'])
    await symlink(`/usr/sbin/${program.replace('iptables', `iptables-${backend}`)}`, join(bin, program));
  // iptables-legacy takes its lock in /run.
  await host.exec('mount', ['-t', 'tmpfs', 'run', '/run']);
  const ip = (ns: Netns, line: string) => ns.exec('ip', line.split(' '));
  for (const [bridge, gateway] of [
    ['br-a', '10.210.0.1/24'],
    ['br-b', '10.210.1.1/24'],
    ['podman0', '10.88.0.1/16'],
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
  await attach(a1, 'a1', at.a1, 'br-a', at.gatewayA);
  await attach(a2, 'a2', at.a2, 'br-a', at.gatewayA);
  await attach(b1, 'b1', at.b1, 'br-b', '10.210.1.1');
  await attach(plain, 'plain', at.plain, 'podman0', '10.88.0.1');
  await joinNetns(host, 'wg0', peer, 'wg0');
  await ip(host, `addr add ${at.mgmt}/24 dev wg0`);
  await ip(peer, `addr add ${at.peerHost}/24 dev wg0`);
  await ip(peer, `addr add ${at.peer}/32 dev lo`);
  await ip(host, `route add 10.210.9.0/24 via ${at.peerHost}`);
  await ip(peer, `route add 10.210.0.0/16 via ${at.mgmt} src ${at.peer}`);
  await joinNetns(host, 'eth0', world, 'eth0');
  await ip(host, `addr add ${at.host}/24 dev eth0`);
  await ip(world, `addr add ${at.world}/24 dev eth0`);
  // What a neighbour on the uplink can do: send to any address by way of this host.
  for (const network of ['10.210.0.0/16', '100.64.0.0/16'])
    await ip(world, `route add ${network} via ${at.host}`);
  await ip(host, `route add default via ${at.world}`);
  await host.exec('sysctl', ['-qw', 'net.ipv4.ip_forward=1']);

  const env = {
    ...process.env,
    PATH: `${bin}:${process.env['PATH']}`,
    COOLD_SCAFFOLD_SUBNETS: '10.210.0.0/24,10.210.1.0/24',
    COOLD_SCAFFOLD_POOLS: '10.210.0.0/16',
  };
  const lab: Lab = {
    host,
    a1,
    a2,
    b1,
    plain,
    peer,
    world,
    env,
    apply: (...flags) => host.exec(process.execPath, [coold, 'scaffold', '--apply', ...flags], { env }),
    iptables: async (...args) => (await host.exec(join(bin, 'iptables'), args)).stdout,
    nft: async (...args) => (await host.exec('nft', args)).stdout,
    async reset() {
      await lab.iptables('-F');
      await lab.iptables('-X');
      await lab.iptables('-t', 'nat', '-F');
      await lab.iptables('-P', 'FORWARD', 'ACCEPT');
      for (const table of ['bridge coolify_bridge', 'inet coolify_guard', 'inet netavark'])
        await host.exec('nft', ['delete', 'table', ...table.split(' ')], { mayFail: true });
      await lab.bringNetworkUp();
    },
    async bringNetworkUp() {
      await host.exec(join(bin, 'iptables'), ['-N', 'NETAVARK_FORWARD'], { mayFail: true });
      for (const subnet of ['10.210.0.0/24', '10.210.1.0/24', '10.88.0.0/16'])
        await lab.iptables('-A', 'NETAVARK_FORWARD', '-s', subnet, '-j', 'ACCEPT');
      await lab.iptables('-I', 'FORWARD', '1', '-j', 'NETAVARK_FORWARD');
      for (const subnet of ['10.210.0.0/24', '10.210.1.0/24', '10.88.0.0/16'])
        await lab.iptables(
          ...['-t', 'nat', '-A', 'POSTROUTING', '-s', subnet, '!', '-d', subnet, '-j', 'MASQUERADE'],
        );
    },
    async allow(src, dst, protocol, port) {
      for (const table of ['inet coolify_guard', 'bridge coolify_bridge'])
        await lab.nft(`add element ${table} allowed_ports { ${src} . ${dst} . ${protocol} . ${port} }`);
      const comment = 'cid:0123456789ab:default';
      await lab.iptables(
        ...['-A', 'COOLIFY-ALLOW', '-s', src, '-d', dst, '-p', protocol, '--dport', port],
        ...['-m', 'comment', '--comment', comment, '-j', 'ACCEPT'],
      );
      await lab.nft(
        ...['add', 'rule', 'bridge', 'coolify_bridge', 'coolify_allow'],
        `meta protocol ip ip saddr ${src} ip daddr ${dst} ip protocol ${protocol} th dport ${port} accept comment "${comment}"`,
      );
    },
    async revoke(src, dst, protocol, port) {
      for (const table of ['inet coolify_guard', 'bridge coolify_bridge'])
        await lab.nft(`delete element ${table} allowed_ports { ${src} . ${dst} . ${protocol} . ${port} }`);
      const comment = 'cid:0123456789ab:default';
      await lab.iptables(
        ...['-D', 'COOLIFY-ALLOW', '-s', src, '-d', dst, '-p', protocol, '--dport', port],
        ...['-m', 'comment', '--comment', comment, '-j', 'ACCEPT'],
      );
      await lab.nft('flush', 'chain', 'bridge', 'coolify_bridge', 'coolify_allow');
    },
    forgetConnections: async () => void (await host.exec('conntrack', ['-F'])),
    async count(ns, match) {
      const table = `ip seen_${match.replaceAll(/\W/g, '_')}`;
      const input = [
        `add table ${table}`,
        `delete table ${table}`,
        `add table ${table}`,
        `add chain ${table} input { type filter hook input priority 0; }`,
        `add rule ${table} input ${match} counter`,
      ];
      await ns.exec('nft', ['-f', '-'], { input: input.map(line => `${line}\n`).join('') });
      return async () => {
        const { stdout } = await ns.exec('nft', ['list', 'table', ...table.split(' ')]);
        return Number(/packets (\d+)/.exec(stdout)?.[1]);
      };
    },
    [Symbol.asyncDispose]: () => cleanup.disposeAsync(),
  };
  return lab;
}
