import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createSsh, type Ssh, type SshOptions, sshCommand } from './ssh.ts';

let folder: string;
let key: string;

beforeAll(() => {
  // Characters that ssh would interpret in a path if they were not escaped.
  folder = mkdtempSync(join(tmpdir(), 'ssh test %h '));
  key = makeKey('key');
});
afterAll(() => rmSync(folder, { recursive: true }));

function makeKey(name: string): string {
  const path = join(folder, name);
  const { status } = spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path]);
  expect(status).toBe(0);
  return path;
}

test('names the needed package on a machine without ssh', async () => {
  const ssh = createSsh({ name: 'a', address: '192.0.2.1', key, folder, program: ['/nowhere/ssh'] });
  await expect(ssh.reachable(1000)).rejects.toThrow(/\/nowhere\/ssh.*\(apt-get install openssh-client\)$/);
  await ssh.disconnect();
});

test('stops waiting for a host when the run ends', async () => {
  const over = new AbortController();
  const options = { name: 'a', address: '127.0.0.1', port: 1, key, folder };
  const ssh = createSsh({ ...options, signal: over.signal });
  const waiting = expect(ssh.reachable(60_000)).rejects.toThrow('a: given up, the run is over');
  setTimeout(() => over.abort(), 100);
  await waiting;
});

test('tells a person how to connect', () => {
  expect(sshCommand('/k', '192.0.2.1')).toMatch(/^ssh -i '\/k' .* root@192\.0\.2\.1$/);
});

describe.skipIf(process.getuid?.() !== 0)('with an sshd of the test', { timeout: 30_000 }, () => {
  let daemon: ChildProcess | undefined;
  let port: number;
  /** sshd needs this folder. Where sshd is not installed as a service, nothing else creates it. */
  let madeRunFolder: string | undefined;
  const opened: Ssh[] = [];

  /** Starts an sshd on 127.0.0.1 only, with its own keys and settings. */
  const startSshd = async (hostKey: string) => {
    madeRunFolder ??= mkdirSync('/run/sshd', { recursive: true });
    const authorized = join(folder, 'authorized');
    writeFileSync(authorized, readFileSync(`${key}.pub`), { mode: 0o600 });
    const config = join(folder, 'sshd_config');
    const settings = [
      `ListenAddress 127.0.0.1:${port}`,
      `HostKey "${hostKey}"`,
      `AuthorizedKeysFile "${authorized.replaceAll('%', '%%')}"`,
      'PidFile none',
      'PasswordAuthentication no',
      'PermitRootLogin prohibit-password',
      'StrictModes no',
      // Without PAM, a root without a password may not log in.
      'UsePAM yes',
    ];
    writeFileSync(config, `${settings.join('\n')}\n`);
    daemon = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', config], { stdio: ['ignore', 'ignore', 'pipe'] });
    for await (const chunk of daemon.stderr ?? []) if (String(chunk).includes('listening')) break;
  };

  const stopSshd = async () => {
    if (daemon === undefined) return;
    const ended = once(daemon, 'exit');
    daemon.kill('SIGTERM');
    await ended;
    daemon = undefined;
  };

  const connect = (name: string, more: Partial<SshOptions> = {}) => {
    const ssh = createSsh({ name, address: '127.0.0.1', port, key, folder, ...more });
    opened.push(ssh);
    return ssh;
  };

  beforeAll(async () => {
    const probe = createServer().listen(0, '127.0.0.1');
    await once(probe, 'listening');
    const bound = probe.address();
    port = typeof bound === 'object' && bound !== null ? bound.port : 0;
    await new Promise(resolve => probe.close(resolve));
    chmodSync(folder, 0o700);
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map(ssh => ssh.disconnect()));
    await stopSshd();
  });

  afterAll(() => {
    if (madeRunFolder !== undefined) rmSync(madeRunFolder, { recursive: true });
  });

  test('waits for a host that comes up late, and shares one connection', async () => {
    const ssh = connect('late');
    const reachable = ssh.reachable(20_000);
    await startSshd(makeKey('host-key-late'));
    await reachable;
    expect(await ssh.seenFrom()).toEqual({ address: '127.0.0.1', port });
    const words = await Promise.all(['x', 'y z'].map(word => ssh.exec(['printf', '%s', word])));
    expect(words.map(({ stdout }) => stdout)).toEqual(['x', 'y z']);
    expect(readdirSync(folder).filter(name => name.startsWith('late-'))).toEqual(['late-0.sock']);
    await ssh.disconnect();
    expect((await ssh.exec(['echo', 'again'])).stdout).toBe('again\n');
  });

  test('reports a key that the host does not accept', async () => {
    await startSshd(makeKey('host-key-strict'));
    const stranger = connect('stranger', { key: makeKey('other') });
    await expect(stranger.reachable(500)).rejects.toThrow(/stranger: not reachable .* Permission denied/);
    await expect(stranger.exec(['true'])).rejects.toThrow(
      /^stranger: no connection to 127\.0\.0\.1: .*Permission denied/,
    );
  });

  test('refuses a host whose key has changed', async () => {
    await startSshd(makeKey('host-key-one'));
    const ssh = connect('twice');
    await ssh.reachable(5000);
    await ssh.disconnect();
    await stopSshd();
    await startSshd(makeKey('host-key-two'));
    await expect(ssh.reachable(500)).rejects.toThrow('Host key verification failed');
    // A host with another name may have another key at the same address.
    await connect('newcomer').reachable(5000);
  });

  test('aborts a running program when the run ends', async () => {
    await startSshd(makeKey('host-key-over'));
    const over = new AbortController();
    const ssh = connect('over', { signal: over.signal });
    await ssh.reachable(5000);
    const running = expect(ssh.exec(['sleep', '3'])).rejects.toThrow(
      'over: sleep 3: given up, the run is over',
    );
    setTimeout(() => over.abort(), 100);
    await running;
  });
});
