// `coold status` against a coold that runs, in a network namespace of its own. Needs root.
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runChild } from '@coold/runtime';
import { programs, scratchFolder, startProgram } from '@coold/testbed';
import { createNetns } from '@coold/testbed/netns';
import { soon } from '@coold/testbed/soon';
import { expect, test } from 'vitest';

const address = '100.64.0.7';
// Nothing here answers on them: no Podman, no Corrosion, no broker.
const nobody = {
  COOLD_HOST_MGMT_IP: address,
  COOLD_PODMAN_SOCKET: '/run/podman.sock',
  COOLD_CORROSION_URL: 'http://127.0.0.1:1',
};

/** What a program may take to start on a machine that is busy, in ms. */
const startMs = 60_000;

async function setUp() {
  const cleanup = new AsyncDisposableStack();
  const folder = cleanup.use(await scratchFolder());
  const netns = await createNetns();
  cleanup.defer(() => netns.close());
  // A /run of its own: the real one may be that of a coold installed here.
  await netns.exec('mount', ['-t', 'tmpfs', 'run', '/run']);
  await netns.exec('mkdir', ['/run/coolify']);
  return {
    folder: folder.path,
    netns,
    /** A /etc of its own, with what the unit of coold would read. */
    async configure(cooldEnv: string) {
      const copy =
        'mkdir /run/etc && cp -a /etc/. /run/etc/ && mount --bind /run/etc /etc && mkdir -p /etc/coolify';
      await netns.exec('sh', ['-c', `${copy} && cat >/etc/coolify/coold.env`], { input: cooldEnv });
    },
    start: (env: Record<string, string>) =>
      cleanup.use(
        startProgram('coold', {
          inside: netns.pid,
          env: {
            ...nobody,
            COOLD_RULES_PATH: join(folder.path, 'allow.rules'),
            COOLD_BRIDGE_RULES_PATH: join(folder.path, 'allow.nft'),
            ...env,
          },
        }),
      ),
    status: (env: Record<string, string> = {}, ...args: string[]) =>
      runChild(
        'nsenter',
        ['-t', String(netns.pid), '-n', '-m', '--', process.execPath, programs.coold, 'status', ...args],
        { timeoutMs: 60_000, env: { PATH: process.env['PATH'] ?? '', ...env } },
      ),
    [Symbol.asyncDispose]: () => cleanup.disposeAsync(),
  };
}

test('over its socket it names what is wrong, and what it last heard; without a socket it is not reachable', async () => {
  await using host = await setUp();
  expect(await host.status()).toMatchObject({
    code: 3,
    stderr: expect.stringMatching(
      /^coold status: coold does not run \(\/run\/coolify\/coold\.sock cannot be asked: .*ENOENT.*\): start it with "systemctl start coold".*\n$/,
    ),
  });
  expect((await host.netns.exec('ip', ['address', 'add', `${address}/32`, 'dev', 'lo'])).code).toBe(0);
  const jwt = join(host.folder, 'jwt');
  await writeFile(jwt, 'a.b.c', { mode: 0o600 });
  const coold = host.start({ COOLD_BROKER_URL: 'grpc://127.0.0.1:1/v1/agent', COOLD_HOST_JWT_PATH: jwt });
  await coold.logged(line => line.msg === 'serving status and metrics', startMs);
  await coold.logged(line => line.msg === 'no stream to the broker; dialling again', startMs);
  const { code, stdout } = await soon(
    async () => {
      const shown = await host.status();
      // Right after the start, what has not failed yet is no problem.
      expect(shown.stdout).toMatch(/^PROBLEM: Corrosion does not report changes of the mesh/m);
      return shown;
    },
    { timeout: startMs },
  );
  expect(code, stdout).toBe(1);
  expect(stdout).toMatch(/^PROBLEM: no stream to the broker: broker 127\.0\.0\.1:1: /);
  expect(stdout).toMatch(/^PROBLEM: Podman does not answer: /m);
  expect(stdout).toMatch(/ago {2}warn {2}no stream to the broker; dialling again: /);
  expect(stdout.split('\n').length, 'one screen').toBeLessThan(25);
  const json = await host.status({}, '--json');
  expect(JSON.parse(json.stdout)).toMatchObject({
    problems: expect.arrayContaining([]),
    link: { connected: false },
    podman: { problem: expect.any(String), late: false },
    recent: expect.arrayContaining([expect.objectContaining({ level: 'warn' })]),
  });
}, 120_000);

