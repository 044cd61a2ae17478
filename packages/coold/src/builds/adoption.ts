import type { UnitState } from './unit-state.ts';
import type { FoundFolder } from './work-folder.ts';

/** What becomes of a work folder that coold finds when it starts (docs/contract.md §7). */
export type Adoption =
  /** Its unit lives, or systemd does not say: its end is waited for. */
  | 'supervise'
  /** It waited for a place, and systemd does not say whether it has been started since: it is asked until it does. */
  | 'ask'
  /** It waited for a place when coold ended, and does again. */
  | 'queue'
  /** It is over, by its files and by what systemd says of its unit. */
  | 'conclude'
  /** Nothing of a build, or a result that nobody read in time. */
  | 'remove';

/** A result that nobody has read is kept for this long, in ms (docs/contract.md §7). */
export const keptMs = 24 * 3600_000;
/** One that was read, from the first time on, in ms: a caller that died over it may ask again. */
export const keptReadMs = 3600_000;

/** @param state undefined: systemd did not answer; no build is given up for that */
export function adopt(folder: FoundFolder, state: UnitState | undefined, now: number): Adoption {
  const waits =
    folder.request !== undefined &&
    folder.outcome === undefined &&
    folder.queuedAt !== undefined &&
    !folder.cancelled;
  if (state === undefined && waits) return 'ask';
  if (state === undefined || state.kind === 'active') return 'supervise';
  if (isExpired(folder, now)) return 'remove';
  if (state.kind === 'over' || folder.outcome !== undefined) return 'conclude';
  if (folder.request === undefined) return 'remove';
  return waits ? 'queue' : 'conclude';
}

export function isExpired(
  { outcome, changedAt, readAt }: Pick<FoundFolder, 'outcome' | 'changedAt' | 'readAt'>,
  now: number,
): boolean {
  if (outcome === undefined) return false;
  return readAt === undefined ? now - changedAt >= keptMs : now - readAt >= keptReadMs;
}
