import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createPodman } from '@coold/coold/podman';
import { runChild } from '@coold/runtime';
import {
  createPairing,
  freePort,
  type PodmanService,
  type Program,
  scratchFolder,
  startPodman,
  unixHttp,
} from '@coold/testbed';
import { Agent, request } from 'undici';
import { startAgent } from './agents.ts';
import { cpuMs, cpuPercent } from './cpu.ts';
import { closedLoop } from './load.ts';
import { ownMb, residentMb } from './memory.ts';
import type { Figure, Suite } from './suite.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const network = 'bench-mesh';
const forever = new AbortController().signal;

/** An installed build. */
interface Installed {
  name: string;
  /** The folder of its release, with node and the bundles. */
  folder: string;
  packedBytes: number;
  installedBytes: number;
}

/** The measured values of one subject by figure, in insertion order. */
type Seen = Map<string, number[]>;

/**
 * Measures the cost of the installed package: its size, the time and CPU until its programs answer, and their memory at
 * start, when idle, after load and a minute later. The same is measured for an idle process of the packaged Node and
 * for another build.
 */
export const footprintSuite: Suite = {
  name: 'footprint',
  summary: 'start, memory and size of the installed package, beside the Node in it that does nothing',
  async run(quick, against) {
    const [containers, rounds, settleMs, loadMs] = quick ? [2, 1, 500, 200] : [50, 3, 60_000, 10_000];
    await using cleanup = new AsyncDisposableStack();
    const { path: folder } = cleanup.use(await scratchFolder());
    const builds = [await install('this build', await makeArchive(folder), folder)];
    if (against !== undefined) builds.push(await install('the other build', resolve(against), folder));
    const service = cleanup.use(await startPodman(join(folder, 'podman')));
    await fillPodman(service, containers);

    const seen = new Map<string, Seen>(builds.map(({ name }) => [name, new Map()]));
    const bare: Seen = new Map();
    for (let round = 0; round < rounds; round += 1)
      for (const build of builds) {
        const into = seen.get(build.name) ?? new Map();
        const where = join(folder, `${build.name.replaceAll(' ', '-')}-${round}`);
        await measureCommands(build, quick ? 3 : 11, { into, bare });
        await measureBare(build, settleMs / 10, bare);
        await measurePrograms(build, {
          folder: where,
          podmanSocket: service.socketPath,
          settleMs,
          loadMs,
          into,
        });
      }

    const value = (of: Seen, what: string) => middle(of.get(what) ?? []);
    const figures: Figure[] = builds.flatMap(({ name, packedBytes, installedBytes }) => [
      { what: `${name}: archive`, value: packedBytes / 1e6, unit: 'MB', aim: 'at most 35' },
      { what: `${name}: installed`, value: installedBytes / 1e6, unit: 'MB', aim: 'at most 100' },
      ...figuresOf(name, seen.get(name) ?? new Map()),
    ]);
    const ours = seen.get('this build') ?? new Map<string, number[]>();
    const others = seen.get('the other build');
    const overBare = (what: string, nothing: string, aim: string) => ({
      what: `${what} over ${nothing}`,
      value: value(ours, what) / value(bare, nothing),
      aim,
    });
    return {
      rows: [],
      ratios: [
        overBare('broker --version, CPU', 'node -e 0, CPU', 'at most 1.5'),
        overBare('coold --version, CPU', 'node -e 0, CPU', 'at most 1.5'),
        overBare('broker at start, resident', 'idle Node, resident', ''),
        overBare('coold idle, resident', 'idle Node, resident', ''),
        ...(others === undefined
          ? []
          : Object.entries(aimsOverOther).map(([what, aim]) => ({
              what: `${what}, this build over the other`,
              aim,
              value: value(ours, what) / value(others, what),
            }))),
      ],
      figures: [...figures, ...figuresOf('Node alone', bare)],
    };
  },
};

/** The wanted ratios to the build with which the aims were set. */
const aimsOverOther: Record<string, string> = {
  'broker, CPU to the first answer': 'at most 0.5',
  'broker, first answer': 'at most 0.5',
  'broker at start, resident': 'at most 0.7',
  'coold, CPU until it serves': '',
  'coold idle, resident': 'at most 0.65',
  'coold idle, of its own': '',
  'coold idle, CPU': 'at most 0.5',
  'coold a minute after load, resident': 'at most 0.65',
  'broker a minute after load, resident': '',
};

