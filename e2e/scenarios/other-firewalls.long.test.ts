// The default deny and the allow rules together with Debian packages that also write to the packet filter.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Command, operator } from '../harness/callers.ts';
import { installPackages } from '../harness/debian-packages.ts';
import { eventually } from '../harness/eventually.ts';
import { createFleet, type Fleet, type FleetHost } from '../harness/fleet.ts';
import { runContainer } from '../harness/images.ts';
import { addressOf, fetched, serve } from '../harness/pages.ts';
import { expectExec, HarnessError, type HostSystem, type Provider } from '../harness/provider.ts';
import { journalsOnFailure } from './journals.ts';
import { chooseGround } from './provider.ts';

/** Debian's docker, even if another one is installed. */
const docker = '/usr/bin/docker';
const setUpMs = 15 * 60_000;
const testMs = 20 * 60_000;

let provider: Provider | undefined;
let fleet: Fleet;
const systems = [
  { name: 'newer', system: 'debian-13' },
  { name: 'older', system: 'debian-12' },
] as const;

beforeAll(async () => {
  const ground = await chooseGround();
  provider = ground.provider;
  fleet = await createFleet(ground, systems, ['default', 'alpha']);
  for (const host of fleet.hosts) {
    await serve(host, 'web', 'coolify-default-mesh');
    await serve(host, 'client', 'coolify-default-mesh');
    await serve(host, 'other', 'coolify-alpha-mesh');
    await runContainer(host.host, {
      name: 'published',
      network: 'coolify-default-mesh',
      args: ['--publish', '8088:80'],
      command: ['sh', '-c', 'mkdir /www; echo published >/www/index.html; exec httpd -f -h /www'],
    });
  }
  for (const to of fleet.hosts)
    for (const from of fleet.hosts)
      await allow(to, await addressOf(from, 'client'), await addressOf(to, 'web'));
}, setUpMs);
afterAll(() => provider?.close(), setUpMs);
beforeEach(() => journalsOnFailure(fleet));

async function call(host: FleetHost, command: Command): Promise<unknown> {
  const answer = await operator().call(host, command);
  if (!answer.ok) throw new Error(`${command.type} on ${host.name}: ${answer.code} ${answer.message}`);
  return answer.data;
}

async function allow(host: FleetHost, src: string, dst: string): Promise<string> {
  const rule = { type: 'firewall.allow', namespace: 'default', src, dst, proto: 'tcp', port: 80 };
  return ((await call(host, rule)) as { id: string }).id;
}

const page = async (from: FleetHost, container: string, to: FleetHost) =>
  await fetched(from, container, `http://${await addressOf(to, 'web')}/`);

/** Returns the flows that should pass and do not, as text. */
async function shut(): Promise<string[]> {
  const found: string[] = [];
  const note = (what: string, isOpen: boolean) => void (isOpen || found.push(what));
  for (const from of fleet.hosts) {
    const { gateway = '' } = from.namespaces['default'] ?? {};
    const ask = ['busybox', 'timeout', '3', 'nslookup', 'web.default.coolify.internal', gateway];
    note(`DNS on ${from.name}`, (await from.host.exec(['podman', 'exec', 'client', ...ask])).code === 0);
    for (const to of fleet.hosts) {
      note(`an allowed flow from ${from.name} to ${to.name}`, (await page(from, 'client', to)) === 'web');
      if (from === to) continue;
      const out = await fetched(from, 'client', `http://${to.host.address}:8088/`);
      note(`egress of ${from.name} to a published port of ${to.name}`, out === 'published');
    }
  }
  return found;
}

async function expectDenied(when: string): Promise<void> {
  for (const from of fleet.hosts)
    for (const to of fleet.hosts)
      expect(await page(from, 'other', to), `${when}: from ${from.name} to ${to.name}`).toBe('');
}

/** Returns the output of `coold status` on a host. */
const status = async ({ host }: FleetHost) => (await host.exec(['coold', 'status'])).stdout;
const rulesDiffer = 'rules differ between kernel, snapshots and what was asked for; see firewall.status';

/** Checks that denied flows are blocked at every moment, and that allowed flows pass soon. */
async function expectAsBefore(when: string): Promise<void> {
  await expectDenied(when);
  let left: string[] = [];
  await eventually(
    'what is allowed to pass',
    async () => {
      left = await shut();
      return left.length === 0 ? true : undefined;
    },
    { timeoutMs: 30_000, everyMs: 500 },
  ).catch((error: unknown) => {
    if (!(error instanceof HarnessError)) throw error;
  });
  expect(left, when).toEqual([]);
  for (const host of fleet.hosts)
    await eventually(
      `${when}: the firewall of ${host.name} to be as it should`,
      async () => {
        const { mode } = (await call(host, { type: 'firewall.status' })) as { mode: string };
        return mode === 'enforcing' ? true : undefined;
      },
      { timeoutMs: 20_000 },
    );
}

async function onBoth(work: (member: FleetHost, system: HostSystem) => Promise<unknown>): Promise<void> {
  await Promise.all(fleet.hosts.map((member, index) => work(member, systems[index === 0 ? 0 : 1].system)));
}
const run = (...argv: [string, ...string[]]) =>
  onBoth(({ host }) => expectExec(host, argv, { timeoutMs: 120_000 }));
/** The command in their documentation after a flush: Podman's own rules are not coold's. */
const reloadPodman = () => run('podman', 'network', 'reload', '--all');

