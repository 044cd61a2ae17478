import {
  createPairing,
  createStubBuilder,
  freePort,
  type StubBuilder,
  scratchFolder,
  unixHttp,
} from '@coold/testbed';
import { eventually } from '../harness/eventually.ts';
import type { Figure } from './suite.ts';

const hostCount = 10;
const buildsPerHost = 10;

/**
 * Kills a broker with a hundred builds in flight on ten stub hosts, and measures what it knows of them once every host
 * has reconnected.
 */
export async function measureRestart(): Promise<Figure[]> {
  await using cleanup = new AsyncDisposableStack();
  const { path: folder } = cleanup.use(await scratchFolder());
  const port = await freePort();
  const pairing = await createPairing({ folder, hostId: 'none', port, podmanSocket: '/nowhere' });
  const start = async () => {
    const broker = cleanup.use(pairing.startBroker());
    await broker.logged(line => line.msg === 'listening for Laravel');
    return broker;
  };
  const broker = await start();
  const http = cleanup.use(unixHttp(pairing.socketPath));
  const hosts: StubBuilder[] = [];
  for (let n = 0; n < hostCount; n += 1) {
    const token = await pairing.mint(`host-${n}`, ['coold', 'builder']);
    const host = createStubBuilder({ address: `127.0.0.1:${port}`, token, capacity: buildsPerHost });
    await host.connect();
    cleanup.defer(() => host.cut());
    hosts.push(host);
  }
  const command = {
    type: 'static_build',
    repo_url: 'https://git.example/app.git',
    git_ref: 'main',
    target_image: 'localhost/app:v1',
  };
  const total = hostCount * buildsPerHost;
  for (let n = 0; n < total; n += 1) {
    const json = { request_id: `build-${n}`, command };
    const { status, text } = await http.request({ method: 'POST', path: '/v1/build/dispatch', json });
    if (status !== 202) throw new Error(`dispatch answered ${status}: ${text}`);
  }
  const known = async () => {
    const { text } = await http.request({ path: '/v1/streams' });
    const streams = JSON.parse(text) as { builds: { running: number; queued: number } }[];
    return streams.reduce((sum, { builds }) => sum + builds.running + builds.queued, 0);
  };
  // "Accepted" means that the broker has sent the command. A command still on its way when the broker is killed never
  // reaches the host.
  const begunBuilds = () => hosts.reduce((sum, { builds }) => sum + builds.size, 0);
  await eventually('every host to have its builds', async () => begunBuilds() === total || undefined, {
    timeoutMs: 30_000,
  });
  broker.signal('SIGKILL');
  await broker.exited;
  await start();
  const begun = performance.now();
  await Promise.all(hosts.map(host => host.connect()));
  const adopted = await known();
  const ms = performance.now() - begun;
  const aim = `${total}`;
  return [
    { what: `builds known again after one reconnect of each host`, value: adopted, unit: `of ${total}`, aim },
    { what: 'from the first dial to the last of them', value: ms, unit: 'ms', aim: '' },
  ];
}
