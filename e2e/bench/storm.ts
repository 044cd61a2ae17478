import { setTimeout as delay } from 'node:timers/promises';
import { type UnixHttp, unixHttp } from '@coold/testbed';
import type { Fleet } from './fleet/start-fleet.ts';
import type { SuiteResult } from './suite.ts';

type Figure = NonNullable<SuiteResult['figures']>[number];

export interface StormOptions {
  fleet: Fleet;
  socketPath: string;
  killAndRestart: () => void;
  quick: boolean;
}

/** The answers that a caller got while the fleet reconnected. */
interface Seen {
  latencies: number[];
  unanswered: number;
}

const giveUpMs = 180_000;
/** The pause between two requests of each kind, in ms. */
const askEveryMs = 50;

/**
 * Kills a broker that has hosts and restarts it: measures how the hosts reconnect and whether the broker answers
 * meanwhile.
 */
export async function measureStorm({ fleet, socketPath, killAndRestart }: StormOptions): Promise<Figure[]> {
  const { hosts } = fleet;
  const refusedBefore = count(fleet.refusals());
  const begun = performance.now();
  killAndRestart();
  while (fleet.accepted() > hosts * 0.1 && performance.now() - begun < 5000) await delay(20);
  await using http = unixHttp(socketPath);
  await untilHealthy(http);
  const healthyMs = performance.now() - begun;

  const done = new AbortController();
  const ask = async (request: () => ReturnType<UnixHttp['request']>): Promise<Seen> => {
    const seen: Seen = { latencies: [], unanswered: 0 };
    while (!done.signal.aborted) {
      const asked = performance.now();
      // Any status counts as an answer: a host that has not reconnected gives a 404 at once.
      await request().catch(() => {
        seen.unanswered += 1;
      });
      seen.latencies.push(performance.now() - asked);
      await delay(askEveryMs);
    }
    return seen;
  };
  let n = 0;
  const health = ask(() => http.request({ path: '/v1/health' }));
  const dispatches = ask(() => {
    n += 1;
    const host = `host-${Math.floor(Math.random() * hosts)}`;
    const json = { host_id: host, request_id: `storm-${n}`, command: { type: 'list_containers' } };
    return http.request({ method: 'POST', path: '/v1/coold/dispatch', json });
  });

  const shares = [0.5, 0.9, 1];
  const figures: Figure[] = [
    { what: 'storm: health again after', value: healthyMs / 1000, unit: 's', aim: '' },
  ];
  for (const share of shares) {
    while (fleet.accepted() < hosts * share && performance.now() - begun < giveUpMs) await delay(20);
    const seconds = (performance.now() - begun) / 1000;
    const aim = share === 1 ? 'at most 90' : '';
    figures.push({
      what: `storm: ${share * 100} % of ${hosts} hosts back after`,
      value: seconds,
      unit: 's',
      aim,
    });
  }
  done.abort();
  for (const [what, seen] of [
    ['health', await health],
    ['dispatch', await dispatches],
  ] as const) {
    const worst = Math.max(...seen.latencies);
    figures.push({
      what: `storm: slowest ${what} of ${seen.latencies.length}`,
      value: worst,
      unit: 'ms',
      aim: '',
    });
    figures.push({
      what: `storm: ${what} without an answer`,
      value: seen.unanswered,
      unit: 'times',
      aim: '0',
    });
  }
  const refused = count(fleet.refusals()) - refusedBefore;
  figures.push({ what: 'storm: hosts refused', value: refused, unit: 'times', aim: '0' });
  return figures;
}

async function untilHealthy(http: UnixHttp): Promise<void> {
  const end = performance.now() + giveUpMs;
  for (;;) {
    const status = await http.request({ path: '/v1/health' }).then(
      answer => answer.status,
      () => undefined,
    );
    if (status === 200) return;
    if (performance.now() > end) throw new Error('the broker did not come back');
    await delay(20);
  }
}

function count(refusals: Record<string, number>): number {
  return Object.values(refusals).reduce((sum, times) => sum + times, 0);
}
