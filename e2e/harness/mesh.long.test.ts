import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from './eventually.ts';
import { loadBusyboxImage, type RunningContainer, runContainer } from './images.ts';
import { createLab } from './lab/lab.ts';
import { heardFrom, joinMesh, type MeshHost } from './mesh.ts';
import { expectExec, type Host, type Provider } from './provider.ts';

let lab: Provider;
let a: MeshHost;
let b: MeshHost;
let onA: RunningContainer;

beforeAll(async () => {
  lab = await createLab();
  const [first, second] = await joinMesh(await lab.up(['a', 'b']), ['default', 'alpha']);
  if (first === undefined || second === undefined) throw new Error('two hosts were asked for');
  [a, b] = [first, second];
  await Promise.all([a, b].map(({ host }) => loadBusyboxImage(host)));
  onA = await runContainer(a.host, {
    name: 'web',
    network: 'coolify-default-mesh',
    args: ['--restart', 'always'],
    command: ['sh', '-c', 'mkdir /www; echo from-a >/www/index.html; exec httpd -f -p 80 -h /www'],
  });
}, 60_000);

afterAll(() => lab?.close(), 30_000);

const pings = async (host: Host, address: string) =>
  (await host.exec(['ping', '-c', '1', '-W', '1', address])).code === 0;

const reaches = (host: Host, address: string, timeoutMs = 20_000) =>
  eventually(`${host.name} to reach ${address}`, async () => (await pings(host, address)) || undefined, {
    timeoutMs,
  });

/** Fetches the page of A's container from a container on B. */
const fetchFromB = async (name: string) => {
  const argv = ['podman', 'exec', name, 'wget', '-q', '-O', '-', `http://${onA.ip}/`] as const;
  return (await b.host.exec(argv, { timeoutMs: 10_000 })).stdout.trim();
};

test('a container on B reaches a container on A by address over wg0', { timeout: 30_000 }, async () => {
  expect(onA.ip).toMatch(/^10\.210\.0\./);
  await runContainer(b.host, { name: 'client', network: 'coolify-default-mesh' });
  const before = await received(a.host);
  expect(await fetchFromB('client')).toBe('from-a');
  expect(await received(a.host)).toBeGreaterThan(before);
});

test('each namespace has its own network, without DNS', { timeout: 30_000 }, async () => {
  const listed: unknown = JSON.parse(
    await expectExec(a.host, ['podman', 'network', 'inspect', 'coolify-default-mesh', 'coolify-alpha-mesh']),
  );
  expect(listed).toMatchObject([
    {
      name: 'coolify-default-mesh',
      dns_enabled: false,
      subnets: [{ subnet: '10.210.0.0/24', gateway: '10.210.0.1' }],
    },
    {
      name: 'coolify-alpha-mesh',
      dns_enabled: false,
      subnets: [{ subnet: '10.210.16.0/24', gateway: '10.210.16.1' }],
    },
  ]);
});

test('a host that is cut off is unreachable but lives, and is reachable once healed', {
  timeout: 60_000,
}, async () => {
  expect(await pings(b.host, a.mgmtIp)).toBe(true);
  await a.host.cut();
  expect(await pings(b.host, a.mgmtIp)).toBe(false);
  expect(await pings(b.host, a.host.address)).toBe(false);
  expect((await a.host.exec(['podman', 'container', 'inspect', 'web'])).code).toBe(0);
  await a.host.heal();
  await reaches(b.host, a.mgmtIp);
});

test('a crashed host keeps its disk, and rejoins the mesh by itself at boot', {
  timeout: 60_000,
}, async () => {
  await a.host.put('kept', '/etc/coolify/mark', 0o600);
  const machineId = await a.host.get('/etc/machine-id');
  await a.host.crash();
  expect(await pings(b.host, a.host.address)).toBe(false);
  await expect(a.host.exec(['true'])).rejects.toThrow('host a is off');
  expect(await a.host.journal('wg-quick@wg0')).toContain('wg-quick@wg0.service');
  await a.host.boot();
  await heardFrom(a.host, 1);
  await reaches(b.host, a.mgmtIp);
  expect((await a.host.get('/etc/coolify/mark')).toString()).toBe('kept');
  expect(await a.host.get('/etc/machine-id')).toEqual(machineId);
  // Debian's podman-restart restarts containers with the policy always, with an address that Podman chooses.
  expect(await expectExec(a.host, ['podman', 'ps', '--format', '{{.Names}}'])).toBe('web\n');
  expect(await fetchFromB('client')).toBe('from-a');
});

test('a host that is cut off stays so over a reboot', { timeout: 60_000 }, async () => {
  await b.host.cut();
  await b.host.reboot();
  expect(await pings(a.host, b.host.address)).toBe(false);
  await b.host.heal();
  await reaches(a.host, b.mgmtIp);
});

/** Returns the number of bytes that wg0 has received. */
async function received(host: Host): Promise<number> {
  return Number(await expectExec(host, ['cat', '/sys/class/net/wg0/statistics/rx_bytes']));
}
