import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { askCorrosion } from '../harness/ask-corrosion.ts';
import type { FleetHost } from '../harness/fleet.ts';
import { busyboxImage } from '../harness/images.ts';
import { expectExec } from '../harness/provider.ts';
import { setVariables } from '../harness/settings.ts';
import { runResolver } from '../harness/upstream.ts';
import { type FaultGround, outsideRecords } from './ground.ts';
import type { FaultName } from './table.ts';

/** How a fault is made, and how it is removed. */
export interface Making {
  make(ground: FaultGround): Promise<void>;
  mend(ground: FaultGround): Promise<void>;
  /**
   * What callers do while the fault lasts, because some alerts judge its effect on calls. Takes the time in which the
   * metrics grow that they judge.
   */
  meanwhile?(ground: FaultGround): Promise<void>;
}

const faketime = '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1';
const hourMs = 3_600_000;

async function systemctl({ host }: FleetHost, ...args: string[]): Promise<void> {
  await expectExec(host, ['systemctl', ...args], { timeoutMs: 60_000 });
}

/** Adds a drop-in to a unit until it is removed. */
async function dropIn({ host }: FleetHost, unit: string, text: string): Promise<void> {
  await host.put(text, `/etc/systemd/system/${unit}.d/fault.conf`, 0o644);
  await expectExec(host, ['systemctl', 'daemon-reload']);
}

async function removeDropIn({ host }: FleetHost, unit: string): Promise<void> {
  await expectExec(host, ['rm', '-f', '--', `/etc/systemd/system/${unit}.d/fault.conf`]);
  await expectExec(host, ['systemctl', 'daemon-reload']);
}

const stopped = (pick: (ground: FaultGround) => FleetHost, ...units: string[]): Making => ({
  make: ground => systemctl(pick(ground), 'stop', ...units),
  // Starts again what was stopped together with another unit.
  mend: ground => systemctl(pick(ground), 'start', ...units.toReversed()),
});

/** Freezes its processes. */
const hung = (pick: (ground: FaultGround) => FleetHost, unit: string): Making => ({
  make: ground => systemctl(pick(ground), 'kill', '--signal=STOP', unit),
  mend: ground => systemctl(pick(ground), 'kill', '--signal=CONT', unit),
});

const onHost = ({ host }: FaultGround) => host;
const onCentral = ({ central }: FaultGround) => central;

/** Runs a Perl program on a host until its unit is stopped. */
async function runPerl({ host }: FleetHost, unit: string, program: string): Promise<void> {
  const run = ['systemd-run', '--quiet', '--collect', '--unit', unit] as const;
  await expectExec(host, [...run, '--', 'perl', '-e', program]);
}

/** Not an error when it does not run, so that a half-made fault can be removed too. */
async function stopUnit({ host }: FleetHost, ...units: string[]): Promise<void> {
  await host.exec(['systemctl', 'stop', ...units], { timeoutMs: 60_000 });
}

/** Keeps a copy of a settings file. */
async function keepFile({ host }: FleetHost, path: string): Promise<void> {
  await expectExec(host, ['cp', '-p', path, `${path}.kept`]);
}

/** @returns whether there was a copy */
async function putBack({ host }: FleetHost, path: string): Promise<boolean> {
  return (await host.exec(['mv', '-f', `${path}.kept`, path])).code === 0;
}

/** Gives coold other variables until they are put back. */
async function withVariables(member: FleetHost, variables: Record<string, string>): Promise<void> {
  await keepFile(member, cooldEnv);
  await setVariables(member, variables);
}

async function withoutVariables(...members: FleetHost[]): Promise<void> {
  for (const member of members)
    if (await putBack(member, cooldEnv)) await systemctl(member, 'restart', 'coold.service');
}

const cooldEnv = '/etc/coolify/coold.env';
const brokerEnv = '/etc/coolify/broker.env';

/** Sends a command to the faulty host through the broker. */
async function dispatch({ fleet, host }: FaultGround, command: object): Promise<void> {
  await fleet.dispatch(host.name, `fault-${randomUUID()}`, command);
}

