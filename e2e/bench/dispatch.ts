import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createPairing, freePort, scratchFolder, startScript } from '@coold/testbed';
import { connect } from '@nats-io/transport-node';
import { bundled } from './bundled.ts';
import { cpuMs } from './cpu.ts';
import { install } from './footprint.ts';
import { connectLane, type LaneConnection } from './lane-client.ts';
import { closedLoop, type Measurement, median } from './load.ts';
import { startNatsServer } from './nats-server.ts';
import type { Figure, Suite } from './suite.ts';

const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const concurrency = 64;

/** One of the programs that are measured in turns. */
interface Subject {
  request(): Promise<void>;
  /** The process between the load and the host; undefined: its CPU time is not measured. */
  pid: number | undefined;
  seen: Measurement[];
  /** CPU time of that process per request, for each round, in µs. */
  cpuUs: number[];
}

/**
 * Measures the lane from HTTP to a host's answer and back. A real broker with a stub host runs in turns with two peers
 * under the same load, body and answer: fastify and grpc-js joined directly, and request and reply over a nats-server.
 */
export const dispatchSuite: Suite = {
  name: 'dispatch',
  summary: `coold dispatch over the unix socket, ${concurrency} requests at a time, and one`,
  async run(quick, against) {
    const [rounds, roundMs] = quick ? [1, 200] : [5, 2000];
    await using cleanup = new AsyncDisposableStack();
    const { path: folder } = cleanup.use(await scratchFolder());
    const own = await startBroker(cleanup, join(folder, 'own'), (await bundled(folder)).broker);
    const other =
      against === undefined
        ? undefined
        : await startBroker(cleanup, join(folder, 'other'), await brokerOf(resolve(against), folder));
    const broker = await overLane(cleanup, own, concurrency);
    const alone = await overLane(cleanup, own, 1);
    const echo = await overLane(cleanup, await startEcho(cleanup, folder), concurrency);
    const nats = await overNats(cleanup);
    const others = other && [await overLane(cleanup, other, concurrency), await overLane(cleanup, other, 1)];
    const many = [broker, echo, nats, ...(others?.slice(0, 1) ?? [])];
    const single = [alone, ...(others?.slice(1) ?? [])];
    for (const subject of many) await measure(subject, concurrency, roundMs);
    for (const subject of single) await measure(subject, 1, roundMs);
    for (const subject of [...many, ...single]) Object.assign(subject, { seen: [], cpuUs: [] });
    for (let round = 0; round < rounds; round += 1) {
      for (const subject of many) await measure(subject, concurrency, roundMs);
      for (const subject of single) await measure(subject, 1, roundMs);
    }
    const [ours, one, bare, message] = [broker, alone, echo, nats].map(({ seen }) => median(seen));
    if (ours === undefined || one === undefined || bare === undefined || message === undefined)
      throw new Error('nothing was measured');
    return {
      rows: [
        { subject: 'broker, real; host, stub', ...ours },
        { subject: 'broker, real; host, stub; one at a time', ...one },
        { subject: 'bare fastify + grpc-js echo', ...bare },
        { subject: 'nats-server, request and reply', ...message },
      ],
      ratios: [
        { what: 'req/s, broker over bare echo', value: ours.rate / bare.rate, aim: 'at least 1.3' },
        {
          what: 'req/s, broker over nats-server',
          value: ours.rate / message.rate,
          aim: 'none: no HTTP there, and no checks',
        },
      ],
      figures: [
        cpuFigure('broker', `${concurrency} at a time`, broker),
        cpuFigure('broker', 'one at a time', alone),
        cpuFigure('bare echo', `${concurrency} at a time`, echo),
        ...(others?.flatMap((subject, index) =>
          besideOther(index === 0 ? broker : alone, subject, index === 0 ? concurrency : 1),
        ) ?? []),
      ],
    };
  },
};

/** The socket of a lane, the path of its call and the process that serves it. */
interface Served {
  socket: string;
  path: string;
  pid: number;
}

async function startBroker(cleanup: AsyncDisposableStack, folder: string, broker: string): Promise<Served> {
  const port = await freePort();
  const scripts = { broker, coold: '/nowhere' };
  const pairing = await createPairing({ folder, hostId: 'bench', port, podmanSocket: '/nowhere', scripts });
  const program = cleanup.use(pairing.startBroker({ env: { BROKER_LOG_LEVEL: 'info' } }));
  await program.logged(line => line.msg === 'listening for Laravel');
  const token = await readFile(join(folder, 'host-jwt'), 'utf8');
  await startHost(cleanup, ['broker', `127.0.0.1:${port}`, token]);
  return { socket: pairing.socketPath, path: '/v1/coold/dispatch', pid: program.pid };
}

