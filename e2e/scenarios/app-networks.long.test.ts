// Networks of apps on three hosts: two with slices of the mesh, one without. Questions are asked from inside the
// containers.
import { expect, test } from 'vitest';
import { askCorrosion } from '../harness/ask-corrosion.ts';
import { type Command, operator } from '../harness/callers.ts';
import { addressesIn, digAll, type Vantage, vantage } from '../harness/dig.ts';
import { eventually } from '../harness/eventually.ts';
import type { FleetHost } from '../harness/fleet.ts';
import { busyboxImage } from '../harness/images.ts';
import { routeNetworks } from '../harness/mesh.ts';
import { fetched } from '../harness/pages.ts';
import { setVariables } from '../harness/settings.ts';
import { twoHosts } from './two-hosts.ts';

const zone = 'coolify.internal';
const scenarioMs = 2 * 60_000;
/** Each is a /22 outside of the mesh's pool. */
const slices = { a: '10.210.64.0/22', b: '10.210.68.0/22', c: '10.210.72.0/22' };
/** Short, because a scenario waits for it; the hosts' heartbeats become faster with it. */
const hostTtlMs = 30_000;

interface App {
  host: FleetHost;
  namespace: string;
  address: string;
  /** The hosts that can reach its address. */
  foundOn: FleetHost[];
}

let a: FleetHost;
let b: FleetHost;
let c: FleetHost;
const apps = new Map<string, App>();
/** A container for each app that asks its own resolver. */
const asking = new Map<string, Vantage>();

twoHosts(
  ['default', 'alpha'],
  async given => {
    ({ a, b } = given);
    const [, , third] = given.fleet.hosts;
    if (third === undefined) throw new Error('three hosts were asked for');
    c = third;
    await Promise.all(
      [a, b, c].map(member =>
        setVariables(member, {
          COOLD_HOST_TTL: `${hostTtlMs}ms`,
          ...(member === c ? {} : { COOLD_NETWORK_POOL: slices[member === a ? 'a' : 'b'] }),
        }),
      ),
    );
    await routeNetworks([a, b, c], a, [slices.a]);
    await routeNetworks([a, b, c], b, [slices.b]);
  },
  { beside: ['c'] },
);

async function call(member: FleetHost, command: Command): Promise<unknown> {
  const answer = await operator().call(member, command);
  if (!answer.ok) throw new Error(`${command.type} on ${member.name}: ${answer.code} ${answer.message}`);
  return answer.data;
}

async function createNetwork(
  member: FleetHost,
  name: string,
  namespace: string,
  subnet?: string,
): Promise<string> {
  const fields = { name, namespace, ...(subnet === undefined ? {} : { subnet }) };
  const made = (await call(member, { type: 'networks.create', ...fields })) as { subnet: string };
  return made.subnet;
}

/** Starts a container that serves its name, on an app's network or on its namespace's own. */
async function run(member: FleetHost, name: string, network: string, foundOn: FleetHost[]): Promise<App> {
  const script = `mkdir -p /www; echo ${name} >/www/index.html; exec httpd -f -p 80 -h /www`;
  const command = ['sh', '-c', script];
  const spec = { name, image: busyboxImage, network, command, stop_timeout: 0 };
  const { id } = (await call(member, { type: 'containers.create', ...spec })) as { id: string };
  await call(member, { type: 'containers.start', id });
  const listed = (await call(member, { type: 'containers.list', name })) as {
    namespace: string;
    addresses: Record<string, string>;
  }[];
  const [{ namespace = '', addresses = {} } = {}] = listed;
  const app = { host: member, namespace, address: addresses[network] ?? '', foundOn };
  apps.set(name, app);
  const networks = (await call(member, { type: 'networks.list' })) as { name: string; gateway: string }[];
  const gateway = networks.find(one => one.name === network)?.gateway ?? '';
  // Only the gateway of its own network.
  const resolvers = await member.host.exec(['podman', 'exec', name, 'cat', '/etc/resolv.conf']);
  expect(resolvers.stdout.match(/^nameserver .*$/gm)).toEqual([`nameserver ${gateway}`]);
  asking.set(name, await vantage(member.host, name, gateway));
  return app;
}

const domain = (name: string) => `${name}.${apps.get(name)?.namespace}.${zone}`;

