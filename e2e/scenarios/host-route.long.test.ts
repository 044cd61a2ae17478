// Programs on the host itself resolve names of the mesh through Debian's systemd-resolved when COOLD_DNS_HOST_ROUTE is
// set.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { installPackages } from '../harness/debian-packages.ts';
import { eventually } from '../harness/eventually.ts';
import { createFleet, type Fleet, type FleetHost } from '../harness/fleet.ts';
import { addressOf, serve } from '../harness/pages.ts';
import { expectExec, hostSystems, type Provider } from '../harness/provider.ts';
import { setVariables } from '../harness/settings.ts';
import { journalsOnFailure } from './journals.ts';
import { chooseGround } from './provider.ts';

const setUpMs = 15 * 60_000;
const testMs = 5 * 60_000;
/** Address of the resolver for all other names, on every host. */
const world = '127.0.0.99';
const worldLog = '/run/world.log';

let provider: Provider | undefined;
let fleet: Fleet;

beforeAll(async () => {
  const ground = await chooseGround();
  provider = ground.provider;
  fleet = await createFleet(
    ground,
    hostSystems.map(system => ({ name: system.replace('debian-', 'd'), system })),
    ['default'],
  );
  for (const [index, host] of fleet.hosts.entries()) {
    await serve(host, `web${index}`, 'coolify-default-mesh');
    await useResolved(host, hostSystems[index] ?? 'debian-12');
  }
}, setUpMs);
afterAll(() => provider?.close(), setUpMs);
beforeEach(() => journalsOnFailure(fleet));

/** Starts systemd-resolved as packaged, with one resolver for everything. */
async function useResolved({ host }: FleetHost, system: (typeof hostSystems)[number]): Promise<void> {
  await expectExec(host, ['systemctl', 'unmask', '--quiet', 'systemd-resolved.service']);
  await installPackages(host, system, ['systemd-resolved']);
  await expectExec(host, [
    ...(['systemd-run', '--quiet', '--unit=world', '--', 'dnsmasq', '--keep-in-foreground'] as const),
    ...[
      '--conf-file=/dev/null',
      '--no-resolv',
      '--no-hosts',
      '--bind-interfaces',
      `--listen-address=${world}`,
    ],
    ...['--user=root', '--pid-file=', '--address=/world.test/192.0.2.7', '--local=/#/'],
    ...['--log-queries', `--log-facility=${worldLog}`],
  ]);
  await host.put(`[Resolve]\nDNS=${world}\nLLMNR=no\nMulticastDNS=no\n`, '/etc/systemd/resolved.conf', 0o644);
  await expectExec(host, ['ln', '-sf', '/run/systemd/resolve/stub-resolv.conf', '/etc/resolv.conf']);
  await expectExec(host, ['systemctl', 'restart', 'systemd-resolved.service']);
}

/** Returns what a host program gets from the C library; empty: no such name. */
async function resolved({ host }: FleetHost, name: string): Promise<string> {
  const { stdout } = await host.exec(['getent', 'ahostsv4', name], { timeoutMs: 30_000 });
  return stdout.split(/\s+/)[0] ?? '';
}

/** Returns the link's servers and domains, and whether it is the default route for other names. */
async function route({ host }: FleetHost): Promise<string[]> {
  const show = async (what: string) =>
    (await expectExec(host, ['resolvectl', what, 'wg0'])).trim().replace(/^Link \d+ \(wg0\): ?/, '');
  return [await show('dns'), await show('domain'), await show('default-route')];
}

const untilResolved = (host: FleetHost, name: string, address: string) =>
  eventually(
    `${host.name} to resolve ${name}`,
    async () => (await resolved(host, name)) === address || undefined,
    { timeoutMs: 30_000, everyMs: 250 },
  );

async function untilProblem({ name, host }: FleetHost, what: string): Promise<void> {
  await eventually(
    `coold status on ${name} to say ${what}`,
    async () => (await host.exec(['coold', 'status'])).stdout.includes(what) || undefined,
    { timeoutMs: 30_000, everyMs: 500 },
  );
}

