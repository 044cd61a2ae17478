// Loads the directory from an agent once more and says what that took: `directory-load.ts URL`. A process of its own, so that
// nothing else is on its heap.
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createDiscovery, type Discovery } from '@coold/coold/discovery';
import { createPodman } from '@coold/coold/podman';
import { createLogger, logFilter } from '@coold/runtime';

const [url = ''] = process.argv.slice(2);
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const silent = logFilter.parse('off');
if (silent === undefined) throw new Error('no log filter');
const log = createLogger('bench', silent, false);

async function load(): Promise<{ discovery: Discovery; ms: number }> {
  const discovery = createDiscovery({
    ...{ hostMgmtIp: '100.64.0.1', namespaces: [], namespaceLabel: 'bench', intervalMs: 2000, log },
    corrosion: { url, tokenFile: undefined },
    podman: createPodman('/nowhere'),
    readPeers: async () => undefined,
    hostTtlMs: 20 * 60_000,
  });
  const stop = new AbortController();
  const begun = performance.now();
  const following = ['directory', 'registrations'].map(task => discovery.tasks[task]?.(stop.signal));
  while (!discovery.directory.isLoaded()) await delay(1);
  const ms = performance.now() - begun;
  stop.abort();
  await Promise.all(following);
  return { discovery, ms };
}

// Once for what is made once: code, connections, buffers. Kept, so that its end is not taken off the second.
const first = await load();
collect();
const before = process.memoryUsage().heapUsed;
const { discovery, ms } = await load();
collect();
const bytes = process.memoryUsage().heapUsed - before;
const { rows } = discovery.directory.stats();
if (first.discovery.directory.stats().rows !== rows) throw new Error('the two loads differ');
process.stderr.write(`${JSON.stringify({ msg: 'loaded', rows, ms, bytes_per_row: bytes / rows })}\n`);
