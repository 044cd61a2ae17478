import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadBusyboxImage, runContainer } from '../images.ts';
import { type Host, hostSystems } from '../provider.ts';
import { createLab, type Lab, type LabOptions } from './lab.ts';
import { thisMachine } from './requirements.ts';
import { defaultRunRoot } from './run.ts';
import { system } from './system.ts';

let labs: Lab[];

beforeEach(() => {
  labs = [];
});

afterEach(async () => {
  await Promise.all(labs.map(lab => lab.close()));
});

async function lab(options: LabOptions = {}): Promise<Lab> {
  const made = await createLab(options);
  labs.push(made);
  return made;
}

const says = async (host: Host | undefined, ...argv: [string, ...string[]]) =>
  (await host?.exec(argv))?.stdout.trim();

/** Returns everything of a run that is visible from outside. */
function traces(
  runId: string,
): Record<'folders' | 'mounts' | 'segments' | 'cgroups' | 'processes', string[]> {
  const named = (names: string[]) => names.filter(name => name.includes(runId));
  const cgroupsOf = (pid: string) => {
    try {
      // A zombie has ended and only waits for its parent.
      if (/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))) return '';
      return readFileSync(`/proc/${pid}/cgroup`, 'utf8');
    } catch {
      return '';
    }
  };
  return {
    folders: named(readdirSync(defaultRunRoot)),
    mounts: named(readFileSync('/proc/self/mountinfo', 'utf8').split('\n')),
    segments: named(readdirSync('/run/netns')),
    cgroups: [...(thisMachine().cgroups?.hierarchies ?? [])].flatMap(({ mountPoint }) =>
      named(readdirSync(mountPoint)),
    ),
    processes: readdirSync('/proc').filter(pid => /^\d+$/.test(pid) && cgroupsOf(pid).includes(runId)),
  };
}

const nothing = { folders: [], mounts: [], segments: [], cgroups: [], processes: [] };

test('hosts have their own systemd, reach each other, and leave no trace', { timeout: 60_000 }, async () => {
  const mine = await lab();
  const started = performance.now();
  const [a, b] = await mine.up(['a', 'b']);
  expect(performance.now() - started).toBeLessThan(10_000);
  for (const [host, name] of [
    [a, 'a'],
    [b, 'b'],
  ] as const) {
    expect(await says(host, 'cat', '/proc/1/comm')).toBe('systemd');
    expect(await says(host, 'systemctl', 'is-system-running')).toBe('running');
    expect(await says(host, 'hostname')).toBe(name);
  }
  expect(await says(a, 'cat', '/etc/machine-id')).not.toBe(await says(b, 'cat', '/etc/machine-id'));
  expect((await a?.exec(['ping', '-c', '1', '-W', '2', b?.address ?? '']))?.code).toBe(0);
  for (const [kind, found] of Object.entries(traces(mine.runId))) expect(found, kind).not.toEqual([]);
  await mine.close();
  expect(traces(mine.runId)).toEqual(nothing);
});

test('systemd-run enforces the limits that builds need', { timeout: 60_000 }, async () => {
  const [a] = await (await lab()).up(['a']);
  const limited = ['systemd-run', '--pipe', '--quiet', '--wait', '-p', 'MemoryMax=32M', '--'] as const;
  expect((await a?.exec([...limited, 'true']))?.code).toBe(0);
  expect((await a?.exec([...limited, 'head', '-c', '200M', '/dev/zero']))?.code).toBe(0);
  expect(
    (await a?.exec([...limited, 'sh', '-c', 'x=$(head -c 200M /dev/zero | tr "\\0" x)']))?.code,
  ).not.toBe(0);
  const denied = [
    'systemd-run',
    '--pipe',
    '--quiet',
    '--wait',
    '-p',
    'IPAddressDeny=198.18.0.0/24',
    '--',
  ] as const;
  expect((await a?.exec(['ping', '-c', '1', '-W', '1', '198.18.0.1']))?.code).toBe(0);
  expect((await a?.exec([...denied, 'ping', '-c', '1', '-W', '1', '198.18.0.1']))?.code).not.toBe(0);
});

test('packets beyond the segment are refused at once', { timeout: 60_000 }, async () => {
  const [a] = await (await lab()).up(['a']);
  const started = performance.now();
  expect((await a?.exec(['getent', 'hosts', 'example.org']))?.code).toBe(2);
  expect((await a?.exec(['ping', '-c', '1', '-W', '5', '192.0.2.1']))?.code).toBe(1);
  expect(performance.now() - started, 'no answer would take 5 s').toBeLessThan(5000);
});

test('copies files unchanged in both directions', { timeout: 60_000 }, async () => {
  const [a] = await (await lab()).up(['a']);
  const bytes = Uint8Array.from({ length: 70_000 }, (_, n) => n % 256);
  await a?.put(bytes, '/opt/some folder/-file', 0o640);
  expect(await a?.get('/opt/some folder/-file')).toEqual(Buffer.from(bytes));
  expect(await says(a, 'stat', '-c', '%a %U', '/opt/some folder/-file')).toBe('640 root');
  await a?.put({ file: '/bin/busybox' }, '/opt/bin/busybox', 0o755);
  expect(await says(a, '/opt/bin/busybox', 'echo', 'runs')).toBe('runs');
  expect(existsSync('/opt/bin/busybox')).toBe(false);
  await expect(a?.get('/nowhere')).rejects.toThrow('No such file');
});

