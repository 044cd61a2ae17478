// What the kernel alone denies, on two hosts with different systems.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Command, operator } from '../harness/callers.ts';
import { eventually } from '../harness/eventually.ts';
import { createFleet, type Fleet, type FleetHost } from '../harness/fleet.ts';
import { runContainer } from '../harness/images.ts';
import { addressOf, fetched, serve } from '../harness/pages.ts';
import { expectExec, type Provider } from '../harness/provider.ts';
import { journalsOnFailure } from './journals.ts';
import { chooseGround } from './provider.ts';

const setUpMs = 15 * 60_000;
const again = ['--restart', 'always'];

let provider: Provider | undefined;
let fleet: Fleet;
/** Debian 13, whose netavark uses nftables; central. */
let newer: FleetHost;
/** Debian 12, whose netavark uses iptables. */
let older: FleetHost;

beforeAll(async () => {
  const ground = await chooseGround();
  provider = ground.provider;
  const systems = [
    { name: 'newer', system: 'debian-13' },
    { name: 'older', system: 'debian-12' },
  ] as const;
  fleet = await createFleet(ground, systems, ['default', 'alpha']);
  const [first, second] = fleet.hosts;
  if (first === undefined || second === undefined) throw new Error('two hosts were asked for');
  [newer, older] = [first, second];
  for (const host of fleet.hosts) {
    await serve(host, 'web', 'coolify-default-mesh', { args: again });
    await serve(host, 'client', 'coolify-default-mesh', { args: again });
    await serve(host, 'other', 'coolify-alpha-mesh', { args: again });
    await serve(host, 'plain', 'podman', { args: again });
  }
}, setUpMs);
afterAll(() => provider?.close(), setUpMs);
beforeEach(() => journalsOnFailure(fleet));

const pairs = () =>
  [
    [newer, older],
    [older, newer],
  ] as const;

async function call(host: FleetHost, command: Command): Promise<unknown> {
  const answer = await operator().call(host, command);
  if (!answer.ok) throw new Error(`${command.type} on ${host.name}: ${answer.code} ${answer.message}`);
  return answer.data;
}

/** Publishes a page on a port of the host. */
const publish = ({ host }: FleetHost) =>
  runContainer(host, {
    name: 'published',
    network: 'coolify-default-mesh',
    args: ['--publish', '8088:80'],
    command: ['sh', '-c', 'mkdir /www; echo published >/www/index.html; exec httpd -f -h /www'],
  });
const unpublish = ({ host }: FleetHost) =>
  expectExec(host, ['podman', 'rm', '--force', '--time', '0', 'published']);

const page = async (from: FleetHost, container: string, to: FleetHost, name: string) =>
  await fetched(from, container, `http://${await addressOf(to, name)}/`);

test(`one rule on the destination's host opens a flow across hosts of either system, without NAT`, async () => {
  for (const [from, to] of pairs()) {
    const [src, dst] = [await addressOf(from, 'client'), await addressOf(to, 'web')];
    expect(await page(from, 'client', to, 'web'), `${from.name} before`).toBe('');
    const rule = { type: 'firewall.allow', namespace: 'default', src, dst, proto: 'tcp', port: 80 };
    const { id } = (await call(to, rule)) as { id: string };
    expect(await page(from, 'client', to, 'web'), `from ${from.name}`).toBe('web');
    expect(await page(from, 'other', to, 'web'), `another container of ${from.name}`).toBe('');
    await call(to, { type: 'firewall.revoke', id });
    expect(await page(from, 'client', to, 'web'), `${from.name} after`).toBe('');
  }
}, 120_000);

test('one rule on the common host opens a flow within a bridge and between two', async () => {
  for (const host of fleet.hosts)
    for (const [from, to] of [
      ['client', 'web'],
      ['other', 'web'],
    ] as const) {
      const [src, dst] = [await addressOf(host, from), await addressOf(host, to)];
      expect(await page(host, from, host, to), `${host.name} before`).toBe('');
      const rule = { type: 'firewall.allow', namespace: 'default', src, dst, proto: 'tcp', port: 80 };
      const { id } = (await call(host, rule)) as { id: string };
      expect(await page(host, from, host, to), `${from} on ${host.name}`).toBe('web');
      await call(host, { type: 'firewall.revoke', id });
      expect(await page(host, from, host, to), `${host.name} after`).toBe('');
    }
}, 120_000);

