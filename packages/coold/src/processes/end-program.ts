import { setTimeout as delay } from 'node:timers/promises';
import { VerbError } from '@coold/errors';
import type { Logger } from '@coold/runtime';
import type { ExecSession, ExecState } from '../podman/exec-session.ts';
import {
  type ContainerProcess,
  containerCgroup,
  findByPodmanPid,
  type ProcessTable,
  sessionOf,
} from './process-table.ts';
import { createTurns } from './turns.ts';

/** Ends a program whose caller has left. Never rejects: nobody is left to hear of it, so what fails is logged. */
export type EndProgram = (session: ExecSession) => Promise<void>;

/** What a program gets to end by itself in, in ms; below what coold has to stop in. */
const graceMs = 2000;
/** Of one whose start was cut off: how long it may still be about to run, in ms. */
const startMs = 1000;
/** Nothing tells of the end of a process that is not ours, so it is looked for, less often as time goes on. */
const firstLookMs = 25;
const podmanTimeoutMs = 3000;
/** Questions to Podman at once. A lost stream may leave hundreds of programs, and Podman has one lock for a container. */
const maxQuestions = 4;
/** How long a Podman that is there and does not answer is asked again, in ms, and how long after. */
const patienceMs = 30_000;
const askAgainMs = 500;

/**
 * Podman has no call that ends a program it runs in a container, and hanging up does not: so it is signalled, SIGHUP and
 * SIGTERM, then SIGKILL. It is looked up by the number that Podman gives, and only among the processes in the cgroup of its
 * container.
 *
 * What this ends is the program and its session: what it started and did not put into a session of its own, as a daemon
 * does. What it does not: a program of a coold that was killed itself, or whose Podman does not answer, and one in a
 * container without a cgroup of its own (there are none of coold's making). Between the last look and the signal a process
 * may end and its number be given away; the kernel counts up to the highest before it does.
 */
export function createEndProgram(table: ProcessTable, log: Logger): EndProgram {
  const turns = createTurns(maxQuestions);
  const stateOf = (session: ExecSession) => patiently(() => turns(() => askState(session)));
  return async session => {
    if (session.started === 'no') return;
    try {
      const found = await untilRunning(session, stateOf);
      if (found === undefined) return;
      const { pid, containerId } = found;
      const fields = { container: containerId, pid };
      const leader = findByPodmanPid(await table.inCgroup(containerCgroup(containerId)), pid);
      if (leader === undefined)
        log.warn(fields, 'a cancelled program is not among the processes of its container; left');
      else if (await end(leader, containerId, table))
        log.debug(fields, 'ended a program whose caller has left');
      else log.warn(fields, 'a cancelled program outlives SIGKILL; left');
    } catch (error) {
      // With its container.
      if (error instanceof VerbError && error.code === 404) return;
      log.warn({ err: error }, 'a cancelled program could not be ended; it may run on');
    }
  };
}

function askState(session: ExecSession): Promise<ExecState> {
  return session.state(AbortSignal.timeout(podmanTimeoutMs));
}

/** Asks again where Podman did not answer in time; else a program would run on because others ended with it. */
async function patiently<T>(ask: () => Promise<T>): Promise<T> {
  for (const began = performance.now(); ; await delay(askAgainMs)) {
    try {
      return await ask();
    } catch (error) {
      if (!isLate(error) || performance.now() - began > patienceMs) throw error;
    }
  }
}

function isLate(error: unknown): boolean {
  return error instanceof VerbError && error.cause instanceof Error && error.cause.name === 'TimeoutError';
}

/** How it runs; undefined when it does not. */
async function untilRunning(
  session: ExecSession,
  stateOf: (session: ExecSession) => Promise<ExecState>,
): Promise<ExecState | undefined> {
  for (const began = performance.now(); ; await delay(100)) {
    const state = await stateOf(session);
    if (state.running && state.pid > 0) return state;
    if (session.started === 'yes' || performance.now() - began > startMs) return undefined;
  }
}

/** @returns whether all is gone */
async function end(leader: ContainerProcess, containerId: string, table: ProcessTable): Promise<boolean> {
  const members = async () => sessionOf(await table.inCgroup(containerCgroup(containerId)), leader);
  const gone = async () => {
    let waitMs = firstLookMs;
    for (const began = performance.now(); performance.now() - began < graceMs; waitMs *= 2) {
      await delay(waitMs);
      if ((await members()).length === 0) return true;
    }
    return false;
  };
  for (const signals of [['SIGHUP', 'SIGTERM'], ['SIGKILL']] as const) {
    for (const { pid } of await members()) for (const signal of signals) send(pid, signal);
    if (await gone()) return true;
  }
  return false;
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
