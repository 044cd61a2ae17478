import {
  ChildError,
  type ChildOptions,
  type ChildResult,
  errorMessage,
  type Logger,
  runChild,
} from '@coold/runtime';
import { type BuildUnit, buildUnitCommand, buildUnitName, requestIdOfUnit } from './unit.ts';
import { readUnitState, shownProperties, type UnitState } from './unit-state.ts';

/** The calls to this host's systemd that builds need. Every call has a timeout and rejects with a SystemdError. */
export interface Systemd {
  /** Starts the unit of a build and resolves when `systemd-run` ends. Its exit code does not tell how the build ended. */
  run(unit: BuildUnit, signal: AbortSignal): Promise<{ code: number | null; said: string }>;
  /** Returns the state of a build's unit. */
  state(requestId: string): Promise<UnitState>;
  /** Sends a signal to every process of the unit. @returns false when there is no such unit */
  kill(requestId: string, signal: 'SIGTERM' | 'SIGKILL'): Promise<boolean>;
  /** Unloads a unit that has failed. */
  reset(requestId: string): Promise<void>;
  /** Returns the request ids of all loaded units of builds. */
  units(): Promise<string[]>;
}

/** A call to systemd failed or got no answer. The message names the program and the reason. */
export class SystemdError extends Error {
  /** Whether the program could not be started, so that nothing has happened. */
  readonly isMissing: boolean;
  constructor(message: string, { isMissing = false, cause }: { isMissing?: boolean; cause?: unknown } = {}) {
    super(message, { cause });
    this.name = 'SystemdError';
    this.isMissing = isMissing;
  }
}

/** The timeout of systemctl, in ms. A healthy systemd answers within milliseconds. */
const answerMs = 5000;
/** What starting and ending a unit may take in addition to the build's own time, in ms. */
const slackMs = 180_000;

export interface SystemdOptions {
  /** Runs a program. Tests replace it for faults that the real systemd cannot show. */
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
        // Its output is the frames of the build, which coold reads from events.ndjson.
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
        throw new SystemdError(errorMessage(error), { cause: error });
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

/** The number of concurrent calls of systemctl, so that a hundred builds are adopted quickly. */
const atOnce = 8;

/** Returns the states of all loaded units of builds by request id, or undefined when systemd does not answer. */
export async function readUnitStates(
  systemd: Pick<Systemd, 'units' | 'state'>,
  log: Logger,
): Promise<ReadonlyMap<string, UnitState> | undefined> {
  try {
    const ids = await systemd.units();
    const states = new Map<string, UnitState>();
    for (let at = 0; at < ids.length; at += atOnce)
      await Promise.all(
        ids.slice(at, at + atOnce).map(async id => void states.set(id, await systemd.state(id))),
      );
    return states;
  } catch (error) {
    if (!(error instanceof SystemdError)) throw error;
    log.error(
      { reason: error.message },
      'systemd does not answer which builds run; asking again for each build',
    );
    return undefined;
  }
}