test('containers of Podman’s default network are denied like others, and reach the internet', async () => {
  for (const [from, to] of pairs()) {
    expect(await page(from, 'plain', from, 'web'), `${from.name}, own`).toBe('');
    expect(await page(from, 'plain', to, 'web'), `${from.name}, of the other`).toBe('');
    await publish(to);
    const out = `http://${to.host.address}:8088/`;
    expect(await fetched(from, 'plain', out)).toBe('published');
    expect(await fetched(from, 'client', out)).toBe('published');
    await unpublish(to);
  }
}, 120_000);

test('the underlay cannot reach REST, DNS or a container', async () => {
  for (const [from, to] of pairs()) {
    const { gateway = '' } = to.namespaces['default'] ?? {};
    const web = await addressOf(to, 'web');
    const status = async (url: string, ...args: string[]) =>
      (await from.host.exec(['curl', '-s', '-m', '2', '-o', '/dev/null', '-w', '%{http_code}', ...args, url]))
        .stdout;
    expect(await status(`http://${to.mgmtIp}:8443/healthz`), 'by the mesh').toBe('200');
    const around = [`${to.mgmtIp}/32`, `${gateway}/32`, `${web}/32`];
    for (const network of around)
      await expectExec(from.host, [
        'ip',
        'route',
        'add',
        network,
        'via',
        to.host.address,
        'metric',
        '0',
        'table',
        '77',
      ]);
    await expectExec(from.host, ['ip', 'rule', 'add', 'priority', '10', 'table', '77']);
    try {
      expect(await status(`http://${to.mgmtIp}:8443/healthz`), 'REST').toBe('000');
      expect(await status(`http://${web}/`), 'a container').toBe('000');
      const dug = await from.host.exec([
        'dig',
        '+time=1',
        '+tries=1',
        `@${gateway}`,
        'coolify.internal',
        'SOA',
      ]);
      expect(dug.code, 'DNS').not.toBe(0);
    } finally {
      await expectExec(from.host, ['ip', 'rule', 'del', 'priority', '10']);
      await expectExec(from.host, ['ip', 'route', 'flush', 'table', '77']);
    }
    expect(await status(`http://${to.mgmtIp}:8443/healthz`), 'by the mesh again').toBe('200');
  }
}, 120_000);

test('containers cannot reach the REST API of their host or another', async () => {
  for (const [from, to] of pairs())
    for (const host of [from, to])
      expect(await fetched(from, 'client', `http://${host.mgmtIp}:8443/healthz`)).toBe('');
}, 60_000);

