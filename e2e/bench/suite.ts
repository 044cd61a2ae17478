import type { Measurement } from './load.ts';

export interface SuiteResult {
  rows: ({ subject: string } & Measurement)[];
  /** What the suite is for: ours over a peer, measured in the same run. */
  ratios: { what: string; value: number; aim: string }[];
  /** What has no peer: limits of our own. */
  figures?: Figure[];
}

export interface Figure {
  what: string;
  value: number;
  unit: string;
  aim: string;
}

export interface Suite {
  name: string;
  summary: string;
  /** @param quick one short round: to see that it runs, not what it measures */
  run(quick: boolean): Promise<SuiteResult>;
}
