import { onTestFailed } from 'vitest';
import { type Fleet, printJournals } from '../harness/fleet.ts';

/** Call it at the start of a test: when the test fails, the fleet's journals are printed. */
export function journalsOnFailure({ hosts }: Fleet): void {
  onTestFailed(() => printJournals(hosts.map(({ host }) => host)));
}
