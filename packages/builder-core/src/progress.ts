import type { Stage } from './build-failure.ts';

/** What a build has to say: where it is, how far of the whole (0 to 100, never falling), and a tool's output. */
export interface Progress {
  stage: Stage;
  percent: number;
  log: string;
}

export interface Tracker {
  /** The build has come to a stage, which takes it up to `until` percent. */
  enter(stage: Stage, until: number): void;
  /** How far the stage is, 0 to 1; a report only when the percentage changes by it. */
  advance(share: number): void;
  log(text: string): void;
}

/** Makes percentages of the whole of stages and their shares. */
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
