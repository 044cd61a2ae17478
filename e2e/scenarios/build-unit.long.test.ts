// Runs the builder in the unit that coold starts it in, on a host with its own systemd.
import { dirname } from 'node:path';
import { type BuildUnit, buildUnitCommand, buildUnitName } from '@coold/coold/build-unit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createFleet, type Fleet } from '../harness/fleet.ts';
import { busyboxImage } from '../harness/images.ts';
import { expectExec, type Host, type Provider } from '../harness/provider.ts';
import { chooseGround } from './provider.ts';

const setUpMs = 15 * 60_000;
const buildMs = 120_000;
const root = '/var/lib/coolify-builder/work';

let provider: Provider;
let fleet: Fleet;
let host: Host;
/** A second host with the services for builds, since builds cannot reach their own host. */
let beside: Host;
let server: string;

beforeAll(async () => {
  const ground = await chooseGround();
  provider = ground.provider;
  fleet = await createFleet(ground, ['solo', 'beside'], ['default'], { builders: { solo: {} } });
  host = fleet.central.host;
  beside = fleet.hosts[1]?.host ?? host;
  server = `git://${beside.address}:9418`;
  await repository('site', { 'dist/index.html': '<h1>hello</h1>' });
  await expectExec(beside, [
    ...(['systemd-run', '--unit=git-daemon', '--', 'git', 'daemon', `--listen=${beside.address}`] as const),
    ...['--export-all', '--base-path=/srv/git'],
  ]);
  // Accepts connections and never answers.
  await expectExec(beside, [
    ...(['systemd-run', '--unit=silent', '--', 'perl', '-MIO::Socket::INET', '-e'] as const),
    'my $l = IO::Socket::INET->new(LocalAddr => $ARGV[0], Listen => 9) or die; my @s; while (my $s = $l->accept) { push @s, $s }',
    `${beside.address}:9419`,
  ]);
}, setUpMs);
afterAll(() => provider?.close(), setUpMs);

/** Outside of the slots that coold assigns: coold builds nothing here but prepares the build networks. */
let nextSlot = 100;

async function repository(name: string, files: Record<string, string>): Promise<void> {
  const path = `/srv/git/${name}`;
  for (const [file, content] of Object.entries(files)) await beside.put(content, `${path}/${file}`, 0o644);
  const git = `git -c user.name=x -c user.email=x@x`;
  const script = `cd ${path} && ${git} init -q -b main && ${git} add -A && ${git} commit -q -m x`;
  await expectExec(beside, ['sh', '-c', script]);
}

async function prepare(
  requestId: string,
  request: { stack: BuildUnit['stack'] } & Record<string, unknown>,
  bin = '/usr/local/bin/builder',
) {
  const workFolder = `${root}/${requestId}`;
  const common = {
    repo_url: `${server}/site`,
    git_ref: 'main',
    target_image: `localhost/built/${requestId}:1`,
    base_images: [busyboxImage, 'localhost/device:1', 'localhost/onbuild:1'],
  };
  await host.put(JSON.stringify({ ...common, ...request }), `${workFolder}/request.json`, 0o600);
  await expectExec(host, ['chmod', '700', workFolder]);
  const denyNets = ['100.64.0.0/16', '10.210.0.0/16'];
  const config = {
    bin,
    timeoutSecs: 600,
    memoryMax: '1G',
    cpuQuota: '200%',
    diskMax: '10G',
    inodesMax: '2000000',
    cacheMax: '5G',
    denyNets,
  };
  const network = {
    slot: nextSlot,
    address: `240.0.0.${nextSlot}`,
    gateway: '240.0.0.1',
    mtu: 1500,
    resolvConf: '/run/coolify/build-resolv.conf',
  };
  nextSlot += 1;
  const { program, args } = buildUnitCommand({
    requestId,
    stack: request.stack,
    workFolder,
    network,
    config,
  });
  const running = host.exec([program, ...args], { timeoutMs: buildMs });
  const outcome = async (name: string) => JSON.parse((await host.get(`${workFolder}/${name}`)).toString());
  return { running, outcome, workFolder, unit: buildUnitName(requestId) };
}

