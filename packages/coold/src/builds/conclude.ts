import { type BuildError, type BuildOutcome, failed } from './folder/build-outcome.ts';
import type { UnitEnding } from './unit/unit-state.ts';

/** Everything that is known about a build whose unit is over. */
export interface Facts {
  /** The outcome in result.json or error.json. undefined: there is no valid one. */
  recorded: BuildOutcome | undefined;
  /** Whether a cancel was requested: the marker is in the work folder. */
  cancelled: boolean;
  /** How the unit ended. undefined: the unit is not loaded. */
  ending: UnitEnding | undefined;
  /** The end of the build's output. */
  outputTail?: string;
  limits: { memoryMax: string; timeoutSecs: number };
}

/** Messages of crun, buildah and shells about a killed process. */
const killed = /\bexited on killed\b|\bsignal: killed\b|\bexit status 137\b|it said nothing$/i;

/** docs/contract.md §7 fixes this text. */
const noOutcome = 'builder exited without result file';

/**
 * Decides the outcome of a build (docs/contract.md §7). A builder that is told to stop records 499 without knowing why it
 * was stopped. The marker of a cancel and systemd know, so they take precedence over that 499.
 */
export function conclude({ recorded, cancelled, ending, outputTail = '', limits }: Facts): BuildOutcome {
  if (recorded?.kind === 'ok') return recorded;
  if (ending?.result === 'oom-kill') return outOfMemory(limits.memoryMax);
  // When a cancel and the timeout coincide, the cancel is the outcome.
  if (ending?.result === 'timeout' && !cancelled)
    return failed(504, `the build took longer than ${limits.timeoutSecs} s`, 'timeout');
  if (recorded !== undefined && recorded.err.code !== 499)
    return withHint(recorded.err, outputTail, limits.memoryMax);
  if (cancelled) return failed(499, 'cancelled', 'cancel');
  if (recorded !== undefined) return failed(500, 'the build was stopped from outside', 'builder');
  return failed(500, noOutcome, 'builder');
}

function outOfMemory(memoryMax: string): BuildOutcome {
  return failed(500, `the build ran out of memory: MemoryMax=${memoryMax}`, 'memory');
}

/**
 * Adds a hint where a tool was killed. With cgroups v1, systemd does not learn that memory ran out, so a killed step is the
 * only sign of it.
 */
function withHint({ code, message, stage }: BuildError, outputTail: string, memoryMax: string): BuildOutcome {
  const looksKilled = stage === 'buildah' && killed.test(`${outputTail}\n${message}`);
  const hint = `; a step was killed, possibly because memory ran out: MemoryMax=${memoryMax}`;
  return failed(code, looksKilled && !message.endsWith(hint) ? message + hint : message, stage);
}
