// The zone as containers of two hosts see it: `dig` in their networks, over both transports, during changes to
// containers, Corrosion, Podman and a bridge.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Command, laravel } from '../harness/callers.ts';
import { addressesIn, dig, type Vantage, vantage } from '../harness/dig.ts';
import { eventually } from '../harness/eventually.ts';
import type { Fleet, FleetHost } from '../harness/fleet.ts';
import { type RunningContainer, runContainer } from '../harness/images.ts';
import { expectExec, type Host } from '../harness/provider.ts';
import { startUpstreams } from '../harness/upstream.ts';
import { twoHosts } from './two-hosts.ts';

const scenarioMs = 3 * 60_000;

const zone = 'coolify.internal';
const outside = 'www.example.test';
const transports = ['udp', 'tcp'] as const;

let fleet: Fleet;
let a: FleetHost;
let b: FleetHost;
/** A container's network in both namespaces of both hosts. */
let everywhere: Vantage[];

twoHosts(['default', 'alpha'], async given => {
  ({ fleet, a, b } = given);
  await startUpstreams([a], fleet, { [outside]: '192.0.2.7' });
  everywhere = await Promise.all(
    fleet.hosts.flatMap(member => Object.keys(member.namespaces).map(name => client(member, name))),
  );
});

const at = (member: FleetHost, namespace: string) => {
  const network = member.namespaces[namespace];
  if (network === undefined) throw new Error(`${member.name} has no namespace ${namespace}`);
  return network;
};

/** Starts a container that only asks. */
async function client(member: FleetHost, namespace: string): Promise<Vantage> {
  const name = `client-${namespace}`;
  const { network, gateway } = at(member, namespace);
  await runContainer(member.host, { name, network });
  return await vantage(member.host, name, gateway);
}

const run = (member: FleetHost, namespace: string, name: string, args: readonly string[] = []) =>
  runContainer(member.host, { name, network: at(member, namespace).network, args });

const podman = ({ host }: FleetHost, ...args: string[]) => expectExec(host, ['podman', ...args]);
const remove = (member: FleetHost, ...names: string[]) =>
  podman(member, 'rm', '--force', '--time=0', ...names);

async function done(member: FleetHost, command: Command): Promise<unknown> {
  const answer = await laravel(fleet).call(member, command);
  expect(answer, command.type).toMatchObject({ ok: true });
  return answer.ok ? answer.data : undefined;
}

/** Resolves once a name has exactly these addresses from everywhere; with none, it does not exist. */
async function found(name: string, addresses: readonly string[], from = everywhere): Promise<void> {
  const wanted = JSON.stringify([addresses.length > 0 ? 'NOERROR' : 'NXDOMAIN', addresses.toSorted()]);
  for (const one of from)
    for (const transport of transports)
      await eventually(
        `${name} at ${one.server} over ${transport} to be ${wanted}`,
        async () => {
          const dug = await dig(one, `${name}.${zone}`, { transport });
          return JSON.stringify([dug.rcode, addressesIn(dug)]) === wanted || undefined;
        },
        { timeoutMs: 30_000 },
      );
}