test(
  'iptables-persistent restores an older state: what was revoked since stays blocked, and drift reports it',
  async () => {
    const revoked: string[] = [];
    for (const host of fleet.hosts)
      revoked.push(await allow(host, await addressOf(host, 'other'), await addressOf(host, 'web')));
    // Debian allows only one of both packages.
    await run('dpkg', '--remove', 'ufw');
    await onBoth(({ host }, system) => installPackages(host, system, ['iptables-persistent']));
    await run('netfilter-persistent', 'save');
    for (const [index, host] of fleet.hosts.entries())
      await call(host, { type: 'firewall.revoke', id: revoked[index] });
    await expectAsBefore('installed');
    await run('systemctl', 'restart', 'netfilter-persistent.service');
    await expectAsBefore('restarted');
    for (const [index, host] of fleet.hosts.entries()) {
      const { drift } = (await call(host, { type: 'firewall.status' })) as {
        drift: { in_kernel_only: { ids: string[] } };
      };
      expect(drift.in_kernel_only.ids).toContain(revoked[index]);
      await call(host, { type: 'firewall.reconcile' });
    }
    await expectAsBefore('reconciled');
    await run('netfilter-persistent', 'flush');
    await reloadPodman();
    await expectDenied('flushed');
    // It flushes the chains before it deletes them, so the allow rules wait until an operator confirms them.
    for (const host of fleet.hosts) {
      await eventually(
        'the status to say that rules are missing',
        async () => ((await status(host)).includes(rulesDiffer) ? true : undefined),
        { timeoutMs: 20_000 },
      );
      await call(host, { type: 'firewall.reconcile' });
    }
    await expectAsBefore('flushed, and reconciled as the status says');
    await run('systemctl', 'disable', '--quiet', '--now', 'netfilter-persistent.service');
  },
  testMs,
);

test(
  'Docker: its containers reach the internet and no container of the mesh',
  async () => {
    // Its default driver needs a disk that the lab does not have.
    await onBoth(({ host }) => host.put('{"storage-driver":"vfs"}\n', '/etc/docker/daemon.json', 0o644));
    await onBoth(({ host }, system) =>
      installPackages(host, system, ['docker.io', ...(system === 'debian-13' ? ['docker-cli'] : [])]),
    );
    await run('install', '-D', '/bin/busybox', '/var/tmp/docked/bin/busybox');
    await run('tar', '--create', '--file', '/var/tmp/docked.tar', '--directory', '/var/tmp/docked', '.');
    await run(docker, 'import', '/var/tmp/docked.tar', 'busybox');
    const start = ['run', '--detach', '--name', 'docked', '--restart', 'always', 'busybox'] as const;
    await run(docker, ...start, '/bin/busybox', 'sleep', '3600');
    const docked = async (from: FleetHost, url: string) =>
      (
        await from.host.exec([
          ...([docker, 'exec', 'docked', '/bin/busybox', 'timeout', '-s', 'KILL', '2'] as const),
          ...['/bin/busybox', 'wget', '-q', '-O', '-', url],
        ])
      ).stdout.trim();
    const expectDocked = async (when: string) => {
      for (const from of fleet.hosts)
        for (const to of fleet.hosts) {
          const web = `http://${await addressOf(to, 'web')}/`;
          expect(await docked(from, web), `${when}: from ${from.name} to ${to.name}`).toBe('');
          if (from !== to)
            await eventually(
              `${when}: Docker’s container on ${from.name} to reach ${to.name}`,
              async () =>
                (await docked(from, `http://${to.host.address}:8088/`)) === 'published' ? true : undefined,
              { timeoutMs: 20_000 },
            );
        }
    };
    await expectAsBefore('installed');
    await expectDocked('installed');
    await run('systemctl', 'restart', 'docker.service');
    await expectAsBefore('restarted');
    await expectDocked('restarted');
    await run(docker, 'rm', '--force', 'docked');
    await run('systemctl', 'disable', '--quiet', '--now', 'docker.service', 'docker.socket');
  },
  testMs,
);

test(
  'firewalld: started, reloaded, restarted and stopped',
  async () => {
    await onBoth(({ host }, system) => installPackages(host, system, ['firewalld']));
    await reloadPodman();
    await expectDenied('installed');
    const cure = '`firewall-cmd --permanent --zone=trusted --add-interface=wg0` and `--reload`';
    await eventually(
      'every host to say what is to be done',
      async () => {
        // The probes show which flows are blocked.
        if ((await shut()).length === 0) throw new HarnessError('everything passes beside a bare firewalld');
        const said = await Promise.all(fleet.hosts.map(status));
        const isSaid = (text: string) =>
          text.includes('PROBLEM: allowed flows do not pass') && text.includes(cure);
        return said.every(isSaid) ? true : undefined;
      },
      { timeoutMs: 90_000, everyMs: 500 },
    );
    await run('firewall-cmd', '--permanent', '--zone=trusted', '--add-interface=wg0');
    await run('firewall-cmd', '--permanent', '--add-port=51820/udp');
    await run('firewall-cmd', '--reload');
    await reloadPodman();
    await expectAsBefore('told to load its rules again');
    await run('systemctl', 'restart', 'firewalld.service');
    await reloadPodman();
    await expectAsBefore('restarted');
    await run('systemctl', 'disable', '--quiet', '--now', 'firewalld.service');
    await reloadPodman();
    await expectAsBefore('stopped');
  },
  testMs,
);
