// What a build can reach: the internet and the networks that its operator allows, but not its host, its neighbours or
// the mesh. Probes run in a RUN step, in an ssh that git starts, and as root in the build's network namespace, outside
// of the other limits of its unit.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type BuildLane, createBuildLane, type GitServer, startGitServer } from '../harness/build-lane.ts';
import { eventually } from '../harness/eventually.ts';
import { createFleet, type Fleet, type FleetHost } from '../harness/fleet.ts';
import { busyboxImage, runContainer } from '../harness/images.ts';
import { expectExec, type Provider } from '../harness/provider.ts';
import { root, systemctl, target, unit, until, untilSaid } from './builders.ts';
import { journalsOnFailure } from './journals.ts';
import { chooseGround } from './provider.ts';

const setUpMs = 15 * 60_000;
const scenarioMs = 5 * 60_000;

/** Every probed address listens on this port and answers with its name. */
const port = 7777;
/** A step that probes this port waits until the test lets it continue. */
const gatePort = 7778;
/**
 * Stands for the internet: from a network reserved for tests (44.128.0.0/16, by ARDC) that is in no list of special
 * addresses.
 */
const publicAddress = '44.128.0.1';

let provider: Provider;
let fleet: Fleet;
let lane: BuildLane;
let git: GitServer;
/** The builder, which is also central. */
let builder: FleetHost;
/** The git server and the internet; the only address that the builder's operator allows. */
let server: FleetHost;
/** A host without special settings. */
let neighbour: FleetHost;

interface Probe {
  what: string;
  address: string;
  port: number;
}
/** Addresses that a build must not reach. */
let denied: Probe[];
let allowed: Probe[];

const listen =
  'use IO::Socket::INET; use IO::Select; $SIG{PIPE} = "IGNORE"; my ($name, $port, $log) = @ARGV; my $t = IO::Socket::INET->new(LocalPort => $port, Listen => 64, ReuseAddr => 1) or die; my $u = IO::Socket::INET->new(LocalPort => $port, Proto => "udp") or die; my $l6 = eval { require IO::Socket::IP; IO::Socket::IP->new(LocalHost => "::", LocalPort => $port, V6Only => 1, Listen => 64, ReuseAddr => 1) }; my $s = IO::Select->new(grep { $_ } $t, $u, $l6); while (1) { for my $r ($s->can_read) { if ($r == $u) { my $p = $u->recv(my $d, 999); open my $f, ">>", $log; print $f $u->peerhost, " $d\n"; close $f; $u->send("reached $name\n") } else { my $c = $r->accept or next; print $c "reached $name\n"; close $c } } }';
const abstract =
  'use Socket; $SIG{PIPE} = "IGNORE"; socket(my $s, AF_UNIX, SOCK_STREAM, 0); bind($s, pack("S a*", AF_UNIX, "\\0coolify-probe")) or die $!; listen($s, 9); while (accept(my $c, $s)) { syswrite $c, "reached abstract\n"; close $c }';

async function serve(member: FleetHost, name: string, at = port): Promise<void> {
  await expectExec(member.host, [
    ...(['systemd-run', '--quiet', `--unit=e2e-listen-${at}`, '--', 'perl', '-e', listen] as const),
    ...[name, String(at), `/var/tmp/udp-${at}`],
  ]);
}