test('beside ufw: DNS, an allowed flow, egress and published ports work, and blocking rules are named', async () => {
  for (const { host } of fleet.hosts) {
    for (const rule of ['allow 51820/udp', 'allow in on wg0', 'allow 6443/tcp'])
      await expectExec(host, ['ufw', ...rule.split(' ')]);
    await expectExec(host, ['ufw', '--force', 'enable']);
  }
  const lookup = async ({ host, namespaces }: FleetHost) => {
    const { gateway = '' } = namespaces['default'] ?? {};
    const asked = ['busybox', 'timeout', '3', 'nslookup', 'web.default.coolify.internal', gateway];
    return (await host.exec(['podman', 'exec', 'client', ...asked])).code;
  };
  try {
    for (const [from, to] of pairs()) {
      expect(await lookup(from), `DNS on ${from.name}`).toBe(0);
      const [src, dst] = [await addressOf(from, 'client'), await addressOf(to, 'web')];
      const rule = { type: 'firewall.allow', namespace: 'default', src, dst, proto: 'tcp', port: 80 };
      const { id } = (await call(to, rule)) as { id: string };
      expect(await page(from, 'client', to, 'web'), `from ${from.name}`).toBe('web');
      await call(to, { type: 'firewall.revoke', id });
      await publish(to);
      expect(await fetched(from, 'client', `http://${to.host.address}:8088/`), from.name).toBe('published');
      await unpublish(to);
    }
    // The rule that admits DNS is restored when another program deletes it.
    const taken = "iptables -S INPUT | sed -n '/coolify-dns/s/^-A/iptables -D/p' | sh";
    await expectExec(newer.host, ['sh', '-c', taken]);
    await eventually('DNS to be let in again', async () => (await lookup(newer)) === 0 || undefined, {
      timeoutMs: 30_000,
    });
    // Another program drops DNS permanently.
    const status = async () => (await newer.host.exec(['coold', 'status'])).stdout;
    // Not on the loopback, which coold uses to check itself: an answer there does not show that others get one.
    const drop = ['INPUT', '!', '-i', 'lo', '-p', 'udp', '-m', 'udp', '--dport', '53', '-j', 'DROP'];
    await expectExec(newer.host, ['iptables', '-I', ...drop]);
    await eventually(
      'the status to name what containers miss, and why',
      async () => {
        expect(await lookup(newer)).not.toBe(0);
        const said = await status();
        const named = `iptables INPUT: -A ${drop.join(' ')}`;
        return (said.includes('packets that containers sent it last') && said.includes(named)) || undefined;
      },
      { timeoutMs: 60_000 },
    );
    await expectExec(newer.host, ['iptables', '-D', ...drop]);
    expect(await lookup(newer)).toBe(0);
  } finally {
    for (const { host } of fleet.hosts) await expectExec(host, ['ufw', '--force', 'disable']);
  }
}, 240_000);

/** Counts packets between containers after all other rules, routed or within a bridge. */
const witness = `
table inet witness {
  chain seen { type filter hook forward priority 300; policy accept; ip daddr 10.210.0.0/16 oifname != "wg0" counter; }
}
table bridge witness {
  chain seen { type filter hook forward priority 300; policy accept; ip saddr 10.0.0.0/8 ip daddr 10.0.0.0/8 counter; }
}
`;
const witnessUnit = `
[Unit]
DefaultDependencies=no
After=local-fs.target nftables.service
Before=coolify-mesh-fw.service podman-restart.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f /etc/witness.nft
[Install]
WantedBy=multi-user.target
`;

const emptied: [string, readonly [string, ...string[]]][] = [
  ['nft flush ruleset', ['nft', 'flush', 'ruleset']],
  ['systemctl restart nftables', ['systemctl', 'restart', 'nftables.service']],
];
test.each(emptied)(
  '%s: the deny and the allow rules are back by themselves, and it is said',
  async (_, take) => {
    for (const host of fleet.hosts) {
      const [src, dst] = [await addressOf(host, 'client'), await addressOf(host, 'web')];
      const rule = { type: 'firewall.allow', namespace: 'default', src, dst, proto: 'tcp', port: 80 };
      const { id } = (await call(host, rule)) as { id: string };
      const before = (await eventually(
        'nothing to be wrong',
        async () => {
          const status = await firewallStatus(host);
          return status.mode === 'enforcing' && status.deny_problem === null ? status : undefined;
        },
        { timeoutMs: 20_000 },
      )) as { deny_repairs: number };
      // The host's own way of flushing the rules shows nothing about ours.
      if (take[0] === 'systemctl') await host.host.put('flush ruleset\n', '/etc/nftables.conf', 0o644);
      await expectExec(host.host, take);
      const putBack = `${before.deny_repairs + 1} repairs of the default deny`;
      const right = (await host.host.exec(['coold', 'status'])).stdout;
      expect(
        right.includes('PROBLEM: the default deny is not in place') ||
          right.includes('PROBLEM: the default deny is still being checked') ||
          right.includes(putBack),
        right,
      ).toBe(true);
      const repaired = (await eventually(
        'the deny to be put back',
        async () => {
          const status = await firewallStatus(host);
          return status.mode === 'enforcing' && status.deny_repairs > before.deny_repairs
            ? status
            : undefined;
        },
        { timeoutMs: 20_000 },
      )) as { deny_problem: string | null };
      expect(repaired.deny_problem).toBeNull();
      const after = (await host.host.exec(['coold', 'status'])).stdout;
      expect(after).toContain(putBack);
      expect(after).toMatch(/the default deny was not in place, .*it is restored/);
      expect(await call(host, { type: 'firewall.status' })).toMatchObject({ mode: 'enforcing' });
      expect(await page(host, 'other', host, 'web'), `${host.name}: denied`).toBe('');
      await eventually(
        'the allow rule to be back',
        async () => ((await page(host, 'client', host, 'web')) === 'web' ? true : undefined),
        { timeoutMs: 20_000 },
      );
      await call(host, { type: 'firewall.revoke', id });
      expect(await page(host, 'client', host, 'web'), `${host.name}: after`).toBe('');
      await expectExec(host.host, ['podman', 'network', 'reload', '--all']);
    }
  },
  240_000,
);

