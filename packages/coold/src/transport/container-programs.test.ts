// Programs in containers of a real Podman, as streams. Needs root.
import { StreamFrame_Source } from '@coold/proto';
import { soon } from '@coold/testbed/soon';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ContainerStreams, end, shell, startContainerStreams } from '../../test/container-streams.ts';

let on: ContainerStreams;
beforeAll(async () => {
  on = await startContainerStreams();
});
afterAll(() => on[Symbol.asyncDispose]());

describe('a program', () => {
  it('has both its streams and its exit code', async () => {
    const stream = on.exec(shell('echo out; echo err >&2; exit 3'));
    await stream.ended;
    expect(stream.bodies[0]).toMatchObject({ case: 'streamOpened', value: { credit: 262_144n } });
    expect([stream.bytes(StreamFrame_Source.STDOUT).toString(), stream.errors()]).toEqual(['out\n', 'err\n']);
    expect(stream.last()).toMatchObject(end(3));
  });

  it.each([
    [['/nosuch'], 127],
    [['/'], 126],
  ])('that cannot be run says why: %j', async (cmd, exitCode) => {
    const stream = on.exec(cmd);
    await stream.ended;
    expect(stream.text()).toMatch(/crun/);
    expect(stream.last()).toMatchObject(end(exitCode));
  });

  it('reads its stdin, any bytes, to its end', async () => {
    const stream = on.exec(['/bin/busybox', 'cat']);
    await stream.opened();
    const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    // One by one: so Podman would take some for keys that end the session.
    for (const byte of [0x10, 0x11, 0x1e, 0x1e, 0x00]) {
      await stream.stdin(Buffer.from([byte]));
      if (byte !== 0x1e) await soon(() => expect(stream.bytes().at(-1)).toBe(byte));
    }
    await stream.stdin(every);
    await stream.eof();
    await stream.ended;
    expect(stream.bytes()).toEqual(Buffer.concat([Buffer.from([0x10, 0x11, 0x1e, 0x1e, 0x00]), every]));
    expect(stream.last()).toMatchObject(end(0));
  });

  it('that ends without its stdin ends all the same', async () => {
    const stream = on.exec(shell('/bin/busybox head -c 10; echo done; exit 4'));
    await stream.opened();
    for (let sent = 0; sent < 4; sent += 1) await stream.stdin(Buffer.alloc(65_536, 'x'));
    await stream.ended;
    // Podman, whose write of the rest then fails, puts a word of its own on stderr and may leave the last output out.
    const written = `${'x'.repeat(10)}done\n`;
    expect(written.startsWith(stream.bytes(StreamFrame_Source.STDOUT).toString())).toBe(true);
    expect(stream.last()).toMatchObject(end(4));
  });

  it('has a terminal of the size it is given', async () => {
    const stream = on.exec(shell('while read line; do /bin/busybox stty size; done; echo over'), {
      tty: true,
    });
    await stream.opened();
    for (const [cols, rows] of [
      [101, 33],
      [80, 24],
    ] as const) {
      await stream.resize(cols, rows);
      await soon(async () => {
        await stream.stdin('\n');
        await soon(() => expect(stream.text()).toContain(`${rows} ${cols}\r\n`), { timeout: 1000 });
      });
    }
    expect(stream.errors()).toBe('');
    await stream.eof();
    await stream.ended;
    expect(stream.text()).toMatch(/over\r\n$/);
    expect(stream.last()).toMatchObject(end(0));
  });

  it('whose terminal ends in the middle of a line ends too', async () => {
    const stream = on.exec(['/bin/busybox', 'cat'], { tty: true });
    await stream.opened();
    await stream.stdin('half');
    await stream.eof();
    await stream.ended;
    expect(stream.text()).toContain('halfhalf');
    expect(stream.last()).toMatchObject(end(0));
  });

  it('gets whole characters through, however little credit there is', async () => {
    const stream = on.exec(shell('printf "€€€"'), {}, 4n);
    for (const text of ['€', '€€', '€€€']) {
      await soon(() => expect(stream.text()).toBe(text));
      await stream.credit(3);
    }
    await stream.ended;
    expect(stream.last()).toMatchObject(end(0));
  });

  it.each<[object, object]>([
    [{ cmd: [] }, { code: 400, field: 'cmd' }],
    [
      { cmd: ['a'], workdir: 'x' },
      { code: 400, field: 'workdir' },
    ],
    [{ cmd: ['a'], id: 'nosuch' }, { code: 404 }],
    [{ cmd: ['a'], id: 'created' }, { code: 409 }],
  ])('asked for as %j is an error before anything else', async (fields, error) => {
    if (JSON.stringify(fields).includes('created'))
      await on.libpod('POST', 'create', { name: 'created', image: on.image });
    const stream = on.exec([], fields);
    await stream.ended;
    expect(stream.bodies).toMatchObject([{ case: 'error', value: error }]);
  });
});