async function startEcho(cleanup: AsyncDisposableStack, folder: string): Promise<Served> {
  const port = await freePort();
  const socket = join(folder, 'echo.sock');
  const echo = cleanup.use(startScript(script('echo-server.ts'), { args: [socket, String(port)] }));
  await echo.logged(line => line.msg === 'listening');
  await startHost(cleanup, ['echo', `127.0.0.1:${port}`]);
  return { socket, path: '/echo', pid: echo.pid };
}

async function startHost(cleanup: AsyncDisposableStack, args: string[]): Promise<void> {
  const host = cleanup.use(startScript(script('stub-host.ts'), { args }));
  await host.logged(line => line.msg === 'connected');
}

let count = 0;
/** Returns the JSON of the next dispatch. */
function nextBody(): string {
  count += 1;
  return JSON.stringify({
    host_id: 'bench',
    request_id: `bench-${count}`,
    command: { type: 'list_containers' },
  });
}

/** Sends requests over a fixed number of kept connections. */
async function overLane(
  cleanup: AsyncDisposableStack,
  { socket, path, pid }: Served,
  connections: number,
): Promise<Subject> {
  const idle: LaneConnection[] = [];
  cleanup.defer(() => {
    for (const connection of idle) connection.close();
  });
  return {
    pid,
    seen: [],
    cpuUs: [],
    async request() {
      // A server closes connections that are idle for long, as these are during the turns of the other subjects.
      const connection = idle.pop() ?? (await connectLane(socket));
      const text = await connection.post(path, nextBody());
      if (!text.includes('"status":"ok"')) throw new Error(`${path} answered ${text}`);
      if (idle.length < connections) idle.push(connection);
    },
  };
}

async function overNats(cleanup: AsyncDisposableStack): Promise<Subject> {
  const port = await freePort();
  cleanup.use(await startNatsServer(port));
  await startHost(cleanup, ['nats', `127.0.0.1:${port}`]);
  const nats = cleanup.adopt(await connect({ servers: `127.0.0.1:${port}` }), it => it.close());
  return {
    pid: undefined,
    seen: [],
    cpuUs: [],
    async request() {
      const answer = await nats.request('host.bench', nextBody(), { timeout: 10_000 });
      if (!answer.string().includes('"status":"ok"')) throw new Error(`nats: ${answer.string()}`);
    },
  };
}

async function measure(subject: Subject, atOnce: number, durationMs: number): Promise<void> {
  const used = async () => (subject.pid === undefined ? 0 : cpuMs(subject.pid));
  const before = await used();
  const seen = await closedLoop(subject.request, { concurrency: atOnce, durationMs });
  subject.seen.push(seen);
  subject.cpuUs.push((((await used()) - before) * 1000) / seen.requests);
}

function middle(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function cpuFigure(whose: string, how: string, { cpuUs }: Subject): Figure {
  return { what: `${whose}, ${how}: CPU a request`, value: middle(cpuUs), unit: 'µs', aim: '' };
}

/** The figures of this build as a ratio to the other build. */
function besideOther(ours: Subject, theirs: Subject, atOnce: number): Figure[] {
  const how = atOnce === 1 ? 'one at a time' : `${atOnce} at a time`;
  const p50 = ({ seen }: Subject) => median(seen).p50;
  return [
    cpuFigure('the other build', how, theirs),
    {
      what: `${how}: CPU a request, over the other build`,
      value: middle(ours.cpuUs) / middle(theirs.cpuUs),
      unit: '',
      aim: 'at most 0.7 of commit aa43b42',
    },
    ...(atOnce > 1
      ? []
      : [
          {
            what: `${how}: p50, over the other build`,
            value: p50(ours) / p50(theirs),
            unit: '',
            aim: 'at most 0.75 of commit aa43b42',
          },
        ]),
  ];
}

/** Installs a package. @returns the path of its broker's main module */
async function brokerOf(archive: string, folder: string): Promise<string> {
  const { folder: release } = await install('the other build', archive, folder);
  return join(release, 'broker.mjs');
}
