import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { VerbError } from '@coold/errors';
import { describe, expect, it } from 'vitest';
import { silent } from '../../test/caller.ts';
import type { ExecSession, ExecState } from '../podman/exec-session.ts';
import { createEndProgram } from './end-program.ts';
import type { ProcessTable } from './process-table.ts';

const nothing: ProcessTable = { inCgroup: () => Promise.resolve([]) };

/** A session of a Podman that is slow, as a real one is only under a load that no test should make. */
function sessionWith(state: () => Promise<ExecState>): ExecSession {
  const never = () => Promise.reject(new Error('not asked for'));
  return { started: 'yes', state, start: never, resize: never };
}

const ended: ExecState = { containerId: 'c', running: false, pid: 0, exitCode: 0 };
const tooLate = () =>
  new VerbError('podman_unavailable', 'podman did not answer in time', {
    cause: new DOMException('late', 'TimeoutError'),
  });

describe('programs of a lost caller', () => {
  it('are asked about a few at a time, however many there are', async () => {
    let asked = 0;
    let most = 0;
    let answered = 0;
    const session = sessionWith(async () => {
      asked += 1;
      most = Math.max(most, asked);
      await new Promise(setImmediate);
      asked -= 1;
      answered += 1;
      return ended;
    });
    const end = createEndProgram(nothing, silent);
    await Promise.all(Array.from({ length: 200 }, () => end(session)));
    expect(answered).toBe(200);
    expect(most).toBeLessThanOrEqual(8);
  });

  it('are asked about again where Podman did not answer in time', async () => {
    const child = spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' });
    await once(child, 'spawn');
    const { pid = 0 } = child;
    const answers = [
      () => Promise.reject(tooLate()),
      () => Promise.resolve({ ...ended, running: true, pid }),
    ];
    const session = sessionWith(() => answers.shift()?.() ?? Promise.resolve(ended));
    const table: ProcessTable = {
      inCgroup: () =>
        Promise.resolve(child.signalCode === null ? [{ pid, nsPids: [pid, 7], session: pid }] : []),
    };
    const over = once(child, 'exit');
    try {
      await createEndProgram(table, silent)(session);
      expect(answers, 'asked twice').toEqual([]);
    } finally {
      child.kill('SIGKILL');
    }
    expect(await over).toEqual([null, 'SIGHUP']);
  });

  it('are given up where Podman is not there', async () => {
    const warned: unknown[] = [];
    const log = { ...silent, warn: (...line: unknown[]) => void warned.push(line) };
    let asked = 0;
    const session = sessionWith(() => {
      asked += 1;
      return Promise.reject(new VerbError('podman_unavailable', 'podman is not reachable'));
    });
    await createEndProgram(nothing, log)(session);
    expect([asked, warned.length]).toEqual([1, 1]);
  });
});