beforeAll(async () => {
  const ground = await chooseGround();
  provider = ground.provider;
  fleet = await createFleet(ground, ['builder', 'server', 'neighbour'], ['default'], {
    builders: { builder: { COOLD_BUILDER_ALLOW_NETS: '203.0.113.0/24' } },
  });
  const [first, second, third] = fleet.hosts;
  if (first === undefined || second === undefined || third === undefined) throw new Error('three hosts');
  [builder, server, neighbour] = [first, second, third];
  lane = createBuildLane(fleet);
  git = await startGitServer(server.host);
  // This also covers addresses that stay denied whatever an operator allows.
  const nets = [`${server.host.address}/32`, '100.64.0.0/10', '10.0.0.0/8', '169.254.0.0/16', '127.0.0.0/8'];
  const named = [...nets, `${builder.host.address}/32`, '240.0.0.0/4'].join(',');
  await expectExec(builder.host, [
    ...(['sed', '-i', `s|^COOLD_BUILDER_ALLOW_NETS=.*|COOLD_BUILDER_ALLOW_NETS=${named}|`] as const),
    '/etc/coolify/coold.env',
  ]);
  await systemctl(builder, 'restart', 'coold.service');
  await fleet.allConnected(60_000);
  await expectExec(server.host, ['ip', 'address', 'add', `${publicAddress}/32`, 'dev', 'lo']);
  await expectExec(builder.host, ['ip', 'route', 'add', `${publicAddress}/32`, 'via', server.host.address]);
  await serve(builder, 'builder');
  await serve(server, 'server');
  await serve(neighbour, 'neighbour');
  await expectExec(builder.host, [
    ...(['systemd-run', '--quiet', '--unit=e2e-abstract', '--', 'perl', '-e', abstract] as const),
  ]);
  // A fake cloud metadata service in this network, and a database of another tenant.
  await expectExec(server.host, ['ip', 'address', 'add', '169.254.169.254/32', 'dev', 'lo']);
  await expectExec(builder.host, ['ip', 'route', 'add', '169.254.169.254/32', 'via', server.host.address]);
  const database = await startDatabase('before', '10.99.1.0/24');
  const { network = '', gateway = '' } = builder.namespaces['default'] ?? {};
  const inMesh = await runContainer(builder.host, { name: 'in-mesh', network, command: answers('in-mesh') });
  const published = await runContainer(builder.host, {
    name: 'published',
    network: 'podman',
    command: answers('published'),
    args: ['--publish', `8888:${port}`],
  });
  const local = (what: string, address: string, at = port) => ({ what, address, port: at });
  denied = [
    local("the host's loopback", '127.0.0.1'),
    local("another address of the host's loopback", '127.0.0.2'),
    local("the host's address", builder.host.address),
    local('a published port of the host', builder.host.address, 8888),
    local("the host's REST API", builder.mgmtIp, 8443),
    local("the host's address in the mesh", builder.mgmtIp),
    local('the gateway of a bridge', gateway),
    local("the host's end of the cable", '240.0.0.1'),
    local('the port behind DNS', '240.0.0.1', 22),
    local("another tenant's database", database.ip),
    local('the gateway of its network', '10.99.1.1'),
    local('a container of the mesh', inMesh.ip),
    local("a container on Podman's own network", published.ip),
    local('a neighbour', neighbour.host.address),
    local('a neighbour in the mesh', neighbour.mgmtIp),
    local('the metadata service', '169.254.169.254'),
    local("this build's network as the address of nobody", '0.0.0.0'),
    local('everybody', '255.255.255.255'),
  ];
  allowed = [local('the internet', publicAddress), local('what the operator names', server.host.address)];
  // Each target is reachable for those who may reach it; otherwise the checks below would prove nothing.
  const fromHost = denied.filter(({ address }) => !/^(?:240|255|0)\./.test(address));
  await Promise.all(fromHost.map(reachedByHost));
}, setUpMs);
afterAll(() => provider?.close(), setUpMs);
beforeEach(() => journalsOnFailure(fleet));
afterEach(async () => {
  await server.host.exec(['systemctl', 'stop', `e2e-listen-${gatePort}`]);
});

const answers = (name: string) => ['sh', '-c', `while :; do echo reached ${name} | nc -l -p ${port}; done`];

/** Starts a container on a network that central has created. */
async function startDatabase(name: string, subnet: string): Promise<{ ip: string }> {
  const made = await fleet.dispatch('builder', `net-${name}`, { type: 'networks.create', name, subnet });
  expect(made.body).toMatchObject({ status: 'ok' });
  return runContainer(builder.host, { name: `db-${name}`, network: name, command: answers(name) });
}

/** Whether root reaches an address with this way of running a script. */
async function connected(way: [string, ...string[]], { address, port: at }: Probe): Promise<boolean> {
  const script = `exec 3<>/dev/tcp/${address}/${at}`;
  const { code } = await builder.host.exec([...way, `timeout 3 bash -c '${script}'`]);
  return code === 0;
}

