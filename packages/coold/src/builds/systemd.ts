import { ChildError, type ChildOptions, type ChildResult, runChild } from '@coold/runtime';
import { type BuildUnit, buildUnitCommand, buildUnitName, requestIdOfUnit } from './unit.ts';
import { readUnitState, shownProperties, type UnitState } from './unit-state.ts';

/** What builds need of this host's systemd. Every call is bounded in time, and rejects with a SystemdError. */
export interface Systemd {
  /** Starts a build and stays with it: resolves when `systemd-run` ends, which says nothing of how the build did. */
  run(unit: BuildUnit, signal: AbortSignal): Promise<{ code: number | null; said: string }>;
  state(requestId: string): Promise<UnitState>;
  /** A signal to every process of the unit. @returns false when there is no such unit */
  kill(requestId: string, signal: 'SIGTERM' | 'SIGKILL'): Promise<boolean>;
  /** Unloads a unit that has failed. */
  reset(requestId: string): Promise<void>;
  /** The request ids of all units of builds that are loaded. */
  units(): Promise<string[]>;
}

/** systemd did not do what it was asked for, or did not answer; the message says which program and why. */
export class SystemdError extends Error {
  /** The program itself could not be started: nothing has happened. */
  readonly isMissing: boolean;
  constructor(message: string, { isMissing = false, cause }: { isMissing?: boolean; cause?: unknown } = {}) {
    super(message, { cause });
    this.name = 'SystemdError';
    this.isMissing = isMissing;
  }
}

/** PID 1 answers in milliseconds, or is not well. */
const answerMs = 5000;
/** What starting and ending may take beyond a build's own time, in ms. */
const slackMs = 180_000;

export interface SystemdOptions {
  /** For tests of what the real one cannot be made to do. */
  run?: (program: string, args: readonly string[], options: ChildOptions) => Promise<ChildResult>;
}

export function createSystemd({ run = runChild }: SystemdOptions = {}): Systemd {
  async function systemctl(...args: string[]): Promise<ChildResult> {
    try {
      return await run('systemctl', ['--no-pager', '--no-ask-password', ...args], { timeoutMs: answerMs });
    } catch (error) {
      if (!(error instanceof ChildError)) throw error;
      throw notAnswered(error);
    }
  }
  const failure = (what: string, { code, signal, stderr }: ChildResult) =>
    new SystemdError(`${what}: ${stderr.trim().slice(0, 500) || `exit ${code ?? signal}`}`);

  return {
    async run(unit, signal) {
      const { program, args } = buildUnitCommand(unit);
      const timeoutMs = unit.config.timeoutSecs * 1000 + slackMs;
      try {
        // What it prints are the build's frames, which are read from the file.
        const { code, stderr } = await run(program, args, { timeoutMs, signal, maxOutputBytes: 4096 });
        return { code, said: stderr.trim().slice(0, 500) };
      } catch (error) {
        if (!(error instanceof ChildError)) throw error;
        throw notAnswered(error);
      }
    },
    async state(requestId) {
      const properties = shownProperties.map(name => `--property=${name}`);
      const result = await systemctl('show', ...properties, '--', buildUnitName(requestId));
      if (result.code !== 0) throw failure('systemctl show', result);
      try {
        return readUnitState(result.stdout);
      } catch (error) {
        throw new SystemdError((error as Error).message, { cause: error });
      }
    },
    async kill(requestId, signal) {
      const result = await systemctl('kill', `--signal=${signal}`, '--', buildUnitName(requestId));
      if (result.code === 0) return true;
      if (/not loaded|no such|not found|no main process/i.test(result.stderr)) return false;
      throw failure('systemctl kill', result);
    },
    async reset(requestId) {
      const result = await systemctl('reset-failed', '--', buildUnitName(requestId));
      if (result.code !== 0 && !/not loaded/i.test(result.stderr))
        throw failure('systemctl reset-failed', result);
    },
    async units() {
      const format = ['--all', '--full', '--plain', '--no-legend', '--type=service'];
      const result = await systemctl('list-units', ...format, '--', 'coolify-build-*.service');
      if (result.code !== 0) throw failure('systemctl list-units', result);
      return result.stdout
        .split('\n')
        .map(line => requestIdOfUnit(line.trim().split(/\s+/)[0] ?? ''))
        .filter(id => id !== undefined);
    },
  };
}

function notAnswered(error: ChildError): SystemdError {
  return new SystemdError(error.message, { isMissing: error.reason === 'spawn', cause: error });
}