describe('the cluster DNS', () => {
  let web: RunningContainer;
  let api: RunningContainer;
  let inner: RunningContainer;
  beforeAll(async () => {
    web = await run(a, 'default', 'web');
    api = await run(b, 'default', 'api_1');
    inner = await run(b, 'alpha', 'inner');
    await found('web.default', [web.ip]);
    await found('inner.alpha', [inner.ip]);
    await found('api_1.default', [api.ip]);
  }, scenarioMs);
  afterAll(async () => {
    await remove(a, 'web');
    await remove(b, 'api_1', 'inner');
  }, scenarioMs);

  test('every answer is right in every container, over UDP and TCP', { timeout: scenarioMs }, async () => {
    const address = (...list: string[]) => ({ rcode: 'NOERROR', list });
    const nothing = { rcode: 'NOERROR', list: [] };
    const missing = { rcode: 'NXDOMAIN', list: [] };
    const cases: [string, string, { rcode: string; list: string[] }][] = [
      ['web.default', 'A', address(web.ip)],
      ['api_1.default', 'A', address(api.ip)],
      ['inner.alpha', 'A', address(inner.ip)],
      ['WEB.deFault', 'A', address(web.ip)],
      ['web.default', 'AAAA', nothing],
      ['web.default', 'TXT', nothing],
      ['none.default', 'A', missing],
      ['none.default', 'AAAA', missing],
      ['web.alpha', 'A', missing],
      ['sub.web.default', 'A', missing],
      ['web', 'A', missing],
      ['default', 'A', nothing],
      ['alpha', 'AAAA', nothing],
    ];
    for (const from of everywhere)
      for (const transport of transports) {
        const ask = (name: string, type: string) => dig(from, name, { type, transport });
        for (const [name, type, { rcode, list }] of cases) {
          const dug = await ask(`${name}.${zone}`, type);
          const what = `${name} ${type} at ${from.server} over ${transport}`;
          expect([dug.rcode, addressesIn(dug)], what).toEqual([rcode, list]);
          expect(dug.question, what).toBe(`${name}.${zone}.`);
          expect(dug.flags, what).toContain('aa');
          for (const { ttl } of dug.answers) expect(ttl, what).toBe(5);
        }
        expect(await ask(zone, 'A')).toMatchObject({ rcode: 'NOERROR', answers: [] });
        expect(addressesIn(await ask(outside, 'A'))).toEqual(['192.0.2.7']);
        expect(await ask('none.example.test', 'A')).toMatchObject({ rcode: 'NXDOMAIN', answers: [] });
        expect(await ask('elsewhere.invalid', 'A')).toMatchObject({ rcode: 'REFUSED', answers: [] });
      }
  });

  test(`bursts are answered with few system calls, also in a unit's sandbox`, async () => {
    for (const { host } of fleet.hosts) {
      const journal = await host.journal('coold');
      expect(journal).toContain('answering DNS');
      expect(journal).not.toContain('DNS takes messages one by one');
    }
  });

  test('a container created by coold resolves with its own resolv.conf', async () => {
    const name = 'asks';
    const { network } = at(b, 'alpha');
    const image = 'localhost/coold-e2e/busybox:latest';
    const { id } = (await done(b, { type: 'containers.create', image, name, network })) as { id: string };
    await done(b, { type: 'containers.start', id });
    const said = await podman(b, 'exec', name, 'nslookup', '-type=a', `web.default.${zone}`);
    expect(said).toContain(web.ip);
    await remove(b, name);
  });

  test('a service answers on both hosts, together with containers of its name', {
    timeout: scenarioMs,
  }, async () => {
    const service = { service_id: 'site', namespace: 'default', port: 80 };
    const register = (member: FleetHost, container: RunningContainer, name: string) =>
      done(member, { type: 'services.register', ...service, name, container_id: container.id });
    await register(a, web, 'site');
    await found('site.default', [web.ip]);
    await register(b, api, 'site');
    await found('site.default', [web.ip, api.ip]);
    // The service has the name of a container: both are in the answer.
    await register(b, api, 'web');
    await found('web.default', [web.ip, api.ip]);
    await found('site.default', [web.ip]);
    await done(b, { type: 'services.unregister', id: 'site', container_id: api.id });
    await found('web.default', [web.ip]);
    await done(a, { type: 'services.unregister', id: 'site', container_id: web.id });
    await found('site.default', []);
  });

  test('renamed, stopped, unhealthy, healthy again, gone', { timeout: scenarioMs }, async () => {
    const check = ['--health-cmd', 'test -e /tmp/well', '--health-interval', '1s', '--health-retries', '1'];
    const first = await run(b, 'default', 'first', check);
    // Neither healthy nor without a healthcheck.
    await found('first.default', []);
    await podman(b, 'exec', 'first', 'touch', '/tmp/well');
    await found('first.default', [first.ip]);
    await podman(b, 'rename', 'first', 'second');
    await found('second.default', [first.ip]);
    await found('first.default', []);
    await podman(b, 'exec', 'second', 'rm', '/tmp/well');
    await found('second.default', []);
    await podman(b, 'exec', 'second', 'touch', '/tmp/well');
    await found('second.default', [first.ip]);
    await podman(b, 'stop', '--time=0', 'second');
    await found('second.default', []);
    await remove(b, 'second');
  });

  test('answers continue while Corrosion is killed, and are right again soon after', {
    timeout: scenarioMs,
  }, async () => {
    await expectExec(b.host, ['systemctl', 'kill', '--signal=KILL', 'corrosion.service']);
    // Otherwise systemd restarts it after 2 s. A runtime mask would not prevent that: the unit in /etc takes
    // precedence.
    await expectExec(b.host, ['systemctl', 'stop', 'corrosion.service']);
    await gone(b.host);
    const next = await run(a, 'default', 'next');
    const [here, there] = [a, b].map(({ host }) => everywhere.filter(one => one.host === host));
    await found('next.default', [next.ip], here);
    await found('web.default', [web.ip]);
    await found('next.default', [], there);
    await expectExec(b.host, ['systemctl', 'start', 'corrosion.service']);
    await found('next.default', [next.ip]);
    await remove(a, 'next');
    await found('next.default', []);
  });

  test('a restart of Podman changes no answer', async () => {
    await expectExec(a.host, ['systemctl', 'restart', 'podman.socket', 'podman.service']);
    await found('web.default', [web.ip]);
    const after = await run(a, 'default', 'after');
    await found('after.default', [after.ip]);
    await remove(a, 'after');
    await found('after.default', []);
  });
});