test('kills a program in the host after its time limit', { timeout: 60_000 }, async () => {
  const [a] = await (await lab()).up(['a']);
  await expect(a?.exec(['sleep', '7777'], { timeoutMs: 300 })).rejects.toThrow(
    'a: sleep 7777: killed after 300 ms',
  );
  // The kill is sent when the wait ends, and takes effect a moment later on a busy machine.
  await expect.poll(() => says(a, 'ps', '-C', 'sleep', '-o', 'stat=')).toMatch(/^Z?$/);
});

test(`a unit's journal is readable, also when the host is off`, { timeout: 60_000 }, async () => {
  const [a] = await (await lab()).up(['a']);
  await a?.exec(['systemd-run', '--unit=speaks', '--wait', 'echo', 'it spoke']);
  expect(await a?.journal('speaks')).toContain('it spoke');
  expect(await a?.journal('dbus')).not.toContain('it spoke');
  await a?.crash();
  expect(await a?.journal('speaks')).toContain('it spoke');
});

test('a host that was shut down from inside is off, and boots again', { timeout: 60_000 }, async () => {
  const [a] = await (await lab()).up(['a']);
  await a?.put('kept', '/etc/mark', 0o644);
  await expect(a?.boot()).rejects.toThrow('host a is already on');
  await a?.exec(['systemctl', 'poweroff']);
  const off = () => a?.exec(['true']).then(() => 'on', String);
  await expect.poll(off, { timeout: 20_000 }).toContain('host a is off');
  await expect(a?.crash()).rejects.toThrow('host a is off');
  await a?.boot();
  expect(await says(a, 'cat', '/etc/mark')).toBe('kept');
});

test('two concurrent runs are separate', { timeout: 60_000 }, async () => {
  const [one, two] = await Promise.all([lab(), lab()]);
  const [[first], [second]] = await Promise.all([one.up(['same']), two.up(['same'])]);
  expect(first?.address).toBe(second?.address);
  await first?.put('of the first', '/etc/mark', 0o644);
  expect((await second?.exec(['cat', '/etc/mark']))?.code).toBe(1);
  await one.close();
  await expect(first?.exec(['true'])).rejects.toThrow('host same is off');
  expect(await says(second, 'systemctl', 'is-system-running')).toBe('running');
});

test('the next run removes what a killed run left', { timeout: 60_000 }, async () => {
  const program = `
    const { createLab } = await import(process.argv[1]);
    const lab = await createLab();
    await lab.up(['a', 'b']);
    process.stdout.write(lab.runId);
    setInterval(() => {}, 1 << 30);`;
  const args = ['--input-type=module', '-e', program, join(import.meta.dirname, 'lab.ts')];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const killed = String(await once(child.stdout, 'data'));
  expect(traces(killed).processes).not.toEqual([]);
  const ended = once(child, 'close');
  child.kill('SIGKILL');
  await ended;
  // Two concurrent successors do not disturb each other.
  await Promise.all([lab(), lab()]);
  expect(traces(killed)).toEqual(nothing);
});

test('invalid or taken names are refused without an effect', { timeout: 60_000 }, async () => {
  const mine = await lab();
  for (const name of ['', 'UPPER', '-a', 'a/b', 'thirteen-char'])
    await expect(mine.up([name])).rejects.toThrow('DNS label');
  await expect(mine.up(['twin', 'twin'])).rejects.toThrow('"twin" is taken');
  expect((await mine.up(['twin']))[0]?.name).toBe('twin');
});

test('a full disk is a one-line error, and leaves nothing behind', { timeout: 60_000 }, async () => {
  const full = mkdtempSync(join(tmpdir(), 'coold-full-'));
  await system('mount', ['-t', 'tmpfs', '-o', 'nr_inodes=1', 'full', full]);
  try {
    await expect(lab({ runRoot: full })).rejects.toThrow(
      /^the lab failed: ENOSPC: no space left on device.*$/,
    );
    expect(readdirSync(full)).toEqual([]);
  } finally {
    await system('umount', [full]);
    rmdirSync(full);
  }
});

test('a host that cannot start is a one-line error, and leaves nothing behind', {
  timeout: 60_000,
}, async () => {
  const mine = await lab({ diskSize: '16k' });
  await expect(mine.up(['a'])).rejects.toThrow(
    /^host a did not start: .*(No space left on device|I\/O error)/,
  );
  expect(traces(mine.runId)).toEqual(nothing);
});

// The root of the other system is created first if no earlier run created it.
test('hosts of both systems run side by side, with containers on each', { timeout: 720_000 }, async () => {
  const mine = await lab();
  const hosts = await mine.up(hostSystems.map((system, number) => ({ name: `h${number}`, system })));
  for (const [number, host] of hosts.entries()) {
    expect(await says(host, 'systemctl', 'is-system-running')).toBe('running');
    expect(`debian-${(await says(host, 'cat', '/etc/debian_version'))?.split('.')[0]}`).toBe(
      hostSystems[number],
    );
    await loadBusyboxImage(host);
    const { ip } = await runContainer(host, { name: 'one', network: 'podman' });
    expect(await says(host, 'ping', '-c', '1', '-W', '2', '-q', ip)).toContain(' 0% packet loss');
  }
});
