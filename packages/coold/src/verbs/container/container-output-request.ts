import type { ContainersExecRequest, ContainersLogsRequest } from '@coold/proto';
import type { LogOptions } from '../../podman/containers.ts';
import type { ExecSpec } from '../../podman/exec-session.ts';
import { checkName, invalid } from '../names.ts';
import { checkContainerPath, checkEnv, checkUser } from './container-values.ts';

// Validates requests for logs and exec, in their bounded and streamed forms. Each function throws a VerbError 400.

const maxWords = 4096;
/** Podman allocates room for this many lines in advance, and dies of a few thousand million. */
const maxTail = 1_000_000;
/** The last second that a JavaScript date can represent. */
const maxSinceS = 8.64e12;

export function readLogsRequest(request: ContainersLogsRequest): { id: string; options: LogOptions } {
  const id = checkName(request.id, 'id');
  const { tail, since, timestamps } = request;
  const neither = request.stdout === undefined && request.stderr === undefined;
  const [stdout, stderr] = [request.stdout ?? neither, request.stderr ?? neither];
  if (!stdout && !stderr) throw invalid('stdout', 'expected at least one of stdout and stderr');
  if (tail !== undefined && tail > maxTail) throw invalid('tail', `expected 0 to ${maxTail} lines`);
  if (since !== undefined && !(since >= 0 && since <= maxSinceS))
    throw invalid('since', 'expected Unix time in seconds');
  return { id, options: { tail, since, stdout, stderr, timestamps } };
}

export function readExecRequest(request: ContainersExecRequest): { id: string; spec: ExecSpec } {
  const id = checkName(request.id, 'id');
  const { cmd, tty, workdir, user } = request;
  if (cmd.length === 0 || cmd[0] === '' || cmd.length > maxWords)
    throw invalid('cmd', `expected a program and its arguments, 1 to ${maxWords} words`);
  if (cmd.some(word => word.includes('\0'))) throw invalid('cmd', 'expected text without NUL');
  const env = Object.entries(checkEnv(request.env, 'env')).map(([name, value]) => `${name}=${value}`);
  const spec = {
    cmd,
    tty,
    env,
    workdir: workdir === '' ? '' : checkContainerPath(workdir, 'workdir'),
    user: user === '' ? '' : checkUser(user, 'user'),
  };
  return { id, spec };
}
