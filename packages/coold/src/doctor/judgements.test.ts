// What each check makes of what it read. That the reading is right, run-doctor.long.test.ts and the scenario show.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { DesiredScaffold } from '../firewall/scaffold/desired-scaffold.ts';
import { type AddressPlan, judgeAddressPlan } from './address-plan.ts';
import { judgeBroker, judgeClock } from './broker.ts';
import { judgeContainerDns } from './container-dns.ts';
import { judgeTables, neededTables } from './corrosion.ts';
import { judgeDeny } from './default-deny.ts';
import { NotRoot, needRoot } from './host.ts';
import { judgeKernel } from './kernel.ts';
import { judgeOtherFirewalls, type OtherFirewalls } from './other-firewalls.ts';
import { judgePort, wantedPorts } from './ports.ts';
import { judgeWireguard, type Wireguard } from './wireguard.ts';

const levels = (findings: readonly { level: string }[]) => findings.map(({ level }) => level);

const scaffold = {
  subnets: ['10.210.1.0/24'],
  pools: ['10.210.0.0/16'],
  mgmtNetworks: ['100.64.0.0/16'],
  apiPorts: [8443],
  wgInterface: 'wg0',
  chainName: 'COOLIFY-ALLOW',
  joinedPath: '/etc/coolify/joined.subnets',
};
const named: DesiredScaffold = { kind: 'named', scaffold };

describe('the kernel', () => {
  const able = { release: '6.1', nfTables: true, bridgeConntrack: true, bridgeNames: true, cgroupBpf: true };

  it('that can do everything is well', () => {
    expect(levels(judgeKernel(able))).toEqual(['ok', 'ok', 'ok', 'ok']);
  });

  it('without nf_tables fails, without the rest warns', () => {
    expect(levels(judgeKernel({ ...able, nfTables: false }))).toEqual(['fail']);
    const rest = { bridgeConntrack: false, bridgeNames: false, cgroupBpf: false };
    expect(levels(judgeKernel({ ...able, ...rest }))).toEqual(['ok', 'warn', 'warn', 'warn']);
  });

  it('can be read by root only', () => {
    expect(() => needRoot(1000)).toThrow(NotRoot);
    expect(() => needRoot(0)).not.toThrow();
  });
});

describe('other firewalls', () => {
  const none: OtherFirewalls = { input: [], forward: [], chains: [], units: [], saved: '' };
  const judge = (found: Partial<OtherFirewalls>) => judgeOtherFirewalls({ ...none, ...found }, '10.210.1.1');

  it('are none, or are named with what opens them', () => {
    expect(judge({})).toEqual([{ level: 'ok', found: 'none' }]);
    expect(judge({ forward: ['-N DOCKER-USER', '-A FORWARD -j DOCKER-USER'] })).toMatchObject([
      { level: 'ok' },
    ]);
    expect(judge({ input: ['-A INPUT -j ufw-before-input'] })).toMatchObject([
      { level: 'warn', cure: 'ufw allow to 10.210.1.1 port 53' },
    ]);
    const firewalld = {
      family: 'inet',
      table: 'firewalld',
      name: 'filter_FORWARD',
      hook: 'forward',
    } as const;
    expect(judge({ chains: [firewalld] })).toMatchObject([
      { level: 'warn', cure: expect.stringContaining('--add-interface=wg0') },
    ]);
    expect(judge({ saved: '-A FORWARD -j COOLIFY-INTRA' })).toMatchObject([{ level: 'warn' }]);
    expect(judge({ units: ['nftables.service'] })).toMatchObject([{ level: 'ok' }]);
  });
});

describe('the default deny', () => {
  it('is asked for where mesh.env names subnets, and every part of it counts', () => {
    const whole = { hooks: true, guard: true, bridge: true };
    expect(judgeDeny({ kind: 'none' }, { hooks: false, guard: false, bridge: false }).level).toBe('ok');
    expect(judgeDeny(named, whole).level).toBe('ok');
    for (const part of ['hooks', 'guard', 'bridge'] as const)
      expect(judgeDeny(named, { ...whole, [part]: false }).level).toBe('fail');
  });
});

