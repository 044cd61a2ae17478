import { randomInt } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createDiscovery, type Discovery } from '@coold/coold/discovery';
import { createPodman, type Podman } from '@coold/coold/podman';
import { logFilter } from '@coold/runtime';
import { createLogger } from '@coold/runtime/logger';
import { scratchFolder, startPodman, startScript, unixHttp } from '@coold/testbed';
import { Agent, request } from 'undici';
import { startAgent } from './agents.ts';
import { bundled } from './bundled.ts';
import { closedLoop, type Measurement, median, summarise } from './load.ts';
import { residentMb } from './memory.ts';
import type { Figure, Suite } from './suite.ts';

const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const hostMgmtIp = '100.64.0.1';
const network = 'bench-mesh';
const forever = new AbortController().signal;

/**
 * Measures, with a real Podman: the time from a container's start until its name is in the directory, on its own host
 * and on another; the cost of an idle coold; the cost of listing all containers; and the loading of a whole mesh. The
 * agents are Corrosion's own if installed, otherwise the stand-in. They run in processes of their own, and their time
 * is part of every figure.
 */
export const discoverySuite: Suite = {
  name: 'discovery',
  summary:
    'start to resolvable here and on another host, idle cost, list of all containers, load of a whole mesh',
  async run(quick) {
    const [containers, starts, idleMs, meshRows] = quick ? [2, 3, 1000, 1000] : [200, 50, 30_000, 50_000];
    await using cleanup = new AsyncDisposableStack();
    const { path: folder } = cleanup.use(await scratchFolder());
    const agent = async (name: string, peers: string[] = []) =>
      cleanup.use(await startAgent(join(folder, name), peers));
    const { url: mesh } = await agent('mesh');
    await fillMesh(mesh, meshRows);
    const loader = cleanup.use(startScript(script('directory-load.ts'), { args: [mesh] }));
    const loaded = await loader.logged(({ msg }) => msg === 'loaded', 60_000);

    const own = await agent('own');
    const other = await agent('other', [own.gossip]);
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

    const rows = await measureStarts(podman, { own: own.url, other: other.url }, starts);
    const { figures: idle, lists } = await measureIdle(service.socketPath, own.url, { folder, idleMs });
    return {
      rows: [
        ...rows.map(({ subject, ...seen }) => ({
          subject: `${subject} by ${own.kind}, ${containers} running`,
          ...seen,
        })),
        { subject: `containers.list of ${containers} over REST`, ...lists.rest },
        { subject: `podman's own list of ${containers}`, ...lists.podman },
      ],
      ratios: [
        {
          what: "p50, containers.list over podman's own list",
          aim: 'at most 2',
          value: lists.rest.p50 / lists.podman.p50,
        },
      ],
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

const peer = {
  publicKey: '',
  endpoint: '',
  lastHandshakeS: undefined,
  rx: 0n,
  tx: 0n,
  allowedIps: ['10.0.0.0/8', '100.64.0.0/10'],
};

/** Writes the rows of a mesh with two hundred containers per host. */
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
      name,
      image: 'localhost/tiny:latest',
      cgroup_parent: '/coold-testbed',
      stop_timeout: 0,
      netns: { nsmode: 'bridge' },
      Networks: { [network]: {} },
    },
    forever,
  );
}

type Row = { subject: string } & Measurement;

/**
 * Measures from Podman's answer to the start until the directory of this host, or of another, has the name. DNS answers
 * from that directory.
 */
async function measureStarts(
  podman: Podman,
  urls: { own: string; other: string },
  starts: number,
): Promise<Row[]> {
  const off = logFilter.parse('off');
  if (off === undefined) throw new Error('no log filter');
  const discover = (hostMgmtIp: string, url: string) =>
    createDiscovery({
      hostMgmtIp,
      namespaceLabel: 'bench',
      intervalMs: 2000,
      podman,
      log: createLogger('bench', off, false),
      namespaces: [{ name: 'default', network, gateway: '0.0.0.0' }],
      corrosion: { url, tokenFile: undefined },
      // The directory loads nothing until it knows the peers' routes. This peer routes to every container.
      readPeers: async () => [peer],
      hostTtlMs: 20 * 60_000,
      networkPool: undefined,
    });
  const discovery = discover('100.64.0.1', urls.own);
  const other = discover('100.64.0.2', urls.other);
  const stop = new AbortController();
  const running = [
    ...Object.values(discovery.tasks),
    // This host has no containers of its own: Podman belongs to the first host.
    ...['peers', 'directory', 'registrations'].flatMap(task => other.tasks[task] ?? []),
  ].map(task => task(stop.signal));
  const id = await create(podman, 'started');
  const rows: Row[] = [];
  const subjects = {
    'started by a verb': () => discovery.touch(id),
    "started beside coold, found by Podman's events": () => {},
  };
  for (const [subject, tell] of Object.entries(subjects)) {
    const here: number[] = [];
    const there: number[] = [];
    for (let n = 0; n < starts; n += 1) {
      await podman.containers.start(id, forever);
      const begun = performance.now();
      tell();
      const found = async (by: Discovery, latencies: number[]) => {
        await until(by, true);
        latencies.push(performance.now() - begun);
      };
      await Promise.all([found(discovery, here), found(other, there)]);
      await podman.containers.stop(id, 0, forever);
      discovery.touch(id);
      await Promise.all([until(discovery, false), until(other, false)]);
    }
    const measured = (latencies: number[]) =>
      summarise(
        latencies,
        latencies.reduce((sum, ms) => sum + ms, 0),
      );
    rows.push(
      { subject: `${subject}, resolvable here`, ...measured(here) },
      { subject: `${subject}, resolvable on another host`, ...measured(there) },
    );
  }
  stop.abort();
  await Promise.all(running);
  return rows;
}

