// `coold doctor` and `coold support-bundle` as programs, in a network namespace with planted faults and secrets. Needs root.
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runChild } from '@coold/runtime';
import { programs, scratchFolder, startScript } from '@coold/testbed';
import { createNetns } from '@coold/testbed/netns';
import { expect, test } from 'vitest';

/** On a machine that is busy. */
const testMs = 180_000;

async function setUp() {
  const cleanup = new AsyncDisposableStack();
  const { path: folder } = cleanup.use(await scratchFolder());
  const netns = await createNetns();
  cleanup.defer(() => netns.close());
  await netns.exec('mount', ['-t', 'tmpfs', 'run', '/run']);
  const settingsFile = join(folder, 'coold.env');
  await writeFile(join(folder, 'host-jwt'), 'eyJhbGciOiJFUzI1NiJ9.eyJleHAiOjQxMDI0NDQ4MDB9.c2lnbmF0dXJl\n', {
    mode: 0o600,
  });
  await writeFile(
    join(folder, 'mesh.env'),
    `COOLD_SCAFFOLD_SUBNETS=10.210.1.0/24\nCOOLD_SCAFFOLD_POOLS=10.210.0.0/16\nCOOLD_SCAFFOLD_JOINED_PATH=${join(folder, 'joined.subnets')}\n`,
  );
  const settings = {
    COOLD_HOST_MGMT_IP: '100.64.0.7',
    COOLD_BROKER_URL: 'grpc://127.0.0.1:1',
    COOLD_NAMESPACES: 'default:mesh:10.210.1.1',
    COOLD_CORROSION_URL: 'http://127.0.0.1:1',
    COOLD_PODMAN_SOCKET: '/run/podman.sock',
    COOLD_HOST_JWT_PATH: join(folder, 'host-jwt'),
    COOLD_MESH_ENV: join(folder, 'mesh.env'),
    COOLD_RULES_PATH: join(folder, 'allow.rules'),
  };
  const text = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`);
  await writeFile(settingsFile, `${text.join('')}PLANTED_SETTING=pl4nted-in-the-file\n`);
  // The bridge of the network is up, so its gateway is an address of this host.
  await netns.exec('ip', ['link', 'add', 'mesh0', 'type', 'bridge']);
  await netns.exec('ip', ['address', 'add', '10.210.1.1/24', 'dev', 'mesh0']);
  await netns.exec('ip', ['link', 'set', 'mesh0', 'up']);
  const coold = (...args: string[]) =>
    runChild(
      'nsenter',
      ['-t', String(netns.pid), '-n', '-m', '--', process.execPath, programs.coold, ...args],
      { timeoutMs: 90_000, env: { PATH: process.env['PATH'] ?? '' } },
    );
  return {
    folder,
    netns,
    coold,
    cleanup,
    async doctor() {
      const { code, stdout } = await coold('doctor', '--settings-file', settingsFile, '--json');
      const { checks } = JSON.parse(stdout) as { checks: { check: string; level: string; found: string }[] };
      const fails = checks
        .filter(({ level }) => level === 'fail')
        .map(({ check, found }) => `${check}: ${found}`);
      return { code, checks, fails: fails.join('\n') };
    },
    bundle: (output: string) => coold('support-bundle', '--settings-file', settingsFile, '--output', output),
    [Symbol.asyncDispose]: () => cleanup.disposeAsync(),
  };
}

test(
  'the doctor finds each planted fault, and none of them before it is planted',
  async () => {
    await using host = await setUp();
    const well = await host.doctor();
    expect(well.fails).not.toMatch(/^(token|address plan|ports|settings): /m);

    await chmod(join(host.folder, 'host-jwt'), 0o644);
    await host.netns.exec('ip', ['link', 'add', 'planted0', 'type', 'bridge']);
    await host.netns.exec('ip', ['link', 'set', 'planted0', 'up']);
    await host.netns.exec('ip', ['route', 'add', '10.210.250.0/24', 'dev', 'planted0']);
    const holder = join(host.folder, 'holder.mjs');
    await writeFile(
      holder,
      `import { createSocket } from 'node:dgram';
       createSocket('udp4').bind(53, '10.210.1.1', () => process.stderr.write('{"msg":"bound"}\\n'));`,
    );
    const held = host.cleanup.use(startScript(holder, { inside: host.netns.pid }));
    await held.logged(line => line.msg === 'bound');

    const { code, checks, fails } = await host.doctor();
    expect(code).toBe(1);
    expect(fails).toMatch(/^token: .*host-jwt has mode 644/m);
    expect(fails).toMatch(/^address plan: 10\.210\.0\.0\/16 of COOLD_SCAFFOLD_POOLS shares .* of planted0$/m);
    expect(fails).toMatch(
      /^ports: 10\.210\.1\.1:53 for DNS of namespace default is held by .* on udp 10\.210\.1\.1/m,
    );
    // What does not run here is said, too: each by the check that it belongs to.
    for (const part of [
      /^coold: coold does not run/m,
      /^Podman: /m,
      /^Corrosion: /m,
      /^broker: /m,
      /^wg0: /m,
    ])
      expect(fails).toMatch(part);
    expect(checks.every(check => check.level === 'ok' || 'cure' in check)).toBe(true);
  },
  testMs,
);

test(
  'a pipe in the place of a file is named in the report, and not read',
  async () => {
    await using host = await setUp();
    const pipe = join(host.folder, 'pipe');
    await host.netns.exec('mkfifo', ['--mode=0600', pipe]);
    const { code, stdout } = await host.coold('doctor', '--settings-file', pipe, '--json');
    expect(code).toBe(1);
    expect(stdout).toContain(`${pipe} is not a regular file`);
    const bundle = await host.coold(
      ...['support-bundle', '--settings-file', pipe, '--output', join(host.folder, 'of-pipe.tar.gz')],
    );
    expect(bundle.code).toBe(0);
    const status = await host.coold('status', '--api-bind', '127.0.0.1:1', '--api-token-file', pipe);
    expect(status.stderr + status.stdout).toContain(`${pipe} is not a regular file`);

    // The files that settings name.
    const settingsFile = join(host.folder, 'of-pipes.env');
    const names = ['HOST_JWT_PATH', 'MESH_ENV', 'BROKER_CA', 'TLS_CERT', 'TLS_KEY', 'API_TOKEN_FILE'];
    const given = [
      ...names.map(name => `COOLD_${name}=${pipe}`),
      ...['COOLD_HOST_MGMT_IP=100.64.0.7', 'COOLD_BROKER_URL=grpcs://127.0.0.1:1'],
      ...['COOLD_API_BIND=127.0.0.1:8443', 'COOLD_PODMAN_SOCKET=/run/podman.sock'],
    ];
    await writeFile(settingsFile, `${given.join('\n')}\n`);
    const doctor = await host.coold('doctor', '--settings-file', settingsFile);
    for (const check of ['address plan', 'broker', 'token', 'certificates', 'secrets'])
      expect(doctor.stdout).toMatch(new RegExp(`^fail +${check} +.*${pipe} is not a regular file`, 'm'));
  },
  testMs,
);

test(
  'settings that coold would refuse are a failure, and the rest is checked all the same',
  async () => {
    await using host = await setUp();
    const settingsFile = join(host.folder, 'bad.env');
    await writeFile(settingsFile, 'COOLD_HOST_MGMT_IP=nowhere\n');
    const { code, stdout } = await host.coold('doctor', '--settings-file', settingsFile);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^fail {2}settings .*COOLD_HOST_MGMT_IP="nowhere"/m);
    expect(stdout).toMatch(/^ok {4}nft /m);
    expect(stdout).toMatch(/^ok {4}token .*not asked: coold has no settings here that can be used/m);
    expect((await host.coold('doctor', '--env-fil')).code).toBe(2);
    // Node itself would read a file that is named with --env-file, also behind the program's name, and end where it cannot.
    const unreadable = await host.coold('doctor', '--settings-file', host.folder);
    expect(unreadable).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/^fail {2}settings .*is not a regular file$/m),
    });
  },
  testMs,
);

test(
  'the bundle is readable by its owner only, has every part, and no secret',
  async () => {
    await using host = await setUp();
    const token = (await readFile(join(host.folder, 'host-jwt'), 'utf8')).trim();
    // As a rule's comment of somebody else's: text that coold does not understand.
    await host.netns.exec('nft', ['add', 'table', 'inet', 'planted']);
    const rule = ['add chain inet planted c { comment "password=pl4nted-in-a-rule pl4nted-in-the-file"; }'];
    await host.netns.exec('nft', rule);
    const output = join(host.folder, 'bundle.tar.gz');
    const made = await host.bundle(output);
    expect(made).toMatchObject({ code: 0, stdout: `${output}\n`, stderr: '' });
    expect((await stat(output)).mode & 0o777).toBe(0o600);
    const unpacked = join(host.folder, 'unpacked');
    await mkdir(unpacked);
    const untar = ['-xzf', output, '-C', unpacked, '--strip-components=1'];
    expect((await runChild('tar', untar, { timeoutMs: 20_000 })).code).toBe(0);
    const entries = await readdir(unpacked, { recursive: true, withFileTypes: true });
    const files = entries.filter(entry => entry.isFile());
    const texts = new Map<string, string>();
    for (const { parentPath, name } of files) texts.set(name, await readFile(join(parentPath, name), 'utf8'));
    for (const secret of [token, 'c2lnbmF0dXJl', 'pl4nted-in-the-file', 'pl4nted-in-a-rule'])
      for (const form of [secret, Buffer.from(secret).toString('base64').replace(/=+$/, '')])
        for (const [name, text] of texts) expect(text.includes(form), `${name}: ${form}`).toBe(false);
    expect(texts.get('nft.txt')).toContain('password=<redacted>');
    expect(JSON.parse(texts.get('coold.json') ?? '')).toMatchObject({
      settings: { COOLD_HOST_MGMT_IP: '100.64.0.7' },
      not_shown: ['PLANTED_SETTING'],
    });
    expect(JSON.parse(texts.get('doctor.json') ?? '')).toMatchObject({ checks: expect.any(Array) });
    expect(texts.get('MISSING.txt')).toContain('status.json: ');
    // What is there is never written over.
    expect(await host.bundle(output)).toMatchObject({ code: 1, stderr: expect.stringContaining('EEXIST') });
  },
  testMs,
);
