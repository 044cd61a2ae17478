import { randomInt } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createDiscovery, type Discovery } from '@coold/coold/discovery';
import { createPodman, type Podman } from '@coold/coold/podman';
import { createLogger, logFilter } from '@coold/runtime';
import { freePort, scratchFolder, startPodman, startScript } from '@coold/testbed';
import { request } from 'undici';
import { corrosionConfig } from '../harness/corrosion.ts';
import { bundled } from './bundled.ts';
import { type Measurement, summarise } from './load.ts';
import { residentMb } from './memory.ts';
import type { Figure, Suite } from './suite.ts';

const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const schemas = fileURLToPath(new URL('../../packaging/corrosion/', import.meta.url));
const hostMgmtIp = '100.64.0.1';
const network = 'bench-mesh';
const forever = new AbortController().signal;

/**
 * From a container's start to its name in the directory, with a real Podman; what coold costs while nothing happens; and how a
 * whole mesh is loaded. The agent is the stand-in, in a process of its own: its share is in every figure.
 */
export const discoverySuite: Suite = {
  name: 'discovery',
  summary: 'start to resolvable, idle cost, load of a whole mesh',
  async run(quick) {
    const [containers, starts, idleMs, meshRows] = quick ? [2, 3, 1000, 1000] : [200, 50, 30_000, 50_000];
    await using cleanup = new AsyncDisposableStack();
    const { path: folder } = cleanup.use(await scratchFolder());
    const agent = async (name: string) => {
      const started = await startAgent(join(folder, name));
      cleanup.use(started.program);
      return started.url;
    };
    const mesh = await agent('mesh');
    await fillMesh(mesh, meshRows);
    const loader = cleanup.use(startScript(script('directory-load.ts'), { args: [mesh] }));
    const loaded = await loader.logged(({ msg }) => msg === 'loaded', 60_000);

    const own = await agent('own');
    const service = cleanup.use(await startPodman(join(folder, 'podman')));
    const podman = createPodman(service.socketPath);
    await service.ensureTinyImage();
    const subnet = { subnet: '10.231.0.0/16', gateway: undefined };
    await podman.networks.create(
      { name: network, driver: 'bridge', options: {}, labels: {}, subnet },
      forever,
    );
    for (let n = 0; n < containers; n += 1)
      await podman.containers.start(await create(podman, `idle-${n}`), forever);

    const rows = await measureStarts(podman, own, starts);
    const idle = await measureIdle(service.socketPath, own, { folder, idleMs });
    return {
      rows: rows.map(({ subject, ...seen }) => ({ subject: `${subject}, ${containers} running`, ...seen })),
      ratios: [],
      figures: [
        { what: `load of ${meshRows} rows`, value: Number(loaded['ms']), unit: 'ms', aim: 'under 2000' },
        {
          what: 'heap a row, strings (about 144 bytes) included',
          value: Number(loaded['bytes_per_row']),
          unit: 'bytes',
          aim: 'at most 300 beyond strings',
        },
        ...idle,
      ],
    };
  },
};

async function startAgent(folder: string) {
  const api = await freePort();
  const config = corrosionConfig('127.0.0.1', [])
    .replace('"/var/lib/corrosion/corrosion.db"', JSON.stringify(join(folder, 'corrosion.db')))
    .replace('"/etc/corrosion/schemas"', JSON.stringify(schemas))
    .replace(/"127.0.0.1:8787"/, '"127.0.0.1:0"')
    .replace(/"127.0.0.1:8080"/, `"127.0.0.1:${api}"`);
  const path = `${folder}.toml`;
  await writeFile(path, config);
  const program = startScript(script('../corrosion/main.ts'), { args: ['agent', '--config', path] });
  await program.logged(({ msg }) => msg?.includes('API on') === true);
  return { program, url: `http://127.0.0.1:${api}` };
}