/** Returns the events of a build, one line each. */
async function said(workFolder: string): Promise<string> {
  const events = (await host.get(`${workFolder}/events.ndjson`)).toString().trim().split('\n');
  return events.map(line => (JSON.parse(line) as { log?: string }).log ?? '').join('\n');
}

const busybox = { base_image: busyboxImage };

test(
  'a static build becomes an image that runs',
  async () => {
    const { running, outcome, workFolder } = await prepare('static-1', {
      stack: 'static',
      static_cfg: busybox,
    });
    const { code, stderr } = await running;
    expect(code, stderr).toBe(0);
    const image = 'localhost/built/static-1:1';
    const digest = await expectExec(host, ['podman', 'image', 'inspect', '--format', '{{.Digest}}', image]);
    expect(await outcome('result.json')).toMatchObject({ digest: digest.trim(), stack_used: 'static' });
    const page = ['cat', '/usr/share/nginx/html/index.html'] as const;
    expect(await expectExec(host, ['podman', 'run', '--rm', image, ...page])).toBe('<h1>hello</h1>');
    expect((await expectExec(host, ['ls', '-A', workFolder])).trim().split('\n')).toEqual([
      ...['events.ndjson', 'request.json', 'result.json'],
    ]);
  },
  buildMs,
);

test.each(['static', 'dockerfile'] as const)(
  'a %s build runs in its sandbox, and a cancel of the unit ends it',
  async stack => {
    const request = { stack, repo_url: `git://${beside.address}:9419/site` };
    const { running, outcome, unit } = await prepare(`cancel-${stack}`, request);
    let shown = '';
    for (
      const deadline = Date.now() + 30_000;
      Date.now() < deadline && !shown.includes('ActiveState=active');
    )
      shown = await expectExec(host, ['systemctl', 'show', unit]);
    for (const property of [
      ...['RuntimeMaxUSec=10min', 'MemoryMax=1073741824', 'CPUQuotaPerSecUSec=2s', 'PrivateTmp=yes'],
      ...['ProtectSystem=strict', 'ProtectHome=yes', 'NoNewPrivileges=yes', 'LockPersonality=yes'],
      ...['RestrictRealtime=yes', 'SystemCallArchitectures=native', 'CollectMode=inactive'],
      `NetworkNamespacePath=/run/netns/coolify-build-cancel-${stack}`,
      `ReadWritePaths=${root}/cancel-${stack} /var/lib/containers -/run/containers -/run/netavark -/run/lock`,
    ])
      expect(shown).toContain(`\n${property}\n`);
    const denied = /\nIPAddressDeny=(.*)\n/.exec(shown)?.[1]?.split(' ') ?? [];
    for (const net of ['127.0.0.1/32', '169.254.0.0/16', '::1/128', 'fc00::/7', 'fe80::/10', '100.64.0.0/16'])
      expect(denied).toContain(net);
    expect(/\nRestrictNamespaces=(.*)\n/.exec(shown)?.[1]?.split(' ').toSorted().join(' ')).toBe(
      stack === 'static' ? 'mnt user' : 'no',
    );
    expect(shown).toContain(stack === 'static' ? '\nDevicePolicy=auto\n' : '\nDevicePolicy=closed\n');
    if (stack === 'dockerfile') expect(shown).toMatch(/\nInaccessiblePaths=-\/run\/podman /);
    const events = `${root}/cancel-${stack}/events.ndjson`;
    await expectExec(host, ['sh', '-c', `until grep -q fetching ${events}; do sleep 0.1; done`]);
    await expectExec(host, ['systemctl', 'kill', '--signal=SIGTERM', unit]);
    expect((await running).code).toBe(130);
    expect(await outcome('error.json')).toEqual({ code: 499, message: 'cancelled', stage: 'cancel' });
  },
  buildMs,
);

