// The installed product on two hosts: A is central and also a host, B is a host.
import { describe, expect, test } from 'vitest';
import { askCorrosion } from '../harness/ask-corrosion.ts';
import { laravel, operator } from '../harness/callers.ts';
import { eventually } from '../harness/eventually.ts';
import { type Fleet, type FleetHost, hostUnits, install, laravelGroup } from '../harness/fleet.ts';
import { runContainer } from '../harness/images.ts';
import { addressOf, fetched, serve } from '../harness/pages.ts';
import { builtPackage } from '../harness/product.ts';
import { expectExec } from '../harness/provider.ts';
import { twoHosts } from './two-hosts.ts';

let fleet: Fleet;
let a: FleetHost;
let b: FleetHost;

twoHosts(['default', 'alpha'], given => {
  ({ fleet, a, b } = given);
});

const stat = async ({ host }: FleetHost, path: string) =>
  (await expectExec(host, ['stat', '--format', '%a %U %G', path])).trim();

describe('installed', () => {
  test('every unit is active on both hosts, and none has failed', async () => {
    for (const member of fleet.hosts) {
      const units = [...hostUnits, 'wg-quick@wg0.service', ...(member === a ? ['broker.service'] : [])];
      const { stdout } = await member.host.exec(['systemctl', 'is-active', ...units]);
      expect(stdout.trim().split('\n')).toEqual(units.map(() => 'active'));
      const failed = await expectExec(member.host, [
        'systemctl',
        'list-units',
        '--failed',
        '--plain',
        '--no-legend',
      ]);
      expect(failed.split('\n').filter(line => /coold|broker|coolify|podman/.test(line))).toEqual([]);
    }
  });

  test('secrets and sockets have the right owners and modes', async () => {
    expect(await stat(a, '/run/coolify/broker.sock')).toBe(`660 root ${laravelGroup}`);
    for (const member of fleet.hosts) {
      expect(await stat(member, '/etc/coolify/api-token')).toBe('600 root root');
      expect(await stat(member, '/etc/coolify/host-jwt')).toBe('600 root root');
      expect((await member.host.get('/etc/coolify/api-token')).toString()).toMatch(/^[0-9a-f]{64}\n$/);
    }
  });

  test('Laravel’s group may use the socket and others may not', async () => {
    const health = ['php', '/root/dispatch.php', '/run/coolify/broker.sock', 'GET', '/v1/health'];
    await expectExec(a.host, ['chmod', '711', '/root']);
    const as = (user: string, group: string) =>
      a.host.exec(['setpriv', '--reuid', user, '--regid', group, '--clear-groups', '--', ...health]);
    expect((await as('nobody', laravelGroup)).stdout).toContain('"ok":true');
    expect((await as('nobody', 'nogroup')).code).toBe(1);
  });

  test('systemctl status shows the state of the stream', async () => {
    const status = async () => {
      const text = await expectExec(b.host, [
        'systemctl',
        'show',
        '--property',
        'StatusText',
        'coold.service',
      ]);
      return text.includes(`broker ${a.mgmtIp}:6443: connected`) || undefined;
    };
    await eventually('the status line of coold', status, { timeoutMs: 10_000 });
  });

  test('coold returns its own journal, complete or followed', async () => {
    const last = await operator().call(b, { type: 'coold.logs', tail: 1000 });
    expect(JSON.stringify(last)).toContain('connected to the broker');
    const follow = laravel(fleet).stream(
      b,
      { type: 'coold.logs', tail: 0, follow: true },
      { leaveAfterS: 10 },
    );
    // Each call of a verb adds a line to the log.
    const asking = setInterval(() => void operator().call(b, { type: 'dns.stats' }), 1000);
    const lines = await follow.finally(() => clearInterval(asking));
    expect(JSON.stringify(lines)).toContain('dns.stats');
  });

  test('Podman listens on no TCP port anywhere', async () => {
    for (const { host } of fleet.hosts) {
      // systemd listens for Podman. A TCP socket of systemd would not show Podman's name in the list of listeners.
      const listens = await expectExec(host, ['systemctl', 'show', '--property', 'Listen', 'podman.socket']);
      expect(listens.trim()).toBe('Listen=/run/podman/podman.sock (Stream)');
      const listeners = await expectExec(host, ['ss', '--listening', '--tcp', '--numeric', '--processes']);
      expect(listeners.split('\n').filter(line => line.includes('podman'))).toEqual([]);
    }
  });

  test('a second installation changes and interrupts nothing', async () => {
    const pids = () =>
      expectExec(a.host, [
        'systemctl',
        'show',
        '--property',
        'MainPID',
        '--value',
        'coold.service',
        'broker.service',
      ]);
    const files = () =>
      expectExec(a.host, [
        'sh',
        '-c',
        'sha256sum /etc/coolify/* /usr/local/bin/coold /usr/local/lib/systemd/system/*',
      ]);
    const before = [await pids(), await files()];
    await install(a, await builtPackage(), true);
    expect([await pids(), await files()]).toEqual(before);
  });
});

