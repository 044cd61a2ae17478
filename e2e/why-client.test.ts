// Tests how the PHP client joins the answers of two hosts about a flow. Real hosts' answers are in
// scenarios/why.long.test.ts.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { runChild } from '@coold/runtime';
import { scratchFolder } from '@coold/testbed';
import { expect, test } from 'vitest';

const client = fileURLToPath(new URL('clients/why.php', import.meta.url));
type Verdict = 'passes' | 'blocked' | 'unknown';

/** @param said the verdicts on WireGuard of the source's host and of the destination's host */
async function joined(...said: readonly [Verdict, Verdict]): Promise<unknown> {
  await using folder = await scratchFolder();
  const socket = join(folder.path, 'broker.sock');
  await using server = createServer(async (request, response) => {
    const { host_id } = (await json(request)) as { host_id: string };
    const hop = host_id === 'one' ? said[0] : said[1];
    const data = {
      verdict: hop,
      src: { address: '10.210.0.2' },
      dst: { address: '10.210.1.2' },
      hops: [{ hop: 'wireguard', verdict: hop, why: '' }],
    };
    response.end(JSON.stringify({ status: 'ok', data }));
  }).listen(socket);
  await once(server, 'listening');
  const { stdout } = await runChild('php', [client, socket, 'one', 'two', 'web', 'db'], {
    timeoutMs: 30_000,
  });
  const { verdict, hops } = JSON.parse(stdout) as { verdict: Verdict; hops: { verdict: Verdict }[] };
  return [verdict, ...hops.map(hop => hop.verdict)];
}

test.each<[Verdict, Verdict, Verdict]>([
  ['passes', 'passes', 'passes'],
  ['passes', 'unknown', 'unknown'],
  ['unknown', 'passes', 'unknown'],
  ['unknown', 'blocked', 'blocked'],
  ['blocked', 'unknown', 'blocked'],
])('of WireGuard, which both judge, the worse counts: %s and %s', async (first, second, worse) => {
  expect(await joined(first, second)).toEqual([worse, worse]);
});
