import { setTimeout as delay } from 'node:timers/promises';
import {
  type ConfigOf,
  explainUnreachable,
  getJson,
  lastJournalLines,
  UnreachableError,
} from '@coold/runtime';
import type { Fleet, HostListing } from '../builds/host-listing.ts';
import { findUnfinished, judgeFleet, judgeStatus } from './judge-status.ts';
import { renderStatus } from './render-status.ts';
import type { BrokerStatus } from './status.ts';
import type { statusCommand } from './status-command.ts';

const timeoutMs = 5000;
/** The time between the two samples for the rate of dispatches, in ms. */
const rateMs = 1000;

/** Asks the broker of this machine and prints what it says. @returns the exit code: 0 healthy, 1 not, 3 not reachable */
export async function showStatus(
  { unixSocketPath, json }: ConfigOf<typeof statusCommand>,
  out: (text: string) => void = text => void process.stdout.write(text),
): Promise<number> {
  // Both programs are of one package, and the answer is only shown; a broker that was not restarted after an update may
  // be of another version.
  const ask = (path: string, fields: readonly string[]) =>
    getJson({ at: { socketPath: unixSocketPath }, path, timeoutMs, fields });
  try {
    const before = (await ask('/v1/status', statusFields)) as BrokerStatus;
    const sampledAt = performance.now();
    await delay(rateMs);
    const status = (await ask('/v1/status', statusFields)) as BrokerStatus;
    const seconds = (performance.now() - sampledAt) / 1000;
    const hosts = (await ask('/v1/streams', [])) as HostListing[];
    const rate = (total(status) - total(before)) / seconds;
    const now = new Date();
    const fleet = status.peers == null ? undefined : readFleet(await ask('/v1/streams?all=1', []));
    const ofFleet = fleet === undefined ? undefined : judgeFleet(fleet, status);
    const problems = [...judgeStatus(status, now), ...(ofFleet?.problems ?? [])];
    const unfinished = [...findUnfinished(status), ...(ofFleet?.unfinished ?? [])];
    const verdict = { problems, starting: unfinished };
    if (json)
      out(`${JSON.stringify({ ...verdict, dispatches_per_s: rate, ...status, streams: hosts, fleet })}\n`);
    else out(renderStatus({ status, hosts, fleet, rate, problems, unfinished }, now));
    return problems.length === 0 ? 0 : 1;
  } catch (error) {
    if (!(error instanceof UnreachableError)) throw error;
    const why = explainUnreachable('broker', error);
    if (json) out(`${JSON.stringify({ problems: [why] })}\n`);
    process.stderr.write(`broker status: ${why}\n`);
    for (const line of await lastJournalLines('broker.service')) process.stderr.write(`  ${line}\n`);
    return 3;
  }
}

/** A broker that was not restarted after an update answers with its own hosts only. */
function readFleet(answer: unknown): Fleet | undefined {
  return Array.isArray(answer) ? undefined : (answer as Fleet);
}

/** The fields that an answer of the broker must have. */
export const statusFields = [
  'version',
  'hosts',
  'connections',
  'pending',
  'dispatches',
  'builds',
  'evictions',
];

function total({ dispatches }: BrokerStatus): number {
  return Object.values(dispatches.by_outcome).reduce((sum, count) => sum + count, 0);
}