test.each<[string, (path: string) => Promise<unknown>, RegExp]>([
  ['missing', async () => {}, /jwt cannot be read: ENOENT/],
  ['empty', path => writeFile(path, '\n', { mode: 0o600 }), /jwt is empty/],
  ['open to others', path => writeFile(path, 'a.b.c', { mode: 0o644 }), /jwt has mode 644: .*chmod 600/],
])(
  'with a host token that is %s the host works, reports it, and dials once it is corrected',
  async (_, spoil, why) => {
    await using host = await setUp();
    const jwt = join(host.folder, 'jwt');
    await spoil(jwt);
    const coold = host.start({ COOLD_BROKER_URL: 'grpc://127.0.0.1:1/v1/agent', COOLD_HOST_JWT_PATH: jwt });
    await coold.logged(line => line.msg === 'serving status and metrics', startMs);
    const line = await coold.logged(
      ({ component, level }) => component === 'coold.link' && level === 'error',
    );
    expect(line).toMatchObject({ reason: expect.stringMatching(why) });
    expect(line).not.toHaveProperty('err');
    const { code, stdout } = await host.status();
    expect(code).toBe(1);
    const problems = stdout.split('\n').filter(text => text.startsWith('PROBLEM: no stream to the broker: '));
    expect(problems).toEqual([expect.stringMatching(why)]);
    const { stdout: metrics } = await host.netns.exec('curl', [
      ...['--silent', '--fail', '--unix-socket', '/run/coolify/coold.sock', 'http://localhost/metrics'],
    ]);
    expect(metrics).toContain('coold_link_credentials_usable 0');
    await rm(jwt, { force: true });
    await writeFile(jwt, 'a.b.c', { mode: 0o600 });
    await coold.logged(({ msg }) => msg === 'no stream to the broker; dialling again', startMs);
    expect(
      coold.lines.filter(({ component, level }) => component === 'coold.link' && level === 'error'),
    ).toHaveLength(1);
  },
  120_000,
);

test('the addresses that REST and metrics cannot be served on are named until they are', async () => {
  await using host = await setUp();
  const tokenFile = join(host.folder, 'token');
  await writeFile(tokenFile, 'token', { mode: 0o600 });
  // No interface has the address yet.
  const coold = host.start({
    COOLD_API_BIND: `${address}:8443`,
    COOLD_API_TOKEN_FILE: tokenFile,
    COOLD_METRICS_BIND: `${address}:9464`,
  });
  await coold.logged(line => line.msg === 'serving status and metrics', startMs);
  await coold.logged(line => line.msg === 'cannot listen yet; trying again', startMs);
  await coold.logged(line => line.msg === 'metrics cannot be served yet; trying again', startMs);
  const said = async () => JSON.parse((await host.status({}, '--json')).stdout);
  const problem = expect.stringContaining('EADDRNOTAVAIL');
  const { unserved } = await said();
  expect(unserved).toHaveLength(2);
  expect(unserved).toEqual(
    expect.arrayContaining([
      { what: 'rest', address: `${address}:8443`, problem },
      { what: 'metrics', address: `${address}:9464`, problem },
    ]),
  );
  expect((await host.netns.exec('ip', ['address', 'add', `${address}/32`, 'dev', 'lo'])).code).toBe(0);
  await coold.logged(line => line.msg === 'serving the API', startMs);
  await coold.logged(line => line.msg === 'serving metrics', startMs);
  expect((await said()).unserved).toEqual([]);
}, 240_000);

test('a disk that is full is a problem until there is room', async () => {
  await using host = await setUp();
  const full = join(host.folder, 'full');
  await host.netns.exec('mkdir', [full]);
  await host.netns.exec('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', full]);
  const paths = {
    COOLD_RULES_PATH: join(full, 'allow.rules'),
    COOLD_BRIDGE_RULES_PATH: join(full, 'allow.nft'),
  };
  const coold = host.start(paths);
  await coold.logged(line => line.msg === 'serving status and metrics', startMs);
  const problems = async () => {
    const { stdout } = await host.status({}, '--json');
    return (JSON.parse(stdout) as { problems: string[] }).problems.filter(line => line.includes('is full'));
  };
  expect(await problems()).toEqual([]);
  const filler = join(full, 'filler');
  await host.netns.exec('dd', ['if=/dev/zero', `of=${filler}`, 'bs=64k', 'count=128'], { mayFail: true });
  expect(await problems()).toEqual([
    expect.stringContaining(`the disk of settings (${full}) is full: 0 MiB of 4 MiB`),
  ]);
  await host.netns.exec('rm', [filler]);
  expect(await problems()).toEqual([]);
}, 120_000);