describe('the address plan', () => {
  const plan: AddressPlan = {
    desired: named,
    networkPool: '10.211.16.0/20',
    differences: [],
    links: ['podman1'],
    networks: [
      { network: '192.168.1.5/24', kind: 'interface', device: 'eth0' },
      { network: '10.210.1.0/24', kind: 'route', device: 'podman1' },
      { network: '10.210.2.0/24', kind: 'route', device: 'wg0' },
      { network: '100.64.0.1/32', kind: 'interface', device: 'wg0' },
    ],
  };

  it('is well where only the mesh has its addresses', () => {
    expect(levels(judgeAddressPlan(plan))).toEqual(['ok']);
  });

  it.each([
    ['10.210.9.0/24', 'COOLD_SCAFFOLD_POOLS'],
    ['100.64.7.0/24', 'COOLD_SCAFFOLD_MGMT_NETWORKS'],
    ['10.211.17.0/24', 'COOLD_NETWORK_POOL'],
    ['10.0.0.0/8', 'COOLD_SCAFFOLD_POOLS'],
  ])('fails for a route %s of another interface', (network, setting) => {
    const route = { network, kind: 'route', device: 'eth1' } as const;
    const [first] = judgeAddressPlan({ ...plan, networks: [...plan.networks, route] });
    expect(first).toMatchObject({ level: 'fail', found: expect.stringContaining(setting) });
    expect(first?.found).toContain(`the route ${network} of eth1`);
  });

  it('fails for what the two files say differently, and for a mesh.env that cannot be used', () => {
    expect(judgeAddressPlan({ ...plan, differences: ['they differ'] })).toMatchObject([
      { level: 'fail', found: 'they differ' },
    ]);
    expect(levels(judgeAddressPlan({ ...plan, desired: { kind: 'unusable', why: 'no pools' } }))).toEqual([
      'fail',
    ]);
  });
});

describe('WireGuard', () => {
  const peer = {
    publicKey: 'AAAAAAAAAAAA',
    endpoint: '192.0.2.1:51820',
    allowedIps: ['100.64.0.2/32'],
    rx: 0n,
    tx: 0n,
  };
  const up: Wireguard = { interface: 'wg0', addresses: ['100.64.0.1'], hostMgmtIp: '100.64.0.1', peers: [] };

  it('is missing before the installation, and must not be after it', () => {
    const none = { ...up, addresses: undefined, peers: undefined };
    expect(levels(judgeWireguard({ ...none, hostMgmtIp: undefined }))).toEqual(['ok']);
    expect(levels(judgeWireguard(none))).toEqual(['fail']);
  });

  it('has the address that coold is configured with', () => {
    expect(levels(judgeWireguard(up))).toEqual(['ok', 'ok']);
    expect(levels(judgeWireguard({ ...up, hostMgmtIp: '100.64.0.9' }))).toEqual(['fail', 'ok']);
  });

  it('says of each peer when it answered', () => {
    const judge = (lastHandshakeS: bigint | undefined) =>
      judgeWireguard({ ...up, peers: [{ ...peer, lastHandshakeS }] })[1];
    expect(judge(20n)).toMatchObject({
      level: 'ok',
      found: 'peer AAAAAAAA… (100.64.0.2/32) answered 20s ago',
    });
    expect(judge(1000n)?.level).toBe('warn');
    expect(judge(undefined)?.level).toBe('fail');
  });
});

