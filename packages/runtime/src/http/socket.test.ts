import { once } from 'node:events';
import { mkdtempDisposable, readdir, stat, writeFile } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { runChild } from '../processes/child.ts';
import { placeSocket } from './socket.ts';

const scratchFolder = () => mkdtempDisposable(join(tmpdir(), 'socket-'));

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

const listen = (path: string) =>
  new Promise<void>((resolve, reject) => {
    const server = createServer();
    servers.push(server);
    server.once('error', reject);
    server.listen(path, () => resolve());
  });

const place = (path: string, group?: string) =>
  placeSocket({ path, group: group === undefined ? undefined : { name: group, from: 'GROUP' }, listen });

/** Leaves a socket file behind as a killed program would. */
async function leaveStale(path: string): Promise<void> {
  const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  await runChild(process.execPath, ['-e', script], { timeoutMs: 10_000 });
}

describe('a socket', () => {
  it('is for its owner alone when no group is named', async () => {
    await using folder = await scratchFolder();
    const path = join(folder.path, 's.sock');
    await place(path);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it.each(['daemon', '1'])('is for the group %s too when named', async group => {
    await using folder = await scratchFolder();
    const path = join(folder.path, 's.sock');
    await place(path, group);
    const { mode, gid } = await stat(path);
    expect(mode & 0o777).toBe(0o660);
    expect(gid).toBe(1);
  });

  it('takes the place of one that a killed program left', async () => {
    await using folder = await scratchFolder();
    const path = join(folder.path, 's.sock');
    await leaveStale(path);
    expect((await stat(path)).isSocket()).toBe(true);
    await place(path);
    const client = connect(path);
    await once(client, 'connect');
    client.destroy();
  });

  it('is had by exactly one of several that start at once on a stale one', async () => {
    for (let round = 0; round < 10; round += 1) {
      await using folder = await scratchFolder();
      const path = join(folder.path, 's.sock');
      await leaveStale(path);
      const outcomes = await Promise.allSettled([1, 2, 3, 4].map(() => place(path)));
      expect(
        outcomes.filter(({ status }) => status === 'fulfilled'),
        `round ${round}`,
      ).toHaveLength(1);
      const client = connect(path);
      await once(client, 'connect');
      client.destroy();
      expect(await readdir(folder.path)).toEqual(['s.sock', 's.sock.lock']);
    }
  });

  it('does not take the place of one that answers', async () => {
    await using folder = await scratchFolder();
    const path = join(folder.path, 's.sock');
    await place(path);
    await expect(place(path)).rejects.toThrow(/in use: another process/);
    expect((await stat(path)).isSocket()).toBe(true);
  });

  it('does not take the place of a file', async () => {
    await using folder = await scratchFolder();
    const path = join(folder.path, 's.sock');
    await writeFile(path, 'precious');
    await expect(place(path)).rejects.toThrow(/is not a socket/);
  });

  it('is taken away at the end, but not when another has come', async () => {
    await using folder = await scratchFolder();
    const path = join(folder.path, 's.sock');
    const first = await place(path);
    expect(await first.isThere()).toBe(true);
    await first.remove();
    await expect(stat(path)).rejects.toThrow(/ENOENT/);
    expect(await first.isThere()).toBe(false);
    await place(path);
    await first.remove();
    expect((await stat(path)).isSocket()).toBe(true);
  });

  it.each([
    ['an unknown group', 's.sock', 'no-such-group', /no-such-group/],
    ['a group that looks like a flag', 's.sock', '--help', /--help/],
    ['a path longer than sockets have', `${'x'.repeat(120)}.sock`, undefined, /too long/],
    ['a folder that is not there', 'no/s.sock', undefined, /is not a folder/],
  ])('is refused with %s', async (_, name, group, message) => {
    await using folder = await scratchFolder();
    await expect(place(join(folder.path, name), group)).rejects.toThrow(message);
  });
});
