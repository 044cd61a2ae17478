// The guard with packets, on both variants of iptables, while nothing of coold runs. Needs root.
import { joinNetns, type Netns } from '@coold/testbed/netns';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { at, createScaffoldLab, dropMs, type Lab, passMs } from '../../../test/scaffold-lab.ts';
import { ownSockets, renderApiGuard } from '../keep/api-guard.ts';

/** As netavark 1.14 does, which uses nftables on Debian 13. */
const netavarkNft = `
table inet netavark {
  chain POSTROUTING { type nat hook postrouting priority srcnat; policy accept; ip saddr 10.210.0.0/16 masquerade; }
  chain FORWARD { type filter hook forward priority filter; policy accept; ip saddr 10.0.0.0/8 accept; }
}
`;

/** Sends thousands of datagrams a second, until its time is up. Arguments: address, port, milliseconds. */
const flood = `
const socket = require('node:dgram').createSocket('udp4');
const [address, port, ms] = process.argv.slice(1);
const end = Date.now() + Number(ms);
const more = () => {
  if (Date.now() > end) return socket.close();
  for (let i = 0; i < 50; i += 1) socket.send('?', Number(port), address, () => {});
  setTimeout(more, 5);
};
more();
`;
const floodFrom = (ns: Netns, address: string, port: number, ms: number) =>
  ns.exec(process.execPath, ['-e', flood, address, String(port), String(ms)]);

