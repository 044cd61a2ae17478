import { type BuildError, type BuildOutcome, failed } from './build-outcome.ts';
import type { UnitEnding } from './unit-state.ts';

/** All that is known of a build whose unit is over. */
export interface Facts {
  /** What result.json or error.json says; undefined: neither is there, or neither can be read as one. */
  recorded: BuildOutcome | undefined;
  /** Its cancel was asked for: the marker is in the work folder. */
  cancelled: boolean;
  /** undefined: its unit is not loaded. */
  ending: UnitEnding | undefined;
  /** The end of its progress. */
  lastWords?: string;
  limits: { memoryMax: string; timeoutSecs: number };
}

/** As crun, buildah and shells say it. */
const killed = /\bexited on killed\b|\bsignal: killed\b|\bexit status 137\b|it said nothing$/i;

/** The wording of docs/contract.md §7. */
const noOutcome = 'builder exited without result file';

/**
 * The one outcome of a build (docs/contract.md §7). What a builder records when it is told to stop does not say who
 * told it: that is known from the marker and from systemd, whose word wins over its 499.
 */
export function conclude({ recorded, cancelled, ending, lastWords = '', limits }: Facts): BuildOutcome {
  if (recorded?.kind === 'ok') return recorded;
  if (ending?.result === 'oom-kill') return outOfMemory(limits.memoryMax);
  // A cancel and the end of its time may meet: who asked for the cancel gets it.
  if (ending?.result === 'timeout' && !cancelled)
    return failed(504, `the build took longer than ${limits.timeoutSecs} s`, 'timeout');
  if (recorded !== undefined && recorded.err.code !== 499)
    return withHint(recorded.err, lastWords, limits.memoryMax);
  if (cancelled) return failed(499, 'cancelled', 'cancel');
  if (recorded !== undefined) return failed(500, 'the build was stopped from outside', 'builder');
  return failed(500, noOutcome, 'builder');
}

function outOfMemory(memoryMax: string): BuildOutcome {
  return failed(500, `the build ran out of memory: MemoryMax=${memoryMax}`, 'memory');
}

/**
 * A tool that was killed said nothing of why. Where the kernel's control groups are of the first kind, systemd does not
 * hear of a lack of memory, and this is all that is seen of it.
 */
function withHint({ code, message, stage }: BuildError, lastWords: string, memoryMax: string): BuildOutcome {
  const looksKilled = stage === 'buildah' && killed.test(`${lastWords}\n${message}`);
  const hint = `; a step was killed, as it is for want of memory: MemoryMax=${memoryMax}`;
  return failed(code, looksKilled && !message.endsWith(hint) ? message + hint : message, stage);
}