describe('dispatch', () => {
  test('reaches both hosts from A’s broker.sock, over wg0', async () => {
    await runContainer(a.host, { name: 'on-a', network: 'coolify-default-mesh' });
    await runContainer(b.host, { name: 'on-b', network: 'coolify-alpha-mesh' });
    expect((await fleet.dispatch('a', 'mesh-1')).body).toMatchObject({
      status: 'ok',
      data: [{ name: 'on-a', state: 'running', networks: ['coolify-default-mesh'] }],
    });
    expect((await fleet.dispatch('b', 'mesh-2')).body).toMatchObject({
      status: 'ok',
      data: [{ name: 'on-b', state: 'running', networks: ['coolify-alpha-mesh'] }],
    });
    const peers = await expectExec(a.host, ['ss', '--tcp', '--numeric', '--no-header', 'sport = :6443']);
    expect(peers).toMatch(new RegExp(`${b.mgmtIp.replaceAll('.', '\\.')}:\\d+`));
  });

  test('to a host whose coold was killed works again as soon as systemd has restarted it', async () => {
    const pid = async () =>
      Number(
        (
          await expectExec(b.host, ['systemctl', 'show', '--property', 'MainPID', '--value', 'coold.service'])
        ).trim(),
      );
    const killed = await pid();
    await expectExec(b.host, ['kill', '-KILL', String(killed)]);
    await eventually(
      'systemd to start coold again',
      async () => {
        const now = await pid();
        return now > 0 && now !== killed ? now : undefined;
      },
      { timeoutMs: 20_000 },
    );
    await fleet.allConnected(20_000);
    expect((await fleet.dispatch('b', 'killed-1')).body.status).toBe('ok');
  });

  test('works again within the backoff after a restart of the broker', async () => {
    await expectExec(a.host, ['systemctl', 'restart', 'broker.service']);
    await fleet.allConnected(30_000);
    for (const id of ['a', 'b']) expect((await fleet.dispatch(id, `restarted-${id}`)).body.status).toBe('ok');
  });
});

const insert = 'INSERT INTO service_endpoints (container_id, container_name, host_mgmt_ip) VALUES (?, ?, ?)';
const select = 'SELECT container_name FROM service_endpoints WHERE container_id = ?';
/** The address of no host here: coold removes rows of its own host that it did not write. */
const elsewhere = '100.64.0.99';
const seenOn = (member: FleetHost, id: string) =>
  eventually(
    `row ${id} on ${member.name}`,
    async () => (await askCorrosion(member.host, 'queries', [select, [id]]))[0]?.[0],
    { timeoutMs: 30_000 },
  );

describe('Corrosion', () => {
  test(`a row written on one host appears on the other, with the package's schemas`, async () => {
    await askCorrosion(a.host, 'transactions', [insert, ['c-1', 'web', elsewhere]]);
    expect(await seenOn(b, 'c-1')).toBe('web');
    await askCorrosion(b.host, 'transactions', [insert, ['c-2', 'db', elsewhere]]);
    expect(await seenOn(a, 'c-2')).toBe('db');
    for (const id of ['c-1', 'c-2'])
      await askCorrosion(a.host, 'transactions', [
        'DELETE FROM service_endpoints WHERE container_id = ?',
        [id],
      ]);
  });
});

