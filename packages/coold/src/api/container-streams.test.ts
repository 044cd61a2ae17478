import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { create, fromBinary, type MessageInitShape } from '@bufbuild/protobuf';
import {
  ClientMsgSchema,
  jsonCodec,
  type Response,
  readVerbs,
  type ServerMsg,
  ServerMsgSchema,
  StreamFrame_Source,
} from '@coold/proto';
import { type PodmanService, scratchFolder, startPodman } from '@coold/testbed';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createPodman } from '../podman/client.ts';
import { createEndProgram } from '../processes/end-program.ts';
import { containerCgroup, createProcessTable } from '../processes/process-table.ts';
import { containerOutputHandlers } from './container-output.ts';
import { createServeCommands } from './stream.ts';
import { createStreams } from './streams.ts';
import { joinSurface } from './surface.ts';
import { caller, silent } from './testing.ts';

type Command = NonNullable<MessageInitShape<typeof ServerMsgSchema>['command']>;

const verbs = new Map([...readVerbs()].filter(([, { streams }]) => streams));
const within = { timeout: 8_000, interval: 50 };
const shell = (script: string) => ['/bin/busybox', 'sh', '-c', script];
const enough = 1n << 40n;

describe('streams of a real Podman', () => {
  const stack = new AsyncDisposableStack();
  let podman: PodmanService;
  let handlers: ReturnType<typeof containerOutputHandlers>;
  let image: string;
  const table = createProcessTable();
  beforeAll(async () => {
    const folder = stack.use(await scratchFolder());
    podman = stack.use(await startPodman(join(folder.path, 'podman')));
    handlers = containerOutputHandlers(
      createPodman(podman.socketPath).containers,
      createEndProgram(table, silent),
    );
    image = await podman.ensureTinyImage();
    await podman.runTiny('idle');
  });
  afterAll(() => stack.disposeAsync());

  async function libpod(method: 'POST' | 'DELETE', path: string, json?: unknown) {
    const answer = await podman.request({ method, path: `/v4.0.0/libpod/containers/${path}`, json });
    if (answer.status >= 400) throw new Error(answer.text);
    return answer;
  }
  async function run(name: string, script: string, extra: object = {}): Promise<void> {
    await libpod('POST', 'create', { name, image, command: ['sh', '-c', script], ...extra });
    await libpod('POST', `${name}/start`);
  }

  /** One stream to a broker, with one streamed call. */
  function open(name: string, fields: object, credit = enough) {
    const gone = new AbortController();
    const stop = new AbortController();
    const bodies: Response['body'][] = [];
    const streams = createStreams(silent);
    const stopped = streams.task(stop.signal);
    const take = createServeCommands({
      surface: joinSurface(verbs, handlers),
      streams,
      record: () => {},
      log: silent,
    })({
      gone: gone.signal,
      async send(frame) {
        const { payload } = fromBinary(ClientMsgSchema, frame);
        if (payload.case === 'response') bodies.push(payload.value.body);
      },
    });
    const verb = verbs.get(name) ?? expect.fail();
    const command = {
      case: verb.commandCase,
      value: jsonCodec(verb.request).decode(fields),
    } as ServerMsg['command'];
    const message = create(ServerMsgSchema, { requestId: 's', stream: { credit } });
    message.command = command;
    const ended = take(message);
    const say = (next: Command) => take(create(ServerMsgSchema, { requestId: 's', command: next }));
    const bytes = (only?: StreamFrame_Source) =>
      Buffer.concat(
        bodies.flatMap(body =>
          body.case === 'streamFrame' && (only === undefined || body.value.source === only)
            ? [body.value.data]
            : [],
        ),
      );
    return {
      ended,
      bodies,
      bytes,
      text: () => bytes().toString('utf8'),
      errors: () => bytes(StreamFrame_Source.STDERR).toString('utf8'),
      opened: () => vi.waitFor(() => expect(bodies[0]?.case).toBe('streamOpened'), within),
      last: () => bodies.at(-1),
      stdin: (data: string | Buffer) =>
        say({ case: 'streamInput', value: { input: { case: 'stdin', value: Buffer.from(data) } } }),
      resize: (cols: number, rows: number) =>
        say({ case: 'streamInput', value: { input: { case: 'resize', value: { cols, rows } } } }),
      eof: () => say({ case: 'streamInput', value: { input: { case: 'eof', value: true } } }),
      credit: (more: number) => say({ case: 'streamCredit', value: { bytes: BigInt(more) } }),
      cancel: () => say({ case: 'streamCancel', value: {} }),
      loseLink: () => gone.abort(),
      async stop() {
        stop.abort();
        await stopped;
      },
    };
  }
  const exec = (cmd: string[], fields: object = {}, credit = enough) =>
    open('containers.exec', { id: 'idle', cmd, ...fields }, credit);
  const logs = (fields: object, credit = enough) => open('containers.logs', fields, credit);
  const end = (exitCode?: number) => ({
    case: 'streamEnd',
    value: exitCode === undefined ? {} : { exitCode },
  });

  /** What runs in the container, as seen from inside. */
  async function processes(): Promise<string> {
    const { output } = (await caller(handlers)('containers.exec', {
      id: 'idle',
      cmd: ['/bin/busybox', 'ps'],
    })) as { output: string };
    return output;
  }

  describe('logs', () => {
    it('end where they are when nobody follows, chosen as in the bounded form', async () => {
      await run('past', 'echo one; echo two >&2; echo three; exec /bin/busybox sleep 1000');
      const read = async (fields: object) => {
        const stream = logs({ id: 'past', ...fields });
        await stream.ended;
        expect(stream.last()).toMatchObject(end());
        return stream.text();
      };
      await vi.waitFor(async () => expect(await read({})).toHaveLength(14), within);
      expect(await read({ tail: 1 })).toMatch(/^(two|three)\n$/);
      expect(await read({ tail: 1_000_000 })).toHaveLength(14);
      expect(await read({ stderr: true })).toBe('two\n');
      expect(await read({ since: Date.now() / 1000 + 1000 })).toBe('');
    });

    it('go on with what is written later, and end when the container stops', async () => {
      const script =
        'echo before; while read line; do echo "got $line"; done </f; exec /bin/busybox sleep 1000';
      await run('later', `/bin/busybox mkfifo /f; ${script}`, { stop_timeout: 0 });
      const following = logs({ id: 'later', follow: true, tail: 5 });
      await vi.waitFor(() => expect(following.text()).toBe('before\n'), within);
      const writer = exec(shell('echo now >/f'), { id: 'later' });
      await writer.ended;
      await vi.waitFor(() => expect(following.text()).toBe('before\ngot now\n'), within);
      await libpod('POST', 'later/stop?timeout=0');
      await following.ended;
      expect(following.last()).toMatchObject(end());
    });

    it('end when the container is removed', async () => {
      await run('removed', 'echo there; exec /bin/busybox sleep 1000');
      const following = logs({ id: 'removed', follow: true });
      await vi.waitFor(() => expect(following.text()).toBe('there\n'), within);
      await libpod('DELETE', 'removed?force=true&timeout=0');
      await following.ended;
      expect(following.last()).toMatchObject(end());
    });

    it('of a container with a terminal are its stdout', async () => {
      await run('terminal', 'echo out; echo err >&2; exec /bin/busybox sleep 1000', { terminal: true });
      const following = logs({ id: 'terminal', follow: true });
      await vi.waitFor(() => expect(following.text()).toBe('out\r\nerr\r\n'), within);
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
      const stream = logs(fields);
      await stream.ended;
      expect(stream.bodies).toMatchObject([{ case: 'error', value: error }]);
    });

    it('of a container that says nothing are waited for', async () => {
      const following = logs({ id: 'idle', follow: true });
      await following.opened();
      await following.cancel();
      await following.ended;
      expect(following.bodies).toHaveLength(1);
    });

    it('take no input', async () => {
      const following = logs({ id: 'past', follow: true });
      await following.opened();
      expect(following.bodies[0]).toMatchObject({ value: { credit: 0n } });
      await following.stdin('x');
      await following.ended;
      expect(following.last()).toMatchObject({ case: 'error', value: { code: 400 } });
    });
  });

  describe('a program', () => {
    it('has both its streams and its exit code', async () => {
      const stream = exec(shell('echo out; echo err >&2; exit 3'));
      await stream.ended;
      expect(stream.bodies[0]).toMatchObject({ case: 'streamOpened', value: { credit: 262_144n } });
      expect([stream.bytes(StreamFrame_Source.STDOUT).toString(), stream.errors()]).toEqual([
        'out\n',
        'err\n',
      ]);
      expect(stream.last()).toMatchObject(end(3));
    });

    it.each([
      [['/nosuch'], 127],
      [['/'], 126],
    ])('that cannot be run says why: %j', async (cmd, exitCode) => {
      const stream = exec(cmd);
      await stream.ended;
      expect(stream.text()).toMatch(/crun/);
      expect(stream.last()).toMatchObject(end(exitCode));
    });

    it('reads its stdin, any bytes, to its end', async () => {
      const stream = exec(['/bin/busybox', 'cat']);
      await stream.opened();
      const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
      // One by one: so Podman would take some for keys that end the session.
      for (const byte of [0x10, 0x11, 0x1e, 0x1e, 0x00]) {
        await stream.stdin(Buffer.from([byte]));
        if (byte !== 0x1e) await vi.waitFor(() => expect(stream.bytes().at(-1)).toBe(byte), within);
      }
      await stream.stdin(every);
      await stream.eof();
      await stream.ended;
      expect(stream.bytes()).toEqual(Buffer.concat([Buffer.from([0x10, 0x11, 0x1e, 0x1e, 0x00]), every]));
      expect(stream.last()).toMatchObject(end(0));
    });

    it('that ends without its stdin ends all the same', async () => {
      const stream = exec(shell('/bin/busybox head -c 10; echo done; exit 4'));
      await stream.opened();
      for (let sent = 0; sent < 4; sent += 1) await stream.stdin(Buffer.alloc(65_536, 'x'));
      await stream.ended;
      // Podman, whose write of the rest then fails, puts a word of its own on stderr and may leave the last output out.
      const written = `${'x'.repeat(10)}done\n`;
      expect(written.startsWith(stream.bytes(StreamFrame_Source.STDOUT).toString())).toBe(true);
      expect(stream.last()).toMatchObject(end(4));
    });

    it('has a terminal of the size it is given', async () => {
      const stream = exec(shell('while read line; do /bin/busybox stty size; done; echo over'), {
        tty: true,
      });
      await stream.opened();
      for (const [cols, rows] of [
        [101, 33],
        [80, 24],
      ] as const) {
        await stream.resize(cols, rows);
        await vi.waitFor(async () => {
          await stream.stdin('\n');
          await vi.waitFor(() => expect(stream.text()).toContain(`${rows} ${cols}\r\n`), { timeout: 1000 });
        }, within);
      }
      expect(stream.errors()).toBe('');
      await stream.eof();
      await stream.ended;
      expect(stream.text()).toMatch(/over\r\n$/);
      expect(stream.last()).toMatchObject(end(0));
    });

    it('whose terminal ends in the middle of a line ends too', async () => {
      const stream = exec(['/bin/busybox', 'cat'], { tty: true });
      await stream.opened();
      await stream.stdin('half');
      await stream.eof();
      await stream.ended;
      expect(stream.text()).toContain('halfhalf');
      expect(stream.last()).toMatchObject(end(0));
    });

    it('gets whole characters through, however little credit there is', async () => {
      const stream = exec(shell('printf "€€€"'), {}, 4n);
      for (const text of ['€', '€€', '€€€']) {
        await vi.waitFor(() => expect(stream.text()).toBe(text), within);
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
        await libpod('POST', 'create', { name: 'created', image });
      const stream = exec([], fields);
      await stream.ended;
      expect(stream.bodies).toMatchObject([{ case: 'error', value: error }]);
    });
  });

  describe('a program whose caller leaves', () => {
    const seen = (what: string) => vi.waitFor(async () => expect(await processes()).toContain(what), within);

    it('ends, with what it started', async () => {
      const stream = exec(shell('/bin/busybox sleep 11111 & /bin/busybox sleep 22222'));
      await seen('sleep 22222');
      await stream.cancel();
      await stream.ended;
      expect(await processes()).not.toMatch(/sleep (11111|22222)/);
      expect(stream.bodies.map(body => body.case)).toEqual(['streamOpened']);
    });

    it('ends though it does not want to', async () => {
      const stubborn = 'trap "" TERM HUP; echo ready; while :; do /bin/busybox sleep 0.31415; done';
      const stream = exec(shell(stubborn), { tty: true });
      await vi.waitFor(() => expect(stream.text()).toContain('ready'), within);
      stream.loseLink();
      await stream.ended;
      expect(await processes()).not.toContain('0.31415');
    });

    it('ends when coold does, which says so', async () => {
      const stream = exec(shell('/bin/busybox sleep 33333'));
      await seen('sleep 33333');
      await stream.stop();
      await stream.ended;
      expect(await processes()).not.toContain('sleep 33333');
      expect(stream.last()).toMatchObject({ case: 'error', value: { code: 503 } });
    });

    it('ends though it had not begun to run', async () => {
      const streams = [1, 2, 3].map(() => exec(shell('/bin/busybox sleep 44444')));
      for (const [index, stream] of streams.entries()) setTimeout(() => void stream.cancel(), index * 15);
      await Promise.all(streams.map(({ ended }) => ended));
      expect(await processes()).not.toContain('sleep 44444');
    });

    it('leaves the container and its other programs alone', async () => {
      const other = exec(['/bin/busybox', 'cat']);
      await other.opened();
      const stream = exec(shell('/bin/busybox sleep 55555'));
      await seen('sleep 55555');
      await stream.cancel();
      await stream.ended;
      await other.stdin('still here');
      await other.eof();
      await other.ended;
      expect(other.text()).toBe('still here');
    });
  });

  it('100 MB for a reader that takes nothing stay with the program', async () => {
    const { Id: id } = (await podman.request({ path: '/v4.0.0/libpod/containers/idle/json' })).json() as {
      Id: string;
    };
    const total = 100 * 1024 * 1024;
    const stream = exec(['/bin/busybox', 'dd', 'if=/dev/zero', 'bs=64k', 'count=1600'], {}, 65_536n);
    const written = async () => {
      for (const { pid } of await table.inCgroup(containerCgroup(id))) {
        if (!(await readFile(`/proc/${pid}/cmdline`, 'utf8')).includes('1600')) continue;
        return Number(/^wchar: (\d+)$/m.exec(await readFile(`/proc/${pid}/io`, 'utf8'))?.[1]);
      }
      return 0;
    };
    const before = process.memoryUsage().rss;
    let stalled = 0;
    await vi.waitFor(
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
      await vi.waitFor(() => expect(stream.bodies.some(body => body.case === 'streamFrame')).toBe(true), {
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
    const following = logs({ id: 'idle', follow: true });
    const program = exec(['/bin/busybox', 'cat']);
    await Promise.all([following.opened(), program.opened()]);
    await podman.kill();
    await Promise.all([following.ended, program.ended]);
    expect(following.last()).toMatchObject({ case: 'error', value: { code: 502 } });
    expect(program.last()).toMatchObject({ case: 'error', value: { code: 502 } });
  });
});