/** A mesh of hosts with two hundred containers each. */
async function fillMesh(url: string, rows: number): Promise<void> {
  for (let from = 0; from < rows; from += 2000) {
    const statements = Array.from({ length: Math.min(2000, rows - from) }, (_, n) => {
      const [host, index] = [Math.floor((from + n) / 200), (from + n) % 200];
      const id = String(from + n).padStart(64, '0');
      const ip = `10.${210 + (host >> 8)}.${host & 255}.${index + 2}`;
      return [
        "INSERT INTO service_endpoints VALUES (?, ?, 'default', ?, ?, 'running', 'unknown', 1)",
        [id, `web-${from + n}`, `100.64.${host >> 8}.${host & 255}`, ip],
      ];
    });
    const answer = await request(`${url}/v1/transactions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(statements),
    });
    if (answer.statusCode !== 200) throw new Error(`the agent answered ${await answer.body.text()}`);
    await answer.body.dump();
  }
}

function create(podman: Podman, name: string): Promise<string> {
  return podman.containers.create(
    {
      ...{ name, image: 'localhost/tiny:latest', cgroup_parent: '/coold-testbed', stop_timeout: 0 },
      ...{ netns: { nsmode: 'bridge' }, Networks: { [network]: {} } },
    },
    forever,
  );
}

type Row = { subject: string } & Measurement;

/** Latency begins when Podman has answered the start. */
async function measureStarts(podman: Podman, url: string, starts: number): Promise<Row[]> {
  const off = logFilter.parse('off');
  if (off === undefined) throw new Error('no log filter');
  const discovery = createDiscovery({
    ...{
      hostMgmtIp,
      namespaceLabel: 'bench',
      intervalMs: 2000,
      podman,
      log: createLogger('bench', off, false),
    },
    namespaces: [{ name: 'default', network, gateway: '0.0.0.0' }],
    corrosion: { url, tokenFile: undefined },
    readPeers: async () => undefined,
    hostTtlMs: 20 * 60_000,
  });
  const stop = new AbortController();
  const running = Object.values(discovery.tasks).map(task => task(stop.signal));
  const id = await create(podman, 'started');
  const rows: Row[] = [];
  const subjects = {
    'started by a verb': () => discovery.touch(id),
    "started beside coold, found by Podman's events": () => {},
  };
  for (const [subject, tell] of Object.entries(subjects)) {
    const latencies: number[] = [];
    for (let n = 0; n < starts; n += 1) {
      await podman.containers.start(id, forever);
      const begun = performance.now();
      tell();
      await until(discovery, true);
      latencies.push(performance.now() - begun);
      await podman.containers.stop(id, 0, forever);
      discovery.touch(id);
      await until(discovery, false);
    }
    const total = latencies.reduce((sum, ms) => sum + ms, 0);
    rows.push({ subject, ...summarise(latencies, total) });
  }
  stop.abort();
  await Promise.all(running);
  return rows;
}

async function until({ directory }: Discovery, isThere: boolean): Promise<void> {
  while ((directory.find('default', 'started') !== undefined) !== isThere) await delay(1);
}

/** The whole of coold, as it is installed, beside containers that do nothing. */
async function measureIdle(
  podmanSocket: string,
  url: string,
  { folder, idleMs }: { folder: string; idleMs: number },
): Promise<Figure[]> {
  const tokenFile = join(folder, 'api-token');
  await writeFile(tokenFile, 'bench', { mode: 0o600 });
  const programs = await bundled(join(folder, 'bundle'));
  await using coold = startScript(programs.coold, {
    env: {
      COOLD_HOST_MGMT_IP: hostMgmtIp,
      // With DNS and its threads; of loopback, where nobody else is.
      COOLD_NAMESPACES: `default:${network}:127.${randomInt(1, 255)}.${randomInt(256)}.1`,
      COOLD_PODMAN_SOCKET: podmanSocket,
      COOLD_CORROSION_URL: url,
      COOLD_API_BIND: '127.0.0.1:0',
      COOLD_API_TOKEN_FILE: tokenFile,
      COOLD_UNIX_SOCKET_PATH: `${tokenFile}.sock`,
    },
  });
  await coold.logged(({ msg }) => msg === 'serving the API');
  await delay(Math.min(10_000, idleMs)); // what it does at start is not what it does when idle
  const before = await cpuTicks(coold.pid);
  await delay(idleMs);
  const ticks = (await cpuTicks(coold.pid)) - before;
  return [
    // A tick is 10 ms wherever Linux runs on what we run on.
    { what: 'coold idle', value: (ticks * 10 * 100) / idleMs, unit: '% of one core', aim: 'at most 2' },
    { what: 'coold idle, resident', value: await residentMb(coold.pid), unit: 'MB', aim: 'at most 120' },
  ];
}

/** User and system time. */
async function cpuTicks(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}
