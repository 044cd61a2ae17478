// Builds of repositories that a real sshd gives, with the keys and known hosts of /etc/ssh: a build sees no home.
import { spawn } from 'node:child_process';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '@coold/testbed';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createGround, type Ground } from '../test/ground.ts';

let ground: Ground;
let server: string;
let etc: string;

beforeAll(async () => {
  ground = await createGround();
  etc = join(ground.folder, 'etc-ssh');
  await mkdir(etc);
  // In Podman's mounts, where the builder runs: as it is on a host.
  await ground.inMounts(`mount --bind ${etc} /etc/ssh`);
  server = await startSshd();
}, 120_000);

afterAll(() => ground[Symbol.asyncDispose](), 60_000);

/** @returns its address, host:port */
async function startSshd(): Promise<string> {
  const port = await freePort();
  const folder = join(ground.folder, 'sshd');
  await mkdir(folder, { mode: 0o700 });
  const key = (name: string, passphrase = '') =>
    ground.inside(`ssh-keygen -q -t ed25519 -N '${passphrase}' -f ${join(folder, name)}`);
  await Promise.all([key('host'), key('build'), key('stranger'), key('locked', 'secret')]);
  await ground.inside(`cat ${folder}/build.pub ${folder}/locked.pub >${folder}/authorized`);
  const config = [
    ...[
      `ListenAddress 127.0.0.1:${port}`,
      `HostKey ${folder}/host`,
      `AuthorizedKeysFile ${folder}/authorized`,
    ],
    ...[
      'PermitRootLogin prohibit-password',
      'PasswordAuthentication yes',
      'KbdInteractiveAuthentication yes',
    ],
    ...['UsePAM no', 'StrictModes no', 'PidFile none'],
  ];
  await writeFile(join(folder, 'sshd_config'), `${config.join('\n')}\n`);
  await ground.inMounts('mkdir -p /run/sshd');
  const enter = ['-t', String(ground.podman.netnsPid), '-n', '-m', '--'];
  const child = spawn(
    'setpriv',
    [
      '--pdeathsig',
      'KILL',
      '--',
      'nsenter',
      ...enter,
      '/usr/sbin/sshd',
      '-D',
      '-e',
      '-f',
      join(folder, 'sshd_config'),
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  await new Promise<void>((resolve, reject) => {
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString('utf8');
      if (said.includes('listening on')) resolve();
    });
    child.once('close', () => reject(new Error(`sshd: ${said}`)));
  });
  stopSshd = () => void child.kill('SIGKILL');
  return `127.0.0.1:${port}`;
}

let stopSshd = () => {};
afterAll(() => stopSshd());

/** What /etc/ssh holds. */
async function keys({ key, knows = true }: { key?: string; knows?: boolean }): Promise<void> {
  const [host = '', port = ''] = server.split(':');
  const folder = join(ground.folder, 'sshd');
  const identity = key === undefined ? [] : [`IdentityFile ${join('/etc/ssh', key)}`];
  await writeFile(join(etc, 'ssh_config'), `${['Host *', 'IdentitiesOnly yes', ...identity].join('\n  ')}\n`);
  const known = await ground.inside(`cut -d' ' -f1,2 ${folder}/host.pub`);
  await writeFile(join(etc, 'ssh_known_hosts'), knows ? `[${host}]:${port} ${known}\n` : '');
  if (key !== undefined) await copyFile(join(folder, key), join(etc, key));
}

const build = (path = `${ground.folder}/git/site`) =>
  ground.build(ground.request({ repo_url: `ssh://root@${server}${path}` }));

describe('over ssh', () => {
  it('a build has the key that /etc/ssh names', async () => {
    await keys({ key: 'build' });
    expect(await build()).toMatchObject({ code: 0, result: { stack_used: 'static' } });
    expect(await build('/nowhere')).toMatchObject({
      error: {
        code: 502,
        message: expect.stringContaining("'/nowhere' does not appear to be a git repository"),
      },
    });
  });

  const asked =
    'repo_url: the repository asks for credentials that it was not given: root@127.0.0.1: Permission denied';
  it.each([
    ['no key', {}, asked],
    ['a key that the server does not know', { key: 'stranger' }, asked],
    ['a key with a passphrase, without a prompt', { key: 'locked' }, asked],
    [
      'a server whose key is not known',
      { key: 'build', knows: false },
      'repo_url: this host does not know the key of the server: Host key verification failed.',
    ],
  ])('with %s it is an error that says so', async (_why, held, message) => {
    await keys(held);
    const ended = await build();
    expect(ended).toMatchObject({ code: 1, error: { code: 422, stage: 'git' } });
    expect(ended.error?.message).toContain(message);
  });

  it('an unreachable server is an error with that reason', async () => {
    const ended = await ground.build(ground.request({ repo_url: 'ssh://root@127.0.0.1:9/site' }));
    expect(ended).toMatchObject({
      error: { code: 502, message: expect.stringMatching(/^repo_url: git could not fetch: ssh: .*refused/) },
    });
  });
});