async function makeArchive(folder: string): Promise<string> {
  const dist = join(folder, 'dist');
  await run(process.execPath, [join(root, 'packaging/build.ts'), dist, '--archive']);
  const archive = (await readdir(dist)).find(name => name.endsWith('.tar.gz'));
  if (archive === undefined) throw new Error('npm run package made nothing');
  return join(dist, archive);
}

/** Installs a package below `folder`. @throws Error when it does not install */
export async function install(name: string, archive: string, folder: string): Promise<Installed> {
  const place = join(folder, name.replaceAll(' ', '-'));
  const unpacked = join(place, 'unpacked');
  await mkdir(unpacked, { recursive: true });
  await run('tar', ['-xzf', archive, '--strip-components=1', '-C', unpacked]);
  await run(join(unpacked, 'install.sh'), ['--role', 'both'], { DESTDIR: join(place, 'root') });
  const releases = join(place, 'root/usr/local/lib/coold');
  const release = (await readdir(releases, { withFileTypes: true })).find(entry => entry.isDirectory());
  if (release === undefined) throw new Error(`${archive} installed no release`);
  const used = await run('du', ['--summarize', '--block-size=1', releases]);
  return {
    name,
    folder: join(releases, release.name),
    packedBytes: (await stat(archive)).size,
    installedBytes: Number(used.split('\t')[0]),
  };
}

async function run(program: string, args: string[], env: Record<string, string> = {}): Promise<string> {
  const { code, stdout, stderr } = await runChild(program, args, {
    timeoutMs: 600_000,
    env: { PATH: process.env['PATH'], ...env },
  });
  if (code !== 0) throw new Error(`${program}: exit ${code}: ${stderr}`);
  return stdout;
}

async function fillPodman(service: PodmanService, containers: number): Promise<void> {
  const podman = createPodman(service.socketPath);
  await service.ensureTinyImage();
  const subnet = { subnet: '10.231.0.0/16', gateway: undefined };
  await podman.networks.create({ name: network, driver: 'bridge', options: {}, labels: {}, subnet }, forever);
  for (let n = 0; n < containers; n += 1) {
    const spec = { name: `idle-${n}`, image: 'localhost/tiny:latest', cgroup_parent: '/coold-testbed' };
    const id = await podman.containers.create(
      { ...spec, stop_timeout: 0, netns: { nsmode: 'bridge' }, Networks: { [network]: {} } },
      forever,
    );
    await podman.containers.start(id, forever);
  }
}

/** Runs `--version` and a Node that does nothing, in turns. */
async function measureCommands(
  { folder }: Installed,
  times: number,
  { into, bare }: { into: Seen; bare: Seen },
): Promise<void> {
  const node = join(folder, 'node');
  for (let n = 0; n < times; n += 1) {
    await measureCommand(node, ['-e', '0'], 'node -e 0', bare);
    for (const name of ['broker', 'coold', 'builder'])
      await measureCommand(node, [join(folder, `${name}.mjs`), '--version'], `${name} --version`, into);
  }
}

async function measureCommand(node: string, args: string[], what: string, into: Seen): Promise<void> {
  // The shell reports the CPU time of its child, which Node cannot.
  const timed = ['-c', 'TIMEFORMAT="%R %U %S"; time "$@" >/dev/null', 'bash', node, ...args];
  const { code, stderr } = await runChild('bash', timed, { timeoutMs: 60_000 });
  const [real, user, system] = stderr.trim().split(' ').map(Number);
  if (code !== 0 || real === undefined || user === undefined || system === undefined)
    throw new Error(`${what}: exit ${code}: ${stderr}`);
  note(into, what, real * 1000);
  note(into, `${what}, CPU`, (user + system) * 1000);
}

/** Measures the memory of a Node that does nothing. */
async function measureBare({ folder }: Installed, settleMs: number, into: Seen): Promise<void> {
  const child = spawn(join(folder, 'node'), ['-e', 'setInterval(() => {}, 1e9)'], { stdio: 'ignore' });
  const ended = once(child, 'close');
  try {
    await delay(Math.min(settleMs, 3000));
    await noteMemory(into, 'idle Node', child.pid ?? -1);
  } finally {
    child.kill('SIGKILL');
    await ended;
  }
}

interface Measuring {
  folder: string;
  podmanSocket: string;
  /** How long a program is left alone before it counts as idle, in ms. */
  settleMs: number;
  loadMs: number;
  into: Seen;
}

