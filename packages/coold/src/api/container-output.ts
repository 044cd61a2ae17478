import {
  ContainersExecRequestSchema,
  ContainersExecResponseSchema,
  ContainersLogsRequestSchema,
  ContainersLogsResponseSchema,
  encodeOutput,
} from '@coold/proto';
import type { PodmanContainers } from '../podman/containers.ts';
import type { Frame } from '../podman/multiplexed.ts';
import { checkContainerPath, checkEnv, checkUser } from './container-values.ts';
import { type Handler, handler } from './handler.ts';
import { checkName, invalid } from './names.ts';

/** What a plain dispatch returns of logs and output (CONTRACT §3), in bytes. */
const maxBytes = 1 << 20;
/** What a frame weighs beside its data, so that a million empty lines stay within a Response's 4 MiB. */
const frameWeight = 32;
/** A caller whose dispatch ended before does not end the program; this does, for us: its output is not waited for longer. */
const execTimeoutMs = 15 * 60_000;
const maxWords = 4096;
/** The last second that a date has. */
const maxSinceS = 8.64e12;

/** Logs and exec as a plain dispatch has them: bounded, and answered when all is there. */
export function containerOutputHandlers(containers: PodmanContainers): Record<string, Handler> {
  return {
    'containers.logs': handler(
      ContainersLogsRequestSchema,
      ContainersLogsResponseSchema,
      async (request, signal) => {
        const id = checkName(request.id, 'id');
        const { tail, since, timestamps } = request;
        const neither = request.stdout === undefined && request.stderr === undefined;
        const [stdout, stderr] = [request.stdout ?? neither, request.stderr ?? neither];
        if (!stdout && !stderr) throw invalid('stdout', 'expected at least one of stdout and stderr');
        if (since !== undefined && !(since >= 0 && since <= maxSinceS))
          throw invalid('since', 'expected Unix time in seconds');
        const frames: Frame[] = [];
        let room = maxBytes;
        const onFrame = (frame: Frame) => {
          room -= frame.data.length + frameWeight;
          if (room >= 0) frames.push(frame);
          return room >= 0;
        };
        await containers.logs(id, { tail, since, stdout, stderr, timestamps }, onFrame, signal);
        return { frames: frames.map(({ stream, data }) => encodeOutput(stream, data)), truncated: room < 0 };
      },
    ),
    'containers.exec': handler(
      ContainersExecRequestSchema,
      ContainersExecResponseSchema,
      async (request, signal) => {
        const id = checkName(request.id, 'id');
        const { cmd, tty, workdir, user } = request;
        if (cmd.length === 0 || cmd[0] === '' || cmd.length > maxWords)
          throw invalid('cmd', `expected a program and its arguments, 1 to ${maxWords} words`);
        if (cmd.some(word => word.includes('\0'))) throw invalid('cmd', 'expected text without NUL');
        const env = Object.entries(checkEnv(request.env, 'env')).map(([name, value]) => `${name}=${value}`);
        const spec = {
          ...{ cmd, tty, env },
          workdir: workdir === '' ? '' : checkContainerPath(workdir, 'workdir'),
          user: user === '' ? '' : checkUser(user, 'user'),
        };
        const chunks: Buffer[] = [];
        let seen = 0;
        const onOutput = (bytes: Buffer) => {
          if (seen < maxBytes) chunks.push(bytes.subarray(0, maxBytes - seen));
          seen += bytes.length;
        };
        const exitCode = await containers.exec(id, spec, onOutput, { timeoutMs: execTimeoutMs }, signal);
        return { exitCode, output: Buffer.concat(chunks).toString('utf8'), truncated: seen > maxBytes };
      },
    ),
  };
}
