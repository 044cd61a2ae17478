// Logs of containers of a real Podman as streams, and what all streams have in common. Needs root.
import { readFile } from 'node:fs/promises';
import { StreamFrame_Source } from '@coold/proto';
import { soon } from '@coold/testbed/soon';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ContainerStreams, end, shell, startContainerStreams } from '../../../test/container-streams.ts';
import { containerCgroup } from '../../processes/process-table.ts';

let on: ContainerStreams;
beforeAll(async () => {
  on = await startContainerStreams();
});
afterAll(() => on[Symbol.asyncDispose]());

describe('logs', () => {
  it('end where they are when nobody follows, chosen as in the bounded form', async () => {
    await on.run('past', 'echo one; echo two >&2; echo three; exec /bin/busybox sleep 1000');
    const read = async (fields: object) => {
      const stream = on.logs({ id: 'past', ...fields });
      await stream.ended;
      expect(stream.last()).toMatchObject(end());
      return stream.text();
    };
    await soon(async () => expect(await read({})).toHaveLength(14));
    expect(await read({ tail: 1 })).toMatch(/^(two|three)\n$/);
    expect(await read({ tail: 1_000_000 })).toHaveLength(14);
    expect(await read({ stderr: true })).toBe('two\n');
    expect(await read({ since: Date.now() / 1000 + 1000 })).toBe('');
  });

  it('go on with what is written later, and end when the container stops', async () => {
    const script =
      'echo before; while read line; do echo "got $line"; done </f; exec /bin/busybox sleep 1000';
    await on.run('later', `/bin/busybox mkfifo /f; ${script}`, { stop_timeout: 0 });
    const following = on.logs({ id: 'later', follow: true, tail: 5 });
    await soon(() => expect(following.text()).toBe('before\n'));
    const writer = on.exec(shell('echo now >/f'), { id: 'later' });
    await writer.ended;
    await soon(() => expect(following.text()).toBe('before\ngot now\n'));
    await on.libpod('POST', 'later/stop?timeout=0');
    await following.ended;
    expect(following.last()).toMatchObject(end());
  });

  it('end when the container is removed', async () => {
    await on.run('removed', 'echo there; exec /bin/busybox sleep 1000');
    const following = on.logs({ id: 'removed', follow: true });
    await soon(() => expect(following.text()).toBe('there\n'));
    await on.libpod('DELETE', 'removed?force=true&timeout=0');
    await following.ended;
    expect(following.last()).toMatchObject(end());
  });

  it('of a container with a terminal are its stdout', async () => {
    await on.run('terminal', 'echo out; echo err >&2; exec /bin/busybox sleep 1000', { terminal: true });
    const following = on.logs({ id: 'terminal', follow: true });
    await soon(() => expect(following.text()).toBe('out\r\nerr\r\n'));
    expect(following.errors()).toBe('');
    await following.cancel();
    await following.ended;
  });

  it.each<[object, object]>([
    [{ id: 'nosuch', follow: true }, { code: 404 }],
    [{ id: '../x' }, { code: 400, field: 'id' }],
    [
      { id: 'idle', stdout: false },
      { code: 400, field: 'stdout' },
    ],
  ])('of %j are an error before anything else', async (fields, error) => {
    const stream = on.logs(fields);
    await stream.ended;
    expect(stream.bodies).toMatchObject([{ case: 'error', value: error }]);
  });

  it('of a container that says nothing are waited for', async () => {
    const following = on.logs({ id: 'idle', follow: true });
    await following.opened();
    await following.cancel();
    await following.ended;
    expect(following.bodies).toHaveLength(1);
  });

  it('take no input', async () => {
    const following = on.logs({ id: 'past', follow: true });
    await following.opened();
    expect(following.bodies[0]).toMatchObject({ value: { credit: 0n } });
    await following.stdin('x');
    await following.ended;
    expect(following.last()).toMatchObject({ case: 'error', value: { code: 400 } });
  });
});

it('100 MB for a reader that takes nothing stay with the program', async () => {
  const { Id: id } = (await on.podman.request({ path: '/v4.0.0/libpod/containers/idle/json' })).json() as {
    Id: string;
  };
  const total = 100 * 1024 * 1024;
  const stream = on.exec(['/bin/busybox', 'dd', 'if=/dev/zero', 'bs=64k', 'count=1600'], {}, 65_536n);
  const written = async () => {
    for (const { pid } of await on.table.inCgroup(containerCgroup(id))) {
      if (!(await readFile(`/proc/${pid}/cmdline`, 'utf8')).includes('1600')) continue;
      return Number(/^wchar: (\d+)$/m.exec(await readFile(`/proc/${pid}/io`, 'utf8'))?.[1]);
    }
    return 0;
  };
  const before = process.memoryUsage().rss;
  let stalled = 0;
  await soon(
    async () => {
      const last = stalled;
      stalled = await written();
      expect(stalled).toBeGreaterThan(0);
      expect(stalled, 'it waits').toBe(last);
    },
    { timeout: 20_000, interval: 500 },
  );
  expect(stalled, 'in pipes, sockets and buffers').toBeLessThan(16 * 1024 * 1024);
  expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
  expect(stream.bytes()).toHaveLength(65_536);

  let received = 0;
  while (received < total) {
    await soon(() => expect(stream.bodies.some(body => body.case === 'streamFrame')).toBe(true), {
      timeout: 20_000,
      interval: 1,
    });
    // Dropped as they are read, or the test would be what fills memory.
    const size = stream.bytes(StreamFrame_Source.STDOUT).length;
    stream.bodies.splice(0);
    received += size;
    await stream.credit(size + (1 << 20));
  }
  await stream.ended;
  expect(received).toBe(total);
  expect(stream.last()).toMatchObject(end(0));
});

it('Podman’s end is an error on what it fed', async () => {
  const following = on.logs({ id: 'idle', follow: true });
  const program = on.exec(['/bin/busybox', 'cat']);
  await Promise.all([following.opened(), program.opened()]);
  await on.podman.kill();
  await Promise.all([following.ended, program.ended]);
  expect(following.last()).toMatchObject({ case: 'error', value: { code: 502 } });
  expect(program.last()).toMatchObject({ case: 'error', value: { code: 502 } });
});