/** Resolves once every container on these hosts gets exactly the right answers for every app. */
async function agreed(what: string, members = [a, b, c], gone: FleetHost[] = []): Promise<void> {
  for (const [from, one] of asking) {
    const here = apps.get(from)?.host;
    if (here === undefined || !members.includes(here)) continue;
    const wanted = [...apps].map(([name, { host, address, foundOn }]) => {
      const isFound = foundOn.includes(here) && (host === here || !gone.includes(host));
      return isFound ? `${domain(name)} NOERROR ${address}` : `${domain(name)} NXDOMAIN `;
    });
    let seen: string[] = [];
    await eventually(
      `${what}: all names, as ${from} on ${here.name} finds them`,
      async () => {
        const dug = await digAll(one, [...apps.keys()].map(domain)).catch(() => []);
        seen = dug.map(({ question, rcode, answers }) =>
          [question.slice(0, -1), rcode, addressesIn({ answers } as never).join()].join(' '),
        );
        return seen.join() === wanted.join() || undefined;
      },
      { timeoutMs: 45_000 },
    ).catch((error: Error) => {
      expect(seen, error.message).toEqual(wanted);
      throw error;
    });
  }
}

/** Returns why a host leaves out a name's containers. */
async function leftOut(on: FleetHost, name: string): Promise<string[]> {
  const told = (await call(on, { type: 'dns.lookup', name: domain(name) })) as {
    left_out: { reason: string }[];
  };
  return told.left_out.map(({ reason }) => reason);
}

const problems = async ({ host }: FleetHost) =>
  (await host.exec(['/usr/local/bin/coold', 'status'])).stdout
    .split('\n')
    .filter(line => line.startsWith('PROBLEM') && line.includes('COOLD_NETWORK_POOL'));

test('every app is found exactly where its address is reachable', { timeout: scenarioMs }, async () => {
  // The same subnet on two hosts that do not know each other's: neither announces its own to others.
  const local = await createNetwork(c, 'app-secrets', 'alpha');
  expect(await createNetwork(b, 'app-blogdb', 'default', local)).toBe(local);
  expect(await createNetwork(a, 'app-shop', 'default')).toBe('10.210.64.0/24');
  expect(await createNetwork(a, 'app-inner', 'alpha')).toBe('10.210.65.0/24');
  expect(await createNetwork(b, 'app-blog', 'default')).toBe('10.210.68.0/24');
  const everywhere = [a, b, c];
  const secrets = await run(c, 'secrets', 'app-secrets', [c]);
  const blogdb = await run(b, 'blogdb', 'app-blogdb', [b]);
  expect(secrets.address).toBe(blogdb.address);
  await run(a, 'shop', 'app-shop', everywhere);
  await run(a, 'inner', 'app-inner', everywhere);
  await run(b, 'blog', 'app-blog', everywhere);
  await run(c, 'front', 'coolify-default-mesh', everywhere);
  await agreed('at first');
  expect(await leftOut(a, 'blogdb')).toEqual(['unreachable']);
  expect(await leftOut(c, 'blogdb')).toEqual(['unreachable']);
  expect(await leftOut(b, 'blogdb')).toEqual([]);
  // By name only, with the image's resolver.
  for (const [from, name] of [
    ['shop', 'blog'],
    ['blog', 'front'],
    ['front', 'shop'],
  ] as const) {
    const said = await (apps.get(from)?.host ?? a).host.exec([
      'podman',
      'exec',
      from,
      'nslookup',
      '-type=a',
      domain(name),
    ]);
    expect(said.stdout).toContain(apps.get(name)?.address);
  }
});

test('an allow rule opens a flow between slices, and removing it closes the flow', {
  timeout: scenarioMs,
}, async () => {
  const flows = [
    ['blog', 'shop'],
    ['shop', 'blog'],
    ['front', 'blog'],
    ['blog', 'front'],
  ] as const;
  for (const [from, to] of flows) {
    const [source, target] = [apps.get(from), apps.get(to)];
    if (source === undefined || target === undefined) throw new Error('an app is missing');
    const page = () => fetched(source.host, from, `http://${domain(to)}/`);
    expect(await page(), `${from} to ${to}, without a rule`).toBe('');
    const rule = { src: source.address, dst: target.address, proto: 'tcp', port: 80 };
    const { id } = (await call(target.host, { type: 'firewall.allow', ...rule })) as { id: string };
    expect(await page(), `${from} to ${to}, with a rule`).toBe(to);
    await call(target.host, { type: 'firewall.revoke', id });
    expect(await page(), `${from} to ${to}, after its end`).toBe('');
  }
});

