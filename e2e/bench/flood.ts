import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  connectStubHost,
  createPairing,
  freePort,
  scratchFolder,
  startScript,
  unixHttp,
} from '@coold/testbed';
import { Agent, request } from 'undici';
import { closedLoop } from './load.ts';
import type { SuiteResult } from './suite.ts';

type Figure = NonNullable<SuiteResult['figures']>[number];

const proberScript = fileURLToPath(new URL('prober.ts', import.meta.url));
/** Dispatches that are sent but not yet at the host, while the pending table is filled. */
const maxUnread = 200;

/** A host never answers and callers keep asking: measures the refusal of one more caller and the latency of health. */
export async function measureFlood(quick: boolean): Promise<Figure[]> {
  const cap = quick ? 100 : 10_000;
  await using cleanup = new AsyncDisposableStack();
  const { path: folder } = cleanup.use(await scratchFolder());
  const port = await freePort();
  const pairing = await createPairing({ folder, hostId: 'mute', port, podmanSocket: '/nowhere' });
  const env = { BROKER_PENDING_MAX: String(cap), BROKER_DISPATCH_TIMEOUT_SECS: '120' };
  const broker = cleanup.use(pairing.startBroker({ env }));
  await broker.logged(line => line.msg === 'listening for Laravel');
  const token = await readFile(join(folder, 'host-jwt'), 'utf8');
  let received = 0;
  const host = connectStubHost({
    address: `127.0.0.1:${port}`,
    token,
    onCommand() {
      received += 1;
    },
  });
  cleanup.defer(() => host.cut());
  await host.accepted;

  const many = cleanup.adopt(
    new Agent({
      connect: { socketPath: pairing.socketPath, timeout: 60_000 },
      connections: cap,
      headersTimeout: 0,
    }),
    agent => agent.destroy(),
  );
  const park = (id: string) =>
    request('http://localhost/v1/coold/dispatch', {
      dispatcher: many,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: dispatchBody(id),
    });
  // These requests end with the broker, and nothing waits for them. They are sent no faster than the host reads: unread
  // commands would be refused for another reason.
  for (let n = 0; n < cap; n += 1) {
    void park(`parked-${n}`).catch(() => {});
    while (n - received >= maxUnread) await delay(1);
  }
  while (received < cap) await delay(10);

  const refusal = await probe(pairing.socketPath, 'refusal', quick ? 5 : 1000);

  await using flooding = unixHttp(pairing.socketPath);
  let over = 0;
  const flood = closedLoop(
    async () => {
      over += 1;
      const body = dispatchBody(`flood-${over}`);
      const headers = { 'content-type': 'application/json' };
      await flooding.request({ method: 'POST', path: '/v1/coold/dispatch', body, headers });
    },
    // Longer than the probe takes, including its start.
    { concurrency: 64, durationMs: quick ? 1000 : 8000 },
  );
  const health = await probe(pairing.socketPath, 'health', quick ? 200 : 5000);
  await flood;
  return [
    {
      what: `refusal of one more than ${cap} parked dispatches, p99`,
      value: refusal,
      unit: 'ms',
      aim: 'under 5',
    },
    { what: 'health while 64 callers flood the socket, p99', value: health, unit: 'ms', aim: 'under 50' },
  ];
}

function dispatchBody(id: string): string {
  return JSON.stringify({ host_id: 'mute', request_id: id, command: { type: 'list_containers' } });
}

async function probe(socketPath: string, what: 'refusal' | 'health', amount: number): Promise<number> {
  await using prober = startScript(proberScript, { args: [socketPath, what, String(amount)] });
  const { p99 } = await prober.logged(line => line.msg === 'measured', 60_000);
  return Number(p99);
}