/** The denied targets are reachable from the host; otherwise failing probes would prove nothing. */
const reachedByHost = (probe: Probe) =>
  eventually(
    `${probe.what} to be reached by its host`,
    async () => (await connected(['sh', '-c'], probe)) || undefined,
    { timeoutMs: 60_000, everyMs: 300 },
  );

/** Returns a step that reports for each probe whether it was answered. */
const askAll = (probes: readonly Probe[], again = '') =>
  probes
    .map(
      ({ address, port: at }) =>
        `(nc -w 3 ${address} ${at} </dev/null 2>&1 || true) | sed 's|^|${again}probe ${address}:${at} |'; echo '${again}asked ${address}:${at}'`,
    )
    .join('; ');

/** Returns a build's log. */
async function logOf(id: string): Promise<string> {
  const frames = (await builder.host.get(`${root}/${id}/events.ndjson`)).toString().trim().split('\n');
  return frames.map(line => (JSON.parse(line) as { log?: string }).log ?? '').join('\n');
}

function expectProbed(log: string, probes: readonly Probe[], reached: boolean, again = ''): void {
  const found = probes.map(({ what, address, port: at }) => [
    what,
    log.includes(`${again}asked ${address}:${at}`),
    new RegExp(`^${again}probe ${address}:${at} reached`.replaceAll('.', '\\.'), 'm').test(log),
  ]);
  expect(found).toEqual(probes.map(({ what }) => [what, true, reached]));
}

const waitForGate = `until nc -w 1 ${'$'}{GATE} ${gatePort} </dev/null | grep -q reached; do sleep 0.2; done`;
const openGate = () => serve(server, 'gate', gatePort);

async function dispatch(id: string, steps: readonly string[]): Promise<void> {
  const lines = [
    `FROM ${busyboxImage}`,
    `ENV GATE=${server.host.address}`,
    ...steps.map(step => `RUN ${step}`),
  ];
  await git.repository(id, { Dockerfile: `${lines.join('\n')}\n` });
  const common = {
    repo_url: `${git.url}/${id}`,
    git_ref: 'main',
    target_image: target(id),
    base_images: [busyboxImage],
  };
  expect(await lane.dispatch(id, { type: 'dockerfile_build', ...common }, 'builder')).toMatchObject({
    status: 202,
  });
}

/** Waits for the state on disk of a finished build whose result central has not read yet. */
const untilOver = (id: string) =>
  until(`${id} to end`, builder.host, 'test -e "$1/result.json" || test -e "$1/error.json"', `${root}/${id}`);

/** Waits until nothing of any build is left in the host's network. */
const untilUnplugged = () =>
  until(
    'no cable and no namespace to be left',
    builder.host,
    'test -z "$(ls /sys/class/net | grep coolbuild; ls /run/netns | grep coolify-build)"',
  );