const flushing: [string, readonly (readonly string[])[]][] = [
  ['restarted', [['restart', 'nftables.service']]],
  ['told to load its rules again', [['reload', 'nftables.service']]],
  [
    'stopped and started',
    [
      ['stop', 'nftables.service'],
      ['start', 'nftables.service'],
    ],
  ],
];
test.each(flushing)(
  'nftables.service is %s while coold is stopped: the deny and the allow rules are back',
  async (_, verbs) => {
    for (const host of fleet.hosts) {
      const [src, dst] = [await addressOf(host, 'client'), await addressOf(host, 'web')];
      const rule = { type: 'firewall.allow', namespace: 'default', src, dst, proto: 'tcp', port: 80 };
      const { id } = (await call(host, rule)) as { id: string };
      // Debian's file, with a table that tells whether it was loaded.
      const conf = 'flush ruleset\ntable inet theirs { }\n';
      await host.host.put(conf, '/etc/nftables.conf', 0o644);
      await expectExec(host.host, ['systemctl', 'start', 'nftables.service']);
      await expectExec(host.host, ['systemctl', 'stop', 'coold.service']);
      try {
        for (const verb of verbs) await expectExec(host.host, ['systemctl', ...verb]);
        await eventually(
          'the deny to be back',
          async () => {
            const tables = (await expectExec(host.host, ['nft', 'list', 'tables'])).split('\n');
            const isBack =
              tables.includes('table inet theirs') && tables.includes('table inet coolify_guard');
            return isBack ? true : undefined;
          },
          { timeoutMs: 30_000 },
        );
        expect(await page(host, 'other', host, 'web'), `${host.name}: denied`).toBe('');
        await eventually(
          'the allow rule to be back',
          async () => ((await page(host, 'client', host, 'web')) === 'web' ? true : undefined),
          { timeoutMs: 30_000 },
        );
      } finally {
        await expectExec(host.host, ['systemctl', 'start', 'coold.service']);
      }
      await eventually(
        'coold to be there again',
        async () => ((await firewallStatus(host)).mode === 'enforcing' ? true : undefined),
        { timeoutMs: 30_000 },
      );
      await call(host, { type: 'firewall.revoke', id });
      expect(await page(host, 'client', host, 'web'), `${host.name}: after`).toBe('');
      await expectExec(host.host, ['podman', 'network', 'reload', '--all']);
    }
  },
  240_000,
);

const byHand: [string, readonly [string, ...string[]]][] = [
  [
    'nft flush set inet coolify_guard mesh_pools',
    ['nft', 'flush', 'set', 'inet', 'coolify_guard', 'mesh_pools'],
  ],
  [
    'nft flush set inet coolify_guard mesh_hosts',
    ['nft', 'flush', 'set', 'inet', 'coolify_guard', 'mesh_hosts'],
  ],
  ['a dormant guard', ['nft', 'add table inet coolify_guard { flags dormant; }']],
  ['a dormant bridged plane', ['nft', 'add table bridge coolify_bridge { flags dormant; }']],
  ['a rule that accepts', ['nft', 'insert rule inet coolify_guard to_container accept']],
  ['iptables -R FORWARD 1', ['iptables', '-w', '-R', 'FORWARD', '1', '-j', 'ACCEPT']],
];
test.each(byHand)(
  '%s: is noticed and put back, and it is said',
  async (_, mistake) => {
    for (const host of fleet.hosts) {
      const before = await firewallStatus(host);
      expect(before).toMatchObject({ mode: 'enforcing', deny_problem: null });
      await expectExec(host.host, mistake);
      await eventually(
        'the deny to be put back',
        async () => {
          const { mode, deny_repairs: repairs } = await firewallStatus(host);
          return mode === 'enforcing' && repairs > before.deny_repairs ? true : undefined;
        },
        { timeoutMs: 20_000 },
      );
      expect((await host.host.exec(['coold', 'status'])).stdout).toMatch(
        /the default deny was not in place, .*it is restored/,
      );
      expect(await page(host, 'other', host, 'web'), `${host.name}: denied`).toBe('');
    }
  },
  120_000,
);