async function until({ directory }: Discovery, isThere: boolean): Promise<void> {
  while ((directory.find('default', 'started') !== undefined) !== isThere) await delay(1);
}

/** Measures the whole installed coold next to containers that do nothing. */
async function measureIdle(
  podmanSocket: string,
  url: string,
  { folder, idleMs }: { folder: string; idleMs: number },
): Promise<{ figures: Figure[]; lists: Record<'rest' | 'podman', Measurement> }> {
  const tokenFile = join(folder, 'api-token');
  await writeFile(tokenFile, 'bench', { mode: 0o600 });
  const programs = await bundled(join(folder, 'bundle'));
  await using coold = startScript(programs.coold, {
    env: {
      COOLD_HOST_MGMT_IP: hostMgmtIp,
      // With DNS and its threads, on a loopback address that no other client uses.
      COOLD_NAMESPACES: `default:${network}:127.${randomInt(1, 255)}.${randomInt(256)}.1`,
      COOLD_PODMAN_SOCKET: podmanSocket,
      COOLD_CORROSION_URL: url,
      COOLD_API_BIND: '127.0.0.1:0',
      COOLD_API_TOKEN_FILE: tokenFile,
      COOLD_UNIX_SOCKET_PATH: `${tokenFile}.sock`,
    },
  });
  const listening = await coold.logged(({ msg }) => msg === 'serving the API');
  await delay(Math.min(10_000, idleMs)); // skips the work that coold does only at start
  const before = await cpuTicks(coold.pid);
  await delay(idleMs);
  const ticks = (await cpuTicks(coold.pid)) - before;
  return {
    figures: [
      // A tick is 10 ms on every Linux that we support.
      { what: 'coold idle', value: (ticks * 10 * 100) / idleMs, unit: '% of one core', aim: 'at most 2' },
      { what: 'coold idle, resident', value: await residentMb(coold.pid), unit: 'MB', aim: 'at most 120' },
    ],
    lists: await measureLists(`http://${listening['address']}`, podmanSocket, idleMs),
  };
}

/** Lists all containers through coold and through Podman, in turns. */
async function measureLists(
  origin: string,
  podmanSocket: string,
  durationMs: number,
): Promise<Record<'rest' | 'podman', Measurement>> {
  const rounds = 5;
  await using podman = unixHttp(podmanSocket);
  const dispatcher = new Agent({ connections: 1 });
  const headers = { authorization: 'Bearer bench' };
  const subjects = {
    rest: async () => {
      const { statusCode, body } = await request(`${origin}/api/v1/containers`, { dispatcher, headers });
      await body.text();
      if (statusCode !== 200) throw new Error(`containers.list answered ${statusCode}`);
    },
    podman: async () => {
      const { status } = await podman.request({ path: '/v4.0.0/libpod/containers/json?all=true' });
      if (status !== 200) throw new Error(`podman answered ${status}`);
    },
  };
  const seen: Record<keyof typeof subjects, Measurement[]> = { rest: [], podman: [] };
  for (let round = -1; round < rounds; round += 1)
    for (const name of ['rest', 'podman'] as const) {
      const measured = await closedLoop(subjects[name], {
        concurrency: 1,
        durationMs: durationMs / (2 * rounds),
      });
      if (round >= 0) seen[name].push(measured);
    }
  await dispatcher.destroy();
  return { rest: median(seen.rest), podman: median(seen.podman) };
}

/** Returns the user and system time of a process, in clock ticks. */
async function cpuTicks(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}