describe.each(hostSystems.map((system, index) => ({ system, index })))('on $system', ({ index }) => {
  let host: FleetHost;
  let names: [name: string, address: string][];
  beforeAll(async () => {
    const found = fleet.hosts[index];
    if (found === undefined) throw new Error('a host of each system was asked for');
    host = found;
    names = await Promise.all(
      fleet.hosts.map(
        async (each, number): Promise<[string, string]> => [
          `web${number}.default.coolify.internal`,
          await addressOf(each, `web${number}`),
        ],
      ),
    );
  });
  const expectRouted = async () => {
    for (const [name, address] of names) await untilResolved(host, name, address);
    expect(await resolved(host, 'world.test')).toBe('192.0.2.7');
    expect(await route(host)).toEqual(['127.0.64.53', '~coolify.internal', 'no']);
  };

  test('off by default: systemd-resolved uses its configured servers', { timeout: testMs }, async () => {
    expect(await resolved(host, names[0]?.[0] ?? '')).toBe('');
    expect(await resolved(host, 'world.test')).toBe('192.0.2.7');
    expect((await route(host)).slice(0, 2)).toEqual(['', '']);
  });

  test('containers of every host resolve, and other names use the same servers as before', {
    timeout: testMs,
  }, async () => {
    await setVariables(host, { COOLD_DNS_HOST_ROUTE: '1', COOLD_DNS_UPSTREAM: 'resolv.conf' });
    await expectRouted();
    expect(await resolved(host, 'absent.default.coolify.internal')).toBe('');
    await expectExec(host.host, ['truncate', '--size', '0', worldLog]);
    await expectExec(host.host, ['resolvectl', 'flush-caches']);
    await expectRouted();
    const asked = (await host.host.get(worldLog)).toString();
    expect(asked).toContain('world.test');
    expect(asked).not.toContain('coolify.internal');
    // Programs that read the server file written by systemd-resolved use the upstream resolver, not systemd-resolved.
    const { gateway = '' } = host.namespaces['default'] ?? {};
    const ask = ['podman', 'exec', `web${index}`, 'busybox', 'nslookup', 'world.test', gateway] as const;
    // The name has no IPv6 address, which this program counts as a failure.
    expect((await host.host.exec(ask)).stdout).toContain('192.0.2.7');
    expect((await host.host.exec(['coold', 'status'])).stdout).not.toMatch(/PROBLEM.*(DNS|zone|upstream)/);
  });

  test('is restored after a restart of systemd-resolved, and of wg0', { timeout: testMs }, async () => {
    await expectExec(host.host, ['systemctl', 'restart', 'systemd-resolved.service']);
    await expectRouted();
    await expectExec(host.host, ['systemctl', 'restart', 'wg-quick@wg0.service'], { timeoutMs: 60_000 });
    await expectRouted();
  });

  test('settings of another program on the link are kept, and reported', { timeout: testMs }, async () => {
    await expectExec(host.host, ['resolvectl', 'dns', 'wg0', '192.0.2.53']);
    await untilProblem(host, 'this host itself does not resolve the zone: wg0 has resolvers 192.0.2.53');
    await expectExec(host.host, ['resolvectl', 'revert', 'wg0']);
    await expectRouted();
  });

  test('without systemd-resolved coold reports it, and continues', { timeout: testMs }, async () => {
    await expectExec(host.host, ['systemctl', 'stop', 'systemd-resolved.service']);
    await untilProblem(host, 'this host itself does not resolve the zone: systemd-resolved');
    await expectExec(host.host, ['systemctl', 'start', 'systemd-resolved.service']);
    await expectRouted();
  });

  test('is removed when coold stops', { timeout: testMs }, async () => {
    await expectExec(host.host, ['systemctl', 'stop', 'coold.service'], { timeoutMs: 60_000 });
    expect((await route(host)).slice(0, 2)).toEqual(['', '']);
    expect(await resolved(host, names[0]?.[0] ?? '')).toBe('');
    expect(await resolved(host, 'world.test')).toBe('192.0.2.7');
    await expectExec(host.host, ['systemctl', 'start', 'coold.service'], { timeoutMs: 60_000 });
    await expectRouted();
  });
});
