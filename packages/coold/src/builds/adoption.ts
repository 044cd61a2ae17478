import type { FoundFolder } from './folder/work-folder.ts';
import type { UnitState } from './unit/unit-state.ts';

/** What coold does with a work folder that it finds when it starts (docs/contract.md §7). */
export type Adoption =
  /** The unit runs, or systemd does not answer: coold waits for its end. */
  | 'supervise'
  /** The build was queued, and systemd does not answer whether it was started since: coold asks until it does. */
  | 'ask'
  /** The build was queued when coold ended, and is queued again. */
  | 'queue'
  /** The build is over, by its files or by the state of its unit: coold settles its outcome. */
  | 'conclude'
  /** The folder holds no build, or a result whose time is over. */
  | 'remove';

/** How long an unread result is kept, in ms (docs/contract.md §7). */
export const keptMs = 24 * 3600_000;
/** How long a result is kept after it was first read, in ms: a caller that crashed while reading may ask again. */
export const keptReadMs = 3600_000;

/**
 * Decides what to do with a work folder.
 *
 * @param state the state of the unit. undefined: systemd did not answer, which is no reason to give a build up
 * @param now in ms since 1970
 */
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

/** Whether the result of a build has been kept long enough. @param now in ms since 1970 */
export function isExpired(
  { outcome, changedAt, readAt }: Pick<FoundFolder, 'outcome' | 'changedAt' | 'readAt'>,
  now: number,
): boolean {
  if (outcome === undefined) return false;
  return readAt === undefined ? now - changedAt >= keptMs : now - readAt >= keptReadMs;
}