describe.each(['nft', 'legacy'] as const)('the guard beside iptables-%s', backend => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await createScaffoldLab(backend);
  }, 60_000);
  afterAll(async () => {
    await lab?.[Symbol.asyncDispose]();
  });
  beforeEach(() => lab.reset());

  async function expectDenied(attempts: Promise<string | null>[]) {
    expect(await Promise.all(attempts)).toEqual(attempts.map(() => null));
  }

  /** A way in from the uplink, as netavark publishes a port on every address of the host. */
  const publish = () =>
    lab.iptables(
      ...['-t', 'nat', '-A', 'PREROUTING', '-m', 'addrtype', '--dst-type', 'LOCAL', '-p', 'tcp'],
      ...['--dport', '8080', '-j', 'DNAT', '--to-destination', `${at.a1}:80`],
    );

  test('holds whatever accepts above our hooks, without a packet through while networks come and go', async () => {
    await lab.apply();
    const seen = await lab.count(lab.b1, 'udp dport 53');
    const seenOfPlain = await lab.count(lab.a2, 'udp dport 53');
    let done = false;
    const floods = Promise.all([
      floodFrom(lab.a1, at.b1, 53, 3000),
      floodFrom(lab.plain, at.a2, 53, 3000),
    ]).finally(() => {
      done = true;
    });
    let rounds = 0;
    while (!done) {
      await lab.bringNetworkUp();
      await lab.iptables('-F', 'FORWARD');
      await lab.host.exec('nft', ['-f', '-'], { input: netavarkNft });
      await lab.nft('delete', 'table', 'inet', 'netavark');
      if (rounds % 3 === 2) await lab.apply();
      rounds += 1;
    }
    await floods;
    expect(rounds).toBeGreaterThan(1);
    expect([await seen(), await seenOfPlain()]).toEqual([0, 0]);
    // The same packets do arrive where a rule allows them: what was counted is what was sent.
    await lab.allow(at.a1, at.b1, 'udp', '53');
    await floodFrom(lab.a1, at.b1, 53, 200);
    expect(await seen()).toBeGreaterThan(50);
  }, 60_000);

  test('what leaves by the mesh keeps its address though netavark masquerades in nftables', async () => {
    await lab.apply();
    await lab.host.exec('nft', ['-f', '-'], { input: netavarkNft });
    expect(await lab.a1.reach('tcp', at.peer, 80, passMs)).toBe(at.a1);
    expect(await lab.a1.reach('tcp', at.peerHost, 8443, passMs)).toBe(at.a1);
    // What leaves otherwise has the host's.
    expect(await lab.a1.reach('tcp', at.world, 80, passMs)).toBe(at.host);
  });

  test('what is for another host leaves by the mesh alone', async () => {
    await lab.apply();
    expect(await lab.a1.reach('tcp', at.peer, 80, passMs)).toBe(at.a1);
    const seen = await lab.count(lab.world, `ip daddr ${at.peer}`);
    await lab.host.exec('ip', ['link', 'set', 'wg0', 'down']);
    try {
      await lab.world.exec('ip', ['addr', 'add', `${at.peer}/32`, 'dev', 'lo']);
      await floodFrom(lab.a1, at.peer, 80, 200);
      expect(await seen()).toBe(0);
    } finally {
      await lab.world.exec('ip', ['addr', 'del', `${at.peer}/32`, 'dev', 'lo']);
      await lab.host.exec('ip', ['link', 'set', 'wg0', 'up']);
      await lab.host.exec('ip', ['route', 'add', '10.210.9.0/24', 'via', at.peerHost]);
    }
  });

  test('a FORWARD that drops by policy shuts nothing that is allowed, published or on its way to the world', async () => {
    await lab.apply();
    await lab.iptables('-P', 'FORWARD', 'DROP');
    await publish();
    // As on Debian 13, where netavark has no rules in iptables.
    await lab.iptables('-F', 'NETAVARK_FORWARD');
    await lab.allow(at.peer, at.a1, 'tcp', '80');
    expect(await lab.world.reach('tcp', at.host, 8080, passMs)).toBe(at.world);
    expect(await lab.a1.reach('tcp', at.world, 80, passMs)).toBe(at.host);
    await expectDenied([lab.a1.reach('tcp', at.b1, 80, dropMs), lab.peer.reach('udp', at.a1, 53, dropMs)]);
    expect(await lab.peer.reach('tcp', at.a1, 80, passMs)).toBe(at.peer);
    expect(await lab.a1.reach('tcp', at.peer, 80, passMs)).toBe(at.a1);
  });

  test('containers of other networks and the uplink meet the deny as well', async () => {
    expect(await lab.plain.reach('tcp', at.a1, 80, passMs)).not.toBeNull();
    expect(await lab.world.reach('tcp', at.a1, 80, passMs)).not.toBeNull();
    await lab.apply();
    await expectDenied([
      lab.plain.reach('tcp', at.a1, 80, dropMs),
      lab.plain.reach('tcp', at.peer, 80, dropMs),
      lab.world.reach('tcp', at.a1, 80, dropMs),
      lab.world.reach('udp', at.a1, 53, dropMs),
    ]);
    // They go on reaching the rest of the world.
    expect(await lab.plain.reach('tcp', at.world, 80, passMs)).toBe(at.host);
  });

  test('the uplink reaches neither REST nor DNS on addresses of the mesh, and published ports as before', async () => {
    expect(await lab.world.reach('tcp', at.mgmt, 8443, passMs)).toBe(at.world);
    expect(await lab.world.reach('udp', at.gatewayA, 53, passMs)).toBe(at.world);
    await lab.apply();
    await publish();
    await expectDenied([
      lab.world.reach('tcp', at.mgmt, 8443, dropMs),
      lab.world.reach('udp', at.gatewayA, 53, dropMs),
      lab.world.reach('tcp', at.mgmt, 8080, dropMs),
      lab.plain.reach('tcp', at.mgmt, 8443, dropMs),
    ]);
    expect(await lab.world.reach('tcp', at.host, 8080, passMs)).toBe(at.world);
    expect(await lab.world.reach('tcp', at.host, 22, passMs)).toBe(at.world);
    // The operator's own call on the host, and another host's.
    expect(await lab.host.reach('tcp', at.mgmt, 8443, passMs)).toBe(at.mgmt);
    expect(await lab.peer.reach('udp', at.mgmt, 53, passMs)).not.toBeNull();
  });

  test('an address of the mesh that the uplink makes up gets nowhere', async () => {
    await lab.world.exec('ip', ['addr', 'add', `${at.peer}/32`, 'dev', 'lo']);
    await lab.world.exec('ip', ['route', 'replace', '10.210.0.0/16', 'via', at.host, 'src', at.peer]);
    await lab.world.exec('ip', ['route', 'add', '10.88.0.0/16', 'via', at.host, 'src', at.peer]);
    try {
      const seen = await lab.count(lab.a1, `ip saddr ${at.peer}`);
      const seenByPlain = await lab.count(lab.plain, `ip saddr ${at.peer}`);
      await floodFrom(lab.world, at.a1, 53, 100);
      await floodFrom(lab.world, at.plain, 53, 100);
      expect(await seen()).toBeGreaterThan(0);
      expect(await seenByPlain()).toBeGreaterThan(0);
      await lab.apply();
      await lab.allow(at.peer, at.a1, 'udp', '53');
      const [before, beforeByPlain] = [await seen(), await seenByPlain()];
      await floodFrom(lab.world, at.a1, 53, 200);
      await floodFrom(lab.world, at.plain, 53, 200);
      expect([await seen(), await seenByPlain()]).toEqual([before, beforeByPlain]);
      // The real one still gets in.
      await floodFrom(lab.peer, at.a1, 53, 100);
      expect(await seen()).toBeGreaterThan(before);
    } finally {
      await lab.world.exec('ip', ['route', 'del', '10.88.0.0/16']);
      await lab.world.exec('ip', ['route', 'replace', '10.210.0.0/16', 'via', at.host]);
      await lab.world.exec('ip', ['addr', 'del', `${at.peer}/32`, 'dev', 'lo']);
    }
  });

  test('containers do not reach the REST API, of their own host or another, but what the host publishes', async () => {
    expect(await lab.a1.reach('tcp', at.mgmt, 8443, passMs)).toBe(at.a1);
    // From a container of another host, and from that host itself.
    const fromPeer = async () => {
      await lab.peer.exec('ip', ['route', 'add', `${at.mgmt}/32`, 'dev', 'wg0', 'src', at.peer]);
      const seenAs = await lab.peer.reach('tcp', at.mgmt, 8443, dropMs);
      await lab.peer.exec('ip', ['route', 'del', `${at.mgmt}/32`]);
      return seenAs;
    };
    expect(await fromPeer()).toBe(at.peer);
    await lab.apply();
    expect(await lab.peer.reach('tcp', at.mgmt, 8443, passMs)).toBe(at.peerHost);
    await publish();
    await expectDenied([lab.a1.reach('tcp', at.mgmt, 8443, dropMs), fromPeer()]);
    expect(await lab.b1.reach('udp', '10.210.1.1', 53, passMs)).toBe(at.b1);
    expect(await lab.b1.reach('tcp', at.mgmt, 8080, passMs)).not.toBeNull();
    await lab.nft('add', 'element', 'inet', 'coolify_guard', 'api_clients', `{ ${at.a1} }`);
    expect(await lab.a1.reach('tcp', at.mgmt, 8443, passMs)).toBe(at.a1);
    await expectDenied([lab.a2.reach('tcp', at.mgmt, 8443, dropMs)]);
    // What coold listens on elsewhere is known to coold.
    expect(await lab.a2.reach('tcp', at.host, 22, passMs)).not.toBeNull();
    await lab.nft('add', 'element', 'inet', 'coolify_guard', 'api_sockets', `{ ${at.host} . 22 }`);
    await expectDenied([lab.a2.reach('tcp', at.host, 22, dropMs)]);
  });

  test('containers do not reach the metrics, which have no token, of their own host or another; hosts of the mesh do', async () => {
    const port = 9464;
    const fromPeersContainer = async () => {
      await lab.peer.exec('ip', ['route', 'add', `${at.mgmt}/32`, 'dev', 'wg0', 'src', at.peer]);
      const seenAs = await lab.peer.reach('tcp', at.mgmt, port, dropMs);
      await lab.peer.exec('ip', ['route', 'del', `${at.mgmt}/32`]);
      return seenAs;
    };
    await lab.apply();
    expect(await lab.a1.reach('tcp', at.mgmt, port, passMs), 'coold has not told the guard').toBe(at.a1);
    expect(await fromPeersContainer()).toBe(at.peer);
    const sockets = ownSockets({ apiBind: undefined, metricsBind: { host: at.mgmt, port } });
    const told = renderApiGuard({ sockets, clients: [], isTold: false }, true);
    await lab.host.exec('nft', ['-f', '-'], { input: told });
    await expectDenied([
      lab.a1.reach('tcp', at.mgmt, port, dropMs),
      lab.b1.reach('tcp', at.mgmt, port, dropMs),
      lab.plain.reach('tcp', at.mgmt, port, dropMs),
      fromPeersContainer(),
    ]);
    expect(await lab.peer.reach('tcp', at.mgmt, port, passMs)).toBe(at.peerHost);
    expect(await lab.host.reach('tcp', at.mgmt, port, passMs)).toBe(at.mgmt);
  });

  test('DNS of containers is accepted by a firewall that accepts nothing else, and counted where it is not', async () => {
    const counted = async () => {
      const [asked = '', arrived = ''] = await Promise.all(
        ['dns_asked', 'dns_arrived'].map(set => lab.nft('list', 'set', 'inet', 'coolify_guard', set)),
      );
      const of = (text: string) =>
        Number(new RegExp(`${at.gatewayA} counter packets (\\d+)`).exec(text)?.[1] ?? 0);
      return { asked: of(asked), arrived: of(arrived) };
    };
    // As ufw does.
    await lab.iptables('-P', 'INPUT', 'DROP');
    await lab.iptables('-A', 'INPUT', '-i', 'lo', '-j', 'ACCEPT');
    try {
      await expectDenied([lab.a1.reach('udp', at.gatewayA, 53, dropMs)]);
      await lab.apply();
      expect(await lab.a1.reach('udp', at.gatewayA, 53, passMs)).toBe(at.a1);
      expect(await lab.a1.reach('tcp', at.gatewayA, 53, passMs)).toBe(at.a1);
      await expectDenied([lab.a1.reach('tcp', at.gatewayA, 22, dropMs)]);
      const well = await counted();
      // One of each protocol, whose later packets are not counted.
      expect(well).toEqual({ asked: 2, arrived: 2 });
      await lab.iptables('-F', 'INPUT');
      await expectDenied([lab.a1.reach('udp', at.gatewayA, 53, dropMs)]);
      const badly = await counted();
      expect(badly.asked).toBeGreaterThan(well.asked);
      expect(badly.arrived).toBe(well.arrived);
    } finally {
      await lab.iptables('-P', 'INPUT', 'ACCEPT');
      await lab.iptables('-F', 'INPUT');
    }
  });

  test('what is allowed and lost in another chain is counted, and what a rule forbids is not', async () => {
    const packets = async (set: string) => {
      const text = await lab.nft('list', 'set', 'inet', 'coolify_guard', set);
      return [...text.matchAll(/counter packets (\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0);
    };
    const counted = async () => ({
      allowed: await packets('flows_allowed'),
      forwarded: await packets('flows_forwarded'),
    });
    await lab.apply();
    await lab.allow(at.a1, at.b1, 'tcp', '80');
    await publish();
    expect(await lab.a1.reach('tcp', at.b1, 80, passMs)).not.toBeNull();
    expect(await lab.a1.reach('tcp', at.peer, 80, passMs)).toBe(at.a1);
    expect(await lab.world.reach('tcp', at.host, 8080, passMs)).toBe(at.world);
    await expectDenied([lab.a2.reach('tcp', at.b1, 80, dropMs)]);
    expect(await counted()).toEqual({ allowed: 2, forwarded: 2 });
    await lab.iptables('-I', 'FORWARD', '1', '-d', at.b1, '-j', 'DROP');
    await expectDenied([lab.a1.reach('tcp', at.b1, 80, dropMs)]);
    const { allowed, forwarded } = await counted();
    expect(allowed).toBeGreaterThan(2);
    expect(forwarded).toBe(2);
  });

  test('a published port answers on the bridge of its publisher, also the publisher itself', async () => {
    // As netavark does: what comes from the publisher's own network has the host's address there.
    const hairpin = ['-s', '10.210.0.0/24', '-d', '10.210.0.0/24', '-m', 'conntrack', '--ctstate', 'DNAT'];
    await lab.host.exec('bridge', ['link', 'set', 'dev', 'a1', 'hairpin', 'on']);
    for (const seenByIptables of ['1', '0']) {
      await lab.reset();
      await lab.host.exec('sysctl', ['-qw', `net.bridge.bridge-nf-call-iptables=${seenByIptables}`]);
      await publish();
      await lab.iptables('-t', 'nat', '-I', 'POSTROUTING', ...hairpin, '-j', 'MASQUERADE');
      await lab.apply();
      expect(await lab.a2.reach('tcp', at.host, 8080, passMs)).toBe(at.gatewayA);
      expect(await lab.a1.reach('tcp', at.host, 8080, passMs)).toBe(at.gatewayA);
      expect(await lab.b1.reach('tcp', at.host, 8080, passMs)).not.toBeNull();
      // It opens nothing beside the port.
      await expectDenied([
        lab.a2.reach('tcp', at.a1, 80, dropMs),
        lab.a1.reach('tcp', at.a2, 80, dropMs),
        lab.a2.reach('udp', at.a1, 53, dropMs),
      ]);
    }
    await lab.host.exec('sysctl', ['-qw', 'net.bridge.bridge-nf-call-iptables=1']);
  });

  test('a datagram in fragments passes within a bridge where its rule has a port, and no other', async () => {
    const big = `require('node:dgram').createSocket('udp4').send(Buffer.alloc(4000), 53, process.argv[1], () => process.exit())`;
    const send = () => lab.a1.exec(process.execPath, ['-e', big, at.a2]);
    // Reassembled, that is whole.
    const seen = await lab.count(lab.a2, 'udp length > 4000');
    try {
      for (const seenByIptables of ['1', '0']) {
        await lab.reset();
        await lab.host.exec('sysctl', ['-qw', `net.bridge.bridge-nf-call-iptables=${seenByIptables}`]);
        await lab.apply();
        const before = await seen();
        await send();
        expect(await seen()).toBe(before);
        await lab.allow(at.a1, at.a2, 'udp', '53');
        await send();
        await expect.poll(seen).toBe(before + 1);
        await lab.revoke(at.a1, at.a2, 'udp', '53');
        await send();
        expect(await seen()).toBe(before + 1);
      }
    } finally {
      await lab.host.exec('sysctl', ['-qw', 'net.bridge.bridge-nf-call-iptables=1']);
    }
  });

  test('nor does the host itself send to another host’s container but by the mesh', async () => {
    await lab.apply();
    expect(await lab.host.reach('tcp', at.peer, 80, passMs)).toBe(at.mgmt);
    const seen = await lab.count(lab.world, `ip daddr ${at.peer}`);
    await lab.host.exec('ip', ['link', 'set', 'wg0', 'down']);
    try {
      await lab.world.exec('ip', ['addr', 'add', `${at.peer}/32`, 'dev', 'lo']);
      expect(await lab.host.reach('tcp', at.peer, 80, dropMs)).toBeNull();
      expect(await lab.host.reach('udp', at.peer, 53, dropMs)).toBeNull();
      expect(await seen()).toBe(0);
      // Its own addresses, its containers and the world are not another host's.
      expect(await lab.host.reach('tcp', at.a1, 80, passMs)).toBe(at.gatewayA);
      expect(await lab.host.reach('udp', at.gatewayA, 53, passMs)).toBe(at.gatewayA);
      expect(await lab.host.reach('tcp', at.world, 80, passMs)).toBe(at.host);
    } finally {
      await lab.world.exec('ip', ['addr', 'del', `${at.peer}/32`, 'dev', 'lo']);
      await lab.host.exec('ip', ['link', 'set', 'wg0', 'up']);
      await lab.host.exec('ip', ['route', 'add', '10.210.9.0/24', 'via', at.peerHost]);
    }
  });

  test('a container on two networks is answered and answers by either', async () => {
    await joinNetns(lab.host, 'a1-b', lab.a1, 'eth1');
    await lab.host.exec('ip', ['link', 'set', 'a1-b', 'master', 'br-b']);
    await lab.a1.exec('ip', ['addr', 'add', '10.210.1.9/24', 'dev', 'eth1']);
    try {
      await lab.apply();
      await lab.allow(at.peer, '10.210.1.9', 'tcp', '80');
      await lab.allow(at.b1, '10.210.1.9', 'tcp', '80');
      expect(await lab.b1.reach('tcp', '10.210.1.9', 80, passMs)).toBe(at.b1);
      // Its default route is by the other bridge.
      expect(await lab.peer.reach('tcp', '10.210.1.9', 80, passMs)).toBe(at.peer);
    } finally {
      await lab.host.exec('ip', ['link', 'del', 'a1-b']);
    }
  });
});