test('a bridge that is removed and recreated affects no other namespace', {
  timeout: scenarioMs,
}, async () => {
  const others = everywhere.filter(({ server }) => server !== at(b, 'alpha').gateway);
  const stays = await run(a, 'alpha', 'stays');
  await found('stays.alpha', [stays.ip]);
  // Podman removes a bridge with its last container.
  await podman(b, 'stop', '--time=0', 'client-alpha');
  // The sockets stay, for the first question of the next container.
  const sockets = await expectExec(b.host, [
    'ss',
    '--listening',
    '--udp',
    '--tcp',
    '--numeric',
    '--no-header',
  ]);
  expect(sockets.split(`${at(b, 'alpha').gateway}:53 `)).toHaveLength(3);
  expect((await b.host.exec(['ip', 'address', 'show', 'to', at(b, 'alpha').gateway])).stdout).toBe('');
  await listening(b, 'alpha', true);
  await found('stays.alpha', [stays.ip], others);
  await podman(b, 'start', 'client-alpha');
  const again = await vantage(b.host, 'client-alpha', at(b, 'alpha').gateway);
  everywhere = [...others, again];
  await found('stays.alpha', [stays.ip]);
  await listening(b, 'alpha', true);
  await remove(a, 'stays');
});

test('another program on port 53 affects only its namespace, and is named', {
  timeout: scenarioMs,
}, async () => {
  const { gateway } = at(b, 'alpha');
  await expectExec(b.host, ['systemctl', 'stop', 'coold.service']);
  const thief = ['dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null', '--no-resolv', '--no-hosts'];
  await expectExec(b.host, [
    ...(['systemd-run', '--quiet', '--unit', 'e2e-thief', '--'] as const),
    ...[...thief, '--bind-interfaces', `--listen-address=${gateway}`, '--except-interface=lo'],
  ]);
  await eventually(
    'the other program to answer',
    async () =>
      (await b.host.exec(['dig', '+tries=1', '+time=1', `@${gateway}`, 'x.test'])).code === 0 || undefined,
    { timeoutMs: 10_000 },
  );
  const stays = await run(a, 'default', 'stays');
  await expectExec(b.host, ['systemctl', 'start', 'coold.service']);
  await found(
    'stays.default',
    [stays.ip],
    everywhere.filter(({ server }) => server !== gateway),
  );
  await listening(b, 'alpha', false);
  const journal = await b.host.journal('coold');
  expect(journal).toMatch(/the port is taken; .*dnsmasq \(pid \d+\)/);
  await expectExec(b.host, ['systemctl', 'stop', 'e2e-thief.service']);
  await listening(b, 'alpha', true);
  await found('stays.default', [stays.ip]);
  await remove(a, 'stays');
});

async function gone(host: Host): Promise<void> {
  await eventually(
    'corrosion to be gone',
    async () =>
      (
        await host.exec([
          'pgrep',
          '--full',
          '/usr/local/bin/corrosion|coold-packages/testbed/src/corrosion/main.ts',
        ])
      ).code === 1 || undefined,
    { timeoutMs: 10_000 },
  );
}

/** Resolves once a host reports that it does, or does not, answer for a namespace. */
async function listening(member: FleetHost, namespace: string, wanted: boolean): Promise<void> {
  await eventually(
    `${member.name} ${wanted ? 'to answer' : 'not to answer'} for ${namespace}`,
    async () => {
      const stats = (await done(member, { type: 'dns.stats' })) as {
        listeners: { namespace: string; bound: boolean }[];
      };
      return stats.listeners.find(one => one.namespace === namespace)?.bound === wanted || undefined;
    },
    { timeoutMs: 60_000, everyMs: 500 },
  );
}
