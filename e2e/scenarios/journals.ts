import { onTestFailed } from 'vitest';
import { type Fleet, printJournals } from '../harness/fleet.ts';

/** Call at the start of a test: when it fails, the journals of the fleet are printed with it. */
export function journalsOnFailure({ hosts }: Fleet): void {
  onTestFailed(() => printJournals(hosts.map(({ host }) => host)));
}