test(
  'a RUN step stays in the unit, and opens no device of the host',
  async () => {
    // A base image that contains a device node of the host.
    const made = [
      'mkdir -p /srv/device',
      `c=$(podman create ${busyboxImage})`,
      'podman export $c | tar -x -C /srv/device',
    ];
    const node = [
      'mknod /srv/device/tun c 10 200',
      'tar -c -C /srv/device . | podman import - localhost/device:1',
      'podman rm $c',
    ];
    await expectExec(host, ['sh', '-c', [...made, ...node].join(' && ')]);
    const steps = [
      'RUN (cat </tun) 2>&1 | sed "s/^/device: /"; true',
      'RUN echo "cgroups: $(ls /sys/fs/cgroup | wc -l)"; touch /etc/hello',
      'RUN cat /proc/self/cgroup | sed "s/^/group: /"',
    ];
    await repository('sandbox', { Dockerfile: `FROM localhost/device:1\n${steps.join('\n')}\n` });
    const { running, workFolder } = await prepare('run-1', {
      stack: 'dockerfile',
      repo_url: `${server}/sandbox`,
    });
    const { code, stderr } = await running;
    const log = await said(workFolder);
    expect(code, stderr + log).toBe(0);
    expect(log).toMatch(/^device: .*not permitted/im);
    expect(log).toContain('cgroups: 0');
    expect(log).toMatch(/^group: .*coolify-build-run-1\.service/m);
    await expect(host.get('/etc/hello')).rejects.toThrow();
  },
  buildMs,
);

test(
  'steps of a build with a cache run in its sandbox, and never on a layer of another cache',
  async () => {
    const steps = 'RUN echo made >/made\nRUN cat /made; echo "that was it"\n';
    await repository('cached', { Dockerfile: `FROM ${busyboxImage}\n${steps}` });
    const build = async (requestId: string, cacheKey: string) => {
      const request = { repo_url: `${server}/cached`, cache_key: cacheKey };
      const { running, workFolder } = await prepare(requestId, { stack: 'dockerfile', ...request });
      const { code, stderr } = await running;
      const log = await said(workFolder);
      expect(code, stderr + log).toBe(0);
      return { isCached: log.includes('Using cache'), ran: /^that was it$/m.test(log), log };
    };
    expect(await build('cache-1', 'one')).toMatchObject({ isCached: false, ran: true });
    expect(await build('cache-2', 'one')).toMatchObject({ isCached: true, ran: false });
    const other = await build('cache-3', 'other');
    expect(other).toMatchObject({ isCached: true, ran: true });
    expect(other.log).toContain('another build has made a layer for the same step');
  },
  2 * buildMs,
);

test(
  'a process that escapes from a container in a build finds no key and no socket of the host, and no other build',
  async () => {
    const look =
      'ls /usr >/dev/null && (ls -A /run/podman; ls -A /etc/coolify; cat /etc/shadow; ls -A "$(dirname "$2")" | grep -vxF "$(basename "$2")") >"$2/seen" 2>/dev/null; test -e "$2/seen"';
    await host.put(`#!/bin/sh\n${look}\n`, '/usr/local/bin/look', 0o755);
    const { running, workFolder } = await prepare('look', { stack: 'dockerfile' }, '/usr/local/bin/look');
    const { code, stderr } = await running;
    expect(code, stderr).toBe(0);
    expect((await host.get(`${workFolder}/seen`)).toString()).toBe('');
    expect(await expectExec(host, ['ls', '-A', '/run/podman'])).not.toBe('');
    expect((await expectExec(host, ['ls', '-A', dirname(workFolder)])).split('\n').length).toBeGreaterThan(2);
  },
  buildMs,
);

