// coold as a process, in a network namespace of its own. Needs root.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchFolder, startProgram, unixHttp } from '@coold/testbed';
import { createNetns } from '@coold/testbed/netns';
import { soon } from '@coold/testbed/soon';
import { expect, test } from 'vitest';

const address = '100.64.0.7';
const firewallIn = (folder: string) => ({
  COOLD_RULES_PATH: join(folder, 'allow.rules'),
  COOLD_BRIDGE_RULES_PATH: join(folder, 'allow.nft'),
});

test('coold serves its API once the address comes to exist, keeps it over SIGHUP, and ends in good order', async () => {
  await using cleanup = new AsyncDisposableStack();
  const folder = cleanup.use(await scratchFolder());
  const netns = await createNetns();
  cleanup.defer(() => netns.close());
  const tokenFile = join(folder.path, 'token');
  await writeFile(tokenFile, 'first-token', { mode: 0o600 });
  const coold = cleanup.use(
    startProgram('coold', {
      inside: netns.pid,
      env: {
        COOLD_HOST_MGMT_IP: address,
        COOLD_PODMAN_SOCKET: join(folder.path, 'podman.sock'),
        COOLD_API_BIND: `${address}:8443`,
        COOLD_API_TOKEN_FILE: tokenFile,
        COOLD_UNIX_SOCKET_PATH: join(folder.path, 'coold.sock'),
        ...firewallIn(folder.path),
      },
    }),
  );
  const status = async (path: string, token: string) => {
    const script = `fetch('http://${address}:8443${path}', { headers: { authorization: 'Bearer ${token}' } }).then(answer => answer.text().then(() => console.log(answer.status)))`;
    return (await netns.exec(process.execPath, ['-e', script])).stdout.trim();
  };
  const waiting = await coold.logged(line => line.msg === 'cannot listen yet; trying again');
  expect(waiting).toMatchObject({
    component: 'coold.api.listen',
    reason: expect.stringContaining('EADDRNOTAVAIL'),
  });
  await netns.exec('ip', ['address', 'add', `${address}/32`, 'dev', 'lo']);
  expect(await coold.logged(line => line.msg === 'serving the API')).toMatchObject({
    address: `${address}:8443`,
    tls: false,
  });
  expect(await status('/healthz', '')).toBe('200');
  expect(await status('/openapi.json', 'first-token')).toBe('200');
  await using local = unixHttp(join(folder.path, 'coold.sock'));
  expect((await local.request({ path: '/status' })).json()).toMatchObject({ version: expect.any(String) });

  await writeFile(tokenFile, 'second-token');
  coold.signal('SIGHUP');
  await coold.logged(line => line.msg === 'API token: read again');
  expect(await status('/openapi.json', 'first-token')).toBe('401');
  expect(await status('/metrics', 'second-token')).toBe('200');

  coold.signal('SIGTERM');
  expect(await coold.exited).toEqual({ code: 0, signal: null });
  expect(JSON.stringify(coold.lines)).not.toMatch(/(first|second)-token/);
});

test('coold ends at once when the token file cannot be used, and says which', async () => {
  await using folder = await scratchFolder();
  const tokenFile = join(folder.path, 'token');
  await writeFile(tokenFile, 'token', { mode: 0o644 });
  await using coold = startProgram('coold', {
    env: {
      COOLD_HOST_MGMT_IP: '127.0.0.1',
      COOLD_PODMAN_SOCKET: join(folder.path, 'podman.sock'),
      COOLD_API_BIND: '127.0.0.1:0',
      COOLD_API_TOKEN_FILE: tokenFile,
      COOLD_UNIX_SOCKET_PATH: join(folder.path, 'coold.sock'),
      ...firewallIn(folder.path),
    },
  });
  expect(await coold.exited).toEqual({ code: 1, signal: null });
  expect(JSON.stringify(coold.lines)).toContain(`${tokenFile} has mode 644`);
});

test('status and metrics are on a socket, without an API bind too, in a folder that is made where it is missing', async () => {
  await using cleanup = new AsyncDisposableStack();
  const netns = await createNetns();
  cleanup.defer(() => netns.close());
  // A /run of its own: the real one may be that of a coold installed here.
  await netns.exec('mount', ['-t', 'tmpfs', 'run', '/run']);
  const coold = cleanup.use(
    startProgram('coold', {
      inside: netns.pid,
      env: {
        COOLD_HOST_MGMT_IP: address,
        COOLD_PODMAN_SOCKET: '/run/podman.sock',
        ...firewallIn('/run/firewall'),
      },
    }),
  );
  await coold.logged(line => line.msg === 'serving status and metrics');
  const kinds = async () =>
    (await netns.exec('stat', ['-c', '%a %F', '/run/coolify', '/run/coolify/coold.sock'], { mayFail: true }))
      .stdout;
  expect(await kinds()).toBe('755 directory\n600 socket\n');
  // As the unit of a broker does when it stops, whose folder it is, too.
  await netns.exec('rm', ['-r', '/run/coolify']);
  await soon(async () => expect(await kinds()).toBe('755 directory\n600 socket\n'), { timeout: 20_000 });
  const script = `require('node:http').get({ socketPath: '/run/coolify/coold.sock', path: '/metrics' }, answer => answer.pipe(process.stdout))`;
  expect((await netns.exec(process.execPath, ['-e', script])).stdout).toContain('coold_build_info');
  coold.signal('SIGTERM');
  expect(await coold.exited).toEqual({ code: 0, signal: null });
  expect((await netns.exec('ls', ['/run/coolify'])).stdout).toBe('coold.sock.lock\n');
});