/** Freezes Podman for most of the time, so that each call is answered late. */
const slowPodman = [
  'sub kill_all { system "systemctl", "kill", "--signal=" . shift, "podman.service"; }',
  'while (1) { kill_all "STOP"; select undef, undef, undef, 4.6; kill_all "CONT"; select undef, undef, undef, 0.4; }',
].join(' ');

/** A resolver that knows no name and takes a second to answer. */
const slowResolver = (address: string) =>
  [
    'use IO::Socket::INET;',
    '$SIG{CHLD} = "IGNORE";',
    `my $s = IO::Socket::INET->new(LocalAddr => "${address}", LocalPort => 5353, Proto => "udp") or die;`,
    'my $q; while (my $from = $s->recv($q, 4096)) { next if fork; select undef, undef, undef, 1.03;',
    'substr $q, 2, 2, "\\x81\\x83"; $s->send($q, 0, $from); exit; }',
  ].join(' ');

/** Accepts connections and never answers. */
const silentServer = [
  'use IO::Socket::INET;',
  'my $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => 5999, Listen => 64, ReuseAddr => 1) or die;',
  'my @kept; while (my $c = $s->accept) { push @kept, $c; }',
].join(' ');

async function pullFromSilence(ground: FaultGround): Promise<void> {
  await Promise.all(
    [1, 2].map(n => dispatch(ground, { type: 'images.pull', ref: `127.0.0.1:5999/app-${n}:1` })),
  );
}

/** Adds and removes rows of this host, so that Corrosion's database has a newer version. */
async function changeRows({ host }: FleetHost, name: string): Promise<void> {
  const run = [
    'podman',
    'run',
    '--detach',
    '--stop-timeout',
    '0',
    '--network',
    'coolify-default-mesh',
  ] as const;
  await expectExec(host, [...run, '--name', name, busyboxImage]);
  // All containers are inspected every 2 s.
  await delay(3000);
  await expectExec(host, ['podman', 'rm', '--force', name]);
  await delay(3000);
}

const streams = ['1', '2', '3', '4'].map(n => `follower-${n}`);

const thrownAway = '100.64.0.9';
const rule = { src: '10.210.200.2', dst: '10.210.200.3', proto: 'tcp', port: 80 };
/** docs/contract.md §4 */
const ruleId = createHash('sha256')
  .update(['default', ...Object.values(rule)].join('|'))
  .digest('hex')
  .slice(0, 12);

/** Answers every request with a page that is not Corrosion's. */
const garbageServer = [
  'use IO::Socket::INET;',
  '$SIG{CHLD} = "IGNORE";',
  '$SIG{PIPE} = "IGNORE";',
  'my $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => 8080, Listen => 16, ReuseAddr => 1) or die;',
  'while (my $c = $s->accept) { next if fork; my $r; sysread $c, $r, 65536;',
  'my $body = "<html>\\x00\\xff garbage</html>\\n";',
  'print $c "HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\ncontent-length: " . length($body) . "\\r\\n\\r\\n$body";',
  'close $c; exit; }',
].join(' ');