describe('the network of a build: the tables', () => {
  test(
    'hold in a RUN step, also for networks and addresses that appear during it',
    async () => {
      const late: Probe[] = [
        { what: 'a database on a network that central makes', address: '10.99.3.2', port },
        { what: 'its gateway', address: '10.99.3.1', port },
        { what: 'a container on a network of public-looking addresses', address: '20.99.4.2', port },
        { what: 'an address that the host got', address: '44.128.7.8', port },
      ];
      await dispatch('steps', [
        askAll(allowed),
        askAll(denied),
        waitForGate,
        askAll(late, 'late '),
        waitForGate,
      ]);
      await untilSaid('steps', builder, 'STEP 5/');
      expect(await startDatabase('late', '10.99.3.0/24')).toMatchObject({ ip: '10.99.3.2' });
      // An operator may create such a network; coold itself refuses to.
      await expectExec(builder.host, ['podman', 'network', 'create', '--subnet', '20.99.4.0/24', 'odd']);
      const odd = { name: 'odd', network: 'odd', command: answers('odd') };
      expect(await runContainer(builder.host, odd)).toMatchObject({ ip: '20.99.4.2' });
      await expectExec(builder.host, ['ip', 'address', 'add', '44.128.7.8/32', 'dev', 'lo']);
      await Promise.all(late.map(reachedByHost));
      await openGate();
      await untilOver('steps');
      const log = await logOf('steps');
      expectProbed(log, allowed, true);
      expectProbed(log, denied, false);
      expectProbed(log, late, false, 'late ');
      expect((await lane.result('steps')).body).toMatchObject({ status: 'ok' });
      await untilUnplugged();
    },
    scenarioMs,
  );

  test.each(['static_build', 'dockerfile_build'])(
    'hold in an ssh that git starts, of a %s',
    async type => {
      const id = `ssh-${type.slice(0, 6)}`;
      const connect = (probe: Probe) =>
        `(timeout 3 bash -c 'exec 3<>/dev/tcp/${probe.address}/${probe.port}; cat <&3' 2>/dev/null || true) | sed 's|^|probe ${probe.address}:${probe.port} |' >&2; echo 'asked ${probe.address}:${probe.port}' >&2`;
      const raw = 'socket(my $s, 2, 3, 255) ? "raw: open" : "raw: $!"';
      const unix =
        'socket(my $s, AF_UNIX, SOCK_STREAM, 0); connect($s, pack("S a*", AF_UNIX, "\\0coolify-probe")) ? "abstract: open" : "abstract: $!"';
      const binds = [53, 6443, 8443].map(
        each =>
          `perl -MIO::Socket::INET -e 'print STDERR IO::Socket::INET->new(LocalPort => ${each}, Listen => 1) ? "bound ${each}\\n" : "not bound ${each}: $!\\n"'`,
      );
      const script = [
        ...[...allowed, ...denied].map(connect),
        `perl -e 'print STDERR ${raw}, "\\n"'`,
        `perl -MSocket -e 'print STDERR eval { ${unix} }, "\\n"'`,
        ...binds,
        'ip link add escaped type dummy 2>&1 | sed "s/^/link: /" >&2',
        // Tries the namespaces of all processes, including those with fewer capabilities than a build, such as the
        // broker.
        'for p in /proc/[0-9]*; do nsenter --net=$p/ns/net ip link show wg0 >/dev/null 2>&1 && echo "out by $p" >&2; done',
        'for p in /run/netns/*; do nsenter --net=$p true 2>/dev/null && echo "out by $p" >&2; done',
        'nsenter --net=/proc/1/ns/net true 2>&1 | sed "s/^/nsenter: /" >&2',
        'perl -e \'print STDERR socket(my $s, 40, 1, 0) ? "vsock: open\\n" : "vsock: $!\\n"\'',
        'exit 1',
      ];
      await builder.host.put(`#!/bin/sh\n${script.join('\n')}\n`, '/usr/local/bin/ssh', 0o755);
      const command = {
        type,
        repo_url: 'ssh://git@example.org/x.git',
        git_ref: 'main',
        target_image: target(id),
      };
      expect(await lane.dispatch(id, command, 'builder')).toMatchObject({ status: 202 });
      await untilOver(id);
      const log = await logOf(id);
      await expectExec(builder.host, ['rm', '/usr/local/bin/ssh']);
      expectProbed(log, allowed, true);
      expectProbed(log, denied, false);
      expect(log).toMatch(/^raw: .*not permitted/m);
      expect(log).toMatch(/^abstract: Connection refused/m);
      for (const each of [53, 6443, 8443]) expect(log).toContain(`bound ${each}\n`);
      expect(log).not.toContain('not bound');
      expect(log).toMatch(/^link: .*not permitted/m);
      expect(log).toMatch(/^nsenter: .*denied/m);
      expect(log).not.toContain('out by');
      expect(log).toMatch(/^vsock: Address family not supported/m);
      expect((await lane.result(id)).body).toMatchObject({ status: 'error', stage: 'git' });
    },
    scenarioMs,
  );

  test(
    'hold for root in its namespace, with any source and protocol',
    async () => {
      await dispatch('held', [waitForGate]);
      await untilSaid('held', builder, 'STEP 3/');
      const way: [string, ...string[]] = ['ip', 'netns', 'exec', 'coolify-build-held', 'sh', '-c'];
      const reach = async (probes: readonly Probe[]) =>
        Object.fromEntries(
          await Promise.all(probes.map(async probe => [probe.what, await connected(way, probe)])),
        );
      const all = (probes: readonly Probe[], reached: boolean) =>
        Object.fromEntries(probes.map(({ what }) => [what, reached]));
      // Its own loopback works.
      expect(await reach(allowed)).toEqual(all(allowed, true));
      expect(await reach(denied)).toEqual(all(denied, false));
      // Datagrams with its own source address and with forged ones.
      const send = (from: string, to: string, word: string) =>
        `ip address add ${from}/32 dev lo 2>/dev/null; perl -MIO::Socket::INET -e 'IO::Socket::INET->new(Proto => "udp", LocalAddr => "${from}", PeerAddr => "${to}:${port}")->send("${word}")'`;
      const [own = ''] = (
        await builder.host.exec([...way, "ip -4 -o address show eth0 | awk '{print $4}'"])
      ).stdout
        .trim()
        .split('/');
      expect(own).toMatch(/^240\.0\.0\./);
      const inside = async (script: string) => expectExec(builder.host, [...way, script]);
      await inside(send(own, server.host.address, 'true-source'));
      for (const from of [neighbour.host.address, builder.host.address, builder.mgmtIp, '10.210.0.9'])
        await inside(`${send(from, server.host.address, `false-${from}`)}; true`);
      for (const { address } of denied) await inside(`${send(own, address, 'to-denied')}; true`);
      await inside(send(own, server.host.address, 'last'));
      await until('the last datagram', server.host, `grep -q last /var/tmp/udp-${port}`);
      const heard = (await server.host.get(`/var/tmp/udp-${port}`)).toString();
      expect(heard).toContain(`${builder.host.address} true-source`);
      expect(heard).not.toContain('false-');
      for (const { host } of fleet.hosts)
        expect((await host.exec(['cat', `/var/tmp/udp-${port}`])).stdout).not.toContain('to-denied');
      // Its only IPv6 addresses are those of its own link.
      const six = await expectExec(builder.host, ['sh', '-c', 'ip -6 -o address show | grep coolbuild']);
      const [linkLocal = ''] = /fe80::[0-9a-f:]+/.exec(six) ?? [];
      expect(linkLocal).not.toBe('');
      const overSix = `timeout 3 perl -MIO::Socket::IP -e 'exit(IO::Socket::IP->new(PeerHost => "${linkLocal}%eth0", PeerPort => ${port}) ? 0 : 1)'`;
      expect((await builder.host.exec([...way, overSix])).code).not.toBe(0);
      // Connections to the build fail too.
      await inside(
        `(timeout 10 perl -MIO::Socket::INET -e 'IO::Socket::INET->new(LocalPort => 99, Listen => 1)->accept' >/dev/null 2>&1 &)`,
      );
      expect(await connected(['sh', '-c'], { what: 'the build', address: own, port: 99 })).toBe(false);
      // A deleted table is restored; until then the other table blocks.
      const held = ['nft', 'delete', 'table', 'inet', 'coolify_build_held'] as const;
      expect((await builder.host.exec(held)).stderr).toContain('Operation not permitted');
      await expectExec(builder.host, ['nft', 'delete', 'table', 'inet', 'coolify_build']);
      expect(await reach(denied)).toEqual(all(denied, false));
      await until('the rules to be back', builder.host, 'nft list table inet coolify_build >/dev/null 2>&1');
      expect(await reach(denied)).toEqual(all(denied, false));
      await openGate();
      await untilOver('held');
      expect((await lane.result('held')).body).toMatchObject({ status: 'ok' });
      await untilUnplugged();
    },
    scenarioMs,
  );
});