describe('a program whose caller leaves', () => {
  const seen = (what: string) => soon(async () => expect(await on.processes()).toContain(what));

  it('ends, with what it started', async () => {
    const stream = on.exec(shell('/bin/busybox sleep 11111 & /bin/busybox sleep 22222'));
    await seen('sleep 22222');
    await stream.cancel();
    await stream.ended;
    expect(await on.processes()).not.toMatch(/sleep (11111|22222)/);
    expect(stream.bodies.map(body => body.case)).toEqual(['streamOpened']);
  });

  it('ends though it does not want to', async () => {
    const stubborn = 'trap "" TERM HUP; echo ready; while :; do /bin/busybox sleep 0.31415; done';
    const stream = on.exec(shell(stubborn), { tty: true });
    await soon(() => expect(stream.text()).toContain('ready'));
    stream.loseLink();
    await stream.ended;
    expect(await on.processes()).not.toContain('0.31415');
  });

  it('ends with coold, which reports the reason', async () => {
    const stream = on.exec(shell('/bin/busybox sleep 33333'));
    await seen('sleep 33333');
    await stream.stop();
    await stream.ended;
    expect(await on.processes()).not.toContain('sleep 33333');
    expect(stream.last()).toMatchObject({ case: 'error', value: { code: 503 } });
  });

  it('ends though it had not begun to run', async () => {
    const streams = [1, 2, 3].map(() => on.exec(shell('/bin/busybox sleep 44444')));
    for (const [index, stream] of streams.entries()) setTimeout(() => void stream.cancel(), index * 15);
    await Promise.all(streams.map(({ ended }) => ended));
    expect(await on.processes()).not.toContain('sleep 44444');
  });

  it('leaves the container and its other programs alone', async () => {
    const other = on.exec(['/bin/busybox', 'cat']);
    await other.opened();
    const stream = on.exec(shell('/bin/busybox sleep 55555'));
    await seen('sleep 55555');
    await stream.cancel();
    await stream.ended;
    await other.stdin('still here');
    await other.eof();
    await other.ended;
    expect(other.text()).toBe('still here');
  });
});

it('a program ends with its container, and its caller learns the reason', async () => {
  await on.run('doomed', 'exec /bin/busybox sleep 1000');
  const program = on.open('containers.exec', { id: 'doomed', cmd: ['/bin/busybox', 'sleep', '1000'] });
  await program.opened();
  on.warned.splice(0);
  await on.libpod('DELETE', 'doomed?force=true&timeout=0');
  await program.ended;
  // Podman may still say how it ended before it forgets it.
  const gone = { case: 'error', value: { code: 404, field: 'id' } };
  expect(program.last()).toMatchObject(program.last()?.case === 'streamEnd' ? end(137) : gone);
  expect(on.warned).toEqual([]);
});

it('a program whose output nobody takes does not hold up the stop of its container', async () => {
  await on.run('held', 'exec /bin/busybox sleep 1000');
  const program = on.exec(['/bin/busybox', 'yes', 'x'.repeat(1000)], { id: 'held' }, 1000n);
  await program.opened();
  await soon(() => expect(program.bytes().length).toBe(1000));
  await on.libpod('POST', 'held/stop?timeout=2');
  await program.ended;
  expect(program.last()).toMatchObject({ case: 'error', value: { code: 409 } });
});