/** How each fault of the table is made on hosts. */
export const makings: Record<FaultName, Making> = {
  'disk full': {
    async make({ host: { host } }) {
      const avail = await expectExec(host, [
        'df',
        '--output=avail',
        '--block-size=1M',
        '/var/lib/containers',
      ]);
      const left = Number(avail.trim().split('\n').at(-1)) - 64;
      await expectExec(host, ['fallocate', '--length', `${left}M`, '/var/lib/containers/filler']);
    },
    async mend({ host: { host } }) {
      await expectExec(host, ['rm', '-f', '--', '/var/lib/containers/filler']);
    },
  },
  'clock an hour ahead': {
    async make({ host }) {
      const fake = [`LD_PRELOAD=${faketime}`, 'FAKETIME=+3600', 'FAKETIME_DONT_FAKE_MONOTONIC=1'];
      await dropIn(host, 'coold.service', `[Service]\n${fake.map(one => `Environment=${one}\n`).join('')}`);
      await systemctl(host, 'restart', 'coold.service');
    },
    async mend({ host }) {
      await removeDropIn(host, 'coold.service');
      await systemctl(host, 'restart', 'coold.service');
    },
  },
  'Podman stopped': stopped(onHost, 'podman.socket', 'podman.service'),
  'Podman hung': {
    ...hung(onHost, 'podman.service'),
    async meanwhile(ground) {
      for (let times = 0; times < 2; times += 1) await dispatch(ground, { type: 'list_containers' });
    },
  },
  'Podman upgraded': {
    async make({ host }) {
      // As a package manager replaces a program whose old process runs on until it is restarted.
      await expectExec(host.host, ['cp', '-p', '/usr/bin/podman', '/usr/bin/podman.new']);
      await systemctl(host, 'stop', 'podman.socket', 'podman.service');
      await expectExec(host.host, ['mv', '/usr/bin/podman.new', '/usr/bin/podman']);
    },
    mend: ({ host }) => systemctl(host, 'start', 'podman.socket'),
  },
  'Corrosion stopped': stopped(onHost, 'corrosion.service'),
  'Corrosion hung': hung(onHost, 'corrosion.service'),
  'Corrosion answers garbage': {
    async make({ host }) {
      await systemctl(host, 'stop', 'corrosion.service');
      await runPerl(host, 'garbage', garbageServer);
    },
    async mend({ host }) {
      await stopUnit(host, 'garbage.service');
      await systemctl(host, 'start', 'corrosion.service');
    },
  },
  'wg0 down': stopped(onHost, 'wg-quick@wg0.service'),
  'upstream DNS dead': {
    async make(ground) {
      await systemctl(onCentral(ground), 'kill', '--signal=STOP', 'e2e-upstream.service');
      // coold finds an upstream dead when questions to it stay unanswered.
      const { host, namespaces } = ground.host;
      const gateway = `@${namespaces['default']?.gateway}`;
      for (let asked = 0; asked < 5; asked += 1)
        await host.exec(['dig', '+tries=1', '+time=2', gateway, `dead-${asked}.example.test`]);
    },
    mend: ground => systemctl(onCentral(ground), 'kill', '--signal=CONT', 'e2e-upstream.service'),
  },
  'packet filter emptied': {
    async make({ host: { host } }) {
      await expectExec(host, ['nft', 'flush', 'ruleset']);
    },
    async mend() {},
  },
  'token ended': {
    async make({ host, token }) {
      await host.host.put(await token(host.name, -hourMs), '/etc/coolify/host-jwt', 0o600);
      await systemctl(host, 'restart', 'coold.service');
    },
    async mend({ host, token }) {
      await host.host.put(await token(host.name, 90 * 24 * hourMs), '/etc/coolify/host-jwt', 0o600);
    },
  },
  'certificate ended': {
    async make({ central, host, authority }) {
      await putCertificate(central, await ended(authority, central));
      await systemctl(central, 'reload', 'broker.service');
      await delay(1000);
      await systemctl(host, 'restart', 'coold.service');
    },
    async mend({ central }) {
      const good = await central.host.get('/etc/coolify/broker.crt');
      const key = await central.host.get('/etc/coolify/broker.key');
      await putCertificate(central, { cert: good, key });
      await systemctl(central, 'reload', 'broker.service');
    },
  },
  'broker gone': stopped(onCentral, 'broker.service'),
  'one of two brokers gone': {
    async make({ host }) {
      // Like a machine that is gone: it says no goodbye, and nothing starts it again.
      await dropIn(host, 'broker.service', '[Service]\nRestart=no\n');
      await systemctl(host, 'kill', '--signal=KILL', 'broker.service');
    },
    async mend({ host }) {
      await removeDropIn(host, 'broker.service');
      await systemctl(host, 'start', 'broker.service');
    },
  },
  'coold out of memory': {
    async make({ host }) {
      // Less than it needs at its start.
      await dropIn(host, 'coold.service', '[Service]\nMemoryMax=40M\n');
      await host.host.exec(['systemctl', 'restart', 'coold.service'], { timeoutMs: 60_000 });
      await removeDropIn(host, 'coold.service');
    },
    // What an operator does on seeing it.
    mend: ({ host }) => systemctl(host, 'restart', 'coold.service'),
  },
  'power cut': {
    make: ({ host }) => host.host.crash(),
    async mend({ host }) {
      await host.host.boot();
      await systemctl(host, 'start', 'broker.service', 'coold.service');
    },
  },
  'Podman slow': {
    make: ({ host }) => runPerl(host, 'slow-podman', slowPodman),
    async mend({ host }) {
      await stopUnit(host, 'slow-podman.service');
      await systemctl(host, 'kill', '--signal=CONT', 'podman.service');
    },
    meanwhile: () => delay(20_000),
  },
  'upstream DNS slow': {
    async make(ground) {
      const { central } = ground;
      await stopUnit(central, 'e2e-upstream.service');
      await runPerl(central, 'slow-upstream', slowResolver(central.mgmtIp));
      await askOutside(ground);
    },
    async mend({ central }) {
      await stopUnit(central, 'slow-upstream.service');
      await runResolver(central, outsideRecords);
    },
    meanwhile: askOutside,
  },
  'port of DNS taken': {
    async make({ host }) {
      const gateway = host.namespaces['default']?.gateway ?? '';
      await systemctl(host, 'stop', 'coold.service');
      const run = ['systemd-run', '--quiet', '--collect', '--unit', 'other-dns'] as const;
      const quiet = ['--keep-in-foreground', '--conf-file=/dev/null', '--no-resolv', '--no-hosts'] as const;
      await expectExec(host.host, [
        ...run,
        ...['--', 'dnsmasq', ...quiet],
        ...['--port=53', `--listen-address=${gateway}`, '--bind-interfaces'],
      ]);
      await systemctl(host, 'start', 'coold.service');
    },
    async mend({ host }) {
      await stopUnit(host, 'other-dns.service');
      await systemctl(host, 'start', 'coold.service');
    },
  },
  'token readable by others': {
    async make({ host: { host } }) {
      await expectExec(host, ['chmod', '644', '/etc/coolify/host-jwt']);
    },
    async mend({ host: { host } }) {
      await expectExec(host, ['chmod', '600', '/etc/coolify/host-jwt']);
    },
  },
  'token ends soon': {
    // In the last eighth of its lifetime.
    make: ground => useToken(ground, { ttlMs: 12 * hourMs, ageMs: 84 * hourMs }),
    mend: ground => useToken(ground, { ttlMs: 90 * 24 * hourMs, ageMs: 0 }),
  },
  'allow rules changed by hand': {
    async make(ground) {
      await dispatch(ground, { type: 'firewall.allow', ...rule });
      await expectExec(ground.host.host, ['iptables', '-w', '-F', 'COOLIFY-ALLOW']);
    },
    async mend(ground) {
      await dispatch(ground, { type: 'firewall.reconcile' });
      await dispatch(ground, { type: 'firewall.revoke', id: ruleId });
    },
  },
  'nft missing': {
    async make({ host: { host } }) {
      await expectExec(host, ['mv', '/usr/sbin/nft', '/usr/sbin/nft.kept']);
      await expectExec(host, ['iptables', '-w', '-F', 'COOLIFY-INTRA']);
    },
    async mend({ host }) {
      await putBack(host, '/usr/sbin/nft');
    },
  },
  'host thrown away': {
    async make({ central, fleet }) {
      const now = Date.now();
      const row = ['gone-1', 'gone', 'default', thrownAway, '10.210.200.9', 'running', 'healthy', now];
      const columns =
        'container_id, container_name, namespace, host_mgmt_ip, container_ip, state, health, updated_at';
      const { host } = central;
      await askCorrosion(host, 'transactions', [
        `INSERT INTO service_endpoints (${columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
        row,
      ]);
      await askCorrosion(host, 'transactions', [
        'INSERT INTO host_seen (host_mgmt_ip, seen_at) VALUES (?, ?)',
        [thrownAway, now],
      ]);
      // As short as possible. Hosts send heartbeats four times as often.
      for (const member of fleet.hosts) await withVariables(member, { COOLD_HOST_TTL: '20s' });
    },
    async mend(ground) {
      await dispatch(ground, { type: 'mesh.forget', host_mgmt_ip: thrownAway });
      await withoutVariables(...ground.fleet.hosts);
    },
  },
  'pools that overlap': {
    async make({ central, host }) {
      await withVariables(central, { COOLD_NETWORK_POOL: '10.212.0.0/20' });
      await withVariables(host, { COOLD_NETWORK_POOL: '10.212.8.0/21' });
    },
    mend: ({ central, host }) => withoutVariables(central, host),
  },
  'database of Corrosion put back': {
    async make({ host }) {
      await systemctl(host, 'stop', 'corrosion.service');
      await expectExec(host.host, ['cp', '-a', '/var/lib/corrosion', '/var/tmp/corrosion.kept']);
      await systemctl(host, 'start', 'corrosion.service');
      await delay(2000);
      for (const name of ['newer-1', 'newer-2']) await changeRows(host, name);
      await systemctl(host, 'stop', 'corrosion.service');
      await removeDatabase(host);
      await expectExec(host.host, ['cp', '-a', '/var/tmp/corrosion.kept/.', '/var/lib/corrosion/']);
      await systemctl(host, 'start', 'corrosion.service');
      await delay(2000);
      await changeRows(host, 'newer-3');
    },
    async mend({ host }) {
      await systemctl(host, 'stop', 'corrosion.service');
      await removeDatabase(host);
      await expectExec(host.host, ['rm', '-rf', '--', '/var/tmp/corrosion.kept']);
      await systemctl(host, 'start', 'corrosion.service');
    },
  },
  'broker full': {
    async make({ central, host, fleet }) {
      await keepFile(central, brokerEnv);
      const before = (await central.host.get(brokerEnv)).toString();
      await central.host.put(`${before}BROKER_PENDING_MAX=4\n`, brokerEnv, 0o600);
      await systemctl(central, 'restart', 'broker.service');
      await fleet.allConnected(60_000);
      for (const unit of streams) {
        const body = { host_id: host.name, request_id: unit, command: { type: 'host.events' } };
        await expectExec(central.host, [
          ...(['systemd-run', '--quiet', '--collect', '--unit', unit, '--', 'curl', '--silent'] as const),
          ...['--no-buffer', '--output', '/dev/null', '--unix-socket', '/run/coolify/broker.sock'],
          ...['--header', 'content-type: application/json', '--data-binary', JSON.stringify(body)],
          'http://localhost/v1/coold/stream',
        ]);
      }
    },
    async mend({ central }) {
      await stopUnit(central, ...streams.map(unit => `${unit}.service`));
      if (await putBack(central, brokerEnv)) await systemctl(central, 'restart', 'broker.service');
    },
  },
  'registry hung': {
    async make(ground) {
      await runPerl(ground.host, 'silent-registry', silentServer);
      await pullFromSilence(ground);
    },
    mend: ({ host }) => stopUnit(host, 'silent-registry.service'),
    meanwhile: pullFromSilence,
  },
};

/** Looks up names that no cache has. */
async function askOutside({ host: { host, namespaces } }: FaultGround): Promise<void> {
  const round = randomUUID().slice(0, 8);
  const server = `@${namespaces['default']?.gateway}`;
  for (const n of [1, 2, 3, 4])
    await host.exec(['dig', '+tries=1', '+time=5', server, `slow-${round}-${n}.example.test`]);
}

/** Makes coold reconnect with a token of this age and remaining life. */
async function useToken(
  { host, token }: FaultGround,
  { ttlMs, ageMs }: { ttlMs: number; ageMs: number },
): Promise<void> {
  await host.host.put(await token(host.name, ttlMs, ageMs), '/etc/coolify/host-jwt', 0o600);
  await systemctl(host, 'restart', 'coold.service');
}

/** Removes the database of a stopped Corrosion. */
async function removeDatabase({ host }: FleetHost): Promise<void> {
  await expectExec(host, ['find', '/var/lib/corrosion', '-mindepth', '1', '-delete']);
}

interface Pair {
  cert: string | Uint8Array;
  key: string | Uint8Array;
}

async function ended(authority: FaultGround['authority'], { mgmtIp }: FleetHost): Promise<Pair> {
  const { credentials } = await authority.issue('ended', { addresses: `IP:${mgmtIp}`, days: -1 });
  return credentials;
}

async function putCertificate({ host }: FleetHost, { cert, key }: Pair): Promise<void> {
  await host.put(key, '/etc/coolify/grpc.key', 0o600);
  await host.put(cert, '/etc/coolify/grpc.crt', 0o600);
}
