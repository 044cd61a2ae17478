import type { Socket } from 'node:net';
import { type PodmanConnection, segment } from './connection.ts';
import { demultiplexer, type Frame } from './multiplexed.ts';
import { fullId, number, object, text } from './shape.ts';

/** A program that Podman was told to run in a container, with its three streams as they come. */
export interface ExecSession {
  /**
   * Runs it. @returns its pipe, once Podman has taken it over
   * There is no signal for it: of a program whose starter hangs up too early Podman says that it ended, while it runs.
   *
   * @throws VerbError when Podman refuses, or does not answer in time: then it may run all the same
   */
  start(): Promise<ExecPipe>;
  /** "maybe": Podman was told to start it, and has not said that it did. */
  readonly started: 'no' | 'maybe' | 'yes';
  state(signal: AbortSignal): Promise<ExecState>;
  /** Only where it has a terminal. */
  resize(size: { cols: number; rows: number }, signal: AbortSignal): Promise<void>;
}

export interface ExecState {
  containerId: string;
  running: boolean;
  /** As Podman counts processes; 0 when it does not run. */
  pid: number;
  /** 126 or 127 of one that could not be started. */
  exitCode: number;
}

export interface ExecPipe {
  /**
   * Both streams, as fast as they are read; with a terminal all is stdout. Ends with the pipe, for whatever reason:
   * `state` tells whether the program did too. @throws Error where Podman sends what is no frame
   */
  output: AsyncIterable<Frame>;
  /** Resolves when there is room for more. What a program that has ended did not read is lost. */
  write(bytes: Buffer): Promise<void>;
  /** No more is written. */
  endInput(): void;
  hangUp(): void;
}

/** As `POST /containers/{id}/exec` of libpod takes it. */
export interface ExecSpec {
  cmd: string[];
  tty: boolean;
  /** `NAME=value` */
  env: string[];
  workdir: string;
  user: string;
}

/**
 * Podman lets go of a program when these keys are typed, one by one, and there is no way to tell it not to; its default
 * are two that shells know. Nobody types ctrl-^ this often; one alone reaches the program with what is typed next.
 */
const detachKeys = Array(64).fill('ctrl-^').join(',');

/** What a terminal takes for the end of input where a line begins; anywhere else it takes two. */
const endOfTransmission = '\x04';

export function execJson({ cmd, tty, env, workdir, user }: ExecSpec, attachStdin: boolean): object {
  return {
    ...{ AttachStdout: true, AttachStderr: true, Cmd: cmd, Env: env, Tty: tty },
    ...(attachStdin ? { AttachStdin: true, DetachKeys: detachKeys } : {}),
    ...(workdir === '' ? {} : { WorkingDir: workdir }),
    ...(user === '' ? {} : { User: user }),
  };
}

/** Makes ready to run a program, and does not run it yet. @throws VerbError */
export async function createExec(
  connection: PodmanConnection,
  path: string,
  spec: ExecSpec,
  signal: AbortSignal,
): Promise<ExecSession> {
  const json = execJson(spec, true);
  const created = object(
    await connection.libpod({ method: 'POST', path, json, success: [201] }, signal),
    'exec',
  );
  const at = `/exec/${segment(text(created['Id'], 'exec.Id'))}`;
  let started: ExecSession['started'] = 'no';
  return {
    get started() {
      return started;
    },
    async start() {
      const start = { path: `${at}/start`, json: { Detach: false, Tty: spec.tty } };
      started = 'maybe';
      const pipe = pipeOf(await connection.libpodPipe(start), spec.tty);
      started = 'yes';
      return pipe;
    },
    async state(during) {
      const found = object(await connection.libpod({ path: `${at}/json` }, during), 'exec');
      return {
        containerId: fullId(found['ContainerID'], 'exec.ContainerID'),
        running: found['Running'] === true,
        pid: number(found['Pid'] ?? 0, 'exec.Pid'),
        exitCode: number(found['ExitCode'], 'exec.ExitCode'),
      };
    },
    async resize({ cols, rows }, during) {
      const query = { w: cols, h: rows };
      await connection.libpod({ method: 'POST', path: `${at}/resize`, query, success: [200, 201] }, during);
    },
  };
}

function pipeOf(socket: Socket, tty: boolean): ExecPipe {
  const read = demultiplexer();
  let atLineStart = true;

  async function* output(): AsyncGenerator<Frame, void, void> {
    for await (const bytes of chunksOf(socket))
      if (tty) yield { stream: 'stdout', data: bytes };
      else yield* read(bytes);
  }

  /** A pipe that is gone takes everything: its output says how it ended. */
  function write(bytes: Buffer | string): Promise<void> {
    if (socket.destroyed || !socket.writable || socket.write(bytes)) return Promise.resolve();
    return new Promise(resolve => {
      const done = () => {
        socket.off('drain', done).off('close', done);
        resolve();
      };
      socket.once('drain', done).once('close', done);
    });
  }

  return {
    output: output(),
    write(bytes) {
      const last = bytes.at(-1);
      if (last !== undefined) atLineStart = last === 0x0a || last === 0x0d;
      return write(bytes);
    },
    endInput() {
      // A terminal has no end of its own; the line that edits its input makes one of this.
      if (tty) void write(atLineStart ? endOfTransmission : endOfTransmission.repeat(2));
      else if (!socket.destroyed) socket.end();
    },
    hangUp: () => void socket.destroy(),
  };
}

/**
 * What comes, to the end. Read by events: an iterator of the socket drops what it has when a write fails, as one does when
 * the program ended without reading all of its stdin.
 */
async function* chunksOf(socket: Socket): AsyncGenerator<Buffer, void, void> {
  const queue: Buffer[] = [];
  let wake = () => {};
  let ended = socket.destroyed || socket.readableEnded;
  socket.on('data', (bytes: Buffer) => {
    queue.push(bytes);
    socket.pause();
    wake();
  });
  socket.once('close', () => {
    ended = true;
    wake();
  });
  for (;;) {
    const bytes = queue.shift();
    if (bytes !== undefined) yield bytes;
    else if (ended) return;
    else {
      const woken = new Promise<void>(resolve => {
        wake = resolve;
      });
      socket.resume();
      await woken;
    }
  }
}
