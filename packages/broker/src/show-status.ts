import { setTimeout as delay } from 'node:timers/promises';
import { type ConfigOf, explainUnreachable, getJson, UnreachableError } from '@coold/runtime';
import { judgeStatus } from './judge-status.ts';
import type { HostListing } from './lane.ts';
import { renderStatus } from './render-status.ts';
import type { BrokerStatus } from './status.ts';
import type { statusCommand } from './status-command.ts';

const timeoutMs = 5000;
/** Between the two looks that the rate of dispatches is taken from, in ms. */
const rateMs = 1000;

/** Asks the broker of this machine and prints what it says. @returns the exit code: 0 healthy, 1 not, 3 not reachable */
export async function showStatus(
  { unixSocketPath, json }: ConfigOf<typeof statusCommand>,
  out: (text: string) => void = text => void process.stdout.write(text),
): Promise<number> {
  // Both are of one package, and what it says is only shown; a broker not yet restarted after an update may be another.
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
    const problems = judgeStatus(status, now);
    if (json) out(`${JSON.stringify({ problems, dispatches_per_s: rate, ...status, streams: hosts })}\n`);
    else out(renderStatus({ status, hosts, rate, problems }, now));
    return problems.length === 0 ? 0 : 1;
  } catch (error) {
    if (!(error instanceof UnreachableError)) throw error;
    const why = explainUnreachable('broker', error);
    if (json) out(`${JSON.stringify({ problems: [why] })}\n`);
    process.stderr.write(`broker status: ${why}\n`);
    return 3;
  }
}

const statusFields = ['version', 'hosts', 'connections', 'pending', 'dispatches', 'builds', 'evictions'];

function total({ dispatches }: BrokerStatus): number {
  return Object.values(dispatches.by_outcome).reduce((sum, count) => sum + count, 0);
}
