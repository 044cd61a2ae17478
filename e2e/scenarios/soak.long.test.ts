// Compares DNS answers with Podman's state: containers of two hosts on networks of their namespace and of apps, with
// aliases, and two upstreams.
import { expect, test } from 'vitest';
import { operator } from '../harness/callers.ts';
import { dig, vantage } from '../harness/dig.ts';
import { eventually } from '../harness/eventually.ts';
import type { Fleet, FleetHost } from '../harness/fleet.ts';
import { runContainer } from '../harness/images.ts';
import { routeNetworks } from '../harness/mesh.ts';
import { expectExec } from '../harness/provider.ts';
import { setVariables } from '../harness/settings.ts';
import { runResolver, startUpstreams } from '../harness/upstream.ts';
import { restartKinds, restartOf } from './restarts.ts';
import { type Asker, soak } from './soak.ts';
import { twoHosts } from './two-hosts.ts';

/** In seconds; a longer run, such as ten minutes, shows more than the default. */
const soakSecs = Number(process.env['E2E_SOAK_SECS'] ?? 30);
if (!(soakSecs >= 10 && soakSecs <= 86_400)) throw new Error('E2E_SOAK_SECS: expected 10 to 86400 seconds');
/** The time for one restart including full recovery. */
const restartMs = 60_000;

const zone = 'coolify.internal';
const namespace = 'default';
const outside = { name: 'www.example.test', address: '192.0.2.7' };
const records = { [outside.name]: outside.address };
const slices = ['10.210.64.0/22', '10.210.68.0/22'];
const appNetwork = 'app-soak';
const own = (member: FleetHost) => member.namespaces[namespace]?.network ?? '';
const networks = (member: FleetHost) => [own(member), appNetwork];

let fleet: Fleet;
let asking: Asker[];

twoHosts([namespace], async given => {
  ({ fleet } = given);
  await Promise.all(
    fleet.hosts.map((member, number) => setVariables(member, { COOLD_NETWORK_POOL: slices[number] ?? '' })),
  );
  for (const [number, member] of fleet.hosts.entries())
    await routeNetworks(fleet.hosts, member, [slices[number] ?? '']);
  await startUpstreams(fleet.hosts, fleet, records);
  for (const member of fleet.hosts) {
    const command = { type: 'networks.create', name: appNetwork, namespace };
    expect(await operator().call(member, command)).toMatchObject({ ok: true });
    for (const network of networks(member))
      await runContainer(member.host, { name: `asks-${network}`, network, args: ['--restart', 'always'] });
  }
  asking = (await Promise.all(fleet.hosts.map(askersOf))).flat();
  await awaitAlias();
});

/** Resolves once an alias is resolvable: without it, half of the soak's questions would fail. */
async function awaitAlias(): Promise<void> {
  const [asker] = asking;
  if (asker === undefined) throw new Error('the soak has no asking container');
  const { host } = asker.member;
  await runContainer(host, { name: 'first', network: appNetwork, args: ['--network-alias', 'also'] });
  for (const name of ['first', 'also'])
    await eventually(
      `${name} to be a name`,
      async () => (await dig(asker.vantage, `${name}.${namespace}.${zone}`)).rcode === 'NOERROR' || undefined,
      { timeoutMs: 20_000 },
    );
  await expectExec(host, ['podman', 'rm', '--force', '--time=0', 'first']);
}

/** Starts one asking container on each network of a host. */
async function askersOf(member: FleetHost): Promise<Asker[]> {
  return await Promise.all(
    networks(member).map(async network => {
      const format = '{{(index .NetworkSettings.Networks "NETWORK").Gateway}}'.replace('NETWORK', network);
      const inspect = ['podman', 'inspect', '--type', 'container', '--format', format] as const;
      const gateway = (await expectExec(member.host, [...inspect, `asks-${network}`])).trim();
      return { member, vantage: await vantage(member.host, `asks-${network}`, gateway) };
    }),
  );
}

/** Restores what a reboot removes: the resolver, and the processes from which questions are asked. */
async function bringBack(member: FleetHost): Promise<void> {
  await runResolver(member, records);
  await eventually(
    `the containers that ask on ${member.name} to run`,
    async () => {
      const names = networks(member).map(network => `asks-${network}`);
      const inspect = ['podman', 'inspect', '--type', 'container', '--format', '{{.State.Running}}'] as const;
      const { stdout } = await member.host.exec([...inspect, ...names]);
      return (
        stdout
          .trim()
          .split('\n')
          .every(line => line === 'true') || undefined
      );
    },
    { timeoutMs: 30_000 },
  );
  const now = await askersOf(member);
  for (const [number, asker] of asking.filter(one => one.member === member).entries()) {
    const again = now[number];
    if (again !== undefined) asker.vantage = again.vantage;
  }
}

test(`a soak of ${soakSecs} s finds no wrong answer`, { timeout: soakSecs * 1000 + 4 * 60_000 }, async () => {
  const durationMs = soakSecs * 1000;
  const told = await soak({ fleet, asking, namespace, zone, networks, outside, durationMs });
  process.stdout.write(`soak: ${JSON.stringify(told)}\n`);
  expect(told.wrong).toEqual([]);
  expect(told.actions).toBeGreaterThan(soakSecs / 10);
  expect(told.answers).toBeGreaterThan(told.actions);
  expect(told.excused).toBe(0);
  expect(told.load).toMatchObject({ lost: 0, others: [] });
  for (const { host } of fleet.hosts) {
    const restarts = await expectExec(host, ['systemctl', 'show', '--property=NRestarts', 'coold.service']);
    expect(restarts.trim()).toBe('NRestarts=0');
  }
});

test('a soak through restarts of coold, Podman, Corrosion, wg0 and whole hosts finds no wrong answer', {
  timeout: 2 * restartKinds.length * restartMs + 4 * 60_000,
}, async () => {
  const restarts = restartKinds.flatMap(kind =>
    fleet.hosts.map(member => restartOf(kind, member, () => bringBack(member))),
  );
  const told = await soak({
    fleet,
    asking,
    namespace,
    zone,
    networks,
    outside,
    restarts,
    durationMs: soakSecs * 1000,
  });
  process.stdout.write(`soak through restarts: ${JSON.stringify(told)}\n`);
  expect(told.wrong).toEqual([]);
  expect(told.restarts).toBe(restarts.length);
  expect(told.answers - told.excused).toBeGreaterThan(told.actions);
});
