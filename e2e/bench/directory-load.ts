// Usage: `directory-load.ts URL`. Loads the directory from an agent a second time and reports what that took. This is a
// separate process, so that nothing else is on its heap.
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createDiscovery, type Discovery } from '@coold/coold/discovery';
import { createPodman } from '@coold/coold/podman';
import { logFilter } from '@coold/runtime';
import { createLogger } from '@coold/runtime/logger';

const [url = ''] = process.argv.slice(2);
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const silent = logFilter.parse('off');
if (silent === undefined) throw new Error('no log filter');
const log = createLogger('bench', silent, false);

/** A peer that routes to every container. The directory loads nothing until it knows the peers' routes. */
const mesh = {
  publicKey: '',
  endpoint: '',
  lastHandshakeS: undefined,
  rx: 0n,
  tx: 0n,
  allowedIps: ['10.0.0.0/8', '100.64.0.0/10'],
};

async function load(): Promise<{ discovery: Discovery; ms: number }> {
  const discovery = createDiscovery({
    hostMgmtIp: '100.64.0.1',
    namespaces: [],
    namespaceLabel: 'bench',
    intervalMs: 2000,
    log,
    corrosion: { url, tokenFile: undefined },
    podman: createPodman('/nowhere'),
    readPeers: async () => [mesh],
    hostTtlMs: 20 * 60_000,
    networkPool: undefined,
  });
  const stop = new AbortController();
  const begun = performance.now();
  const following = ['peers', 'directory', 'registrations'].map(task => discovery.tasks[task]?.(stop.signal));
  while (!discovery.directory.isLoaded()) await delay(1);
  const ms = performance.now() - begun;
  stop.abort();
  await Promise.all(following);
  return { discovery, ms };
}

// The first load creates what is created once: code, connections, buffers. It is kept, so that freeing it does not make
// the second load look cheaper.
const first = await load();
collect();
const before = process.memoryUsage().heapUsed;
const { discovery, ms } = await load();
collect();
const bytes = process.memoryUsage().heapUsed - before;
const { rows } = discovery.directory.stats();
if (first.discovery.directory.stats().rows !== rows) throw new Error('the two loads differ');
process.stderr.write(`${JSON.stringify({ msg: 'loaded', rows, ms, bytes_per_row: bytes / rows })}\n`);