test('of a coold with an API bind it asks the socket, which it finds in the environment file of the unit', async () => {
  await using host = await setUp();
  const tokenFile = join(host.folder, 'token');
  await writeFile(tokenFile, 'the-token', { mode: 0o600 });
  await host.netns.exec('ip', ['address', 'add', `${address}/32`, 'dev', 'lo']);
  const api = { COOLD_API_BIND: `${address}:8443`, COOLD_API_TOKEN_FILE: tokenFile };
  const elsewhere = { COOLD_UNIX_SOCKET_PATH: '/run/coolify/another.sock' };
  const lines = Object.entries({ ...api, ...elsewhere }).map(([name, value]) => `${name}="${value}"\n`);
  await host.configure(`# of the unit\n${lines.join('')}`);
  const coold = host.start({ ...api, ...elsewhere });
  await coold.logged(line => line.msg === 'serving the API', startMs);
  await coold.logged(line => line.msg === 'serving status and metrics', startMs);
  const answered = await host.status({}, '--json');
  expect(answered.code, answered.stderr).toBe(1);
  expect(JSON.parse(answered.stdout)).toMatchObject({ link: null, version: expect.any(String) });
  // A variable and a flag of its own win over the file.
  const none = '/run/coolify/none.sock';
  for (const gone of [
    await host.status({ COOLD_UNIX_SOCKET_PATH: none }),
    await host.status({}, '--unix-socket-path', none),
  ])
    expect(gone).toMatchObject({ code: 3, stderr: expect.stringContaining(none) });
}, 120_000);

test('with an API bind of its own it asks over REST, with its token and the certificate that it shows', async () => {
  await using host = await setUp();
  const { folder, netns } = host;
  const [tokenFile, cert, key] = ['token', 'cert.pem', 'key.pem'].map(name => join(folder, name)) as [
    string,
    string,
    string,
  ];
  await writeFile(tokenFile, 'the-token', { mode: 0o600 });
  const subject = ['-subj', '/CN=some-other-name', '-days', '2'];
  const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  await runChild('openssl', [...made, ...subject, '-keyout', key, '-out', cert], { timeoutMs: 30_000 });
  await netns.exec('ip', ['address', 'add', `${address}/32`, 'dev', 'lo']);
  const api = { COOLD_API_BIND: `${address}:8443`, COOLD_API_TOKEN_FILE: tokenFile, COOLD_TLS_CERT: cert };
  const coold = host.start({ ...api, COOLD_TLS_KEY: key });
  await coold.logged(line => line.msg === 'serving the API', startMs);
  const answered = await host.status(api, '--json');
  expect(answered.code, answered.stderr).toBe(1);
  expect(JSON.parse(answered.stdout)).toMatchObject({ link: null, version: expect.any(String) });

  const other = join(folder, 'other.pem');
  await runChild('openssl', [...made, ...subject, '-keyout', join(folder, 'k'), '-out', other], {
    timeoutMs: 30_000,
  });
  expect(await readFile(other, 'utf8')).not.toBe(await readFile(cert, 'utf8'));
  expect(await host.status({ ...api, COOLD_TLS_CERT: other })).toMatchObject({
    code: 3,
    stderr: expect.stringContaining(`${address}:8443 cannot be asked: `),
  });
  const otherToken = join(folder, 'other-token');
  await writeFile(otherToken, 'another-token', { mode: 0o600 });
  const wrong = await host.status({ ...api, COOLD_API_TOKEN_FILE: otherToken });
  expect(wrong).toMatchObject({ code: 3, stderr: expect.stringContaining('HTTP 401') });
  expect(wrong.stderr).not.toContain('another-token');
}, 120_000);

test('it is wrong usage to name an API and no token for it', async () => {
  const env = { PATH: process.env['PATH'] ?? '', COOLD_API_BIND: `${address}:8443` };
  const { code, stderr } = await runChild(process.execPath, [programs.coold, 'status'], {
    timeoutMs: 60_000,
    env,
  });
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: expect.stringMatching(/^coold status: COOLD_API_TOKEN_FILE is not set/),
  });
}, 60_000);
