// A single caller in its own process, so that its latency shows the broker and not the process that floods the broker.
// Arguments: socket, "refusal" TURNS or "health" MS. It prints its p99 in ms as the line {"msg":"measured","p99":…}.
import { unixHttp } from '@coold/testbed';
import { closedLoop, summarise } from './load.ts';

const [socketPath = '', what = '', amount = ''] = process.argv.slice(2);
await using http = unixHttp(socketPath);
const health = async () => void (await http.request({ path: '/v1/health' }));
await health(); // the connection is warm by now

async function refused(n: number): Promise<void> {
  const json = { host_id: 'mute', request_id: `over-${n}`, command: { type: 'list_containers' } };
  const { status, text } = await http.request({ method: 'POST', path: '/v1/coold/dispatch', json });
  if (status !== 503) throw new Error(`expected 503, was ${status}: ${text}`);
}

async function refusals(turns: number): Promise<number> {
  const latencies: number[] = [];
  for (let n = 0; n < turns; n += 1) {
    const begun = performance.now();
    await refused(n);
    latencies.push(performance.now() - begun);
  }
  return summarise(latencies, 1).p99;
}

const p99 =
  what === 'refusal'
    ? await refusals(Number(amount))
    : (await closedLoop(health, { concurrency: 1, durationMs: Number(amount) })).p99;
process.stderr.write(`${JSON.stringify({ msg: 'measured', p99 })}\n`);