test('overlapping slices are a problem on both hosts, and the refusal names the other host', {
  timeout: scenarioMs,
}, async () => {
  expect(await Promise.all([a, b, c].map(problems))).toEqual([[], [], []]);
  await setVariables(c, { COOLD_NETWORK_POOL: '10.210.70.0/23' });
  for (const [member, other] of [
    [b, c],
    [c, b],
  ] as const)
    await eventually(
      `${member.name} to name ${other.name}`,
      async () => (await problems(member)).some(line => line.includes(other.mgmtIp)) || undefined,
      { timeoutMs: 20_000 },
    );
  expect(await problems(a)).toEqual([]);
  const refused = await operator().call(c, { type: 'networks.create', name: 'app-no', namespace: 'alpha' });
  expect(refused).toMatchObject({ ok: false, code: 409, field: 'subnet' });
  expect(refused.ok ? '' : refused.message).toContain(`COOLD_NETWORK_POOL of host ${b.mgmtIp}`);
  expect(await createNetwork(b, 'app-more', 'default')).toBe('10.210.69.0/24');
  const full = await operator().call(b, { type: 'networks.create', name: 'app-no', namespace: 'alpha' });
  expect(full.ok ? '' : full.message).toContain(`COOLD_NETWORK_POOL of host ${c.mgmtIp}`);
  await setVariables(c, { COOLD_NETWORK_POOL: slices.c });
  for (const member of [b, c])
    await eventually(
      `${member.name} to have no such problem`,
      async () => (await problems(member)).length === 0 || undefined,
      { timeoutMs: 20_000 },
    );
});

test('a slice is found from other hosts as soon as they route it', { timeout: scenarioMs }, async () => {
  expect(await createNetwork(c, 'app-late', 'alpha')).toBe('10.210.72.0/24');
  const late = await run(c, 'late', 'app-late', [c]);
  await agreed('before it is routed');
  expect(await leftOut(b, 'late')).toEqual(['unreachable']);
  await routeNetworks([a, b, c], c, [slices.c]);
  apps.set('late', { ...late, foundOn: [a, b, c] });
  await agreed('once it is routed');
});

test('a host that is cut off keeps answering, is gone for the others after a while, and is back when healed', {
  timeout: scenarioMs,
}, async () => {
  await b.host.cut();
  await agreed('soon after the cut', [a, c]);
  await run(a, 'born', 'app-shop', [a, c]);
  await eventually(
    'b to be gone',
    async () => (await leftOut(a, 'blog')).includes('host_gone') || undefined,
    { timeoutMs: hostTtlMs * 2 },
  );
  await agreed('when b is gone', [a, c], [b]);
  await b.host.heal();
  const born = apps.get('born');
  if (born !== undefined) apps.set('born', { ...born, foundOn: [a, b, c] });
  await agreed('once it is healed');
});

test('without wg0 for a while, every name stays the same', { timeout: scenarioMs }, async () => {
  await c.host.exec(['systemctl', 'stop', 'wg-quick@wg0.service']);
  await agreed('without wg0');
  await c.host.exec(['systemctl', 'restart', 'coold.service']);
  await c.host.exec(['systemctl', 'start', 'wg-quick@wg0.service']);
  await agreed('with wg0 again');
});

test('a host that is switched off for good is forgotten completely', { timeout: scenarioMs }, async () => {
  const forget = () => operator().call(a, { type: 'mesh.forget', host_mgmt_ip: c.mgmtIp });
  expect(await forget()).toMatchObject({ ok: false, code: 409 });
  await c.host.crash();
  await eventually('c to be forgotten', async () => (await forget()).ok || undefined, {
    timeoutMs: hostTtlMs * 2,
    everyMs: 1000,
  });
  for (const name of ['secrets', 'front', 'late']) {
    asking.delete(name);
    const app = apps.get(name);
    if (app !== undefined) apps.set(name, { ...app, foundOn: [] });
  }
  await agreed('once it is forgotten', [a, b]);
  for (const member of [a, b])
    for (const table of ['service_endpoints', 'host_pools', 'host_seen'])
      await eventually(
        `${table} of ${member.name} to have no row of c`,
        async () => {
          const rows = await askCorrosion(member.host, 'queries', [
            `SELECT host_mgmt_ip FROM ${table} WHERE host_mgmt_ip = ?`,
            [c.mgmtIp],
          ]);
          return rows.length === 0 || undefined;
        },
        { timeoutMs: 20_000 },
      );
});
