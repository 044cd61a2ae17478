// The release assets on hosts of each Debian, installed like `coolify init` does: one file per program, downloaded,
// moved to /usr/local/bin and started by a plain unit that contains the settings.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { runChild } from '@coold/runtime';
import { scratchFolder } from '@coold/testbed';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFailed, test } from 'vitest';
import { eventually } from '../harness/eventually.ts';
import { printJournals } from '../harness/fleet.ts';
import { builtAssets } from '../harness/product.ts';
import { expectExec, type Host, hostSystems, type Provider } from '../harness/provider.ts';
import { chooseGround } from './provider.ts';

/** The root of another Debian than this machine's may have to be created first. */
const setUpMs = 15 * 60_000;
const names = ['coold', 'builder', 'broker', 'scheduler'];
const lib = '/usr/local/lib/coold';

/** The emulator for programs of the other architecture, from Debian's qemu-user-static. */
const other =
  process.arch === 'x64'
    ? { debian: 'arm64', emulator: '/usr/bin/qemu-aarch64-static', libraries: '/usr/aarch64-linux-gnu' }
    : { debian: 'amd64', emulator: '/usr/bin/qemu-x86_64-static', libraries: '/usr/x86_64-linux-gnu' };
const emulates = existsSync(other.emulator);
if (!emulates)
  process.stderr.write(`${other.emulator} is not there: assets for ${other.debian} are not run\n`);

describe.skipIf(!emulates)('for the other architecture, emulated', () => {
  test.each(names)(
    '%s for it runs',
    async name => {
      await using folder = await scratchFolder();
      const sh = async (line: string) => {
        const { code, stdout, stderr } = await runChild('sh', ['-c', `cd ${folder.path} && ${line}`], {
          timeoutMs: 120_000,
        });
        expect(code, stderr).toBe(0);
        return stdout;
      };
      await sh(`tar -xzf ${join(await builtAssets(), `${name}-linux-${other.debian}.tar.gz`)}`);
      expect(await sh('ls -A')).toBe(`${name}\n`);
      // The script at the start of the asset asks the kernel for the architecture, which no emulator changes.
      const refused = await runChild(join(folder.path, name), ['--version'], { timeoutMs: 10_000 });
      expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/: this file is for Linux /)]);
      const program = name === 'scheduler' ? 'broker' : name;
      await sh(
        `mkdir release && tail -n "+$(sed -n 's/^payload=//p;7q' ${name})" ${name} | gzip -dc | tar -xf - -C release`,
      );
      expect(
        await sh(`${other.emulator} -L ${other.libraries} release/node release/${program}.mjs --version`),
      ).toMatch(new RegExp(`^${program} \\d`));
    },
    setUpMs,
  );
});