test(
  `a base image whose ONBUILD mounts the host's folders is refused by name`,
  async () => {
    // With ONBUILD, which is not visible in the repository, and a symlink that buildah follows.
    const look = 'ONBUILD RUN --mount=type=bind,from=localhost/linked:1,source=/host,target=/mnt ls /mnt';
    await host.put(`FROM ${busyboxImage}\nRUN ln -s / /host\n`, '/srv/linked', 0o644);
    await host.put(`FROM ${busyboxImage}\n${look}\n`, '/srv/asking', 0o644);
    const bud = 'buildah bud --pull=false --isolation=chroot';
    const made = `mkdir -p /srv/none && ${bud} -t localhost/linked:1 -f /srv/linked /srv/none && ${bud} --format=docker -t localhost/onbuild:1 -f /srv/asking /srv/none`;
    await expectExec(host, ['sh', '-c', made]);
    await repository('onbuild', { Dockerfile: 'FROM localhost/onbuild:1\nRUN true\n' });
    const requests = [
      { stack: 'dockerfile', repo_url: `${server}/onbuild` },
      { stack: 'static', static_cfg: { base_image: 'localhost/onbuild:1' } },
    ] as const;
    for (const request of requests) {
      const { running, outcome } = await prepare(`onbuild-${request.stack}`, request);
      expect((await running).code).toBe(1);
      const error = await outcome('error.json');
      expect(error).toMatchObject({ code: 422, stage: 'stack' });
      expect(error.message).toMatch(/^base image localhost\/onbuild:1: ONBUILD .*--mount=type=bind/);
    }
  },
  buildMs,
);

test(
  'a repository is fetched over ssh with the key that /etc/ssh names, the only part of ssh that a unit sees',
  async () => {
    const config = [
      ...[
        `ListenAddress ${beside.address}:2222`,
        'HostKey /srv/ssh/host',
        'AuthorizedKeysFile /srv/ssh/build.pub',
      ],
      ...['PermitRootLogin prohibit-password', 'UsePAM no', 'StrictModes no', 'PidFile none'],
    ];
    await beside.put(`${config.join('\n')}\n`, '/srv/ssh/sshd_config', 0o600);
    const made = [
      'mkdir -p /run/sshd /etc/ssh',
      'for k in host build; do ssh-keygen -q -t ed25519 -N "" -f /srv/ssh/$k; done',
      'systemd-run --quiet --unit=e2e-sshd -- /usr/sbin/sshd -D -f /srv/ssh/sshd_config',
      'until ssh-keyscan -p 2222 "$1" 2>/dev/null | grep -q .; do sleep 0.1; done',
    ];
    await expectExec(beside, ['sh', '-ec', made.join('\n'), 'sh', beside.address]);
    await host.put(await beside.get('/srv/ssh/build'), '/etc/ssh/build', 0o600);
    const [type = '', key = ''] = (await beside.get('/srv/ssh/host.pub')).toString().split(' ');
    await host.put(`[${beside.address}]:2222 ${type} ${key}\n`, '/etc/ssh/ssh_known_hosts', 0o644);
    const repo_url = `ssh://root@${beside.address}:2222/srv/git/site`;
    const refused = await prepare('ssh-refused', { stack: 'static', repo_url, static_cfg: busybox });
    expect((await refused.running).code).toBe(1);
    expect(await refused.outcome('error.json')).toMatchObject({
      code: 422,
      stage: 'git',
      message: expect.stringContaining('Permission denied'),
    });
    await host.put('Host *\n  IdentityFile /etc/ssh/build\n', '/etc/ssh/ssh_config', 0o644);
    const { running, workFolder } = await prepare('ssh', { stack: 'static', repo_url, static_cfg: busybox });
    const { code, stderr } = await running;
    const events = await host.get(`${workFolder}/events.ndjson`);
    expect(code, `${stderr}${events}`).toBe(0);
  },
  buildMs,
);

test(
  'a build reaches neither the loopback nor the mesh',
  async () => {
    const reach = async (address: string) => {
      const name = `reach-${address}`;
      await repository(name, { Dockerfile: `FROM ${busyboxImage}\nADD http://${address}:9/x /x\n` });
      const { running, outcome } = await prepare(name, {
        stack: 'dockerfile',
        repo_url: `${server}/${name}`,
      });
      expect((await running).code).toBe(1);
      // Nobody listens there either, but the connection is already refused.
      expect((await outcome('error.json')).message).toMatch(/not permitted|timeout/);
    };
    await Promise.all(['127.0.0.1', fleet.central.mgmtIp].map(reach));
  },
  buildMs,
);
