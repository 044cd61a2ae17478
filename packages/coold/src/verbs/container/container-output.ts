import {
  ContainersExecRequestSchema,
  ContainersExecResponseSchema,
  ContainersLogsRequestSchema,
  ContainersLogsResponseSchema,
  encodeOutput,
} from '@coold/proto';
import { type Handler, handler } from '../../handler.ts';
import type { PodmanContainers } from '../../podman/containers.ts';
import type { Frame } from '../../podman/multiplexed.ts';
import type { EndProgram } from '../../processes/end-program.ts';
import { invalid } from '../names.ts';
import { readExecRequest, readLogsRequest } from './container-output-request.ts';
import { streamExec, streamLogs } from './container-streams.ts';

/** The most bytes of logs and output that a plain dispatch returns (docs/contract.md §3). */
const maxBytes = 1 << 20;
/** The bytes of a frame besides its data, so that a million empty lines stay within a Response's 4 MiB. */
const frameWeight = 32;
/** A program does not end when its caller's dispatch does. coold stops waiting for its output after this many ms. */
const execTimeoutMs = 15 * 60_000;

/** Logs and exec, in two forms: bounded, answered when complete; and streamed. */
export function containerOutputHandlers(
  containers: PodmanContainers,
  endProgram: EndProgram,
): Record<string, Handler> {
  const logs = handler(ContainersLogsRequestSchema, ContainersLogsResponseSchema, async (request, signal) => {
    if (request.follow) throw invalid('follow', 'expected a stream to be asked for');
    const { id, options } = readLogsRequest(request);
    const frames: Frame[] = [];
    let room = maxBytes;
    const onFrame = (frame: Frame) => {
      room -= frame.data.length + frameWeight;
      if (room >= 0) frames.push(frame);
      return room >= 0;
    };
    await containers.logs(id, options, onFrame, signal);
    return { frames: frames.map(({ stream, data }) => encodeOutput(stream, data)), truncated: room < 0 };
  });
  const exec = handler(ContainersExecRequestSchema, ContainersExecResponseSchema, async (request, signal) => {
    const { id, spec } = readExecRequest(request);
    const chunks: Buffer[] = [];
    let seen = 0;
    const onOutput = (bytes: Buffer) => {
      if (seen < maxBytes) chunks.push(bytes.subarray(0, maxBytes - seen));
      seen += bytes.length;
    };
    const exitCode = await containers.exec(id, spec, onOutput, { timeoutMs: execTimeoutMs }, signal);
    return { exitCode, output: Buffer.concat(chunks).toString('utf8'), truncated: seen > maxBytes };
  });
  return {
    'containers.logs': { ...logs, stream: streamLogs(containers) },
    'containers.exec': { ...exec, stream: streamExec(containers, endProgram) },
  };
}