describe('the default deny', () => {
  /** Flows between containers: source and destination. */
  const ways = {
    'containers of one bridge': { from: () => a, client: 'client', to: () => a, server: 'same-bridge' },
    'two namespaces of one host': { from: () => a, client: 'client', to: () => a, server: 'other-namespace' },
    'across hosts': { from: () => b, client: 'far', to: () => a, server: 'same-bridge' },
  };
  type Way = (typeof ways)[keyof typeof ways];

  const ask = async ({ from, client, to, server }: Way) =>
    await fetched(from(), client, `http://${await addressOf(to(), server)}/`);

  /** Checks that all flows between containers are blocked, and that egress and a published port are open. */
  async function holds(when: string): Promise<void> {
    const pages = await Promise.all(
      Object.entries(ways).map(async ([name, way]) => [name, await ask(way)] as const),
    );
    expect(Object.fromEntries(pages), when).toEqual(
      Object.fromEntries(Object.keys(ways).map(name => [name, ''])),
    );
    expect(
      await fetched(a, 'client', `http://${b.host.address}:8088/`),
      `${when}: egress, and a published port`,
    ).toBe('published');
  }

  /** Adds one allow rule in every place on both hosts where it counts, or removes it. */
  async function change(verb: 'allow' | 'revoke', src: string, dst: string): Promise<void> {
    const tuple = ['-s', src, '-d', dst, '-p', 'tcp', '--dport', '80', '-j', 'ACCEPT'];
    const rule = `meta protocol ip ip saddr ${src} ip daddr ${dst} ip protocol tcp th dport 80 accept`;
    for (const { host } of fleet.hosts) {
      await expectExec(host, ['iptables', verb === 'allow' ? '-A' : '-D', 'COOLIFY-ALLOW', ...tuple]);
      const chain = ['bridge', 'coolify_bridge', 'coolify_allow'] as const;
      await expectExec(
        host,
        verb === 'allow' ? ['nft', 'add', 'rule', ...chain, rule] : ['nft', 'flush', 'chain', ...chain],
      );
      const element = `{ ${src} . ${dst} . tcp . 80 }`;
      for (const table of [['inet', 'coolify_guard'] as const, ['bridge', 'coolify_bridge'] as const])
        await expectExec(host, [
          ...(['nft', verb === 'allow' ? 'add' : 'delete', 'element'] as const),
          ...[...table, 'allowed_ports', element],
        ]);
    }
  }

  test('blocks every flow between containers, but not egress or a published port', async () => {
    await serve(a, 'same-bridge', 'coolify-default-mesh', { args: ['--restart', 'always'] });
    await serve(a, 'other-namespace', 'coolify-alpha-mesh', { args: ['--restart', 'always'] });
    await serve(b, 'published', 'coolify-default-mesh', { args: ['--publish', '8088:80'] });
    await runContainer(a.host, {
      name: 'client',
      network: 'coolify-default-mesh',
      args: ['--restart', 'always'],
    });
    await runContainer(b.host, { name: 'far', network: 'coolify-default-mesh' });
    await holds('as installed');
  });

  test.each(Object.entries(ways))('is all that shuts %s: one allow rule opens the way', async (_, way) => {
    const [src, dst] = [await addressOf(way.from(), way.client), await addressOf(way.to(), way.server)];
    await change('allow', src, dst);
    expect(await ask(way)).toBe(way.server);
    await change('revoke', src, dst);
    expect(await ask(way)).toBe('');
  });

  test('blocks containers of one bridge by itself where iptables does not see them', async () => {
    const filter = (value: '0' | '1') =>
      expectExec(a.host, ['sysctl', '-w', `net.bridge.bridge-nf-call-iptables=${value}`]);
    await filter('0');
    try {
      expect(await ask(ways['containers of one bridge'])).toBe('');
    } finally {
      await filter('1');
    }
  });

  test('holds after a network is added', async () => {
    await expectExec(a.host, [
      ...(['podman', 'network', 'create', '--disable-dns', '--subnet', '192.168.77.0/24', 'extra'] as const),
    ]);
    await runContainer(a.host, { name: 'elsewhere', network: 'extra' });
    const top = async () => {
      const rules = (await expectExec(a.host, ['iptables', '-S', 'FORWARD'])).split('\n');
      return rules[1]?.endsWith('-j COOLIFY-INTRA') === true || undefined;
    };
    await eventually('the hooks to be on top of FORWARD', top, { timeoutMs: 10_000 });
    await holds('after a network was added');
  });

  test('holds after a reboot, which everything survives, including the allow rules of the snapshots', async () => {
    const comment = 'cid:0123456789ab:default';
    const tuple = '-s 10.210.0.250/32 -d 10.210.0.251/32 -p tcp --dport 80';
    const rules = `*filter\n:COOLIFY-ALLOW -\n# namespace: default\n-A COOLIFY-ALLOW ${tuple} -m comment --comment ${comment} -j ACCEPT\nCOMMIT\n`;
    const chain = 'bridge coolify_bridge coolify_allow';
    const nft = `flush chain ${chain}\nadd rule ${chain} meta protocol ip ip saddr 10.210.0.250 ip daddr 10.210.0.251 ip protocol tcp th dport 80 accept comment "${comment}"\n`;
    await a.host.put(rules, '/etc/coolify/allow.rules', 0o600);
    await a.host.put(nft, '/etc/coolify/allow.nft', 0o600);
    await a.host.reboot();
    await fleet.allConnected(90_000);
    for (const name of ['same-bridge', 'other-namespace', 'client'])
      await eventually(`${name} to run again`, async () => (await addressOf(a, name)) || undefined, {
        timeoutMs: 30_000,
      });
    await holds('after a reboot');
    const units = [...hostUnits, 'broker.service', 'wg-quick@wg0.service'];
    const { stdout } = await a.host.exec(['systemctl', 'is-active', ...units]);
    expect(stdout.trim().split('\n')).toEqual(units.map(() => 'active'));
    expect(await expectExec(a.host, ['iptables', '-S', 'COOLIFY-ALLOW'])).toContain(comment);
    expect(await expectExec(a.host, ['nft', 'list', 'chain', ...chain.split(' ')])).toContain(comment);
  });
});

