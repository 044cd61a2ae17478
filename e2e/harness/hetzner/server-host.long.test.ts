import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runChild } from '@coold/runtime';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Host, Provider } from '../provider.ts';
import { type FakeApi, startFakeApi } from './fake-api.ts';
import { createHetzner } from './hetzner.ts';
import { createLabMachines, type LabMachines } from './lab-machines.ts';
import { missingPackages, packages } from './prepare.ts';

const token = 'token-of-the-test';
const pace = {
  requestMs: 5000,
  patienceMs: 60_000,
  backoff: { firstMs: 5, maxMs: 50 },
  pollMs: 20,
  actionMs: 60_000,
};

/** Real hosts with a real sshd behind a fake API. */
describe.skipIf(process.getuid?.() !== 0)('on hosts of the lab', { timeout: 120_000 }, () => {
  let folder: string;
  let lab: LabMachines;
  let fake: FakeApi;
  let hetzner: Provider;
  let a: Host;
  let b: Host;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hetzner-test-'));
    // Lab hosts have this machine's programs and cannot reach Debian's mirrors.
    const here = {
      exec: (argv: readonly [string, ...string[]]) => runChild(argv[0], argv.slice(1), { timeoutMs: 5000 }),
    };
    expect(await missingPackages(here), 'packages that this machine lacks').toEqual([]);
    const sshKey = join(folder, 'key');
    spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'of the test', '-f', sshKey]);
    lab = await createLabMachines(readFileSync(`${sshKey}.pub`, 'utf8').trim());
    fake = await startFakeApi({ machines: lab.machines });
    const settings = {
      token,
      project: 'project-of-the-test',
      sshKey,
      location: undefined,
      image: 'debian-12',
      serverType: 'small',
      keepServers: false,
    };
    const api = { baseUrl: fake.baseUrl, pace };
    hetzner = createHetzner({ settings, api, ssh: { program: lab.ssh } });
    const hosts = await hetzner.up(['a', 'b']);
    const [first, second] = hosts;
    if (first === undefined || second === undefined) throw new Error('no hosts');
    a = first;
    b = second;
  }, 120_000);

  afterAll(async () => {
    await hetzner?.close();
    await fake?.close();
    await lab?.close();
    rmSync(folder, { recursive: true, force: true });
    expect(fake?.servers.size ?? 0).toBe(0);
  }, 60_000);

  const says = async (host: Host, ...argv: [string, ...string[]]) => (await host.exec(argv)).stdout.trim();
  const reaches = async (from: Host, to: Host) =>
    (await from.exec(['ping', '-c', '1', '-W', '1', to.address])).code === 0;

  test('runs programs with their arguments, input and environment', async () => {
    const words = ["it's", '$HOME `id` "x"', '', '-n', 'two\nlines', '*', 'ä😀'];
    expect(await a.exec(['printf', '%s|', ...words])).toEqual({
      code: 0,
      stdout: words.map(word => `${word}|`).join(''),
      stderr: '',
    });
    const talk = ['sh', '-c', 'cat; echo "$X" >&2; id -u >&2; pwd >&2; exit 7'] as const;
    expect(await a.exec(talk, { input: 'in', env: { X: "a 'b'" } })).toEqual({
      code: 7,
      stdout: 'in',
      stderr: "a 'b'\n0\n/root\n",
    });
    expect(await a.exec(['sh', '-c', 'exit 255'])).toMatchObject({ code: 255 });
    expect(await a.exec(['sh', '-c', 'kill -9 $$'])).toMatchObject({ code: null });
    expect(await a.exec(['no-such-program'])).toMatchObject({ code: 127 });
    expect(await says(a, 'sh', '-c', 'echo $SSH_CONNECTION')).toBe('');
  });

  test('kills a program on the host after its time limit', async () => {
    await expect(a.exec(['sleep', '7766'], { timeoutMs: 300 })).rejects.toThrow(
      'a: sleep 7766: killed after 300 ms',
    );
    expect(await says(a, 'pgrep', '-fx', 'sleep 7766')).toBe('');
  });

  test('truncates excessive output and keeps the exit code', async () => {
    const flood = ['sh', '-c', 'head -c 300000 /dev/zero >&2; exit 3'] as const;
    const { code, stderr } = await a.exec(flood, { maxOutputBytes: 1000 });
    expect([code, stderr.length]).toEqual([3, 1000]);
  });

  test('runs many programs at once', async () => {
    const numbers = Array.from({ length: 40 }, (_, number) => String(number));
    const echoed = await Promise.all(
      numbers.map(number => a.exec(['sh', '-c', `sleep 0.3; echo ${number}`])),
    );
    expect(echoed).toEqual(numbers.map(number => ({ code: 0, stdout: `${number}\n`, stderr: '' })));
  });

  test('copies files unchanged in both directions', async () => {
    const bytes = Uint8Array.from({ length: 700_000 }, (_, n) => (n * n) % 256);
    await a.put(bytes, '/opt/some folder/-it\'s "$x"', 0o640);
    expect(await a.get('/opt/some folder/-it\'s "$x"')).toEqual(Buffer.from(bytes));
    expect(await says(a, 'stat', '-c', '%a %U', '/opt/some folder/-it\'s "$x"')).toBe('640 root');
    await a.put({ file: '/bin/busybox' }, '/opt/bin/busybox', 0o755);
    expect(await says(a, '/opt/bin/busybox', 'echo', 'runs')).toBe('runs');
    await expect(a.get('/nowhere')).rejects.toThrow('No such file');
  });

  test('has the needed programs', async () => {
    expect(await missingPackages(a)).toEqual([]);
    const none = {
      exec: () => Promise.resolve({ code: 1, stdout: 'podman installed\ncrun not-installed\n', stderr: '' }),
    };
    expect(await missingPackages(none)).toEqual(packages.filter(name => name !== 'podman'));
  });

  test('a partitioned host stays alive and controllable, also over a reboot, until it is healed', async () => {
    expect(await reaches(a, b)).toBe(true);
    await b.exec(['systemd-run', '--unit=lives-on', 'sleep', '7777']);
    await b.cut();
    expect(await reaches(a, b)).toBe(false);
    expect(await reaches(b, a)).toBe(false);
    // From another host not even SSH gets through, while the harness still can.
    const knock = ['bash', '-c', `timeout 1 bash -c '</dev/tcp/${b.address}/22'`] as const;
    expect((await a.exec(knock)).code).not.toBe(0);
    expect(await says(b, 'systemctl', 'is-active', 'lives-on')).toBe('active');
    expect((await b.exec(['ping', '-c', '1', '-W', '1', '127.0.0.1'])).code).toBe(0);
    await b.reboot();
    expect(await says(b, 'systemctl', 'is-active', 'lives-on')).toBe('inactive');
    expect(await reaches(a, b)).toBe(false);
    await b.heal();
    expect(await reaches(a, b)).toBe(true);
    expect((await a.exec(knock)).code).toBe(0);
    await b.reboot();
    expect(await reaches(a, b)).toBe(true);
  });

  test('a crash cuts the power, the journal stays readable, and the disk survives', async () => {
    await b.exec(['systemd-run', '--unit=speaks', '--wait', 'echo', 'it spoke']);
    await b.put('kept', '/etc/mark', 0o644);
    expect(await b.journal('speaks')).toContain('it spoke');
    await b.crash();
    await expect(b.exec(['true'])).rejects.toThrow('host b is off');
    expect(await b.journal('speaks')).toContain('it spoke');
    expect(await b.journal('dbus')).not.toContain('it spoke');
    expect(await reaches(a, b)).toBe(false);
    await b.cut();
    await b.boot();
    await expect(b.boot()).rejects.toThrow('already on');
    expect(await says(b, 'cat', '/etc/mark')).toBe('kept');
    expect(await b.journal('speaks')).toContain('it spoke');
    // It was cut while it was off, so it boots partitioned.
    expect(await reaches(a, b)).toBe(false);
    await b.heal();
    expect(await reaches(a, b)).toBe(true);
  });

  test('reports a connection that is lost under a program, and opens a new one for the next', async () => {
    const id = [...fake.servers.values()].find(({ address }) => address === a.address)?.id ?? 0;
    const running = a.exec(['sleep', '30']);
    const killed = expect(running).rejects.toThrow(/^a: sleep 30: the connection was lost/);
    // The script waits until the program runs. Before that, the kill would itself use the next connection, and nothing
    // would be lost.
    const script = 'until pgrep -fx "sleep 30"; do sleep 0.1; done; pkill -KILL -f "sshd: root@"';
    await lab.hosts.get(id)?.exec(['sh', '-c', script]);
    await killed;
    expect(await says(a, 'echo', 'again')).toBe('again');
  });

  test('leaves nothing of a run on this machine', async () => {
    const before = readdirSync(tmpdir()).filter(name => name.startsWith('coolify-e2e-'));
    expect(before).not.toEqual([]);
    await hetzner.close();
    const { stdout } = spawnSync('pgrep', ['-fa', before[0] ?? 'none'], { encoding: 'utf8' });
    expect(stdout).toBe('');
    expect(lab.hosts.size).toBe(0);
  });
});
