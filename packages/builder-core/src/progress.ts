import type { Stage } from './build-failure.ts';

/** A report of a running build: its stage, its progress in percent of the whole (0 to 100, never falling), and output of tools. */
export interface Progress {
  stage: Stage;
  percent: number;
  log: string;
}

export interface Tracker {
  /** Enters a stage, which ends at `until` percent of the whole. */
  enter(stage: Stage, until: number): void;
  /** Sets the progress within the stage, 0 to 1. Reports only when the percentage changes. */
  advance(share: number): void;
  /** Reports a text of a tool. */
  log(text: string): void;
}

/** Returns a tracker that turns the progress within stages into percentages of the whole. */
export function createTracker(report: (progress: Progress) => void): Tracker {
  let stage: Stage = 'request';
  let percent = 0;
  let from = 0;
  let until = 0;
  return {
    enter(next, nextUntil) {
      stage = next;
      from = until;
      until = nextUntil;
      percent = Math.max(percent, from);
      report({ stage, percent, log: '' });
    },
    advance(share) {
      const reached = Math.floor(from + (until - from) * Math.min(Math.max(share, 0), 1));
      if (!(reached > percent)) return;
      percent = reached;
      report({ stage, percent, log: '' });
    },
    log: text => report({ stage, percent, log: text }),
  };
}
