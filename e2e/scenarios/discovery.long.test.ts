// Containers of two hosts as the other host sees them: Podman's events by journald, gossip over wg0.
import { expect, test } from 'vitest';
import { askCorrosion } from '../harness/ask-corrosion.ts';
import { addressesIn, digAll, type Vantage, vantage } from '../harness/dig.ts';
import { eventually } from '../harness/eventually.ts';
import type { Fleet, FleetHost } from '../harness/fleet.ts';
import { runContainer } from '../harness/images.ts';
import { expectExec, type Host } from '../harness/provider.ts';
import { twoHosts } from './two-hosts.ts';

let fleet: Fleet;
let a: FleetHost;
let b: FleetHost;

twoHosts(['default', 'alpha'], given => {
  ({ fleet, a, b } = given);
});

let requests = 0;
async function call(host: FleetHost, type: string, fields: object): Promise<unknown> {
  requests += 1;
  const { body } = await fleet.dispatch(host.name, `discovery-${requests}`, { type, ...fields });
  if (body.status !== 'ok') throw new Error(`${type} on ${host.name}: ${body.code} ${body.message}`);
  return body.data;
}

const endpoints = (host: FleetHost, id: string) => call(host, 'services.endpoints', { id });

/** Resolves once both hosts agree. */
const everywhere = (what: string, id: string, wanted: unknown) =>
  eventually(
    what,
    async () => {
      // An agent that is starting answers 503.
      const [here, there] = await Promise.all([a, b].map(host => endpoints(host, id).catch(() => undefined)));
      const isSo = [here, there].every(one => JSON.stringify(one) === JSON.stringify(wanted));
      return isSo ? true : undefined;
    },
    { timeoutMs: 30_000 },
  );

const row = (container: { id: string; ip: string }, host: FleetHost, changes: object = {}) => ({
  container_id: container.id,
  container_ip: container.ip,
  host_mgmt_ip: host.mgmtIp,
  port: 80,
  state: 'running',
  health: 'unknown',
  ...changes,
});

test('a container is known on both hosts from its start to its end, and its registration goes with it', async () => {
  const web = await runContainer(a.host, { name: 'web', network: 'coolify-alpha-mesh' });
  const service = { service_id: 'shop', name: 'shop', namespace: 'alpha', container_id: web.id, port: 80 };
  await call(a, 'services.register', service);
  await everywhere('it to run', 'shop', [row(web, a)]);
  await expectExec(a.host, ['podman', 'pause', 'web']);
  await everywhere('it to be paused', 'shop', [row(web, a, { state: 'paused' })]);
  await expectExec(a.host, ['podman', 'unpause', 'web']);
  await everywhere('it to run again', 'shop', [row(web, a)]);
  await expectExec(a.host, ['podman', 'stop', 'web']);
  await everywhere('it to be stopped', 'shop', [row(web, a, { container_ip: '', state: 'exited' })]);
  await expectExec(a.host, ['podman', 'rm', '--force', 'web']);
  await everywhere('it to be gone', 'shop', []);
});

test('a container of this host cannot be registered by the other host', async () => {
  const web = await runContainer(b.host, { name: 'web', network: 'coolify-default-mesh' });
  const service = { service_id: 'shop', name: 'shop', namespace: 'default', container_id: web.id };
  await expect(call(a, 'services.register', service)).rejects.toThrow('404');
  await expectExec(b.host, ['podman', 'rm', '--force', 'web']);
});

test('containers are replaced on a host without Corrosion: afterwards both hosts agree', async () => {
  const register = (container: { id: string }, name: string) =>
    call(a, 'services.register', {
      service_id: name,
      name,
      namespace: 'default',
      container_id: container.id,
      port: 80,
    });
  const old = await runContainer(a.host, { name: 'v1', network: 'coolify-default-mesh' });
  await register(old, 'site');
  await everywhere('the first to run', 'site', [row(old, a)]);
  await expectExec(a.host, ['systemctl', 'stop', 'corrosion.service']);
  await expectExec(a.host, ['podman', 'rm', '--force', 'v1']);
  const next = await runContainer(a.host, { name: 'v2', network: 'coolify-default-mesh' });
  await expect(register(next, 'site')).rejects.toThrow('503');
  await expectExec(a.host, ['systemctl', 'start', 'corrosion.service']);
  await everywhere('the first to be forgotten', 'site', []);
  await register(next, 'site');
  await everywhere('the second to be known', 'site', [row(next, a)]);
});