describe.each(hostSystems)('on %s', system => {
  let provider: Provider;
  let host: Host;

  beforeAll(async () => {
    const ground = await chooseGround();
    provider = ground.provider;
    const [fresh] = await provider.up([{ name: 'asset', system }]);
    if (fresh === undefined) throw new Error('a host was asked for');
    host = fresh;
    // The Node in the asset has to bring its shared libraries.
    await sh('rm -f /usr/lib/*/libatomic.so.1*');
    for (const name of names) await download(name);
  }, setUpMs);
  afterAll(() => provider?.close(), setUpMs);
  beforeEach(() => onTestFailed(() => printJournals([host]), 60_000));

  const sh = (line: string, timeoutMs = 60_000) => expectExec(host, ['sh', '-c', line], { timeoutMs });

  /** Downloads an asset into an empty folder of its own, where it is unpacked. */
  async function download(name: string): Promise<void> {
    const architecture = (await sh('dpkg --print-architecture')).trim();
    const file = join(await builtAssets(), `${name}-linux-${architecture}.tar.gz`);
    await host.put({ file }, `/root/downloads/${name}/${name}.tar.gz`, 0o600);
    await sh(`cd /root/downloads/${name} && tar -xzf ${name}.tar.gz && rm ${name}.tar.gz`);
  }

  /** Installs it as a user installs a download. */
  const put = (name: string) =>
    sh(
      `install -m 0755 /root/downloads/${name}/${name} /usr/local/bin/${name}.tmp && mv /usr/local/bin/${name}.tmp /usr/local/bin/${name}`,
    );

  /** Runs a program in a transient unit with these properties. @returns its output */
  const inUnit = async (properties: readonly string[], ...argv: [string, ...string[]]) =>
    (
      await expectExec(host, [
        ...(['systemd-run', '--quiet', '--pipe', '--wait'] as const),
        ...properties.map(property => `--property=${property}`),
        ...['--', ...argv],
      ])
    ).trim();

  const unit = async (name: string, lines: readonly string[]) => {
    await host.put(
      `[Unit]\nDescription=test\n[Service]\n${lines.join('\n')}\nRestart=on-failure\nRestartSec=2s\n[Install]\nWantedBy=multi-user.target\n`,
      `/etc/systemd/system/${name}.service`,
      0o644,
    );
    await expectExec(host, ['systemctl', 'daemon-reload']);
  };
  const show = async (name: string, property: string) =>
    (await expectExec(host, ['systemctl', 'show', '--property', property, '--value', name])).trim();

  /** The properties of a build's unit that keep a program off the disk. */
  const closed = ['ProtectSystem=strict', 'ProtectHome=yes', 'PrivateTmp=yes', 'NoNewPrivileges=yes'];

  test('each asset holds one file of its name', async () => {
    for (const name of names) expect(await sh(`ls -A /root/downloads/${name}`), name).toBe(`${name}\n`);
  });

  test('a builder that cannot write anywhere runs before anything was unpacked, and leaves nothing', async () => {
    await put('builder');
    expect(await inUnit(closed, '/usr/local/bin/builder', '--version')).toMatch(/^builder \d/);
    expect(await sh(`ls -d ${lib} /tmp/builder.* 2>/dev/null || :`)).toBe('');
  });

  test('a user other than root runs one with ambient capabilities, and signals reach it', async () => {
    await sh('install -m 0755 -D /root/downloads/coold/coold /opt/one/coold');
    const user = ['User=nobody', 'AmbientCapabilities=CAP_NET_BIND_SERVICE CAP_NET_ADMIN CAP_NET_RAW'];
    expect(await inUnit(user, '/opt/one/coold', '--version')).toMatch(/^coold \d/);
    const { code, stderr } = await host.exec([
      'setpriv',
      '--reuid=65534',
      '--clear-groups',
      '/opt/one/coold',
    ]);
    expect([code, stderr]).toEqual([2, expect.stringContaining('COOLD_HOST_MGMT_IP')]);
    expect(await sh('ls -d /tmp/coold.* 2>/dev/null || :')).toBe('');
  });

  test('coold runs under a plain unit, and only one Node is on the disk', async () => {
    await put('coold');
    await unit('coold', [
      `Environment=COOLD_HOST_MGMT_IP=${host.address}`,
      'Environment=COOLD_NAMESPACES=default:coolify-default-mesh:10.210.0.1',
      'Environment=COOLD_DNS_ZONE=coolify.internal',
      'ExecStart=/usr/local/bin/coold',
      'AmbientCapabilities=CAP_NET_BIND_SERVICE CAP_NET_ADMIN CAP_NET_RAW',
    ]);
    await expectExec(host, ['systemctl', 'enable', '--now', 'coold.service', 'podman.socket']);
    await eventually(
      'coold to answer',
      async () => ((await host.exec(['coold', 'status'])).code === 3 ? undefined : true),
      { timeoutMs: 30_000 },
    );
    expect(await show('coold', 'NRestarts')).toBe('0');
    expect(await sh('cat /usr/local/bin/coold')).toMatch(
      /^#!\/bin\/sh\nexec \/usr\/local\/lib\/coold\/\S+\/node \/usr\/local\/lib\/coold\/\S+\/coold\.mjs "\$@"\n$/,
    );
    expect((await sh(`ls ${lib}`)).trim().split('\n')).toHaveLength(1);
    // The units that a build's unit requires exist too.
    await expectExec(host, ['systemctl', 'start', 'coolify-build-net@test.service']);
    await expectExec(host, ['systemctl', 'stop', 'coolify-build-net@test.service']);
  }, 120_000);

  test('a builder that cannot write anywhere runs from what coold unpacked', async () => {
    const nowhere = [...closed, 'PrivateTmp=no', 'ReadOnlyPaths=/'];
    expect(await inUnit(nowhere, '/usr/local/bin/builder', '--version')).toMatch(/^builder \d/);
    // The first start outside of a sandbox writes its line, as with the other programs.
    await sh('builder --version');
    expect(Number(await sh('stat -c %s /usr/local/bin/builder'))).toBeLessThan(1000);
  });

  test.each([
    ['broker', 'BROKER'],
    ['scheduler', 'SCHEDULER'],
  ])('%s serves its socket under a plain unit', async (name, prefix) => {
    await sh(
      'mkdir -p /etc/coolify && cd /etc/coolify && openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out jwt.priv 2>&1 && openssl pkey -in jwt.priv -pubout -out jwt.pub',
    );
    await put(name);
    const socket = `/run/coolify/${name}.sock`;
    await unit(name, [
      'RuntimeDirectory=coolify',
      'RuntimeDirectoryMode=0750',
      'RuntimeDirectoryPreserve=yes',
      `Environment=${prefix}_GRPC_BIND=127.0.0.1:6443`,
      `Environment=${prefix}_UNIX_SOCKET_PATH=${socket}`,
      `Environment=${prefix}_JWT_PUBLIC_KEY_PATH=/etc/coolify/jwt.pub`,
      `ExecStart=/usr/local/bin/${name}`,
    ]);
    await expectExec(host, ['systemctl', 'start', `${name}.service`]);
    const streams = await eventually(
      `${name} to answer`,
      async () => {
        const { code, stdout } = await host.exec(
          ['curl', '-sS', '--unix-socket', socket, 'http://x/v1/streams'],
          {},
        );
        return code === 0 ? stdout : undefined;
      },
      { timeoutMs: 30_000 },
    );
    expect(JSON.parse(streams)).toEqual([]);
    expect(await show(name, 'NRestarts')).toBe('0');
    await expectExec(host, ['systemctl', 'stop', `${name}.service`]);
  });

  test('after the first start, each program starts in 150 ms', async () => {
    const report: string[] = [];
    for (const name of names) {
      const script = `TIMEFORMAT='%R %U %S'; for i in {1..20}; do time ${name} --version >/dev/null; done`;
      const { stderr } = await host.exec(['bash', '-c', script]);
      const starts = stderr
        .trim()
        .split('\n')
        .map(line => line.split(' ').map(seconds => Number(seconds) * 1000));
      const wall = starts.map(([real = Number.NaN]) => real).toSorted((a, b) => a - b);
      // CPU time, which a busy machine increases only slightly.
      const work = starts
        .map(([, user = Number.NaN, kernel = Number.NaN]) => user + kernel)
        .toSorted((a, b) => a - b);
      report.push(`${name} ${wall[10]?.toFixed(0)} ms (${work[10]?.toFixed(0)} ms of the processor)`);
      expect(work[0], name).toBeLessThan(150);
    }
    process.stdout.write(`median of 20 starts on ${system}: ${report.join(', ')}\n`);
  });

  test('a release that is neither named nor running is removed by the next one; others stay', async () => {
    const release = (await sh(`ls ${lib}`)).trim();
    await sh(
      `cd ${lib} && mkdir 0.0.1-unused 0.0.2-named 0.0.3-runs && cp -r ${release}/. 0.0.3-runs && cp /usr/local/bin/broker /root/broker`,
    );
    await sh(`sed -i s/${release}/0.0.2-named/g /usr/local/bin/broker`);
    await expectExec(host, [
      ...(['systemd-run', '--quiet', '--unit=runs', '--'] as const),
      ...[`${lib}/0.0.3-runs/node`, '-e', 'setInterval(() => {}, 1000)'],
    ]);
    await expectExec(host, ['systemctl', 'stop', 'coold.service']);
    await sh(`rm -r ${lib}/${release}`);
    await put('coold');
    await expectExec(host, ['systemctl', 'start', 'coold.service']);
    await eventually(
      'coold to answer',
      async () => ((await host.exec(['coold', 'status'])).code === 3 ? undefined : true),
      { timeoutMs: 30_000 },
    );
    expect((await sh(`ls ${lib}`)).trim().split('\n')).toEqual(['0.0.2-named', '0.0.3-runs', release]);
  }, 120_000);

  test('two concurrent first starts share one release', async () => {
    await sh(`systemctl stop coold.service; rm -rf ${lib}`);
    for (const name of names) await put(name);
    const started = await Promise.all(names.map(name => expectExec(host, [name, '--version'])));
    expect(started.join('')).toMatch(/^coold .*\nbuilder .*\nbroker .*\nbroker .*\n$/);
    expect((await sh(`ls -A ${lib} | grep -v '^\\.lock$'`)).trim().split('\n')).toHaveLength(1);
  }, 60_000);

  test('on a full disk it reports the error and starts nothing', async () => {
    await sh(`rm -rf ${lib} && mkdir ${lib} && mount -t tmpfs -o size=20m full ${lib}`);
    await put('coold');
    const { code, stderr } = await host.exec(['coold', '--version'], { env: { TMPDIR: lib } });
    await sh(`umount ${lib}`);
    expect([code, stderr]).toEqual([1, expect.stringContaining('coold: cannot be unpacked into ')]);
  });
});