test(
  `the network of a build: a build that binds the host's ports gets its own`,
  async () => {
    const held = [53, 6443, 8443].map(each => `(nc -l -p ${each} &)`).join('; ');
    await dispatch('ports', [`${held}; sleep 1; netstat -ltn | sed 's/^/ports: /'; ${waitForGate}`]);
    await untilSaid('ports', builder, 'ports: .*:8443');
    const log = await logOf('ports');
    for (const each of [53, 6443, 8443]) expect(log).toMatch(new RegExp(`^ports: .*:${each} `, 'm'));
    await systemctl(builder, 'restart', 'broker.service', 'coold.service');
    await fleet.allConnected(60_000);
    const token = (await builder.host.get('/etc/coolify/api-token')).toString().trim();
    const rest = ['curl', '-fsS', '-H', `Authorization: Bearer ${token}`] as const;
    await until(
      'REST and DNS to be back',
      builder.host,
      '"$@" >/dev/null',
      ...rest,
      `http://${builder.mgmtIp}:8443/api/v1/dns/stats`,
    );
    const { gateway = '' } = builder.namespaces['default'] ?? {};
    await until(
      'DNS to answer',
      builder.host,
      'dig +time=1 +tries=1 "@$1" in-mesh.default.coolify.internal | grep -q NOERROR',
      gateway,
    );
    await openGate();
    await untilOver('ports');
    expect((await lane.result('ports')).body).toMatchObject({ status: 'ok' });
  },
  scenarioMs,
);