describe('ports', () => {
  const [dns] = wantedPorts({
    namespaces: [
      { name: 'default', gateway: '10.210.1.1' },
      { name: 'none', gateway: '0.0.0.0' },
    ],
    apiBind: { host: '100.64.0.1', port: 8443 },
    metricsBind: undefined,
  });
  const wanted = dns ?? expect.fail('no port');
  const holder = (name: string | undefined, protocol: 'udp' | 'tcp' = 'udp') => ({
    protocol,
    address: '10.210.1.1',
    suspects: [],
    process: name === undefined ? undefined : { pid: 7, name },
  });

  it('are free or coold’s, or another program’s, which is named', () => {
    expect(judgePort(wanted, []).found).toBe('10.210.1.1:53 for DNS of namespace default is free');
    expect(judgePort(wanted, [holder('coold'), holder('coold', 'tcp')]).level).toBe('ok');
    const taken = judgePort(wanted, [holder('coold'), holder('dnsmasq', 'tcp')]);
    expect(taken).toMatchObject({ level: 'fail', found: expect.stringContaining('dnsmasq (pid 7) on tcp') });
    expect(judgePort(wanted, [holder(undefined)]).level).toBe('warn');
  });
});

describe('DNS of a container', () => {
  const container = { name: 'web', pid: 7, gateway: '10.210.1.1' };

  it('is not asked when none runs, and is reported to answer or not', () => {
    expect(judgeContainerDns(undefined, 'coolify.internal', undefined).found).toMatch(/^not asked/);
    const answered = judgeContainerDns(container, 'coolify.internal', { kind: 'answered', ms: 3 });
    expect(answered.level).toBe('ok');
    const failed = judgeContainerDns(container, 'coolify.internal', { kind: 'failed', why: 'ETIMEOUT' });
    expect(failed).toMatchObject({ level: 'fail', found: expect.stringContaining('ETIMEOUT') });
  });
});

describe('Corrosion', () => {
  const url = 'http://127.0.0.1:8080';
  const all = (kind: 'there' | 'refused' | 'silent') =>
    neededTables.map(table => [table, kind === 'there' ? { kind } : { kind, why: 'why' }] as const);

  it('fails where it is silent or lacks the table of containers, and warns for the others', () => {
    expect(levels(judgeTables(all('there'), url))).toEqual(['ok']);
    expect(levels(judgeTables(all('silent'), url))).toEqual(['fail']);
    expect(levels(judgeTables(all('refused'), url))).toEqual(['fail', 'warn', 'warn', 'warn']);
  });

  it.each(neededTables)(
    'table $name is asked for by the columns that its schema has',
    ({ name, columns }) => {
      const file = new URL(`../../../../packaging/corrosion/${name}.sql`, import.meta.url);
      const there = [...readFileSync(file, 'utf8').matchAll(/^ {2}([a-z_]+) (?:TEXT|INTEGER)/gm)];
      expect(there.map(([, column]) => column)).toEqual(columns);
    },
  );
});

describe('the broker and its clock', () => {
  const url = { host: 'broker', authority: 'broker:6443', tls: true };

  it('is reachable or not, with the reason', () => {
    expect(judgeBroker(url, { kind: 'answered', aheadMs: 0 }).level).toBe('ok');
    const away = judgeBroker(url, { kind: 'unreachable', why: 'ECONNREFUSED' });
    expect(away).toMatchObject({ level: 'fail', found: 'broker:6443 cannot be asked: ECONNREFUSED' });
  });

  it.each([
    [400, 'ok'],
    [-4999, 'ok'],
    [5000, 'warn'],
    [7000, 'warn'],
    [-61_000, 'fail'],
    [3_600_000, 'fail'],
    [undefined, 'warn'],
  ])('a clock that is %s ms off: %s', (aheadMs, level) => {
    expect(judgeClock({ kind: 'answered', aheadMs }).level).toBe(level);
  });

  it('says which of the two is ahead, unless the difference is too small to tell', () => {
    expect(judgeClock({ kind: 'answered', aheadMs: 900 }).found).toBe(
      "the clock of this host is within 5 s of the broker's",
    );
    expect(judgeClock({ kind: 'answered', aheadMs: 7000 }).found).toContain('7 s behind');
    expect(judgeClock({ kind: 'answered', aheadMs: -3_600_000 }).found).toContain('3600 s ahead of');
    expect(judgeClock({ kind: 'unreachable', why: 'x' }).found).toMatch(/^not asked/);
  });
});