async function firewallStatus({ host }: FleetHost) {
  const { stdout } = await host.exec(['coold', 'status', '--json']);
  const { firewall } = JSON.parse(stdout) as {
    firewall: { mode: string; deny_problem: string | null; deny_repairs: number };
  };
  return firewall;
}

test('nothing passes at boot without coold, or while it is stopped and networks change', async () => {
  for (const member of fleet.hosts) {
    const { host, namespaces } = member;
    // Each network has a container that probes every address of this host, from its start on.
    const prefixes = Object.values(namespaces).map(({ subnet }) => subnet.replace(/0\/24$/, ''));
    const targets = prefixes.flatMap(prefix => [2, 3, 4, 5, 6].map(last => `${prefix}${last}`)).join(' ');
    const ask = `for to in ${targets}; do nc -w 1 $to 80 </dev/null & done; sleep 0.25; wait`;
    for (const network of [...Object.values(namespaces).map(one => one.network), 'podman'])
      await runContainer(host, {
        name: `flood-${network}`,
        network,
        args: again,
        command: ['sh', '-c', `while :; do ${ask}; done`],
      });
    await host.put(witness, '/etc/witness.nft', 0o644);
    await host.put(witnessUnit, '/etc/systemd/system/witness.service', 0o644);
    await expectExec(host, ['systemctl', 'enable', '--quiet', 'witness.service', 'podman-restart.service']);
    await expectExec(host, ['systemctl', 'disable', '--quiet', 'coold.service']);
    await host.reboot();
  }
  for (const host of fleet.hosts) {
    for (const name of ['web', 'client', 'other', 'plain', 'flood-podman'])
      await eventually(`${name} to run again`, async () => (await addressOf(host, name)) || undefined, {
        timeoutMs: 60_000,
      });
    const active = await host.host.exec(['systemctl', 'is-active', 'coold.service']);
    expect(active.stdout.trim()).toBe('inactive');
    // More networks; netavark inserts each at the top of FORWARD.
    for (const name of ['passing-1', 'passing-2']) {
      await expectExec(host.host, ['podman', 'network', 'create', '--disable-dns', name]);
      await serve(host, name, name);
      expect(await page(host, name, host, 'web'), host.name).toBe('');
      await expectExec(host.host, ['podman', 'rm', '--force', '--time', '0', name]);
    }
    expect(await page(host, 'client', host, 'web'), host.name).toBe('');
    const seen = async () =>
      (await expectExec(host.host, ['nft', 'list', 'ruleset']))
        .split('table ')
        .filter(table => /^(inet|bridge) witness/.test(table))
        .map(table => Number(/counter packets (\d+)/.exec(table)?.[1]));
    expect(await seen(), `${host.name}: routed and bridged`).toEqual([0, 0]);
    // A check that the witness does count passing packets.
    await expectExec(host.host, ['nft', 'delete', 'table', 'inet', 'coolify_guard']);
    await expectExec(host.host, ['iptables', '-F', 'COOLIFY-INTRA']);
    await eventually(
      `the witness of ${host.name} to see`,
      async () => ((await seen()).some(packets => packets > 0) ? true : undefined),
      { timeoutMs: 20_000 },
    );
    await expectExec(host.host, ['systemctl', 'restart', 'coolify-mesh-fw.service']);
  }
  for (const [from, to] of pairs()) expect(await page(from, 'client', to, 'web')).toBe('');
  for (const { host } of fleet.hosts)
    await expectExec(host, ['systemctl', 'enable', '--quiet', '--now', 'coold.service']);
  await fleet.allConnected(60_000);
}, 300_000);
