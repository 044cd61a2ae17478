import type { Measurement } from './load.ts';

export interface SuiteResult {
  rows: ({ subject: string } & Measurement)[];
  /** The ratios of ours to a peer, measured in the same run. */
  ratios: { what: string; value: number; aim: string }[];
  /** Figures without a peer; the limits are our own. */
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
  /**
   * @param quick one short round, which checks that the suite runs but measures nothing useful
   *
   * @param against the archive of another build, made by `npm run package`, that is measured in turns with this one
   */
  run(quick: boolean, against?: string): Promise<SuiteResult>;
}
