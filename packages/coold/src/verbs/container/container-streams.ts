import { setTimeout as delay } from 'node:timers/promises';
import { VerbError } from '@coold/errors';
import { ContainersExecRequestSchema, ContainersLogsRequestSchema, maxStreamChunkBytes } from '@coold/proto';
import { type StreamForm, type StreamIo, streamForm } from '../../handler.ts';
import type { PodmanContainers } from '../../podman/containers.ts';
import type { ExecPipe, ExecSession } from '../../podman/exec-session.ts';
import { PodmanStatusError } from '../../podman/failure.ts';
import { createFramer } from '../../podman/framer.ts';
import type { Frame } from '../../podman/multiplexed.ts';
import type { EndProgram } from '../../processes/end-program.ts';
import { letGoWhenStopped } from '../../stalled-reader.ts';
import { readExecRequest, readLogsRequest } from './container-output-request.ts';

const podmanTimeoutMs = 8000;

/** Streams logs as they are written, until the container stops or is removed; without `follow`, those there are now. */
export function streamLogs(containers: PodmanContainers): StreamForm {
  return streamForm(ContainersLogsRequestSchema, false, async (request, io) => {
    const { id, options } = readLogsRequest(request);
    const out = writer(io);
    const reader = { onOpened: io.opened, onFrame: out.write };
    await containers.streamLogs(id, { ...options, follow: request.follow }, reader, io.signal);
    await out.end();
    return {};
  });
}

/** Runs a program in a container with stdin and a terminal. It ends with its caller. */
export function streamExec(containers: PodmanContainers, endProgram: EndProgram): StreamForm {
  return streamForm(ContainersExecRequestSchema, true, async (request, io) => {
    const { id, spec } = readExecRequest(request);
    const session = await containers.createExec(id, spec, io.signal);
    let pipe: ExecPipe | undefined;
    const hangUp = () => pipe?.hangUp();
    io.signal.addEventListener('abort', hangUp, { once: true });
    try {
      pipe = await session.start();
      io.signal.throwIfAborted();
      await io.opened();
      // Both end with the stream. Input for a program that has ended can be dropped.
      feed(pipe, io).catch(() => {});
      if (spec.tty) resize(session, io).catch(() => {});
      const out = writer(io);
      using readers = letGoWhenStopped(() => containers.inspect(id, AbortSignal.timeout(podmanTimeoutMs)));
      for await (const frame of pipe.output) await readers.taking(out.write(frame));
      await out.end();
      return { exitCode: await exitCode(session, io.signal) };
    } catch (error) {
      hangUp();
      await endProgram(session);
      throw error;
    } finally {
      io.signal.removeEventListener('abort', hangUp);
    }
  });
}

function writer(io: StreamIo) {
  const framer = createFramer(maxStreamChunkBytes);
  return {
    async write(frame: Frame): Promise<void> {
      for (const part of framer.push(frame)) await io.write(part);
    },
    async end(): Promise<void> {
      for (const part of framer.end()) await io.write(part);
    },
  };
}

async function feed(pipe: ExecPipe, io: StreamIo): Promise<void> {
  for await (const bytes of io.stdin) await pipe.write(bytes);
  pipe.endInput();
}

async function resize(session: ExecSession, io: StreamIo): Promise<void> {
  // A resize fails when the program has ended or is about to; then its terminal does not matter.
  for await (const size of io.resizes)
    await session.resize(size, AbortSignal.timeout(podmanTimeoutMs)).catch(() => {});
}

/**
 * @throws VerbError 502 when Podman ended the stream and not the program; 404 when the program went with its container
 */
async function exitCode(session: ExecSession, signal: AbortSignal): Promise<number> {
  for (let waitMs = 10; ; waitMs *= 2) {
    const state = await session.state(signal).catch((cause: unknown) => {
      if (cause instanceof VerbError && cause.code === 404)
        throw new VerbError('container_not_found', 'the container was removed while its program ran', {
          field: 'id',
          cause,
        });
      // Podman fails on a container that it is just removing.
      if (cause instanceof VerbError && cause.cause instanceof PodmanStatusError && waitMs <= 1000)
        return undefined;
      const message = 'podman broke off the stream, and does not say how the program ended';
      throw new VerbError('podman_failed', message, { cause });
    });
    if (state !== undefined && !state.running) return state.exitCode;
    // The output may end a moment before Podman has recorded that the program did.
    if (waitMs > 1000)
      throw new VerbError('podman_failed', 'podman broke off the stream of a program that still runs');
    await delay(waitMs, undefined, { signal });
  }
}