describe('the network of a build: names', () => {
  const name = 'git.e2e.test';
  const resolver = (member: FleetHost, address: string) =>
    expectExec(member.host, [
      ...(['systemd-run', '--quiet', '--unit=e2e-dns', '--', 'dnsmasq', '--keep-in-foreground'] as const),
      ...[
        '--conf-file=/dev/null',
        '--no-resolv',
        '--no-hosts',
        '--bind-interfaces',
        '--user=root',
        '--pid-file=',
      ],
      ...[`--listen-address=${address}`, `--host-record=${name},${server.host.address}`],
      '--host-record=in-mesh.default.coolify.internal,44.128.0.66',
    ]);

  test.each([
    ['127.0.0.53', '127.0.0.53'],
    ['127.0.0.1', '127.0.0.1'],
    ['a public one', publicAddress],
  ])(
    "are resolved in a build where the host's resolver is %s, but for those of the mesh",
    async (_what, address) => {
      const id = `dns-${address}`;
      const member = address === publicAddress ? server : builder;
      await resolver(member, address);
      try {
        if (address === '127.0.0.53') {
          // The same file as systemd-resolved writes.
          const stub = '/run/systemd/resolve/stub-resolv.conf';
          await builder.host.put(`nameserver ${address}\n`, stub, 0o644);
          await expectExec(builder.host, ['ln', '-sf', stub, '/etc/resolv.conf']);
        } else {
          await expectExec(builder.host, ['rm', '-f', '/etc/resolv.conf']);
          await builder.host.put(`nameserver ${address}\n`, '/etc/resolv.conf', 0o644);
        }
        const ask = (question: string) => `(nslookup ${question} 2>&1 || true) | sed 's/^/answer: /'`;
        await git.repository(id, {
          Dockerfile: `FROM ${busyboxImage}\nRUN ${ask(name)}; ${ask('in-mesh.default.coolify.internal')}\n`,
        });
        const command = {
          repo_url: `git://${name}/${id}`,
          git_ref: 'main',
          target_image: target(id),
          base_images: [busyboxImage],
        };
        await lane.dispatch(id, { type: 'dockerfile_build', ...command }, 'builder');
        await untilOver(id);
        const log = await logOf(id);
        expect((await lane.result(id)).body, log).toMatchObject({ status: 'ok' });
        expect(log).toMatch(new RegExp(`^answer: Address.*${server.host.address}`, 'm'));
        expect(log).toContain('NXDOMAIN');
        expect(log).not.toContain('44.128.0.66');
      } finally {
        await expectExec(member.host, ['systemctl', 'stop', 'e2e-dns']);
      }
    },
    scenarioMs,
  );
});

