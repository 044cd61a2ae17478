import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createPairing, freePort, scratchFolder, startScript, unixHttp } from '@coold/testbed';
import { bundled } from './bundled.ts';
import { cpuPercent } from './cpu.ts';
import { type Fleet, startFleet } from './fleet/start-fleet.ts';
import { measureFlood } from './flood.ts';
import { closedLoop, type Measurement } from './load.ts';
import { residentMb } from './memory.ts';
import { measureStorm } from './storm.ts';
import type { Suite, SuiteResult } from './suite.ts';

type Figure = NonNullable<SuiteResult['figures']>[number];

const bareBroker = fileURLToPath(new URL('fleet/bare-broker.ts', import.meta.url));
const allInMs = 180_000;

/**
 * Measures the cost of a host's stream for a real broker and the effect of a fleet on dispatches, compared with plain
 * grpc-js. The hosts use plain HTTP/2 from processes of their own.
 */
export const streamsSuite: Suite = {
  name: 'streams',
  summary: 'memory, idle CPU and latency of a broker with up to 10,000 hosts, and its restart among them',
  async run(quick) {
    const sizes = quick ? [20, 40] : [1000, 5000, 10_000];
    const most = Math.max(...sizes);
    const figures: Figure[] = [];
    const alone = await withBroker(async ({ dispatchTo, startHosts }) => {
      await startHosts(1);
      return measureDispatch(() => dispatchTo(0), quick);
    });
    let among: Measurement | undefined;
    for (const hosts of sizes)
      await withBroker(async broker => {
        const base = await residentMb(broker.pid());
        const fleet = await broker.startHosts(hosts);
        const memory = async (what: string, aim: string) => {
          await delay(quick ? 0 : 2000);
          const mb = await residentMb(broker.pid());
          figures.push({ what: `${hosts} hosts, ${what}: resident`, value: mb, unit: 'MB', aim });
          const each = ((mb - base) / hosts) * 1000;
          figures.push({ what: `${hosts} hosts, ${what}: KB a stream`, value: each, unit: 'KB', aim: '' });
        };
        await memory('idle', '');
        await toEach(hosts, broker.dispatchTo);
        await memory('after a dispatch to each', hosts === most ? 'at most 550, better 400' : '');
        if (hosts !== most) return;
        say('idle');
        const cpu = await cpuPercent(broker.pid(), quick ? 500 : 60_000);
        figures.push({ what: `${hosts} hosts, idle: CPU`, value: cpu, unit: '%', aim: 'at most 3' });
        const anyOf = () => broker.dispatchTo(Math.floor(Math.random() * hosts));
        among = await measureDispatch(anyOf, quick);
        say('killed and started again');
        figures.push(...(await measureStorm({ ...broker, fleet, quick })));
      });
    figures.push(...(await measurePeer(most, quick)), ...(await measureFlood(quick)));
    if (among === undefined) throw new Error('nothing was measured');
    return {
      rows: [
        { subject: 'dispatch, one host', ...alone },
        { subject: `dispatch, one of ${most} hosts`, ...among },
      ],
      ratios: [
        { what: `p99, one of ${most} hosts over one host`, value: among.p99 / alone.p99, aim: 'at most 3' },
      ],
      figures,
    };
  },
};

export interface RunningBroker {
  pid(): number;
  socketPath: string;
  /** Kills the broker with SIGKILL and restarts it at once. */
  killAndRestart(): void;
  dispatchTo(host: number): Promise<void>;
  startHosts(hosts: number): Promise<Fleet>;
}

/** Passes a new broker to `use`, then stops it and its hosts. */
export async function withBroker<T>(use: (broker: RunningBroker) => Promise<T>): Promise<T> {
  await using cleanup = new AsyncDisposableStack();
  const { path: folder } = cleanup.use(await scratchFolder());
  const port = await freePort();
  const scripts = await bundled(folder);
  const pairing = await createPairing({ folder, hostId: 'unused', port, podmanSocket: '/nowhere', scripts });
  const start = () => cleanup.use(pairing.startBroker({ env: { BROKER_LOG_LEVEL: 'info' } }));
  let broker = start();
  await broker.logged(line => line.msg === 'listening for Laravel');
  const http = cleanup.use(unixHttp(pairing.socketPath));
  let count = 0;
  return await use({
    pid: () => broker.pid,
    socketPath: pairing.socketPath,
    killAndRestart() {
      broker.signal('SIGKILL');
      broker = start();
    },
    async dispatchTo(host) {
      count += 1;
      const json = {
        host_id: `host-${host}`,
        request_id: `bench-${count}`,
        command: { type: 'list_containers' },
      };
      const { status, text } = await http.request({ method: 'POST', path: '/v1/coold/dispatch', json });
      if (status !== 200) throw new Error(`host-${host}: ${status}: ${text}`);
    },
    async startHosts(hosts) {
      const url = `http://127.0.0.1:${port}`;
      const fleet = cleanup.use(startFleet({ url, keyPath: join(folder, 'jwt.key'), hosts }));
      await fleet.allIn(allInMs);
      say(`${hosts} hosts are in`);
      return fleet;
    },
  });
}

/** Reports progress, since a run takes minutes. */
function say(what: string): void {
  process.stderr.write(`bench: streams: ${what}\n`);
}

async function measureDispatch(request: () => Promise<void>, quick: boolean): Promise<Measurement> {
  // A warm-up, so that the compiler is not measured.
  await closedLoop(request, { concurrency: 8, durationMs: quick ? 50 : 2000 });
  return closedLoop(request, { concurrency: 8, durationMs: quick ? 200 : 10_000 });
}

/** Dispatches once to each host. */
export async function toEach(hosts: number, dispatchTo: (host: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < hosts) {
      next += 1;
      await dispatchTo(next - 1);
    }
  };
  await Promise.all(Array.from({ length: 32 }, worker));
}

/** Measures the same fleet on plain grpc-js, with one message to each host and back. */
async function measurePeer(hosts: number, quick: boolean): Promise<Figure[]> {
  await using cleanup = new AsyncDisposableStack();
  const { path: folder } = cleanup.use(await scratchFolder());
  const port = await freePort();
  await createPairing({ folder, hostId: 'unused', port, podmanSocket: '/nowhere' });
  const peer = cleanup.use(startScript(bareBroker, { args: [String(port)] }));
  await peer.logged(line => line.msg === 'listening');
  const base = await residentMb(peer.pid);
  const keyPath = join(folder, 'jwt.key');
  const fleet = cleanup.use(startFleet({ url: `http://127.0.0.1:${port}`, keyPath, hosts }));
  await fleet.allIn(allInMs);
  peer.signal('SIGUSR2');
  await peer.logged(line => line.msg === 'all answered', 60_000);
  await delay(quick ? 0 : 2000);
  const mb = await residentMb(peer.pid);
  const what = `bare grpc-js, ${hosts} streams after a message to each`;
  return [
    { what: `${what}: resident`, value: mb, unit: 'MB', aim: '' },
    { what: `${what}: KB a stream`, value: ((mb - base) / hosts) * 1000, unit: 'KB', aim: '' },
  ];
}