test('changes made while coold was down are applied once it is back', async () => {
  const kept = await runContainer(b.host, { name: 'kept', network: 'coolify-default-mesh' });
  const gone = await runContainer(b.host, { name: 'gone', network: 'coolify-default-mesh' });
  for (const [name, { id }] of Object.entries({ kept, gone }))
    await call(b, 'services.register', {
      service_id: name,
      name,
      namespace: 'default',
      container_id: id,
      port: 80,
    });
  await everywhere('both to run', 'gone', [row(gone, b)]);
  await expectExec(b.host, ['systemctl', 'stop', 'coold.service']);
  await expectExec(b.host, ['podman', 'rm', '--force', 'gone']);
  await expectExec(b.host, ['podman', 'rename', 'kept', 'renamed']);
  await expectExec(b.host, ['systemctl', 'start', 'coold.service']);
  await fleet.allConnected(30_000);
  await everywhere('the one to be gone', 'gone', []);
  await everywhere('the other to be there', 'kept', [row(kept, b)]);
});

/** How long Corrosion is down while containers are replaced: this waits for time to pass, not for an event. */
const deadMs = 60_000;

test('fifty containers are replaced in turn while Corrosion is dead for a minute: no row and no name is wrong', {
  timeout: 8 * 60_000,
}, async () => {
  const count = 50;
  const network = 'coolify-default-mesh';
  /** What Podman reports about each container, by name. */
  const truth = new Map<string, { id: string; ip: string }>();
  let replaced = 0;
  /** Replaces that many containers in turn, repeatedly until the time is over. Two at a time, one per processor. */
  const replace = async (those: number, ms = 0) => {
    const last = replaced + those;
    const end = performance.now() + ms;
    const work = async () => {
      while (replaced < last || performance.now() < end) {
        const name = `roll-${replaced % count}`;
        replaced += 1;
        truth.set(name, await runContainer(a.host, { name, network, args: ['--replace'] }));
      }
    };
    await Promise.all([work(), work()]);
  };
  const asking = await Promise.all(
    [a, b].map(async ({ host, namespaces }) => {
      const client = await runContainer(host, { name: 'asker', network });
      return vantage(host, client.name, namespaces['default']?.gateway ?? '');
    }),
  );

  await replace(count);
  await agreed(asking, truth);
  await replace(10);
  await expectExec(a.host, ['systemctl', 'kill', '--signal=KILL', 'corrosion.service']);
  // So that systemd does not restart it.
  await expectExec(a.host, ['systemctl', 'stop', 'corrosion.service']);
  await replace(30, deadMs);
  // Neither systemd nor coold, which wants it, has started it meanwhile. It is "failed" if the stop came before systemd
  // noticed its death.
  const state = (await a.host.exec(['systemctl', 'is-active', 'corrosion.service'])).stdout.trim();
  expect(['inactive', 'failed']).toContain(state);
  await expectExec(a.host, ['systemctl', 'start', 'corrosion.service']);
  await replace(10);
  await agreed(asking, truth);

  await expectExec(a.host, ['podman', 'rm', '--force', '--time=0', 'asker', ...truth.keys()]);
  await expectExec(b.host, ['podman', 'rm', '--force', '--time=0', 'asker']);
});

/** Resolves once the rows of both hosts and the answers of both DNS servers match exactly these containers of host a. */
async function agreed(
  asking: readonly Vantage[],
  truth: ReadonlyMap<string, { id: string; ip: string }>,
): Promise<void> {
  const domain = (name: string) => `${name}.default.coolify.internal`;
  const rows = [...truth].map(([name, { id, ip }]) => `${name} ${id} ${ip} running`).toSorted();
  const answers = [...truth].map(([name, { ip }]) => `${domain(name)}. ${ip}`).toSorted();
  const become = async (what: string, wanted: readonly string[], ask: () => Promise<string[]>) => {
    let told: string[] = [];
    const look = async () => {
      // An agent that is starting refuses.
      told = await ask().catch(() => []);
      return JSON.stringify(told.toSorted()) === JSON.stringify(wanted) || undefined;
    };
    await eventually(what, look, { timeoutMs: 30_000 }).catch((error: Error) => {
      expect(told.toSorted(), error.message).toEqual(wanted);
      throw error;
    });
  };
  for (const from of asking) {
    await become(`the rows of ${from.host.name} to be what Podman says`, rows, () =>
      rowsOf(from.host, 'roll-'),
    );
    await become(`the answers at ${from.server} to be what Podman says`, answers, async () => {
      const dug = await digAll(from, [...truth.keys()].map(domain));
      return dug.map(one => `${one.question} ${addressesIn(one).join()}`);
    });
  }
}

/** Returns the rows in a host's Corrosion of containers whose names begin with the prefix. */
async function rowsOf(host: Host, prefix: string): Promise<string[]> {
  const columns = 'container_name, container_id, container_ip, state';
  const select = `SELECT ${columns} FROM service_endpoints WHERE container_name LIKE ?`;
  return (await askCorrosion(host, 'queries', [select, [`${prefix}%`]])).map(row => row.join(' '));
}