describe('when power or a link is lost', () => {
  test('a host that lost its power recovers everything', async () => {
    const { b: before } = await fleet.streams();
    await b.host.crash();
    await b.host.boot();
    const anew = async () => ((await fleet.streams())['b'] !== before ? true : undefined);
    await eventually('a new stream of the host', anew, { timeoutMs: 90_000 });
    expect((await fleet.dispatch('b', 'power-1')).body.status).toBe('ok');
    const { stdout } = await b.host.exec(['systemctl', 'is-active', ...hostUnits]);
    expect(stdout.trim().split('\n')).toEqual(hostUnits.map(() => 'active'));
  }, 150_000);

  test('a host that is cut off is 504, then 503 for requests in flight, then 404; once healed it answers without a restart', async () => {
    const before = await expectExec(b.host, ['systemctl', 'show', '--property', 'MainPID', 'coold.service']);
    await b.host.cut();
    const cut = performance.now();
    const seen: { status: number; at: number }[] = [];
    for (let n = 0; seen.at(-1)?.status !== 404; n += 1) {
      const { status } = await fleet.dispatch('b', `cut-${n}`);
      seen.push({ status, at: (performance.now() - cut) / 1000 });
      expect(seen.at(-1)?.at, JSON.stringify(seen)).toBeLessThan(60);
    }
    const order = seen.map(({ status }) => status).filter((status, index, all) => status !== all[index - 1]);
    expect(order.join(), JSON.stringify(seen)).toMatch(/^504,503,404$/);
    expect(seen.find(({ status }) => status === 503)?.at, 'given up within 40 s').toBeLessThan(42);
    await b.host.heal();
    await fleet.allConnected(90_000);
    expect((await fleet.dispatch('b', 'healed-1')).body.status).toBe('ok');
    await askCorrosion(a.host, 'transactions', [insert, ['c-healed', 'web', elsewhere]]);
    expect(await seenOn(b, 'c-healed')).toBe('web');
    expect(await expectExec(b.host, ['systemctl', 'show', '--property', 'MainPID', 'coold.service'])).toBe(
      before,
    );
  }, 180_000);
});
