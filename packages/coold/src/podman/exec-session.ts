import type { Socket } from 'node:net';
import { type PodmanConnection, segment } from './connection.ts';
import { demultiplexer, type Frame } from './multiplexed.ts';
import { fullId, number, object, text } from './shape.ts';

/** A program to run in a container, with its three streams. */
export interface ExecSession {
  /**
   * Runs it.
   *
   * @returns its pipe, once Podman has taken it over. There is no signal: when the caller disconnects too early, Podman
   * reports that the program ended while it still runs.
   * @throws VerbError when Podman refuses or does not answer in time; in the latter case it may run all the same
   */
  start(): Promise<ExecPipe>;
  /** "maybe": Podman was told to start it and has not confirmed that. */
  readonly started: 'no' | 'maybe' | 'yes';
  state(signal: AbortSignal): Promise<ExecState>;
  /** Resizes its terminal, if it has one. */
  resize(size: { cols: number; rows: number }, signal: AbortSignal): Promise<void>;
}

export interface ExecState {
  containerId: string;
  running: boolean;
  /** The process id of the program, 0 when it does not run. */
  pid: number;
  /** 126 or 127 when the program could not be started. */
  exitCode: number;
}

export interface ExecPipe {
  /**
   * Both output streams, as fast as they are read; with a terminal everything is stdout. Ends with the pipe, for
   * whatever reason: `state` tells whether the program ended too.
   *
   * @throws Error when Podman sends no valid frame
   */
  output: AsyncIterable<Frame>;
  /** Resolves when there is room for more. Input that an ended program did not read is lost. */
  write(bytes: Buffer): Promise<void>;
  /** Ends the input. */
  endInput(): void;
  hangUp(): void;
}

/** The body of libpod's `POST /containers/{id}/exec`. */
export interface ExecSpec {
  cmd: string[];
  tty: boolean;
  /** `NAME=value` */
  env: string[];
  workdir: string;
  user: string;
}

/**
 * Podman detaches from a program when these keys are typed one after the other, and this cannot be turned off; its
 * default keys are used in shells. Nobody types ctrl-^ this often. A single one reaches the program together with the
 * next key.
 */
const detachKeys = Array(64).fill('ctrl-^').join(',');

/** The character (ctrl-D) that ends the input of a terminal at the beginning of a line. Elsewhere two are needed. */
const endOfTransmission = '\x04';

export function execJson({ cmd, tty, env, workdir, user }: ExecSpec, attachStdin: boolean): object {
  return {
    AttachStdout: true,
    AttachStderr: true,
    Cmd: cmd,
    Env: env,
    Tty: tty,
    ...(attachStdin ? { AttachStdin: true, DetachKeys: detachKeys } : {}),
    ...(workdir === '' ? {} : { WorkingDir: workdir }),
    ...(user === '' ? {} : { User: user }),
  };
}

/** Prepares to run a program without running it yet. @throws VerbError */
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

  /** Writes to a closed pipe are dropped: the output shows how the program ended. */
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
      // A terminal has no end of input. Its line discipline turns this character into one.
      if (tty) void write(atLineStart ? endOfTransmission : endOfTransmission.repeat(2));
      else if (!socket.destroyed) socket.end();
    },
    hangUp: () => void socket.destroy(),
  };
}

/**
 * Yields what the socket receives, to its end. Reads by events, because the socket's iterator drops buffered data when
 * a write fails, as it does when the program ended without reading all of its stdin.
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