test(
  'the network of a build: a host without a resolv.conf builds when no names are needed',
  async () => {
    await expectExec(builder.host, ['rm', '-f', '/etc/resolv.conf']);
    try {
      await dispatch('nameless', [askAll(allowed)]);
      await untilOver('nameless');
      expectProbed(await logOf('nameless'), allowed, true);
      expect((await lane.result('nameless')).body).toMatchObject({ status: 'ok' });
    } finally {
      await builder.host.put(`nameserver 127.0.0.1\n`, '/etc/resolv.conf', 0o644);
    }
  },
  scenarioMs,
);

test(
  'the network of a build: it has access through an iptables policy of drop, as with Docker and ufw',
  async () => {
    const strict = [
      'iptables -P FORWARD DROP',
      ...['lo', 'eth0', 'wg0', 'podman+'].map(each => `iptables -A INPUT -i ${each} -j ACCEPT`),
      'iptables -P INPUT DROP',
    ];
    await expectExec(builder.host, ['sh', '-ec', strict.join('\n')]);
    await dispatch('strict', [askAll(allowed), askAll(denied)]);
    await untilOver('strict');
    const log = await logOf('strict');
    expectProbed(log, allowed, true);
    expectProbed(log, denied, false);
    expect((await lane.result('strict')).body).toMatchObject({ status: 'ok' });
    await expectExec(builder.host, ['sh', '-c', 'iptables -P FORWARD ACCEPT; iptables -P INPUT ACCEPT']);
  },
  scenarioMs,
);

describe('the network of a build: its remains', () => {
  test(
    'are removed when its builder is killed, also with coold down',
    async () => {
      for (const id of ['killed', 'alone']) await dispatch(id, [waitForGate]);
      for (const id of ['killed', 'alone']) await untilSaid(id, builder, 'STEP 3/');
      const namespaces = await expectExec(builder.host, ['ls', '/run/netns']);
      expect(namespaces).toContain('coolify-build-killed');
      await systemctl(builder, 'stop', 'coold.service');
      await systemctl(builder, 'kill', '--signal=SIGKILL', unit('killed'));
      await systemctl(builder, 'kill', '--signal=SIGKILL', unit('alone'));
      await untilUnplugged();
      // A network namespace that no coold knows, as a failed upgrade may leave.
      await expectExec(builder.host, ['ip', 'netns', 'add', 'coolify-build-stray']);
      await systemctl(builder, 'start', 'coold.service');
      await untilUnplugged();
      for (const id of ['killed', 'alone'])
        expect((await lane.result(id)).body).toMatchObject({ status: 'error', code: 500 });
    },
    scenarioMs,
  );

  test(
    'stay for an adopted build when coold is killed during it',
    async () => {
      await dispatch('adopted', [waitForGate, askAll(allowed), askAll(denied)]);
      await untilSaid('adopted', builder, 'STEP 3/');
      await systemctl(builder, 'kill', '--signal=SIGKILL', '--kill-who=main', 'coold.service');
      await fleet.allConnected(60_000);
      // A concurrent build gets its own cable.
      await dispatch('beside', [askAll(allowed)]);
      await untilOver('beside');
      expectProbed(await logOf('beside'), allowed, true);
      await openGate();
      await untilOver('adopted');
      const log = await logOf('adopted');
      expectProbed(log, allowed, true);
      expectProbed(log, denied, false);
      for (const id of ['adopted', 'beside'])
        expect((await lane.result(id)).body).toMatchObject({ status: 'ok' });
      await untilUnplugged();
    },
    scenarioMs,
  );

  test(
    'never collide: a range that overlaps a route of the host is refused by name',
    async () => {
      await expectExec(builder.host, ['ip', 'route', 'add', '240.0.0.128/25', 'via', server.host.address]);
      await dispatch('collides', ['true']);
      expect((await lane.result('collides')).body).toMatchObject({
        status: 'error',
        code: 500,
        stage: 'builder',
        message: expect.stringContaining('COOLD_BUILDER_NET=240.0.0.0/24 is not free'),
      });
      await expectExec(builder.host, ['ip', 'route', 'del', '240.0.0.128/25']);
    },
    scenarioMs,
  );
});