/** Measures broker and coold of one build, connected to each other, with Corrosion's stand-in beside them. */
async function measurePrograms(build: Installed, given: Measuring): Promise<void> {
  const { folder, podmanSocket, settleMs, loadMs, into } = given;
  await using cleanup = new AsyncDisposableStack();
  await mkdir(folder);
  const corrosion = cleanup.use(await startAgent(join(folder, 'corrosion')));
  const pairing = await createPairing({
    folder,
    hostId: 'bench',
    port: await freePort(),
    podmanSocket,
    scripts: { broker: join(build.folder, 'broker.mjs'), coold: join(build.folder, 'coold.mjs') },
  });
  const node = join(build.folder, 'node');
  const lane = cleanup.use(unixHttp(pairing.socketPath));
  const begun = performance.now();
  const broker = cleanup.use(pairing.startBroker({ node, env: { BROKER_LOG_LEVEL: 'info' } }));
  await untilAnswered(() => lane.request({ path: '/v1/health', timeoutMs: 500 }));
  note(into, 'broker, first answer', performance.now() - begun);
  note(into, 'broker, CPU to the first answer', await cpuMs(broker.pid));
  await delay(Math.min(settleMs / 10, 2000));
  await noteMemory(into, 'broker at start', broker.pid);

  const coold = cleanup.use(
    pairing.startCoold({
      node,
      env: {
        COOLD_HOST_MGMT_IP: '100.64.0.1',
        // With DNS and its threads, on a loopback address that no other client uses.
        COOLD_NAMESPACES: `default:${network}:127.${randomInt(1, 255)}.${randomInt(256)}.1`,
        COOLD_CORROSION_URL: corrosion.url,
        COOLD_BUILDER_WORK_DIR: join(folder, 'builds'),
        COOLD_LOG_LEVEL: 'info',
      },
    }),
  );
  const { address } = await coold.logged(({ msg }) => msg === 'serving the API', 60_000);
  note(into, 'coold, CPU until it serves', await cpuMs(coold.pid));
  await delay(Math.min(settleMs / 10, 2000));
  await noteMemory(into, 'coold at start', coold.pid);

  await delay(settleMs);
  const [brokerIdle, cooldIdle] = await Promise.all([
    cpuPercent(broker.pid, settleMs),
    cpuPercent(coold.pid, settleMs),
  ]);
  note(into, 'broker idle, CPU', brokerIdle);
  note(into, 'coold idle, CPU', cooldIdle);
  await noteBoth('idle');

  const dispatcher = new Agent({ connections: 8 });
  const headers = { authorization: `Bearer ${pairing.apiToken}` };
  await closedLoop(
    async () => {
      // An endpoint that older builds have too.
      const { statusCode, body } = await request(`http://${address}/api/v1/images`, { dispatcher, headers });
      await body.dump();
      if (statusCode !== 200) throw new Error(`images.list answered ${statusCode}`);
    },
    { concurrency: 8, durationMs: loadMs },
  );
  await dispatcher.destroy();
  let count = 0;
  await closedLoop(
    async () => {
      count += 1;
      const json = { host_id: 'bench', request_id: `load-${count}`, command: { type: 'list_containers' } };
      const { status } = await lane.request({ method: 'POST', path: '/v1/coold/dispatch', json });
      if (status !== 200) throw new Error(`a dispatch was answered ${status}`);
    },
    { concurrency: 16, durationMs: loadMs },
  );
  await noteBoth('after load');
  await delay(settleMs);
  await noteBoth('a minute after load');

  async function noteBoth(when: string): Promise<void> {
    for (const [name, { pid }] of Object.entries<Program>({ broker, coold }))
      await noteMemory(into, `${name} ${when}`, pid);
  }
}

async function untilAnswered(ask: () => Promise<{ status: number }>): Promise<void> {
  for (const deadline = performance.now() + 60_000; ; await delay(2)) {
    const answer = await ask().catch(() => undefined);
    if (answer?.status === 200) return;
    if (performance.now() > deadline) throw new Error('the broker did not answer within a minute');
  }
}

async function noteMemory(into: Seen, what: string, pid: number): Promise<void> {
  note(into, `${what}, resident`, await residentMb(pid));
  note(into, `${what}, of its own`, await ownMb(pid));
}

function note(into: Seen, what: string, value: number): void {
  into.set(what, [...(into.get(what) ?? []), value]);
}

function middle(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function figuresOf(name: string, seen: Seen): Figure[] {
  const unit = (what: string) =>
    /resident|of its own/.test(what) ? 'MB' : what.endsWith('idle, CPU') ? '% of one core' : 'ms';
  return [...seen].map(([what, values]) => ({
    what: `${name}: ${what}`,
    value: middle(values),
    unit: unit(what),
    aim: '',
  }));
}
